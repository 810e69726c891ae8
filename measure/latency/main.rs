//! One-way latency of 64-byte messages between two processes, beside the limit of the hardware.
//!
//! `cargo run --release --example latency`. With `SHMCOMM_QUICK=1` for a second only.
//!
//! Two processes, each on its own processor, pass a message to and fro. In every round each method takes its
//! turn, so that all methods meet the same disturbances. A figure is half a round trip.
//!
//! * `line`: a bare cache line in shared memory with a counter in it: the lower bound.
//! * `64 bytes`: the same with 64 bytes of payload, written word by word before the counter and summed by the
//!   receiver. This is the cost of a message of that size without a ring and without safety.
//! * `polling`: shmcomm, `try_recv` in a loop.
//! * `blocking`: shmcomm, `recv`, each side asleep in the kernel when the message is sent.

mod bare;

use hdrhistogram::Histogram;
use shmcomm::{ShmMessage, TryRecvError, channel};
use std::process::Command;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Default, ShmMessage)]
#[repr(C)]
struct Message {
    words: [u64; 8],
}

channel! {
    Ping: PubSub<Message> { name: "latency/ping" }
    Pong: PubSub<Message> { name: "latency/pong" }
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Messages of a round, for each method except `blocking`.
const BURST: u64 = 20_000;
/// Messages of a round for `blocking`.
const SLEEPY: u64 = 200;
const WAYS: [&str; 4] = ["line", "64 bytes", "polling", "blocking"];

fn rounds() -> usize {
    if std::env::var_os("SHMCOMM_QUICK").is_some() { 5 } else { 50 }
}

fn main() -> Result<()> {
    if let Some(path) = std::env::args().nth(1) {
        return echo(&path);
    }
    let namespace = format!("latency-{}", std::process::id());
    let bare = bare::Shared::create()?;
    let mut ping = Ping::open().namespace(&namespace).publisher()?;
    let mut child = Command::new(std::env::current_exe()?)
        .arg(bare.path())
        .env("SHMCOMM_NAMESPACE", &namespace)
        .spawn()?;
    let mut pong = Pong::open().namespace(&namespace).subscriber()?;
    if !ping.wait_for_subscribers(1, Duration::from_secs(10)) {
        return Err("the other process did not come within 10 s".into());
    }
    let pinned = pin(0);

    let mut all: Vec<Histogram<u64>> = vec![Histogram::new(3)?; WAYS.len()];
    let mut medians = vec![Vec::new(); WAYS.len()];
    let mut number = 0;
    for _ in 0..rounds() {
        for (way, name) in WAYS.into_iter().enumerate() {
            let mut round: Histogram<u64> = Histogram::new(3)?;
            for _ in 0..if name == "blocking" { SLEEPY } else { BURST } {
                number += 1;
                if name == "blocking" {
                    // This is long enough for both sides to be asleep.
                    std::thread::sleep(Duration::from_micros(200));
                }
                let start = Instant::now();
                match name {
                    "line" => bare.ping_line(number),
                    "64 bytes" => bare.ping_words(number),
                    "polling" => {
                        ping.send(&Message { words: [number; 8] })?;
                        while poll(&mut pong)? != number {}
                    }
                    _ => {
                        ping.send(&Message { words: [number; 8] })?;
                        while pong.recv()?.words[7] != number {}
                    }
                }
                round.record(start.elapsed().as_nanos() as u64 / 2)?;
            }
            medians[way].push(round.value_at_quantile(0.5) as f64);
            all[way].add(round)?;
        }
    }
    child.wait()?;

    println!(
        "one-way latency in ns, half of a round trip between two processes{}",
        if pinned { ", pinned" } else { "" }
    );
    println!("{:10} {:>8} {:>8} {:>8} {:>8} {:>10}", "", "p50", "p90", "p99", "p99.9", "× line");
    for (way, name) in WAYS.into_iter().enumerate() {
        let mut ratios: Vec<f64> = medians[way].iter().zip(&medians[0]).map(|(a, b)| a / b).collect();
        ratios.sort_by(f64::total_cmp);
        let at = |q| all[way].value_at_quantile(q);
        println!(
            "{name:10} {:>8} {:>8} {:>8} {:>8} {:>10.2}",
            at(0.5),
            at(0.9),
            at(0.99),
            at(0.999),
            ratios[ratios.len() / 2]
        );
    }
    println!("(× line: median over {} rounds of the ratio of the rounds' medians)", rounds());
    Ok(())
}

/// Answers every message, in the other process.
fn echo(path: &str) -> Result<()> {
    let bare = bare::Shared::open(path)?;
    let mut pong = Pong::publisher()?;
    let mut ping = Ping::subscriber()?;
    if !pong.wait_for_subscribers(1, Duration::from_secs(10)) {
        return Err("the first process did not come within 10 s".into());
    }
    pin(1);
    let mut number = 0;
    for _ in 0..rounds() {
        for name in WAYS {
            for _ in 0..if name == "blocking" { SLEEPY } else { BURST } {
                number += 1;
                match name {
                    "line" => bare.pong_line(number),
                    "64 bytes" => bare.pong_words(number),
                    "polling" => {
                        while poll(&mut ping)? != number {}
                        pong.send(&Message { words: [number; 8] })?;
                    }
                    _ => {
                        while ping.recv()?.words[7] != number {}
                        pong.send(&Message { words: [number; 8] })?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// Returns the last word of the next message; 0 if there is none.
fn poll(subscriber: &mut shmcomm::Subscriber<Message>) -> Result<u64> {
    match subscriber.try_recv() {
        Ok(message) => Ok(message.words[7]),
        Err(TryRecvError::Empty) => {
            std::hint::spin_loop();
            Ok(0)
        }
        Err(error) => Err(error.into()),
    }
}

/// Keeps this process on one processor, if the system allows it.
fn pin(cpu: usize) -> bool {
    let mut set = rustix::thread::CpuSet::new();
    set.set(cpu);
    rustix::thread::sched_setaffinity(None, &set).is_ok()
}
