shmcomm::channel! {
    A: ReqRep<u32, u32> { name: "a", replies: Stream, window: 0 }
    B: ReqRep<u32, u32> { name: "b", replies: Stream, window: 100_000 }
}

fn main() {}
