use shmcomm::{Pad, ShmMessage};

#[derive(ShmMessage)]
#[repr(C)]
struct Sample {
    value: u64,
    _pad: Pad<4>,
}

fn main() {}
