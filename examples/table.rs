//! A table of latest values: two processes store their keys, and this one reads both, while one of them is killed in
//! the middle of its work and started again.
//!
//! `cargo run --release --example table`

use shmcomm_examples::{Robot, Worker};
use std::process;
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    match std::env::args().nth(1).as_deref() {
        Some("battery") => return discharge(),
        Some("drive") => return drive(),
        _ => {}
    }
    let namespace = format!("table-{}", process::id());
    let battery = Worker::hire("battery", &namespace)?;
    let mut driver = Some(Worker::hire("drive", &namespace)?);
    let mut robot = Robot::open().namespace(&namespace).reader()?;
    // Sleeps until the driver stores its first pose.
    robot.wait(Robot::POSE)?;
    for round in 0..6 {
        std::thread::sleep(Duration::from_millis(100));
        // Both values were current at one instant.
        let (battery, pose) = robot.load_set((Robot::BATTERY, Robot::POSE))?;
        let alive = robot.is_written(Robot::POSE);
        if let (Some(battery), Some(pose)) = (battery, pose) {
            println!(
                "battery {:.3} (version {}), x {:.2} m (version {}, writer {})",
                battery.value,
                battery.version,
                pose.value[0],
                pose.version,
                if alive { "alive" } else { "dead" }
            );
        }
        if round == 2 {
            driver = None;
            println!("killed the driver: its last value stays");
        } else if round == 3 {
            driver = Some(Worker::hire("drive", &namespace)?);
            println!("started the driver again: it takes the key over");
        }
    }
    drop((driver, battery));
    // Killed writers leave the table to the next one, and a reader keeps no segment.
    shmcomm::remove_stale(&namespace)?;
    Ok(())
}

fn discharge() -> Result<(), Box<dyn std::error::Error>> {
    let mut battery = Robot::writer(Robot::BATTERY)?;
    for step in 0.. {
        battery.store(&(1.0 - step as f32 / 10_000.0))?;
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn drive() -> Result<(), Box<dyn std::error::Error>> {
    let mut pose = Robot::writer(Robot::POSE)?;
    for step in pose.version().. {
        pose.store(&[step as f64 / 100.0, 0.0, 0.0])?;
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
