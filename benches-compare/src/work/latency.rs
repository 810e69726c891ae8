//! Publish/subscribe: latency of a message, as half of a round trip.

use crate::Result;
use crate::case::{
    Burst, Case, Ended, Entry, Figure, Outcome, Place, Target, Two, Way, check, size, spelled,
};
use crate::peer::{Receiver, Sender, Touch, Wait, bare, ipc, pipe, shm, shmem, threads, unix};
use hdrhistogram::Histogram;
use std::time::{Duration, Instant};

/// Slots of the cases in which a ring walks over more memory than the cache has: the default of a channel.
const WALK: usize = 64;

/// Makes the entry that tells how far apart the processors are: 8 bytes one way, without a ring.
pub fn line() -> Entry {
    Entry::new("bare line", 400, |place| bare::Line::open(place).map(pair))
}

/// Returns the number of slots of the rings. Large messages get the minimum, to stay in the cache.
const fn slots(words: usize) -> usize {
    if words < 8192 { 8 } else { 2 }
}

/// Time that is long enough for both sides to be asleep.
pub const NAP: Duration = Duration::from_micros(200);

/// Makes the cases in which every byte is written and summed, with both sides polling.
pub fn busy() -> Vec<Case> {
    vec![
        polling::<1>(10_000),
        polling::<8>(10_000),
        polling::<32>(10_000),
        polling::<128>(5_000),
        polling::<512>(2_000),
        polling::<8192>(300),
        polling::<131_072>(30),
        polling::<524_288>(8),
        walking::<131_072>(WALK, 40),
        walking::<524_288>(8, 10),
    ]
}

/// Makes the cases in which every byte is written and summed, with both sides asleep before every message.
pub fn asleep() -> Vec<Case> {
    vec![
        blocking::<1>(80),
        blocking::<8>(80),
        blocking::<128>(80),
        blocking::<8192>(50),
        blocking::<131_072>(15),
        blocking::<524_288>(8),
    ]
}

/// Makes the cases of large messages in place, of which eight bytes are accessed.
pub fn touched() -> Vec<Case> {
    vec![
        in_place::<128>(),
        in_place::<512>(),
        in_place::<8192>(),
        in_place::<131_072>(),
        in_place::<524_288>(),
    ]
}

fn polling<const N: usize>(burst: u64) -> Case {
    let mut ways = ways::<N>(burst, Wait::Polling);
    let mut targets = Vec::new();
    match N {
        1 | 8 => {
            ways.push(Entry::new("bare line", burst, |place| bare::Line::open(place).map(pair)));
            targets.push(Target::at_most("shmcomm", 1.1, "slot ring"));
            targets.push(Target::at_most_at(0.99, "shmcomm", 1.3, "slot ring"));
            targets.push(Target::at_most_at(0.999, "shmcomm", 1.3, "slot ring"));
        }
        32 | 128 | 512 => targets.push(Target::at_most("shmcomm", 1.15, "slot ring")),
        _ => {
            ways.push(Entry::new("memcpy", burst, |_| Ok(Box::new(threads::Memcpy::<N>::new()))));
            targets.push(Target::at_most("shmcomm", 1.0, "slot ring"));
            targets.push(Target::at_most("shmcomm", 0.95, "iceoryx2"));
        }
    }
    Case {
        id: format!("latency-{}", size(8 * N)),
        title: format!("One way, {}, every byte touched, polling", spelled(8 * N)),
        figure: Figure::Latency,
        ways,
        targets,
    }
}

/// Makes a case of large messages over more slots than the receiver needs, against a peer that reuses its memory.
fn walking<const N: usize>(slots: usize, burst: u64) -> Case {
    let ring = move |place: &Place| {
        let open = |name: &str| bare::Ring::<N>::open(name, slots, Wait::Polling, Touch::All);
        Ok(echo(Wait::Polling, place.both(open, open)?))
    };
    let receiver = |name: &str| shm::Subscriber::<N>::open(name, Wait::Polling, Touch::All);
    let pubsub = move |place: &Place| {
        let sender = |name: &str| shm::Publisher::<N>::open(name, slots, Touch::All);
        Ok(echo(Wait::Polling, place.both(sender, receiver)?))
    };
    let by_default =
        move |place: &Place| Ok(echo(Wait::Polling, place.both(shm::Publisher::<N>::by_default, receiver)?));
    let mut ways = vec![
        Entry::new("slot ring", burst, ring),
        Entry::new("shmcomm", burst, pubsub),
        Entry::new(shm::BY_DEFAULT, burst, by_default),
    ];
    ways.extend(iceoryx::<N>(burst, Wait::Polling, Touch::All));
    Case {
        id: format!("latency-{}-slots{slots}", size(8 * N)),
        title: format!("One way, {}, {slots} slots, every byte touched, polling", spelled(8 * N)),
        figure: Figure::Latency,
        ways,
        targets: ["shmcomm", shm::BY_DEFAULT].map(|way| Target::at_most(way, 0.95, "iceoryx2")).into(),
    }
}

