shmcomm::channel! {
    A: ReqRep<u32, u32> { name: "a", replies: Stream, redeliver: true }
    B: ReqRep<u32, u32> { name: "b", replies: Streams }
    C: ReqRep<u32, u32> { name: "c", window: 4 }
    D: PushPull<u32> { name: "d", replies: Stream }
    E: ReqRep<u32, u32> { name: "e", replies: Stream, wire: Python }
    G: ReqRep<u32, u32> { name: "g", replies: One, window: 4 }
}

fn main() {}
