shmcomm::channel! {
    A: PubSub<u64> { name: "a", max_len: 100 }
    B: PubSub<u64> { name: "b", redeliver: true }
}

fn main() {}
