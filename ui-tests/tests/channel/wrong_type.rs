shmcomm::channel! {
    A: PubSub<u64> { name: "a", slots: "256" }
    B: PubSub<u64> { name: 7 }
    C: PubSub<Missing> { name: "c" }
}

fn main() {}
