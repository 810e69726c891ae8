#[derive(shmcomm::ShmMessage)]
#[repr(C)]
pub struct Imu {
    acc: [f32; 3],
}

shmcomm::channel! {
    pub Feed: PubSub<Imu> { name: "imu", slo }
    pub Other: PubSub<Imu> { name: "other" }
}

pub fn open() -> bool {
    Feed::publisher().is_ok() && Other::subscriber().is_ok()
}

fn main() {}
