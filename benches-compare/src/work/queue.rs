//! Push/pull: how many messages a second go from one process to another, none lost.

use super::{Burst, Case, Entry, Figure, Outcome, Place, Way, check, now};
use crate::Result;
use crate::peer::{Receiver, Sender, Touch, Wait, bare, shm, unix};
use crate::report::Target;

const BYTES: usize = 64;
const BLOCK: usize = 64 << 10;
/// Slots of the rings: about what ZeroMQ queues on each side if nothing is said.
const SLOTS: usize = 1024;
/// Slots of the rings for blocks.
const BLOCKS: usize = 16;

pub fn cases() -> Vec<Case> {
    vec![small(), large()]
}

fn small() -> Case {
    const N: usize = BYTES / 8;
    const BURST: u64 = 50_000;
    let ways = vec![
        way("slot ring", BURST, |name| bare::Ring::<N>::open(name, SLOTS, Wait::Polling, Touch::All)),
        Entry::new("shmcomm, polling", BURST, |place| stream(place, pusher::<N>, puller::<N>)),
        Entry::new("shmcomm, blocking", BURST, |place| {
            stream(
                place,
                |name| shm::Pusher::<N>::open(name, SLOTS, Wait::Blocking, false),
                |name| shm::Puller::<N>::open(name, SLOTS, Wait::Blocking, false),
            )
        }),
        Entry::new("Unix socket", BURST / 10, |place| {
            stream(place, unix::Socket::<N>::listen, unix::Socket::<N>::connect)
        }),
        #[cfg(feature = "zeromq")]
        Entry::new("ZeroMQ", BURST, |place| {
            use crate::peer::zeromq::Socket;
            stream(place, Socket::<N>::push, Socket::<N>::pull)
        }),
    ];
    Case {
        id: "queue-64",
        title: "Push/pull, 64 bytes, one pusher, one puller, lossless",
        figure: Figure::Throughput { bytes: BYTES as u64 },
        ways,
        targets: vec![
            Target::at_least("shmcomm, polling", 4.0, "ZeroMQ"),
            Target::at_least("shmcomm, blocking", 4.0, "ZeroMQ"),
            Target::at_least("shmcomm, polling", 0.7, "slot ring"),
        ],
    }
}

fn large() -> Case {
    const N: usize = BLOCK / 8;
    const BURST: u64 = 500;
    let ways = vec![
        way("slot ring, in place", BURST, |name| {
            bare::Ring::<N>::open(name, BLOCKS, Wait::Polling, Touch::All)
        }),
        Entry::new("shmcomm, by value", BURST, |place| blocks(place, false)),
        Entry::new("shmcomm, in place", BURST, |place| blocks(place, true)),
        Entry::new("Unix socket", BURST, |place| {
            stream(place, unix::Socket::<N>::listen, unix::Socket::<N>::connect)
        }),
        #[cfg(feature = "zeromq")]
        Entry::new("ZeroMQ", BURST, |place| {
            use crate::peer::zeromq::Socket;
            stream(place, Socket::<N>::push, Socket::<N>::pull)
        }),
    ];
    Case {
        id: "queue-64K",
        title: "Push/pull, 64 KiB, one pusher, one puller, lossless",
        figure: Figure::Throughput { bytes: BLOCK as u64 },
        ways,
        targets: vec![
            Target::at_least("shmcomm, in place", 1.0, "slot ring, in place"),
            Target::at_least("shmcomm, in place", 1.0, "ZeroMQ"),
        ],
    }
}

fn blocks(place: &Place, in_place: bool) -> Result<Box<dyn Way>> {
    const N: usize = BLOCK / 8;
    stream(
        place,
        |name| shm::Pusher::<N>::open(name, BLOCKS, Wait::Polling, in_place),
        |name| shm::Puller::<N>::open(name, BLOCKS, Wait::Polling, in_place),
    )
}

fn pusher<const N: usize>(name: &str) -> Result<shm::Pusher<N>> {
    shm::Pusher::open(name, SLOTS, Wait::Polling, false)
}

fn puller<const N: usize>(name: &str) -> Result<shm::Puller<N>> {
    shm::Puller::open(name, SLOTS, Wait::Polling, false)
}

/// A way whose two ends are the same thing.
fn way<E: Sender + Receiver + 'static>(
    name: &str,
    burst: u64,
    open: impl Fn(&str) -> Result<E> + Copy + 'static,
) -> Entry {
    Entry::new(name, burst, move |place| stream(place, open, open))
}

/// The end of a stream that belongs in this process.
fn stream<S: Sender + 'static, R: Receiver + 'static>(
    place: &Place,
    sender: impl Fn(&str) -> Result<S>,
    receiver: impl Fn(&str) -> Result<R>,
) -> Result<Box<dyn Way>> {
    Ok(if place.leads {
        Box::new(Source(sender(&place.name)?))
    } else {
        Box::new(Sink(receiver(&place.name)?))
    })
}

struct Source<S>(S);

impl<S: Sender> Way for Source<S> {
    fn lead(&mut self, burst: Burst) -> Result<Outcome> {
        let began = now();
        for number in burst.numbers() {
            self.0.send(number)?;
        }
        Ok(Outcome::Began(began))
    }

    fn follow(&mut self, _: Burst) -> Result<u64> {
        Err("a source leads".into())
    }
}

struct Sink<R>(R);

impl<R: Receiver> Way for Sink<R> {
    fn lead(&mut self, _: Burst) -> Result<Outcome> {
        Err("a sink follows".into())
    }

    fn follow(&mut self, burst: Burst) -> Result<u64> {
        for number in burst.numbers() {
            check(self.0.recv()?, number)?;
        }
        Ok(now())
    }
}
