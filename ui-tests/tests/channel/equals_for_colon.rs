shmcomm::channel! {
    A: PubSub<u64> { name = "a" }
}

fn main() {}
