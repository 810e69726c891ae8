use shmcomm::{ShmMessage, ShmVec};

#[derive(ShmMessage)]
#[repr(C, align(16))]
struct Wide([u64; 2]);

#[derive(ShmMessage)]
#[repr(C)]
struct Wides {
    items: ShmVec<Wide, 4>,
}

fn main() {}
