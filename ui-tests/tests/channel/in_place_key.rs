use shmcomm::channel;

channel! {
    Jobs: PushPull<u64> { name: "jobs", in_place: true }
    Calls: ReqRep<u64, u64> { name: "calls", in_place: false }
    Wire: PubSub<u64> { name: "wire", in_place: true, wire: Python }
}

fn main() {}
