shmcomm::channel! {
    Imu: PubSub<u64> { name: "robot/imu" }
    Imu2: PushPull<u32> { name: "robot/imu" }
}

fn main() {}
