//! What is done: the workloads, each as a list of cases, each case with its ways.
//!
//! A case is one kind of work at one size; its ways do the same work with different means. A way is
//! opened in both processes, and then runs bursts: the leading process times them, the following one
//! is its partner.

pub mod call;
pub mod deliver;
pub mod fanout;
pub mod latency;
pub mod load;
pub mod memory;
pub mod python;
pub mod queue;
pub mod scale;
pub mod throughput;

use crate::Result;
use crate::report::Target;
use hdrhistogram::Histogram;

/// A number of messages, counted on from burst to burst so that none is like another.
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

/// What the leading process knows after a burst.
pub enum Outcome {
    /// Nanoseconds of each message.
    Samples(Histogram<u64>),
    /// When it began; the other process knows when it ended.
    Began(u64),
    /// Nanoseconds of all of it.
    Took(u64),
    /// A figure, and bytes of memory beside it.
    Value(f64, u64),
    /// The other process knows all.
    Theirs,
}

/// What the following process knows after a burst.
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

/// One end of a way to do the work, in one of the two processes.
pub trait Way {
    fn lead(&mut self, burst: Burst) -> Result<Outcome>;

    /// The other process's part. Nothing, where one process does all of it.
    fn follow(&mut self, _: Burst) -> Result<Ended> {
        Ok(Ended::now())
    }

    /// In the leading process, after the burst that does not count: nanoseconds a message.
    fn calibrate(&mut self, _ns: f64) {}
}

/// Opens one end of a way.
pub type Open = Box<dyn Fn(&Place) -> Result<Box<dyn Way>>>;

/// A way of a case.
pub struct Entry {
    pub name: String,
    /// Messages in a burst.
    pub burst: u64,
    /// Where it stands in a chart of its case.
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

/// What the figures of a case are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// Nanoseconds a message, with percentiles; less is better.
    Latency,
    /// Messages a second of so many bytes; more is better.
    Throughput { bytes: u64 },
    /// The same, and messages may be lost.
    Lossy { bytes: u64 },
    /// Nanoseconds a call, without percentiles; less is better.
    Cost,
    /// Nanoseconds a message, and bytes of memory.
    Scale,
    /// Bytes of a segment, and bytes of the process.
    Memory,
    /// Percent of a latency.
    Share,
}

/// One kind of work at one size.
pub struct Case {
    /// `work-size`, where `work` is what the command line takes.
    pub id: String,
    pub title: String,
    pub figure: Figure,
    /// The first one is what the others are compared with.
    pub ways: Vec<Entry>,
    pub targets: Vec<Target>,
}

impl Case {
    pub fn belongs_to(&self, name: &str) -> bool {
        self.id == name || self.id.split('-').next() == Some(name)
    }
}

/// A work by its name.
type Work = (&'static str, fn() -> Vec<Case>);

/// The works, in the order in which they run.
pub const WORKS: &[Work] = &[
    ("latency", latency::busy),
    ("asleep", latency::asleep),
    ("touched", latency::touched),
    ("throughput", throughput::lossless),
    ("lossy", throughput::lossy),
    ("queue", queue::cases),
    ("call", call::cases),
    ("fanout", fanout::cases),
    ("deliver", deliver::last),
    ("wake", deliver::wake),
    ("load", load::cases),
    ("memory", memory::cases),
    ("scale", scale::cases),
    ("python", python::cases),
];

/// All cases that this build can run.
pub fn all() -> Vec<Case> {
    WORKS.iter().flat_map(|(_, cases)| cases()).collect()
}

pub fn find(id: &str) -> Option<Case> {
    let work = id.split('-').next()?;
    let (_, cases) = WORKS.iter().find(|(name, _)| *name == work)?;
    cases().into_iter().find(|case| case.id == id)
}

/// Where both ends of a way meet.
pub struct Place {
    /// Whether this is the leading process.
    pub leads: bool,
    /// Different for each run and way; letters, digits and `-`.
    pub name: String,
}

impl Place {
    /// An end for each direction: a sender from here, and a receiver of what comes. Both processes open
    /// the direction from the leading one first, so that neither waits for the other for ever.
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

/// A number of bytes, as cases are named.
pub fn size(bytes: usize) -> String {
    match bytes {
        0..1024 => bytes.to_string(),
        1024..1_048_576 => format!("{}K", bytes >> 10),
        _ => format!("{}M", bytes >> 20),
    }
}

/// A number of bytes, as titles say it.
pub fn spelled(bytes: usize) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

/// The time by a clock that both processes share, in nanoseconds.
pub fn now() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Fails unless `got` is the number that was to come.
pub fn check(got: u64, number: u64) -> Result<()> {
    if got == number { Ok(()) } else { Err(format!("message {number} was to come, {got} came").into()) }
}
