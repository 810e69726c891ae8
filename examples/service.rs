//! A service with three workers, one of which is killed again and again: every request is answered.
//!
//! `cargo run --release --example service`

use shmcomm_examples::{Planner, Trip, Way, Worker};
use std::collections::HashMap;
use std::time::{Duration, Instant};

const TRIPS: u32 = 5_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::args().nth(1).as_deref() == Some("plan") {
        return plan();
    }
    let namespace = format!("service-{}", std::process::id());
    let planner = Planner::open().namespace(&namespace).requester()?;
    let hire = || Worker::hire("plan", &namespace);
    let mut workers = vec![hire()?, hire()?, hire()?];
    let (mut killed, mut last, mut by) = (0, Instant::now(), HashMap::new());
    for number in 0..TRIPS {
        let to = [f64::from(number), f64::from(number) / 2.0];
        // Two requests at a time: there and back.
        let there = planner.call(&Trip { from: [0.0; 2], to })?;
        let back = planner.call(&Trip { from: to, to: [0.0; 2] })?;
        if last.elapsed() > Duration::from_millis(50) {
            drop(workers.remove(0));
            workers.push(hire()?);
            killed += 1;
            last = Instant::now();
        }
        let (there, back) = (there.wait()?, back.wait()?);
        assert_eq!(there.length, back.length);
        *by.entry(there.planner).or_insert(0) += 1;
        *by.entry(back.planner).or_insert(0) += 1;
    }
    let again = planner.stats().backlog.unwrap_or_default().redelivered;
    println!(
        "{} ways planned by {} workers; {killed} of them killed, {again} ways planned by another one instead",
        2 * TRIPS,
        by.len()
    );
    Ok(())
}

fn plan() -> Result<(), Box<dyn std::error::Error>> {
    Planner::replier()?.serve(|trip| {
        std::thread::sleep(Duration::from_micros(50));
        let points = std::array::from_fn(|i| {
            let part = i as f64 / 15.0;
            [0, 1].map(|axis| trip.from[axis] + part * (trip.to[axis] - trip.from[axis]))
        });
        let length = (trip.to[0] - trip.from[0]).hypot(trip.to[1] - trip.from[1]);
        Way { length, planner: std::process::id(), count: 16, points }
    })?;
    Ok(())
}
