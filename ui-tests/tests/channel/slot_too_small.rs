use shmcomm::ShmMessage;

#[derive(ShmMessage)]
#[repr(C)]
pub struct Imu {
    stamp: u64,
    samples: [f64; 15],
}

shmcomm::channel! {
    pub Telemetry: PubSub<Imu> {
        name: "robot/imu",
        slots: 256,
        slot_size: 64,
    }
}

fn main() {}
