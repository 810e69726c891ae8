use shmcomm::ShmMessage;

#[derive(ShmMessage)]
#[repr(C)]
#[shm(crate)]
struct Stamped {
    value: u32,
}

fn main() {}
