#[derive(serde::Serialize, serde::Deserialize)]
pub struct Job {
    args: Vec<String>,
}

shmcomm::channel! {
    Fine: PubSub<Job, Pickle> { name: "fine", slot_size: 4096 }
    Raw: PubSub<Vec<u8>, Bytes> { name: "raw", slot_size: 4096 }
    Jobs: PubSub<Job, Pickle> { name: "jobs" }
    Empty: PubSub<Job, Pickle> { name: "empty", slot_size: 0 }
}

fn main() {}
