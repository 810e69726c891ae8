//! Cost of a recording: messages a second and CPU time, beside a program that writes the bytes to a plain file.
//!
//! `cargo run --release -p shmcomm-record --example cost`. With `SHMCOMM_QUICK=1` for a quarter of a second of each work
//! only.
//!
//! Each work runs four times in turn: a plain file, and the recorder without compression, with lz4 and with zstd. The
//! publisher has a thread of its own, and its CPU time is not counted. The plain file gets the bytes of the slots from
//! a subscriber, through a buffer of 1 MiB.
//!
//! Frames are of two kinds. *Random* frames have random bytes, which no compression makes smaller: the worst case. *Picture*
//! frames are smooth in both directions, with noise in the lowest two bits, as those of a camera before its own
//! compression. Eight frames of a kind are made before the measurement and sent in turn.

use rustix::time::{ClockId, clock_gettime};
use shmcomm::{RecvError, channel};
use shmcomm_record::{Compression, RecordOptions, Recorder};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const FRAME: usize = 1920 * 1080 * 3;

channel! {
    /// 64 bytes, overwritten if the reader is slow.
    Samples: PubSub<[u64; 8]> { name: "samples", slots: 8192 }

    /// 64 bytes; the publisher waits for its subscribers.
    Reliable: PubSub<[u64; 8]> { name: "reliable", slots: 8192, overflow: Wait, patience: 60s }

    /// 6.2 MB.
    Frames: PubSub<u64, [u8]> { name: "frames", slots: 8, max_len: FRAME }
}

#[derive(Clone, Copy, PartialEq)]
enum Work {
    /// 100,000 samples a second.
    Samples,
    /// 30 frames of random bytes a second.
    Random,
    /// 30 frames of a smooth picture with noise a second.
    Picture,
    /// Samples at the speed of the consumer.
    Reliable,
}

