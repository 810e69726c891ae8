use shmcomm::ShmMessage;

#[derive(ShmMessage)]
#[repr(C)]
#[shm(remote = "Point")]
struct PointDef {
    x: f64,
    z: f64,
}

#[derive(Default)]
pub struct Point {
    pub x: f64,
    pub y: f64,
}

fn main() {}
