use shmcomm::{Channel, PubSub, ShmMessage};

#[derive(ShmMessage)]
#[repr(C)]
struct Stamped<T> {
    stamp: u64,
    value: T,
}

const NAME: Channel<PubSub<u64>> = Channel::new("robot imu");
const SLOTS: Channel<PubSub<u64>> = Channel::new("a").slots(300);
const SEATS: Channel<PubSub<u64>> = Channel::new("a").seats(0);
const SLOT_SIZE: Channel<PubSub<u64>> = Channel::new("a").slot_size(4);
const MAX_LEN: Channel<PubSub<u64, [u64]>> = Channel::new("a").max_len(1 << 40);
const PADDING: Channel<PubSub<Stamped<u8>>> = Channel::new("a");
const GAP: Channel<PubSub<u32, [u64]>> = Channel::new("a");

fn main() {}
