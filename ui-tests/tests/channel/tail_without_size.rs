#[derive(shmcomm::ShmMessage)]
#[repr(C)]
pub struct Imu {
    acc: [f32; 3],
}

#[derive(shmcomm::ShmMessage)]
pub struct Tick;

shmcomm::channel! {
    pub Feed: PubSub<Imu, [Tick]> { name: "imu", max_len: 4 }
}

fn main() {}
