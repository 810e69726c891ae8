//! The terms of a comparison: cases, ways, bursts, and what a process knows after one.
//!
//! A case is one kind of work at one size. A way is an implementation under comparison; all ways of a case do
//! the same work. A way is opened in both processes, and then runs bursts: the leading process times them,
//! the following process is its partner. Bounds of a case are in [`target`]. Imports no other module of the
//! program, and never measures.

pub mod target;

pub use target::Target;

use crate::Result;
use hdrhistogram::Histogram;

/// A number of messages. Numbers continue from burst to burst, so that no two messages are the same.
#[derive(Clone, Copy, Debug)]
pub struct Burst {
    pub from: u64,
    pub count: u64,
}

impl Burst {
    pub fn numbers(self) -> std::ops::Range<u64> {
        self.from..self.from + self.count
    }
}

/// Knowledge of the leading process after a burst.
pub enum Outcome {
    /// Nanoseconds of each message.
    Samples(Histogram<u64>),
    /// Start time; the other process knows the end time.
    Began(u64),
    /// Nanoseconds of the whole burst.
    Took(u64),
    /// A figure, and bytes of memory beside it.
    Value(f64, u64),
    /// The other process has all figures.
    Theirs,
}

/// Knowledge of the following process after a burst.
pub struct Ended {
    pub at: u64,
    /// Messages that did not arrive.
    pub lost: u64,
    /// A figure.
    pub value: Option<f64>,
    /// Nanoseconds of each message.
    pub samples: Option<Histogram<u64>>,
}

impl Ended {
    pub fn now() -> Self {
        Ended { at: now(), lost: 0, value: None, samples: None }
    }
}

/// One end of an implementation under comparison, in one of the two processes.
pub trait Way {
    fn lead(&mut self, burst: Burst) -> Result<Outcome>;

    /// Runs the part of the other process. Does nothing if one process does all of the work.
    fn follow(&mut self, _: Burst) -> Result<Ended> {
        Ok(Ended::now())
    }

    /// Passes the nanoseconds per message to the leading process, after the burst that does not count.
    fn calibrate(&mut self, _ns: f64) {}
}

/// Constructor of one end of a way.
pub type Open = Box<dyn Fn(&Place) -> Result<Box<dyn Way>>>;

/// A way of a case.
pub struct Entry {
    pub name: String,
    /// Messages in a burst.
    pub burst: u64,
    /// Position in a chart of its case.
    pub x: f64,
    pub open: Open,
}

impl Entry {
    pub fn new(
        name: impl Into<String>,
        burst: u64,
        open: impl Fn(&Place) -> Result<Box<dyn Way>> + 'static,
    ) -> Self {
        Entry { name: name.into(), burst, x: 0.0, open: Box::new(open) }
    }

    pub fn at(self, x: impl Into<f64>) -> Self {
        Entry { x: x.into(), ..self }
    }
}

/// Figure of a case.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// Nanoseconds per message, with percentiles; less is better.
    Latency,
    /// Messages per second, of `bytes` bytes each; more is better.
    Throughput { bytes: u64 },
    /// Messages per second, of `bytes` bytes each; messages may be lost.
    Lossy { bytes: u64 },
    /// Nanoseconds per call, without percentiles; less is better.
    Cost,
    /// Nanoseconds per message, and bytes of memory.
    Scale,
    /// Bytes of a segment, and bytes of the process.
    Memory,
    /// Percent of a latency.
    Share,
}

/// One kind of work at one size.
pub struct Case {
    /// Identifier `work-size`; `work` is the argument of the command line.
    pub id: String,
    pub title: String,
    pub figure: Figure,
    /// Ways of the case. The first one is the reference for the others.
    pub ways: Vec<Entry>,
    pub targets: Vec<Target>,
}

impl Case {
    pub fn belongs_to(&self, name: &str) -> bool {
        self.id == name || self.id.split('-').next() == Some(name)
    }
}

/// Meeting place of both ends of a way.
pub struct Place {
    /// `true` in the leading process.
    pub leads: bool,
    /// Name, different for each run and way; letters, digits and `-`.
    pub name: String,
}

impl Place {
    /// Opens an end for each direction: a sender from here, and a receiver for the answers. Both processes
    /// open the direction from the leading process first, so that neither waits for the other for ever.
    pub fn both<S, R>(
        &self,
        sender: impl Fn(&str) -> Result<S>,
        receiver: impl Fn(&str) -> Result<R>,
    ) -> Result<Two<S, R>> {
        let (ping, pong) = (format!("{}-ping", self.name), format!("{}-pong", self.name));
        if self.leads {
            let sender = sender(&ping)?;
            Ok(Two(sender, receiver(&pong)?))
        } else {
            let receiver = receiver(&ping)?;
            Ok(Two(sender(&pong)?, receiver))
        }
    }
}

/// An end for each direction.
pub struct Two<S, R>(pub S, pub R);

/// Returns a number of bytes, as in the names of cases.
pub fn size(bytes: usize) -> String {
    match bytes {
        0..1024 => bytes.to_string(),
        1024..1_048_576 => format!("{}K", bytes >> 10),
        _ => format!("{}M", bytes >> 20),
    }
}

/// Returns a number of bytes, as in titles.
pub fn spelled(bytes: usize) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

/// Returns the time in nanoseconds, by a clock that both processes share.
pub fn now() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Fails unless `got` is the expected number.
pub fn check(got: u64, number: u64) -> Result<()> {
    if got == number { Ok(()) } else { Err(format!("message {number} was to come, {got} came").into()) }
}