impl Work {
    fn name(self) -> &'static str {
        match self {
            Work::Samples => "64 B, 100,000 a second",
            Work::Random => "6.2 MB of random bytes, 30 a second",
            Work::Picture => "6.2 MB of a picture, 30 a second",
            Work::Reliable => "64 B, as fast as it goes, none lost",
        }
    }

    /// Returns the pixels of a frame.
    fn picture(self, seed: u64) -> Vec<u8> {
        let mut random = seed + 1;
        let mut next = || {
            // Xorshift, of Marsaglia.
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        let pixel = |at: usize, noise: u64| match self {
            Work::Picture => {
                let (row, column) = (at / (1920 * 3), at / 3 % 1920);
                (row / 8 + column / 12 + at % 3 * 40 + seed as usize) as u8 ^ (noise & 3) as u8
            }
            _ => noise as u8,
        };
        (0..FRAME).map(|at| pixel(at, next() >> 32)).collect()
    }

    /// Sends for `time`, and returns the number of messages.
    fn send(self, namespace: &str, time: Duration, ready: &AtomicBool, done: &AtomicBool) -> Result<u64> {
        let wait = || {
            while !ready.load(Ordering::Acquire) {
                std::thread::sleep(Duration::from_millis(1));
            }
            Instant::now()
        };
        let mut sent = 0_u64;
        match self {
            Work::Samples => {
                let mut publisher = Samples::open().namespace(namespace).publisher()?;
                let start = wait();
                while start.elapsed() < time {
                    // A hundred in each millisecond.
                    let due = start.elapsed().as_micros() as u64 / 10;
                    while sent < due {
                        publisher.send(&[sent; 8])?;
                        sent += 1;
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
                done.store(true, Ordering::Release);
                std::thread::sleep(Duration::from_millis(500));
            }
            Work::Reliable => {
                let mut publisher = Reliable::open().namespace(namespace).publisher()?;
                let start = wait();
                while start.elapsed() < time {
                    publisher.send(&[sent; 8])?;
                    sent += 1;
                }
                done.store(true, Ordering::Release);
                std::thread::sleep(Duration::from_millis(500));
            }
            Work::Random | Work::Picture => {
                let pictures: Vec<Vec<u8>> = (0..8).map(|seed| self.picture(seed)).collect();
                let mut publisher = Frames::open().namespace(namespace).publisher()?;
                let start = wait();
                while start.elapsed() < time {
                    let mut frame = publisher.loan(FRAME)?;
                    let (number, pixels) = frame.parts_mut();
                    *number = sent;
                    pixels.copy_from_slice(&pictures[sent as usize % pictures.len()]);
                    frame.send()?;
                    sent += 1;
                    let due = start + Duration::from_micros(33_333) * sent as u32;
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                }
                done.store(true, Ordering::Release);
                std::thread::sleep(Duration::from_millis(500));
            }
        }
        Ok(sent)
    }

    /// Writes what a subscriber receives to a plain file, and returns messages and losses.
    fn write(self, namespace: &str, path: &Path, ready: &AtomicBool) -> Result<(u64, u64)> {
        let mut file = std::io::BufWriter::with_capacity(1 << 20, std::fs::File::create(path)?);
        macro_rules! receive {
            ($channel:ident, $message:ident => $bytes:expr) => {{
                let mut subscriber =
                    $channel::open().namespace(namespace).connect_timeout(LONG).subscriber()?;
                ready.store(true, Ordering::Release);
                loop {
                    match subscriber.recv_ref() {
                        Ok($message) => file.write_all($bytes)?,
                        Err(RecvError::Lagged(_)) => {}
                        Err(RecvError::Disconnected) => break,
                        Err(error) => return Err(error.into()),
                    }
                }
                (subscriber.received(), subscriber.lost())
            }};
        }
        let counts = match self {
            Work::Samples => receive!(Samples, message => message.map(u64::to_ne_bytes).as_flattened()),
            Work::Reliable => receive!(Reliable, message => message.map(u64::to_ne_bytes).as_flattened()),
            Work::Random | Work::Picture => receive!(Frames, message => message.items()),
        };
        file.flush()?;
        Ok(counts)
    }

    /// Records until the publisher has sent everything, and returns messages and losses.
    fn record(
        self,
        (namespace, path): (&str, &Path),
        compression: Compression,
        (ready, done): (&AtomicBool, &AtomicBool),
    ) -> Result<(u64, u64)> {
        let lossless = self == Work::Reliable;
        let options = RecordOptions { compression, lossless, ..RecordOptions::default() };
        let mut recorder = Recorder::create(path, options)?;
        let name = match self {
            Work::Samples => "samples",
            Work::Reliable => "reliable",
            Work::Random | Work::Picture => "frames",
        };
        let full = format!("{namespace}/{name}");
        let start = Instant::now();
        while shmcomm::describe(&full)?.is_none() {
            if start.elapsed() > LONG {
                return Err("the publisher did not start within 10 s".into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        recorder.add(&full)?;
        recorder.record_for(Duration::from_millis(50))?;
        ready.store(true, Ordering::Release);
        while !done.load(Ordering::Acquire) {
            recorder.record_for(Duration::from_millis(50))?;
        }
        recorder.record_for(Duration::from_millis(200))?;
        let report = recorder.finish()?;
        Ok(report.iter().fold((0, 0), |(written, lost), one| (written + one.written, lost + one.lost)))
    }
}

const LONG: Duration = Duration::from_secs(10);

/// A file that is removed at the end.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// CPU time of this thread, in seconds.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn main() -> Result {
    let quick = std::env::var_os("SHMCOMM_QUICK").is_some();
    let time = Duration::from_millis(if quick { 250 } else { 10_000 });
    let ways = [
        ("plain file", None),
        ("recorder, no compression", Some(Compression::None)),
        ("recorder, lz4", Some(Compression::Lz4)),
        ("recorder, zstd", Some(Compression::Zstd)),
    ];
    for work in [Work::Samples, Work::Random, Work::Picture, Work::Reliable] {
        println!("{}, {} s", work.name(), time.as_secs_f64());
        println!("{:28} {:>12} {:>8} {:>14} {:>9}", "", "messages/s", "lost", "CPU µs/message", "MB");
        for (number, (way, compression)) in ways.into_iter().enumerate() {
            let namespace = format!("cost-{}-{number}", std::process::id());
            let file = Temporary(std::env::temp_dir().join(format!("{namespace}.data")));
            let ready = Arc::new(AtomicBool::new(false));
            let done = Arc::new(AtomicBool::new(false));
            let sender = {
                let (namespace, ready, done) = (namespace.clone(), ready.clone(), done.clone());
                std::thread::spawn(move || work.send(&namespace, time, &ready, &done))
            };
            let before = cpu();
            let (written, lost) = match compression {
                None => work.write(&namespace, &file.0, &ready)?,
                Some(compression) => work.record((&namespace, &file.0), compression, (&ready, &done))?,
            };
            let used = cpu() - before;
            let sent = sender.join().map_err(|_| "the publisher panicked")??;
            let size = std::fs::metadata(&file.0)?.len() as f64 / 1e6;
            let each = used * 1e6 / written.max(1) as f64;
            let rate = written as f64 / time.as_secs_f64();
            println!("{way:28} {rate:>12.0} {lost:>8} {each:>14.2} {size:>9.1}");
            if written + lost != sent {
                return Err(format!("{sent} sent, but {written} written and {lost} lost").into());
            }
        }
    }
    Ok(())
}
