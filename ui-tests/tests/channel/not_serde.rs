pub struct Plain {
    x: u32,
}

shmcomm::channel! {
    Plains: PubSub<Plain, Pickle> { name: "plains", slot_size: 64 }
    Packed: PushPull<Plain, Msgpack> { name: "packed", slot_size: 64 }
    Own: PubSub<u64, Vec<u8>> { name: "own", slot_size: 64 }
}

fn main() {}
