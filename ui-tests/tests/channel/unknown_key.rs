shmcomm::channel! {
    A: PubSub<u64> { name: "a", slot: 256 }
    B: PubSub<u64> { name: "b", capacity: 256 }
    C: ReqRep<u64, u64> { name: "c", redelivery: true }
}

fn main() {}
