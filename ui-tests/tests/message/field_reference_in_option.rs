use shmcomm::{ShmMessage, ShmOption};

#[derive(ShmMessage)]
#[repr(C)]
struct Log {
    text: ShmOption<&'static str>,
}

fn main() {}
