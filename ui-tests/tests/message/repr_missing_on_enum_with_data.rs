use shmcomm::ShmMessage;

#[derive(ShmMessage)]
enum Command {
    Stop,
    Drive { speed: f32 },
}

fn main() {}
