use shmcomm::ShmMessage;

#[derive(ShmMessage)]
#[repr(u8)]
struct Sample {
    value: u32,
}

fn main() {}
