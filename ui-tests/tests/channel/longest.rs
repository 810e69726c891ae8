use serde::{Deserialize, Serialize};
use shmcomm::{ShmMessage, ShmString};

#[derive(Clone, Copy, ShmMessage, Serialize, Deserialize)]
#[repr(C)]
pub struct Pose {
    xyz: [f64; 3],
    frame: ShmString<20>,
}

shmcomm::channel! {
    Fine: PubSub<Pose, Msgpack> { name: "fine" }
    Short: PubSub<Pose, Msgpack> { name: "short", slot_size: 32 }
    Python: PubSub<Pose, Pickle> { name: "python", wire: Python, slot_size: 60 }
    Reply: ReqRep<u8, Pose, Pickle> { name: "reply", slot_size: 40 }
}

fn main() {}
