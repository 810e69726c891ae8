shmcomm::channel! {
    A: PubSub<u64> { name: "a", slots: 2, slots: 4 }
}

fn main() {}
