#[derive(shmcomm::ShmMessage)]
#[repr(C)]
pub struct Imu {
    acc: [f32; 3],
}

shmcomm::channel! {
    pub Feed: PubSub<Imu> { name: "robot/{id: u8}/imu" }
}

pub fn open() {
    let _ = Feed::instance("seven");
}

fn main() {}
