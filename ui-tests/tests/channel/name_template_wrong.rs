#[derive(shmcomm::ShmMessage)]
#[repr(C)]
pub struct Imu {
    acc: [f32; 3],
}

const NAME: &str = "robot/{id}/imu";

shmcomm::channel! {
    pub A: PubSub<Imu> { name: "robot {id}/imu" }
    pub B: PubSub<Imu> { name: NAME }
}

fn main() {}
