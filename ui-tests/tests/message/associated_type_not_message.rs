use shmcomm::ShmMessage;

pub trait Sensor {
    type Reading;
}

pub struct Camera;

impl Sensor for Camera {
    type Reading = Vec<u8>;
}

#[derive(ShmMessage)]
#[repr(C)]
struct Stamped<S: Sensor> {
    stamp: u64,
    reading: S::Reading,
}

pub fn size() -> usize {
    <Stamped<Camera>>::SCHEMA.size
}

fn main() {}
