use shmcomm::ShmMessage;

#[derive(ShmMessage)]
#[repr(C)]
#[shm(crate = "no such path")]
struct Stamped {
    value: u32,
}

fn main() {}
