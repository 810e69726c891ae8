use shmcomm::{ShmMessage, ShmVec};

struct Inner {
    x: u32,
}

#[derive(ShmMessage)]
#[repr(C)]
struct Outer {
    a: Inner,
    b: [Inner; 3],
    c: ShmVec<Inner, 4>,
}

fn main() {}
