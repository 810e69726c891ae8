use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub struct Pose {
    xyz: [f64; 3],
}

shmcomm::channel! {
    A: PubSub<Pose, Pickle> { name: "robot/pose", wire: Python }
    B: PubSub<Pose, Pickle> { name: "b", wire: Python, slots: 1 }
    C: PubSub<Pose, Pickle> { name: "c", wire: Python, slot_size: 4 }
    D: PubSub<[f64; 3]> { name: "d", wire: Python, slot_size: 24 }
}

fn main() {}
