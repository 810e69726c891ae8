use shmcomm::channel;

channel! {
    Fixed: PubSub<[f32; 6]> { name: "fixed", grow: 1 MiB }
    Small: PubSub<u64, [u8]> { name: "small", slot_size: 4096, grow: 4096 }
    Huge: PubSub<u64, [u8]> { name: "huge", slot_size: 4096, grow: 4 GiB }
    Several: PubSub<u64, [u8]> { name: "several", slot_size: 4096, grow: 64 KiB, publishers: 2 }
    Jobs: PushPull<[f32; 6]> { name: "jobs", grow: 1 MiB }
}

fn main() {}
