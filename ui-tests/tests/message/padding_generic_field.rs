use shmcomm::ShmMessage;

#[derive(ShmMessage)]
#[repr(C)]
struct Stamped<T> {
    stamp: u64,
    value: T,
}

#[derive(ShmMessage)]
#[repr(C)]
struct Both {
    fine: Stamped<u64>,
    odd: Stamped<u8>,
}

fn main() {}
