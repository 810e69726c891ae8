//! Receives inertial measurements and shows one in a thousand. It outlives its publisher.
//!
//! `cargo run --release --example subscriber`, with `--example publisher` in another terminal.

use shmcomm::RecvError;
use shmcomm_examples::{ImuFeed, init_logger};
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    init_logger();
    let mut imu = ImuFeed::open().connect_timeout(Duration::from_secs(60)).subscriber()?;
    loop {
        match imu.recv() {
            Ok(sample) if sample.number % 1000 == 0 => println!("{sample:?}"),
            Ok(_) => {}
            Err(RecvError::Lagged(n)) => println!("too slow: {n} samples lost"),
            Err(RecvError::Invalid(why)) => println!("{why}"),
            Err(RecvError::Disconnected) => {
                println!("the publisher is gone; waiting for the next one");
                while !imu.wait_for_publisher(Duration::from_secs(60)) {}
            }
            Err(error @ (RecvError::Stopped | RecvError::Forked | RecvError::Missed { .. })) => {
                return Err(error.into());
            }
        }
    }
}
