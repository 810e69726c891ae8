use shmcomm::ShmMessage;
use std::marker::PhantomData;

#[derive(ShmMessage)]
#[repr(C)]
struct Frame<'a> {
    size: u32,
    of: PhantomData<&'a u8>,
}

fn main() {}
