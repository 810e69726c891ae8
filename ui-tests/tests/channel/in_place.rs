use shmcomm::channel;

channel! {
    Large: PubSub<[u8; 4097]> { name: "large", in_place: false }
    Grown: PubSub<u64, [u8]> { name: "grown", slot_size: 64, grow: 1 MiB, in_place: false }
    Few: PubSub<u64> { name: "few", in_place: true, slots: 8, seats: 8 }
    Many: PubSub<u64> { name: "many", in_place: true, seats: 128 }
}

fn main() {}
