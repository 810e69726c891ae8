use shmcomm::ShmMessage;

#[derive(ShmMessage)]
#[repr(u8)]
enum Mode {
    Idle,
    Run,
}

impl Drop for Mode {
    fn drop(&mut self) {}
}

fn main() {}
