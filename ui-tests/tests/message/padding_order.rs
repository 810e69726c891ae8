use shmcomm::ShmMessage;

#[derive(ShmMessage)]
#[repr(C)]
struct Imu {
    mode: u32,
    stamp: u64,
    id: u32,
}

fn main() {}
