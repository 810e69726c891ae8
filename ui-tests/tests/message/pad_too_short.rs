use shmcomm::{Pad, ShmMessage};

#[derive(ShmMessage)]
#[repr(C)]
struct Sample {
    value: u32,
    _pad: Pad<1>,
    other: u64,
}

fn main() {}
