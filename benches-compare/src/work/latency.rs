//! Publish/subscribe: how long a message is on its way, as half of a round trip.

use super::{Burst, Case, Entry, Figure, Outcome, Place, Way, check};
use crate::Result;
use crate::peer::{Receiver, Sender, Touch, Wait, bare, shm, unix};
use crate::report::Target;
use hdrhistogram::Histogram;
use std::time::{Duration, Instant};

/// Slots of the rings.
const SLOTS: usize = 8;
/// Long enough for both sides to be asleep.
const NAP: Duration = Duration::from_micros(200);

pub fn cases() -> Vec<Case> {
    vec![
        busy::<1>("latency-8", "One way, 8 bytes, polling", 10_000),
        busy::<8>("latency-64", "One way, 64 bytes, polling", 10_000),
        busy::<128>("latency-1K", "One way, 1 KiB, polling", 10_000),
        busy::<8192>("latency-64K", "One way, 64 KiB, every byte written and summed, polling", 500),
        busy::<131072>("latency-1M", "One way, 1 MiB, every byte written and summed, polling", 50),
        touched::<8192>("latency-64K-8", "One way, 64 KiB in place, 8 bytes touched, polling", 10_000),
        touched::<131072>("latency-1M-8", "One way, 1 MiB in place, 8 bytes touched, polling", 10_000),
        asleep::<8>("latency-64-blocking", "One way, 64 bytes, both sides asleep", 100),
    ]
}

fn busy<const N: usize>(id: &'static str, title: &'static str, burst: u64) -> Case {
    let mut ways = ways::<N>(burst, Wait::Polling, Touch::All);
    let targets = match N {
        1 | 8 => {
            ways.insert(0, Entry::new("bare line", burst, |place| bare::Line::open(place).map(pair)));
            vec![Target::at_most("shmcomm", 1.2, "bare line"), Target::at_most("shmcomm", 1.1, "slot ring")]
        }
        128 => vec![Target::at_most("shmcomm", 1.1, "slot ring")],
        _ => {
            vec![Target::at_most("shmcomm", 1.0, "slot ring"), Target::at_most("shmcomm", 0.95, "iceoryx2")]
        }
    };
    Case { id, title, figure: Figure::Latency, ways, targets }
}

fn touched<const N: usize>(id: &'static str, title: &'static str, burst: u64) -> Case {
    let mut ways =
        vec![Entry::new("slot ring, 8 bytes", burst, |place| ring::<1>(place, Wait::Polling, Touch::All))];
    ways.extend(in_place::<N>(burst, Wait::Polling, Touch::Eight));
    let targets = vec![Target::at_most("shmcomm", 1.3, "slot ring, 8 bytes")];
    Case { id, title, figure: Figure::Latency, ways, targets }
}

fn asleep<const N: usize>(id: &'static str, title: &'static str, burst: u64) -> Case {
    let mut ways = ways::<N>(burst, Wait::Blocking, Touch::All);
    ways[0].name = "bare futex".into();
    let targets = vec![Target::at_most("shmcomm", 1.05, "bare futex")];
    Case { id, title, figure: Figure::Latency, ways, targets }
}

/// All that can pass a message and have every byte touched.
fn ways<const N: usize>(burst: u64, wait: Wait, touch: Touch) -> Vec<Entry> {
    let mut ways = in_place::<N>(burst, wait, touch);
    // As long as a datagram may be, and then some.
    if N <= 8192 {
        ways.push(Entry::new("Unix socket", burst.min(1000), move |place| {
            Ok(echo(wait, unix::Duplex::<N>::open(place, wait)?))
        }));
    }
    #[cfg(feature = "zeromq")]
    ways.push(Entry::new("ZeroMQ PAIR", burst.min(1000), move |place| {
        Ok(echo(wait, crate::peer::zeromq::Duplex::<N>::open(place, wait)?))
    }));
    ways
}

/// All that can pass a message without a copy, or small ones with.
fn in_place<const N: usize>(burst: u64, wait: Wait, touch: Touch) -> Vec<Entry> {
    #[allow(unused_mut, reason = "iceoryx2 is optional")]
    let mut ways = vec![
        Entry::new("slot ring", burst, move |place| ring::<N>(place, wait, touch)),
        Entry::new("shmcomm", burst, move |place| {
            let (out, back) = place.directions();
            let publisher = shm::Publisher::<N>::open(&out, SLOTS, touch)?;
            Ok(echo(wait, Two(publisher, shm::Subscriber::<N>::open(&back, wait, touch)?)))
        }),
    ];
    #[cfg(feature = "iceoryx2")]
    if wait == Wait::Polling {
        ways.push(Entry::new("iceoryx2", burst, move |place| {
            use crate::peer::iceoryx::{Publisher, Subscriber};
            let (out, back) = place.directions();
            let publisher = Publisher::<N>::open(&out, touch, 1)?;
            Ok(echo(wait, Two(publisher, Subscriber::<N>::open(&back, touch, 1)?)))
        }));
    }
    ways
}

fn ring<const N: usize>(place: &Place, wait: Wait, touch: Touch) -> Result<Box<dyn Way>> {
    let (out, back) = place.directions();
    let open = |name: &str| bare::Ring::<N>::open(name, SLOTS, wait, touch);
    // The same order in both processes, so that neither waits for the other.
    Ok(echo(wait, Two(open(&out)?, open(&back)?)))
}

fn pair(line: bare::Line) -> Box<dyn Way> {
    echo(Wait::Polling, line)
}

fn echo<D: Sender + Receiver + 'static>(wait: Wait, ends: D) -> Box<dyn Way> {
    Box::new(Echo { wait, ends })
}

/// An end for each direction.
struct Two<S, R>(S, R);

impl<S: Sender, R> Sender for Two<S, R> {
    #[inline]
    fn send(&mut self, number: u64) -> Result<()> {
        self.0.send(number)
    }
}

impl<S, R: Receiver> Receiver for Two<S, R> {
    #[inline]
    fn recv(&mut self) -> Result<u64> {
        self.1.recv()
    }
}

struct Echo<D> {
    wait: Wait,
    ends: D,
}

impl<D: Sender + Receiver> Way for Echo<D> {
    fn lead(&mut self, burst: Burst) -> Result<Outcome> {
        let mut samples = Histogram::new(3)?;
        for number in burst.numbers() {
            if self.wait == Wait::Blocking {
                std::thread::sleep(NAP);
            }
            let began = Instant::now();
            self.ends.send(number)?;
            let got = self.ends.recv()?;
            samples.record(began.elapsed().as_nanos() as u64 / 2)?;
            check(got, number)?;
        }
        Ok(Outcome::Samples(samples))
    }

    fn follow(&mut self, burst: Burst) -> Result<u64> {
        for number in burst.numbers() {
            check(self.ends.recv()?, number)?;
            self.ends.send(number)?;
        }
        Ok(super::now())
    }
}
