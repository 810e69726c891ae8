//! A queue of tasks and three workers, one of which is killed again and again: every task is done.
//!
//! `cargo run --release --example jobs`

use shmcomm::PullTimeoutError;
use shmcomm_examples::{Task, Tasks, Worker};
use std::time::{Duration, Instant};

const TASKS: u64 = 5_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::args().nth(1).as_deref() == Some("work") {
        return work();
    }
    let namespace = format!("jobs-{}", std::process::id());
    let mut tasks = Tasks::open().namespace(&namespace).pusher()?;
    let hire = || Worker::hire("work", &namespace);
    let mut workers = vec![hire()?, hire()?, hire()?];
    let (mut killed, mut last) = (0, Instant::now());
    for number in 0..TASKS {
        tasks.send(&Task { number, effort: 100 })?;
        if last.elapsed() > Duration::from_millis(50) {
            drop(workers.remove(0));
            workers.push(hire()?);
            killed += 1;
            last = Instant::now();
        }
    }
    tasks.flush(Duration::from_secs(30))?;
    let backlog = tasks.stats().backlog.unwrap_or_default();
    println!(
        "{TASKS} tasks sent, {} done; {killed} workers killed, {} tasks done again by another",
        backlog.acknowledged, backlog.redelivered
    );
    Ok(())
}

fn work() -> Result<(), Box<dyn std::error::Error>> {
    let mut tasks = Tasks::puller()?;
    loop {
        match tasks.claim_timeout(Duration::from_secs(1)) {
            Ok(task) => {
                std::thread::sleep(Duration::from_micros(task.effort));
                // The task is acknowledged only now: if this process is killed before, another worker gets
                // the task.
                task.done();
            }
            Err(PullTimeoutError::Timeout) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
