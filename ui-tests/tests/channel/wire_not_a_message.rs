pub struct Pose {
    xyz: [f64; 3],
}

shmcomm::channel! {
    A: PubSub<Pose> { name: "a", wire: Python }
    B: PubSub<Pose, Pickle> { name: "b", wire: Python }
    C: PubSub<[u8]> { name: "c", wire: Python }
}

fn main() {}
