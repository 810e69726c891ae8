#[derive(shmcomm::ShmMessage)]
#[repr(C)]
pub struct Imu {
    acc: [f32; 3],
}

shmcomm::channel! {
    pub A: PubSub<Imu> { name: "robot/{id/imu" }
    pub B: PubSub<Imu> { name: "robot/id}/imu" }
    pub C: PubSub<Imu> { name: "robot/{}/imu" }
    pub D: PubSub<Imu> { name: "robot/{id}/{id}" }
    pub E: PubSub<Imu> { name: "robot/{id: [}/imu" }
}

fn main() {}
