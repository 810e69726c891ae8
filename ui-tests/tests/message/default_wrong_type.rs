use shmcomm::ShmMessage;

#[derive(ShmMessage)]
#[repr(C)]
struct State {
    stamp: u64,
    #[shm(default = "20")]
    temperature: f64,
    #[shm(default = "\"map\"")]
    frame: u64,
}

fn main() {}
