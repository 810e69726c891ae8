shmcomm::channel! {
    A: Pubsub<u64> { name: "a" }
    B: Broadcast<u64> { name: "b" }
}

fn main() {}
