use shmcomm::channel;

channel! {
    A: PubSub<u64> { name: "a", publishers: 0 }
    B: PubSub<u64> { name: "b", publishers: 33 }
    C: PubSub<u64> { name: "c", publishers: 4, seats: 4 }
    D: PubSub<u64> { name: "d", publishers: 2, overflow: Wait }
    E: PushPull<u64> { name: "e", publishers: 2 }
}

fn main() {}
