//! A service in Rust that is called from Python, more than fifteen times.
//!
//! `pip install shm-comm`, then `cargo run -p shmcomm-examples-python --example python-service`. It starts
//! `examples/python/requester.py` itself, with `python3` or the program that `PYTHON` names.

use serde::{Deserialize, Serialize};
use shmcomm::codec::Pickle;
use shmcomm::python::{Options, RecvTimeoutError, Replier};
use std::time::Duration;

#[derive(Deserialize)]
struct Request {
    start: [f64; 2],
    goal: [f64; 2],
}

#[derive(Serialize)]
struct Plan {
    length: f64,
    steps: u32,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut service = Replier::<Request, Plan, Pickle>::open(Options::reqrep("example-planner"))?;
    let mut python = shmcomm_examples_python::python("requester.py")?;
    while python.try_wait()?.is_none() {
        match service.recv_timeout(Duration::from_millis(100)) {
            Ok(Request { start, goal }) => {
                let length = (goal[0] - start[0]).hypot(goal[1] - start[1]);
                service.send(&Plan { length, steps: length.ceil() as u32 })?;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(error) => eprintln!("{error}"),
        }
    }
    println!("{} requests answered", service.received());
    Ok(())
}
