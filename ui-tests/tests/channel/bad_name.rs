const NAME: &str = "/robot//imu";

shmcomm::channel! {
    A: PubSub<u64> { name: "robot imu" }
    B: PubSub<u64> { name: "" }
    C: PubSub<u64> { name: "/robot/imu/" }
    D: PubSub<u64> { name: NAME }
    G: PubSub<u64> { name: "/größe//x y " }
    E: PubSub<u64> { name: "robot/../imu" }
    F: PubSub<u64> { name: "0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123" }
}

fn main() {}
