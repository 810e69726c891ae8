use shmcomm::ShmMessage;

#[derive(ShmMessage)]
#[repr(C)]
struct Sample {
    #[shm(renam = "other")]
    value: u32,
}

fn main() {}
