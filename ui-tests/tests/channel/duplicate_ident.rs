shmcomm::channel! {
    Imu: PubSub<u64> { name: "a" }
    Imu: PubSub<u64> { name: "b" }
}

fn main() {}
