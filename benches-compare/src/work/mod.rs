//! What is done: the workloads, each as a list of cases, each case with its ways.
//!
//! A case is one kind of work at one size; its ways do the same work with different means. A way is
//! opened in both processes, and then runs bursts: the leading process times them, the following one
//! is its partner.

pub mod call;
pub mod fanout;
pub mod latency;
pub mod queue;

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
}

/// One end of a way to do the work, in one of the two processes.
pub trait Way {
    fn lead(&mut self, burst: Burst) -> Result<Outcome>;

    /// The other process's part. Returns when it ended.
    fn follow(&mut self, burst: Burst) -> Result<u64>;
}

/// Opens one end of a way.
pub type Open = Box<dyn Fn(&Place) -> Result<Box<dyn Way>>>;

/// A way of a case.
pub struct Entry {
    pub name: String,
    /// Messages in a burst.
    pub burst: u64,
    pub open: Open,
}

impl Entry {
    pub fn new(
        name: impl Into<String>,
        burst: u64,
        open: impl Fn(&Place) -> Result<Box<dyn Way>> + 'static,
    ) -> Self {
        Entry { name: name.into(), burst, open: Box::new(open) }
    }
}

/// What the figures of a case are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// Nanoseconds a message, with percentiles; less is better.
    Latency,
    /// Messages a second of so many bytes; more is better.
    Throughput { bytes: u64 },
    /// Nanoseconds a call, without percentiles; less is better.
    Cost,
}

/// One kind of work at one size.
pub struct Case {
    /// `work-size`, where `work` is what the command line takes.
    pub id: &'static str,
    pub title: &'static str,
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

/// All cases that this build can run.
pub fn all() -> Vec<Case> {
    [queue::cases(), call::cases(), latency::cases(), fanout::cases()].into_iter().flatten().collect()
}

pub fn find(id: &str) -> Option<Case> {
    all().into_iter().find(|case| case.id == id)
}

/// Where both ends of a way meet.
pub struct Place {
    /// Whether this is the leading process.
    pub leads: bool,
    /// Different for each run and way; letters, digits and `-`.
    pub name: String,
}

impl Place {
    /// The names of a direction from here and of one to here.
    pub fn directions(&self) -> (String, String) {
        let (ping, pong) = (format!("{}-ping", self.name), format!("{}-pong", self.name));
        if self.leads { (ping, pong) } else { (pong, ping) }
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
