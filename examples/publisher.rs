//! Publishes inertial measurements, a thousand a second, until it is stopped.
//!
//! `cargo run --release --example publisher`, and `--example subscriber` in other terminals. Kill the
//! publisher and start it again: the subscribers continue.

use shmcomm::{ShmString, Timestamp};
use shmcomm_examples::{Imu, ImuFeed, init_logger};
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    init_logger();
    let mut imu = ImuFeed::publisher()?;
    println!("publishing on `{}`; stop with ctrl-c", imu.name());
    for number in 0.. {
        let t = number as f32 / 1000.0;
        imu.send(&Imu {
            stamp: Timestamp::now(),
            number,
            acceleration: [t.sin(), t.cos(), 9.81],
            angular_velocity: [0.0, 0.0, 0.1],
            frame: ShmString::new("base_link")?,
        })?;
        if number % 1000 == 0 {
            for subscriber in imu.stats().subscribers() {
                println!(
                    "{}: {} behind, {} lost",
                    subscriber.process,
                    subscriber.lag.unwrap_or(0),
                    subscriber.lost
                );
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
