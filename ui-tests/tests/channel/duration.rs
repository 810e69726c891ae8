shmcomm::channel! {
    A: PubSub<u64> { name: "a", patience: 2 }
    B: PubSub<u64> { name: "b", patience: 0.5s }
    C: PubSub<u64> { name: "c", expect_every: 10min }
    D: PubSub<u64> { name: "d", expect_every: 0ms }
    E: ReqRep<u64, u64> { name: "e", expect_every: 10ms }
    F: PubSub<u64> { name: "f", patience: u64::MAX }
}

fn main() {}
