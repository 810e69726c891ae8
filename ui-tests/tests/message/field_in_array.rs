use shmcomm::{ShmMessage, ShmVec};

#[derive(ShmMessage)]
#[repr(C)]
struct Log {
    names: [String; 4],
    counts: [[usize; 2]; 2],
    list: ShmVec<[Option<u8>; 2], 4>,
}

fn main() {}
