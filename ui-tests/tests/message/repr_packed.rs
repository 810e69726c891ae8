use shmcomm::ShmMessage;

#[derive(ShmMessage)]
#[repr(packed)]
struct Sample {
    value: u32,
    other: u64,
}

fn main() {}
