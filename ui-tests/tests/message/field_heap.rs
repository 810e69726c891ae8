use shmcomm::ShmMessage;
use std::collections::HashMap;

#[derive(ShmMessage)]
#[repr(C)]
struct Log {
    text: String,
    lines: Vec<u8>,
    tags: HashMap<u32, u32>,
    next: Box<u64>,
}

fn main() {}
