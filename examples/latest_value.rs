//! A control loop that acts on the newest setpoint, however many setpoints arrived since the last round.
//!
//! `cargo run --release --example latest-value`

use shmcomm_examples::{Command, Setpoint};
use std::process;
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::args().nth(1).as_deref() == Some("plan") {
        return plan();
    }
    let namespace = format!("latest-{}", process::id());
    let mut planner = process::Command::new(std::env::current_exe()?)
        .arg("plan")
        .env("SHMCOMM_NAMESPACE", &namespace)
        .spawn()?;
    let mut command = Command::open().namespace(&namespace).subscriber()?;
    // Fifty rounds of 10 ms; the planner has a new setpoint every millisecond.
    for round in 0..50 {
        if let Some(setpoint) = command.latest()?
            && round % 10 == 0
        {
            println!("round {round}: {:.3} m/s, from setpoint {}", setpoint.velocity, setpoint.number);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    println!("acted on {}, passed over {}, lost {}", command.received(), command.skipped(), command.lost());
    planner.kill()?;
    planner.wait()?;
    Ok(())
}

fn plan() -> Result<(), Box<dyn std::error::Error>> {
    let mut command = Command::publisher()?;
    for number in 0.. {
        command.send(&Setpoint { number, velocity: (number as f64 / 100.0).sin() })?;
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
