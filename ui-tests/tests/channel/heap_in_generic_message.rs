#[derive(shmcomm::ShmMessage)]
#[repr(C)]
pub struct Stamped<T> {
    stamp: u64,
    value: T,
}

shmcomm::channel! {
    pub Texts: PubSub<Stamped<String>> { name: "texts" }
    pub Lists: PushPull<Stamped<Vec<u8>>> { name: "lists" }
    pub Counts: ReqRep<Stamped<usize>, Stamped<usize>> { name: "counts" }
}

fn main() {}
