use shmcomm::ShmMessage;

#[derive(ShmMessage)]
#[repr(C)]
struct State {
    stamp: u64,
    #[shm(default = 20.0)]
    temperature: f64,
}

fn main() {}
