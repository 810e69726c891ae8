use shmcomm::ShmMessage;

#[derive(ShmMessage)]
#[repr(u8)]
enum Command {
    Stop,
    Drive(f32),
}

impl Drop for Command {
    fn drop(&mut self) {}
}

fn main() {}
