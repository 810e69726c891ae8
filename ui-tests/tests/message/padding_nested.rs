use shmcomm::{ShmMessage, ShmVec};

#[derive(ShmMessage)]
#[repr(C)]
struct Inner {
    a: u32,
    b: u8,
}

#[derive(ShmMessage)]
#[repr(C)]
struct Outer {
    one: Inner,
    many: ShmVec<Inner, 4>,
    rows: [[Inner; 2]; 2],
    end: u32,
}

fn main() {}
