#[derive(shmcomm::ShmMessage)]
#[repr(C)]
pub struct Imu {
    acc: [f32; 3],
}

const POLICY: bool = true;

shmcomm::channel! {
    pub Feed: PubSub<Imu> { name: "imu", overflow: POLICY }
}

fn main() {}
