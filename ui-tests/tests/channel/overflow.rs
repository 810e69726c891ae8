shmcomm::channel! {
    A: PubSub<u64> { name: "a", overflow: wait }
    B: PubSub<u64> { name: "b", overflow: Block }
    C: PushPull<u64> { name: "c", overflow: Wait }
}

fn main() {}
