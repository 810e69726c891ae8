//! Two processes, one channel: a publisher and a subscriber exchange typed messages.
//!
//! `cargo run --release --example quickstart`

use shmcomm::{RecvError, ShmMessage, ShmString, Timestamp, channel};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// A message: the compiler proves that its layout is the same in every process.
#[derive(Clone, Copy, Debug, ShmMessage)]
#[repr(C)]
struct Reading {
    sent: Timestamp,
    number: u64,
    position: [f64; 3],
    sensor: ShmString<20>,
}

channel! {
    /// Readings, on a name that only this run uses.
    Readings: PubSub<Reading> { name: "examples/quickstart", slots: 1024 }
}

const MESSAGES: u64 = 100_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    match std::env::args().nth(1).as_deref() {
        Some("publish") => publish(),
        Some("subscribe") => subscribe(),
        _ => launch(),
    }
}

/// Starts the two processes, in a namespace of their own, and waits for them.
fn launch() -> Result<(), Box<dyn std::error::Error>> {
    let namespace = format!("quickstart-{}", std::process::id());
    let start = |role: &str| -> std::io::Result<Child> {
        Command::new(std::env::current_exe()?).arg(role).env("SHMCOMM_NAMESPACE", &namespace).spawn()
    };
    let mut publisher = start("publish")?;
    let mut subscriber = start("subscribe")?;
    let fine = subscriber.wait()?.success() & publisher.wait()?.success();
    if fine { Ok(()) } else { Err("one of the processes failed".into()) }
}

fn publish() -> Result<(), Box<dyn std::error::Error>> {
    let mut readings = Readings::publisher()?;
    println!("publisher   pid {} on channel `{}`", std::process::id(), readings.name());
    if !readings.wait_for_subscribers(1, Duration::from_secs(10)) {
        return Err("no subscriber came within 10 s".into());
    }
    for number in 0..MESSAGES {
        readings.send(&Reading {
            sent: Timestamp::now(),
            number,
            position: [number as f64, 0.5, -0.5],
            sensor: ShmString::new("wheel_left")?,
        })?;
        // Ten microseconds pass between two messages, so that the figure is latency, not queueing.
        let start = Instant::now();
        while start.elapsed() < Duration::from_micros(10) {
            std::hint::spin_loop();
        }
    }
    Ok(())
}

fn subscribe() -> Result<(), Box<dyn std::error::Error>> {
    let mut readings = Readings::subscriber()?;
    println!("subscriber  pid {}", std::process::id());
    let mut latencies = Vec::with_capacity(MESSAGES as usize);
    loop {
        match readings.recv() {
            Ok(reading) => {
                latencies.push(Timestamp::now().0 - reading.sent.0);
                if reading.number < 3 {
                    println!("received    {reading:?}");
                }
                if reading.number == MESSAGES - 1 {
                    break;
                }
            }
            Err(RecvError::Lagged(lost)) => println!("too slow: {lost} messages lost"),
            Err(error) => return Err(error.into()),
        }
    }
    latencies.sort_unstable();
    let at = |percent: usize| latencies[(latencies.len() - 1) * percent / 100];
    println!(
        "sent {MESSAGES}, received {}, lost {}, one-way p50 {} ns, p99 {} ns",
        readings.received(),
        readings.lost(),
        at(50),
        at(99)
    );
    Ok(())
}
