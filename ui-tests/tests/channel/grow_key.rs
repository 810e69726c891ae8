use shmcomm::channel;

channel! {
    Jobs: PushPull<[u8], Bytes> { name: "jobs", slot_size: 4096, grow: 1 MiB, wire: Python }
    Calls: ReqRep<[u8], [u8], Bytes> { name: "calls", slot_size: 4096, grow: 1 MiB }
    Wire: PubSub<[u8], Bytes> { name: "wire", slot_size: 4096, grow: 1 MiB, wire: Python }
    Unit: PubSub<[u8], Bytes> { name: "unit", slot_size: 4096, grow: 1 MB }
    Word: PubSub<[u8], Bytes> { name: "word", slot_size: 4096, grow: "1 MiB" }
}

fn main() {}
