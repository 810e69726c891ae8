//! Slots that grow: cost of a `send` that makes larger slots, beside a `send` to slots that are large enough.
//!
//! Both ends are in one thread. The other process has ends of its own, which it does not use. The receiver takes each
//! message after the time is taken. Before the first message that counts, each slot has had two, so its memory is there.

use super::table::own;
use crate::Result;
use crate::case::{Burst, Case, Entry, Figure, Outcome, Way, check, now, spelled};
use crate::peer::growth::{Channels, Ends, LARGE, Queue, SLOTS, SMALL};
use hdrhistogram::Histogram;
use std::hint::black_box;

/// Messages in a burst to slots that are large enough.
const STEADY: u64 = 500;
/// Channels in a burst, each of which grows once.
const FIRST: u64 = 10;

pub fn cases() -> Vec<Case> {
    #[allow(unused_mut, reason = "peers are optional")]
    let mut ways = of("shmcomm", Channels::open);
    #[cfg(feature = "iceoryx2")]
    ways.extend(of("iceoryx2", crate::peer::growth::slices::Slices::open));
    #[allow(unused_mut, reason = "peers are optional")]
    let mut jobs = of("shmcomm", Queue::open);
    // Each message has memory of its own there, so one row says all.
    #[cfg(feature = "zeromq")]
    jobs.push(steady("ZeroMQ", crate::peer::growth::messages::Messages::open, LARGE));
    // No bounds: a growth makes a segment, or takes memory, and is once in the life of a channel or slot for each size.
    let case = |id: &str, what: &str, ways| Case {
        id: id.into(),
        title: format!(
            "{what} of {} to slots of the same size, to slots that grew from {}, and by which they grow",
            spelled(LARGE),
            spelled(SMALL)
        ),
        figure: Figure::Latency,
        ways,
        targets: vec![],
    };
    vec![case("growth-64K", "`send`", ways), case("growth-jobs-64K", "Push/pull: `send`", jobs)]
}

/// Makes the entries of a peer.
fn of<E: Ends + 'static>(peer: &str, open: fn(&str, usize) -> Result<E>) -> Vec<Entry> {
    vec![
        steady(&format!("{peer}, fixed slots"), open, LARGE),
        steady(&format!("{peer}, grown slots"), open, SMALL),
        Entry::new(format!("{peer}, growth"), FIRST, move |place| {
            Ok(Box::new(Grows { name: own(place), open }))
        }),
    ]
}

/// Makes the entry of a channel that is opened with slots of `slot_size` bytes, all of which are large enough then.
fn steady<E: Ends + 'static>(name: &str, open: fn(&str, usize) -> Result<E>, slot_size: usize) -> Entry {
    Entry::new(name, STEADY, move |place| {
        let mut ends = open(&own(place), slot_size)?;
        for _ in 0..2 * SLOTS {
            timed(&mut ends, &[1; LARGE])?;
        }
        Ok(Box::new(Steady(ends)))
    })
}

/// Sends and receives a message. Returns the nanoseconds of the send.
fn timed(ends: &mut impl Ends, message: &[u8]) -> Result<u64> {
    let start = now();
    ends.send(black_box(message))?;
    let took = now() - start;
    let (len, last) = ends.recv()?;
    check(len as u64, message.len() as u64)?;
    check(last.into(), message[message.len() - 1].into())?;
    Ok(took)
}

/// A channel whose slots are large enough.
struct Steady<E>(E);

impl<E: Ends> Way for Steady<E> {
    fn lead(&mut self, burst: Burst) -> Result<Outcome> {
        let mut samples = Histogram::new(3)?;
        for number in burst.numbers() {
            samples.record(timed(&mut self.0, &[number as u8; LARGE])?)?;
        }
        Ok(Outcome::Samples(samples))
    }
}

/// A new channel for each message, with a small message before it.
struct Grows<E> {
    name: String,
    open: fn(&str, usize) -> Result<E>,
}

impl<E: Ends> Way for Grows<E> {
    fn lead(&mut self, burst: Burst) -> Result<Outcome> {
        let mut samples = Histogram::new(3)?;
        for number in burst.numbers() {
            let mut ends = (self.open)(&self.name, SMALL)?;
            timed(&mut ends, &[number as u8; SMALL])?;
            samples.record(timed(&mut ends, &[number as u8; LARGE])?)?;
        }
        Ok(Outcome::Samples(samples))
    }
}
