use shmcomm::ShmMessage;

#[derive(ShmMessage)]
#[repr(C)]
struct Sample {
    #[shm(getter = "get")]
    value: u32,
}

fn main() {}
