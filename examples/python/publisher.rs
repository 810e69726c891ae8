//! A publisher in Rust, a subscriber in Python.
//!
//! `pip install shm-comm`, then `cargo run -p shmcomm-examples-python --example python-publisher`. It starts
//! `examples/python/subscriber.py` itself, with `python3` or the program that `PYTHON` names.

use serde::Serialize;
use shmcomm::codec::Pickle;
use shmcomm::python::{Options, Publisher};
use std::time::Duration;

/// A dict in Python: `{'frame': 'map', 'x': 0.0, 'y': 1.0}`.
#[derive(Serialize)]
struct Pose {
    frame: &'static str,
    x: f64,
    y: f64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut publisher = Publisher::<Pose, Pickle>::open(Options::pubsub("example-pose"))?;
    let mut python = shmcomm_examples_python::python("subscriber.py")?;
    // Python does not signal that it has subscribed: publish until it has had time to.
    for step in 0..20 {
        let angle = f64::from(step) / 10.0;
        publisher.send(&Pose { frame: "map", x: angle.cos(), y: angle.sin() })?;
        std::thread::sleep(Duration::from_millis(100));
    }
    python.wait()?;
    Ok(())
}
