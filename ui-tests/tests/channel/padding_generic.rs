use shmcomm::ShmMessage;

#[derive(ShmMessage)]
#[repr(C)]
struct Stamped<T> {
    stamp: u64,
    value: T,
}

shmcomm::channel! {
    Fine: PubSub<Stamped<u64>> { name: "a" }
    Odd: PubSub<Stamped<u8>> { name: "b" }
}

fn main() {}
