use shmcomm::{Channel, PubSub};

struct Job;

const JOBS: Channel<PubSub<Job>> = Channel::new("jobs");

fn main() {}
