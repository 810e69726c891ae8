use shmcomm::ShmMessage;

#[derive(ShmMessage)]
#[repr(u8)]
enum Command {
    Stop,
    Say(String),
    Repeat { text: String, times: usize },
}

fn main() {}
