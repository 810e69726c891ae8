use shmcomm::ShmMessage;

#[derive(ShmMessage)]
#[repr(u8)]
enum Command {
    Stop,
    Drive(f32),
}

const BYTES: &[u8] = shmcomm::message::as_bytes(&Command::Stop);

fn main() {}
