shmcomm::channel! {
    A: PubSub<u64, [u16]> { name: "a", max_len: 100, slot_size: 64 }
    B: PubSub<u64, [u64]> { name: "b", max_len: 1 << 40 }
    C: PubSub<u64, [u64]> { name: "c" }
    D: PubSub<[u8]> { name: "d" }
}

fn main() {}
