//! Cost of a send beside an observer: whether a tool that observes a channel slows its publisher down.
//!
//! `cargo run --release --example observer`. With `SHMCOMM_QUICK=1` for a second only.
//!
//! A publisher sends at full speed. In every round it sends the same number of messages alone, beside an observer in
//! another process, and beside a subscriber in another process. So all three meet the same disturbances. A figure is
//! the median over the rounds; a ratio is the median of the rounds' ratios.

use shmcomm::{Channel, Observed, Observer, PubSub, ShmMessage};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Bytes that a burst writes: the time of a burst is about the same for all sizes.
const BURST: usize = 8 << 20;
/// Name of the channel in the namespace of a run.
const NAME: &str = "observed";

/// Task of the other process.
const PAUSED: u32 = 0;
const OBSERVES: u32 = 1;
const SUBSCRIBES: u32 = 2;

fn rounds() -> usize {
    if std::env::var_os("SHMCOMM_QUICK").is_some() { 5 } else { 101 }
}

fn main() -> Result {
    match std::env::args().nth(1).as_deref() {
        Some("small") => return other::<8>(),
        Some("page") => return other::<512>(),
        Some("large") => return other::<2048>(),
        _ => {}
    }
    println!("{:28} {:>10} {:>19} {:>21}", "", "alone", "beside an observer", "beside a subscriber");
    measure::<8>("64 B", "small", 1)?;
    measure::<8>("64 B, several publishers", "small", 4)?;
    measure::<512>("4 KiB", "page", 1)?;
    measure::<2048>("16 KiB, pinned", "large", 1)?;
    println!("(ns per send; × alone: median over {} rounds of the ratio of the rounds)", rounds());
    Ok(())
}

/// The process that observes or subscribes.
struct Other {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Other {
    fn start(part: &str, namespace: &str) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(part)
            .env("SHMCOMM_NAMESPACE", namespace)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let said = BufReader::new(child.stdout.take().ok_or("its output is a pipe")?);
        let mut other = Other { child, said };
        other.answer()?;
        Ok(other)
    }

    fn answer(&mut self) -> Result {
        let mut line = String::new();
        self.said.read_line(&mut line)?;
        if line.is_empty() { Err("the other process has ended".into()) } else { Ok(()) }
    }

    /// Makes the process do something else, and returns when it does.
    fn order(&mut self, what: u32) -> Result {
        let stdin = self.child.stdin.as_mut().ok_or("its input is a pipe")?;
        writeln!(stdin, "{what}")?;
        stdin.flush()?;
        self.answer()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // It ends with its input.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn measure<const N: usize>(what: &str, part: &str, publishers: u32) -> Result
where
    [u64; N]: ShmMessage,
{
    let namespace = format!("observer-{}-{part}-{publishers}", std::process::id());
    let channel = || Channel::<PubSub<[u64; N]>>::try_new(NAME);
    let mut publisher = channel()?.namespace(&namespace).publishers(publishers as usize).publisher()?;
    let mut other = Other::start(part, &namespace)?;
    pin(0);
    let count = BURST / (8 * N);
    let mut message = [0; N];
    let mut times = [const { Vec::new() }; 3];
    for round in 0..=rounds() {
        for order in [PAUSED, OBSERVES, SUBSCRIBES] {
            other.order(order)?;
            let start = Instant::now();
            for number in 0..count {
                message[0] = number as u64;
                publisher.send(&message)?;
            }
            let time = start.elapsed().as_secs_f64() * 1e9 / count as f64;
            // The first round fills the caches.
            if round > 0 {
                times[order as usize].push(time);
            }
        }
    }
    let [alone, observed, subscribed] = &times;
    let ratio = |other: &[f64]| median(alone.iter().zip(other).map(|(alone, other)| other / alone));
    println!(
        "{what:28} {:>10.1} {:>11.1} × {:>5.3} {:>13.1} × {:>5.3}",
        median(alone.iter().copied()),
        median(observed.iter().copied()),
        ratio(observed),
        median(subscribed.iter().copied()),
        ratio(subscribed)
    );
    Ok(())
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Observes and subscribes in turn, as its input says.
fn other<const N: usize>() -> Result
where
    [u64; N]: ShmMessage,
{
    static ORDER: AtomicU32 = AtomicU32::new(PAUSED);
    const ENDED: u32 = u32::MAX;
    pin(1);
    let name = format!("{}/{NAME}", std::env::var("SHMCOMM_NAMESPACE")?);
    println!("ready");
    std::thread::spawn(|| {
        for line in std::io::stdin().lock().lines() {
            let order = line.ok().and_then(|line| line.parse().ok()).unwrap_or(ENDED);
            ORDER.store(order, Ordering::Release);
        }
        ORDER.store(ENDED, Ordering::Release);
    });
    let mut last = ENDED;
    loop {
        let order = ORDER.load(Ordering::Acquire);
        let new = std::mem::replace(&mut last, order) != order;
        let say = || {
            if new {
                println!("{order}")
            }
        };
        match order {
            OBSERVES => {
                let mut observer = Observer::open(&name)?;
                say();
                while ORDER.load(Ordering::Relaxed) == order {
                    match observer.next() {
                        Observed::Message(message) => {
                            std::hint::black_box(message.bytes());
                        }
                        Observed::Empty => std::hint::spin_loop(),
                        _ => {}
                    }
                }
            }
            SUBSCRIBES => {
                let mut subscriber = Channel::<PubSub<[u64; N]>>::try_new(NAME)?.subscriber()?;
                say();
                while ORDER.load(Ordering::Relaxed) == order {
                    match subscriber.try_recv() {
                        Ok(message) => {
                            std::hint::black_box(&message);
                        }
                        Err(_) => std::hint::spin_loop(),
                    }
                }
            }
            ENDED => return Ok(()),
            _ => {
                say();
                while ORDER.load(Ordering::Relaxed) == order {
                    std::thread::sleep(std::time::Duration::from_micros(200));
                }
            }
        }
    }
}

/// Keeps this thread on one processor, if there is that one.
fn pin(cpu: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(cpu);
    // Without it the figures vary more.
    let _ = rustix::thread::sched_setaffinity(None, &set);
}
