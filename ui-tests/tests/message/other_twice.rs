use shmcomm::ShmMessage;

#[derive(ShmMessage)]
#[repr(u8)]
enum Mode {
    #[shm(other)]
    Idle,
    #[shm(other)]
    Run,
}

fn main() {}
