use shmcomm::ShmMessage;

#[derive(ShmMessage)]
#[repr(u64)]
enum Mode {
    Idle,
    Run,
}

#[derive(ShmMessage)]
#[repr(C)]
struct State {
    stamp: u64,
    #[shm(default)]
    mode: Mode,
}

fn main() {}
