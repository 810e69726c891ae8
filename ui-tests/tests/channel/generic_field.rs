use shmcomm::ShmMessage;

#[derive(ShmMessage)]
#[repr(C)]
struct Stamped<T> {
    stamp: u64,
    value: T,
}

shmcomm::channel! {
    Texts: PubSub<Stamped<String>> { name: "texts" }
}

fn main() {}
