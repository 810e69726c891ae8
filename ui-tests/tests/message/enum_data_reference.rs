use shmcomm::ShmMessage;

#[derive(ShmMessage)]
#[repr(u8)]
enum Command {
    Stop,
    Say(&'static str),
}

fn main() {}
