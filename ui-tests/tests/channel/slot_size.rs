shmcomm::channel! {
    A: PubSub<u64> { name: "a", slot_size: 0 }
    B: PubSub<u64> { name: "b", slot_size: 1 << 40 }
    C: PubSub<u64> { name: "c", slot_size: }
}

fn main() {}
