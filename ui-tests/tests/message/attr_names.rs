use shmcomm::ShmMessage;

#[derive(ShmMessage)]
#[repr(C)]
struct Imu {
    #[shm(rename = "")]
    a: u64,
    #[shm(rename = "c")]
    b: u64,
    c: u64,
}

#[derive(ShmMessage)]
#[repr(u8)]
enum Mode {
    #[shm(rename = "Run")]
    Idle,
    Run,
    #[shm(name = "x")]
    Stop,
}

fn main() {}
