//! Workers in Rust that a pusher in Python feeds.
//!
//! `pip install shm-comm`, then `cargo run -p shmcomm-examples-python --example python-workers`. It starts
//! `examples/python/pusher.py` itself, with `python3` or the program that `PYTHON` names.

use serde::Deserialize;
use shmcomm::codec::Pickle;
use shmcomm::python::{Options, Puller, RecvTimeoutError};
use std::time::Duration;

#[derive(Deserialize)]
struct Job {
    number: u64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut python = shmcomm_examples_python::python("pusher.py")?;
    let workers = [(); 3].map(|()| {
        std::thread::spawn(|| -> Result<(u64, u64), shmcomm::Error> {
            let mut jobs = Puller::<Job, Pickle>::open(Options::pushpull("example-jobs"))?;
            let (mut done, mut sum) = (0, 0);
            loop {
                match jobs.recv_timeout(Duration::from_secs(1)) {
                    Ok(job) => (done, sum) = (done + 1, sum + job.number),
                    Err(RecvTimeoutError::Timeout) => return Ok((done, sum)),
                    Err(error) => eprintln!("{error}"),
                }
            }
        })
    });
    let mut total = 0;
    for worker in workers {
        let (done, sum) = worker.join().expect("a worker does not panic")?;
        println!("{done} jobs done");
        total += sum;
    }
    python.wait()?;
    println!("the numbers of all jobs add up to {total}");
    Ok(())
}
