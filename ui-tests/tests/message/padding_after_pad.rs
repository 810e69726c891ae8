use shmcomm::{Pad, ShmMessage};

#[derive(ShmMessage)]
#[repr(C)]
struct Imu {
    stamp: u64,
    mode: u8,
    _pad: Pad<3>,
}

fn main() {}
