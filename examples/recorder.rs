//! Records without loss: one process sends as fast as it can, the other one writes every message down.
//!
//! `cargo run --release --example recorder` sends 10 million messages and prints the rate. With
//! `-- 1000000 track.bin` it records that number of messages to a file, 32 bytes per message.

use shmcomm::RecvError;
use shmcomm_examples::{Track, Waypoint};
use std::env;
use std::error::Error;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::process::Command;
use std::time::{Duration, Instant};

/// Environment variable that is set in the recording process.
const RECORDER: &str = "SHMCOMM_EXAMPLE_RECORDER";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let count = arguments.next().map_or(Ok(10_000_000), |count| count.parse())?;
    let file = arguments.next();
    if env::var_os(RECORDER).is_some() {
        return record(count, file);
    }
    let namespace = format!("recorder-{}", std::process::id());
    let mut publisher = Track::open().namespace(&namespace).publisher()?;
    let mut recorder = Command::new(env::current_exe()?);
    recorder.arg(count.to_string()).args(file).env(RECORDER, "1").env("SHMCOMM_NAMESPACE", &namespace);
    let mut recorder = recorder.spawn()?;
    if !publisher.wait_for_subscribers(1, Duration::from_secs(10)) {
        return Err("no recorder is there".into());
    }
    let start = Instant::now();
    for number in 0..count {
        // This call waits if it would overwrite a message that is not recorded yet.
        publisher.send(&Waypoint { number, position: [number as f64, 0.5, 1.0] })?;
    }
    let took = start.elapsed();
    let rate = count as f64 / took.as_secs_f64() / 1e6;
    println!("sent      {count} messages in {took:.2?}: {rate:.1} million a second");
    if recorder.wait()?.success() { Ok(()) } else { Err("the recorder failed".into()) }
}

fn record(count: u64, file: Option<String>) -> Result<(), Box<dyn Error>> {
    let mut track = Track::subscriber()?;
    let mut sink: Box<dyn Write> = match file {
        Some(path) => Box::new(BufWriter::with_capacity(1 << 20, File::create(path)?)),
        None => Box::new(io::sink()),
    };
    for expected in 0..count {
        let waypoint = match track.recv() {
            Ok(waypoint) => waypoint,
            // The last messages may be received after the publisher has gone; then the channel is empty.
            Err(RecvError::Disconnected) => return Err(format!("the publisher ended at {expected}").into()),
            Err(error) => return Err(error.into()),
        };
        if waypoint.number != expected {
            return Err(format!("message {} came where {expected} was next", waypoint.number).into());
        }
        sink.write_all(&waypoint.number.to_ne_bytes())?;
        for coordinate in waypoint.position {
            sink.write_all(&coordinate.to_ne_bytes())?;
        }
    }
    sink.flush()?;
    println!("recorded  {} messages, {} lost", track.received(), track.lost());
    Ok(())
}
