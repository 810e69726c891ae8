use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub struct Pose {
    xyz: [f64; 3],
}

shmcomm::channel! {
    A: PubSub<u64, [u8]> { name: "a", wire: Python, slot_size: 100 }
    B: PubSub<Pose, Pickle> { name: "b", wire: Python, seats: 8 }
    C: PubSub<Pose, Pickle> { name: "c", wire: python }
    D: PubSub<Pose, Pickle> { name: "d", wire: Ros, slot_size: 100 }
}

fn main() {}
