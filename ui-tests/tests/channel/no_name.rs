shmcomm::channel! {
    A: PubSub<u64> { slots: 4 }
}

fn main() {}
