pub struct Job {
    args: Vec<String>,
}

shmcomm::channel! {
    pub Jobs: PubSub<Job> { name: "jobs" }
}

fn main() {
    let _ = Jobs::publisher();
    let _ = Jobs::open().subscriber();
}
