shmcomm::channel! {
    A: PubSub<u64> { name: "a", group: "" }
    B: PushPull<u64> { name: "b", group: 1000 }
    C: PubSub<u64> { name: "c", wire: Python, group: "robots" }
    D: Table { name: "d", group: "", battery: u64 }
    E: PubSub<u64> { name: "same" }
    F: PubSub<u64> { name: "same", group: "robots" }
    G: PubSub<u64> { name: "same", group: "robots" }
}

fn main() {}
