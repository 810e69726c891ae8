use shmcomm::ShmMessage;

#[derive(ShmMessage)]
#[repr(C)]
struct Sample {
    value: u32,
    #[shm(alias = "value")]
    other: u32,
}

fn main() {}
