use shmcomm::ShmMessage;

#[derive(ShmMessage)]
#[repr(C)]
struct Sample {
    #[shm(rename)]
    value: u32,
}

fn main() {}
