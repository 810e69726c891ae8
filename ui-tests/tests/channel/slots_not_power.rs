shmcomm::channel! {
    A: PubSub<u64> { name: "a", slots: 300 }
    B: PubSub<u64> { name: "b", slots: 2 * 0 }
    C: PubSub<u64> { name: "c", slots: 1 << 21 }
}

fn main() {}