fn blocking<const N: usize>(burst: u64) -> Case {
    let mut ways = ways::<N>(burst, Wait::Blocking);
    ways[0].name = "bare futex".into();
    if N == 8 {
        ways.extend(crate::peer::python::echo_entry(burst));
    }
    let targets = if N == 8 { vec![Target::at_most("shmcomm", 1.05, "bare futex")] } else { vec![] };
    Case {
        id: format!("asleep-{}", size(8 * N)),
        title: format!("One way, {}, every byte touched, both sides asleep", spelled(8 * N)),
        figure: Figure::Latency,
        ways,
        targets,
    }
}

fn in_place<const N: usize>() -> Case {
    const BURST: u64 = 5_000;
    let mut ways = vec![
        Entry::new("slot ring, 8 bytes", BURST, |place| ring::<1>(place, Wait::Polling, Touch::All)),
        Entry::new("slot ring", BURST, |place| ring::<N>(place, Wait::Polling, Touch::Eight)),
        Entry::new("shmcomm", BURST, |place| pubsub::<N>(place, Wait::Polling, Touch::Eight)),
    ];
    if N > 8192 {
        // This entry shows if the time grows with the size.
        ways.push(Entry::new("shmcomm, 64 KiB", BURST, |place| {
            pubsub::<8192>(place, Wait::Polling, Touch::Eight)
        }));
    }
    ways.extend(iceoryx::<N>(BURST, Wait::Polling, Touch::Eight));
    let mut targets = vec![Target::at_most("shmcomm", 1.3, "slot ring, 8 bytes")];
    if N > 8192 {
        targets.push(Target::at_most("shmcomm", 1.1, "shmcomm, 64 KiB"));
    }
    Case {
        id: format!("touched-{}", size(8 * N)),
        title: format!("One way, {} in place, 8 bytes touched, polling", spelled(8 * N)),
        figure: Figure::Latency,
        ways,
        targets,
    }
}

/// Makes the entries of all peers that can pass a message and have every byte accessed.
fn ways<const N: usize>(burst: u64, wait: Wait) -> Vec<Entry> {
    // Peers through the kernel take longer, so their bursts have fewer messages.
    let few = burst.min(1000);
    let mut ways = vec![
        Entry::new("slot ring", burst, move |place| ring::<N>(place, wait, Touch::All)),
        Entry::new("shmcomm", burst, move |place| pubsub::<N>(place, wait, Touch::All)),
    ];
    ways.extend(iceoryx::<N>(burst, wait, Touch::All));
    ways.push(Entry::new("shmem-ipc", burst, move |place| {
        let sender = |name: &str| shmem::Sender::<N>::open(name, slots(N));
        Ok(echo(wait, place.both(sender, |name| shmem::Receiver::<N>::open(name, slots(N), wait))?))
    }));
    // A message of 1 MiB is too long for a datagram.
    if N <= 8192 {
        ways.push(Entry::new("Unix socket", few, move |place| {
            Ok(echo(wait, unix::Duplex::<N>::open(place, wait)?))
        }));
    }
    ways.push(Entry::new("pipe", few, move |place| {
        let sender = |name: &str| pipe::End::<N>::open(name, Wait::Blocking);
        Ok(echo(wait, place.both(sender, |name| pipe::End::<N>::open(name, wait))?))
    }));
    ways.push(Entry::new("ipc-channel", few, move |place| {
        Ok(echo(wait, place.both(ipc::Sender::<N>::open, |name| ipc::Receiver::<N>::open(name, wait))?))
    }));
    #[cfg(feature = "zeromq")]
    ways.push(Entry::new("ZeroMQ", few, move |place| {
        Ok(echo(wait, crate::peer::zeromq::Duplex::<N>::open(place, wait)?))
    }));
    ways
}

#[cfg(feature = "iceoryx2")]
fn iceoryx<const N: usize>(burst: u64, wait: Wait, touch: Touch) -> Option<Entry> {
    use crate::peer::iceoryx::{Publisher, Settings, Subscriber};
    let settings = Settings::latest(wait);
    Some(Entry::new("iceoryx2", burst, move |place| {
        let sender = |name: &str| Publisher::<N>::open(name, touch, settings);
        Ok(echo(wait, place.both(sender, |name| Subscriber::<N>::open(name, touch, settings))?))
    }))
}

#[cfg(not(feature = "iceoryx2"))]
fn iceoryx<const N: usize>(_: u64, _: Wait, _: Touch) -> Option<Entry> {
    None
}

fn ring<const N: usize>(place: &Place, wait: Wait, touch: Touch) -> Result<Box<dyn Way>> {
    let open = |name: &str| bare::Ring::<N>::open(name, slots(N), wait, touch);
    Ok(echo(wait, place.both(open, open)?))
}

fn pubsub<const N: usize>(place: &Place, wait: Wait, touch: Touch) -> Result<Box<dyn Way>> {
    let sender = |name: &str| shm::Publisher::<N>::open(name, slots(N), touch);
    Ok(echo(wait, place.both(sender, |name| shm::Subscriber::<N>::open(name, wait, touch))?))
}

fn pair(line: bare::Line) -> Box<dyn Way> {
    echo(Wait::Polling, line)
}

pub fn echo<D: Sender + Receiver + 'static>(wait: Wait, ends: D) -> Box<dyn Way> {
    Box::new(Echo { wait, ends })
}

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

    fn follow(&mut self, burst: Burst) -> Result<Ended> {
        for number in burst.numbers() {
            check(self.ends.recv()?, number)?;
            self.ends.send(number)?;
        }
        Ok(Ended::now())
    }
}
