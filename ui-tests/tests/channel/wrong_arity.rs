shmcomm::channel! {
    A: ReqRep<u64> { name: "a" }
    B: PubSub { name: "b" }
    C: PubSub<'static, u64> { name: "c" }
    D: PushPull<u64, [u8]> { name: "d" }
}

fn main() {}
