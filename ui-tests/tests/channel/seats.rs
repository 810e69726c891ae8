shmcomm::channel! {
    A: PubSub<u64> { name: "a", seats: 1 }
    B: PubSub<u64> { name: "b", seats: 5000 }
}

fn main() {}
