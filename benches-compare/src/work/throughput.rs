//! Messages per second from one process to another: without loss, or with loss.

use crate::Result;
use crate::case::{
    Burst, Case, Ended, Entry, Figure, Outcome, Place, Target, Way, check, now, size, spelled,
};
use crate::peer::{Receiver, Sender, Touch, Wait, bare, ipc, pipe, shm, shmem, threads, unix};

/// Makes the cases without loss: the sender waits for room.
pub fn lossless() -> Vec<Case> {
    vec![
        lossless_of::<1>(100_000, 1024),
        lossless_of::<8>(50_000, 1024),
        lossless_of::<32>(30_000, 512),
        lossless_of::<128>(20_000, 256),
        lossless_of::<512>(8_000, 64),
        lossless_of::<8192>(500, 16),
        lossless_of::<131_072>(40, 8),
        lossless_of::<524_288>(12, 4),
        walking::<131_072>(160, 64),
    ]
}

/// Makes the case of a stream of large messages over more slots than the receiver needs, against a peer that reuses its
/// memory.
fn walking<const N: usize>(burst: u64, slots: usize) -> Case {
    let whole = lossless_of::<N>(burst, slots);
    let peers = ["slot ring", "shmcomm", "iceoryx2"];
    let mut ways: Vec<_> = whole.ways.into_iter().filter(|way| peers.contains(&way.name.as_str())).collect();
    ways.push(Entry::new(shm::BY_DEFAULT, burst, move |place| {
        stream(place, shm::Publisher::<N>::waiting_by_default, |name| {
            shm::Subscriber::<N>::open(name, Wait::Polling, Touch::All)
        })
    }));
    ways.push(Entry::new("shmcomm, 4 slots", burst, move |place| {
        stream(
            place,
            |name| shm::Publisher::<N>::waiting(name, 4),
            |name| shm::Subscriber::<N>::open(name, Wait::Polling, Touch::All),
        )
    }));
    Case {
        id: format!("{}-slots{slots}", whole.id),
        title: format!("{}, {slots} slots", whole.title),
        ways,
        targets: ["shmcomm", shm::BY_DEFAULT].map(|way| Target::at_least(way, 1.05, "iceoryx2")).into(),
        ..whole
    }
}

fn lossless_of<const N: usize>(burst: u64, slots: usize) -> Case {
    let open = move |name: &str| {
        let ring = bare::Ring::<N>::open(name, slots, Wait::Polling, Touch::All)?;
        // Four messages of 8 bytes fit into a line.
        Ok(if N == 1 { ring.packed() } else { ring })
    };
    let in_place = N >= shm::LARGE_JOB;
    let mut ways = vec![
        Entry::new("slot ring", burst, move |place| stream(place, open, open)),
        // One to one is publish/subscribe with a publisher that waits; push/pull is for many ends at either
        // side.
        Entry::new("shmcomm", burst, move |place| {
            stream(
                place,
                |name| shm::Publisher::<N>::waiting(name, slots),
                |name| shm::Subscriber::<N>::open(name, Wait::Polling, Touch::All),
            )
        }),
        Entry::new("shmcomm push/pull", burst, move |place| {
            queue::<N>(place, slots, Wait::Polling, in_place)
        }),
    ];
    if N <= shm::HUGE {
        ways.push(Entry::new("shmcomm push/pull, blocking", burst, move |place| {
            queue::<N>(place, slots, Wait::Blocking, false)
        }));
    }
    // Larger messages would not fit on the stack.
    if in_place && N <= shm::HUGE {
        ways.push(Entry::new("shmcomm push/pull, by value", burst, move |place| {
            queue::<N>(place, slots, Wait::Polling, false)
        }));
    }
    if N <= 8192 {
        ways.push(Entry::new("rtrb, one process", burst, move |place| {
            Ok(Box::new(threads::Rtrb::<N>::new(place, slots)))
        }));
    }
    if N >= 8192 {
        ways.push(Entry::new("memcpy", burst, |_| Ok(Box::new(threads::Memcpy::<N>::new()))));
    }
    #[cfg(feature = "iceoryx2")]
    ways.push(Entry::new("iceoryx2", burst.div_ceil(2), move |place| {
        use crate::peer::iceoryx::{Publisher, Settings, Subscriber};
        let settings = Settings::lossless(slots.min(64));
        stream(
            place,
            |name| Publisher::<N>::open(name, Touch::All, settings),
            |name| Subscriber::<N>::open(name, Touch::All, settings),
        )
    }));
    ways.push(Entry::new("shmem-ipc", burst, move |place| {
        stream(
            place,
            |name| shmem::Sender::<N>::open(name, slots),
            |name| shmem::Receiver::<N>::open(name, slots, Wait::Polling),
        )
    }));
    let few = burst.div_ceil(10);
    if N <= 8192 {
        ways.push(Entry::new("Unix socket", few, |place| {
            stream(place, unix::Socket::<N>::listen, unix::Socket::<N>::connect)
        }));
    }
    ways.push(Entry::new("pipe", few, |place| {
        let open = |name: &str| pipe::End::<N>::open(name, Wait::Blocking);
        stream(place, open, open)
    }));
    ways.push(Entry::new("ipc-channel", few, |place| {
        stream(place, ipc::Sender::<N>::open, |name| ipc::Receiver::<N>::open(name, Wait::Blocking))
    }));
    #[cfg(feature = "zeromq")]
    ways.push(Entry::new("ZeroMQ", burst, |place| {
        use crate::peer::zeromq::Socket;
        stream(place, Socket::<N>::push, Socket::<N>::pull)
    }));
    let of_ring = match N {
        1 => 0.5,
        32 | 512 => 0.9,
        _ => 1.0,
    };
    let mut targets = vec![Target::at_least("shmcomm", of_ring, "slot ring")];
    if N == 1 {
        targets.push(Target::at_least("shmcomm", 0.9, "rtrb, one process"));
    }
    if N == 8 {
        targets.extend([
            Target::at_least("shmcomm", 15.0, "iceoryx2"),
            Target::at_least("shmcomm", 0.9, "rtrb, one process"),
            Target::at_least_or("shmcomm push/pull", 0.7, "slot ring", 20.0),
            Target::at_least("shmcomm push/pull", 4.0, "ZeroMQ"),
        ]);
    }
    Case {
        id: format!("throughput-{}", size(8 * N)),
        title: format!("One to one, {}, lossless", spelled(8 * N)),
        figure: Figure::Throughput { bytes: 8 * N as u64 },
        ways,
        targets,
    }
}

/// Makes the cases with loss: the sender waits for no receiver; messages that are overwritten count as lost.
pub fn lossy() -> Vec<Case> {
    vec![
        lossy_of::<8>(50_000, 1024),
        lossy_of::<128>(20_000, 256),
        lossy_of::<8192>(500, 16),
        lossy_of::<131_072>(40, 8),
        lossy_of::<524_288>(12, 4),
        overtaking(16),
        overtaking(64),
        overtaking(256),
    ]
}

/// Makes the case of a sender that is faster than its receiver, beside a sender that waits.
fn overtaking(slots: usize) -> Case {
    let (burst, lossless) = (100_000, "shmcomm, lossless");
    let mut case = lossy_of::<8>(burst, slots);
    case.ways.insert(
        1,
        Entry::new(lossless, burst, move |place| {
            stream(
                place,
                |name| shm::Publisher::<8>::waiting(name, slots),
                |name| shm::Subscriber::<8>::open(name, Wait::Polling, Touch::All),
            )
        }),
    );
    let target = match slots {
        ..64 => Target::figure("shmcomm", 200.0, 1.0, "ns a message received"),
        _ => Target::at_least("shmcomm", 0.8, lossless),
    };
    Case {
        id: format!("{}-slots{slots}", case.id),
        title: format!("{}, {slots} slots", case.title),
        targets: vec![target],
        ..case
    }
}

fn lossy_of<const N: usize>(burst: u64, slots: usize) -> Case {
    #[allow(unused_mut, reason = "peers are optional")]
    let mut ways = vec![Entry::new("shmcomm", burst, move |place| {
        Ok(if place.leads {
            source(shm::Publisher::<N>::open(&place.name, slots, Touch::All)?)
        } else {
            let subscriber = shm::Subscriber::<N>::open(&place.name, Wait::Polling, Touch::All)?;
            Box::new(Survivor(subscriber.tolerant()))
        })
    })];
    #[cfg(feature = "iceoryx2")]
    ways.push(Entry::new("iceoryx2", burst, move |place| {
        use crate::peer::iceoryx::{Publisher, Settings, Subscriber};
        let settings = Settings::overflowing(slots);
        Ok(if place.leads {
            source(Publisher::<N>::open(&place.name, Touch::All, settings)?)
        } else {
            Box::new(Survivor(Subscriber::<N>::open(&place.name, Touch::All, settings)?))
        })
    }));
    Case {
        id: format!("lossy-{}", size(8 * N)),
        title: format!("One to one, {}, sent without waiting", spelled(8 * N)),
        figure: Figure::Lossy { bytes: 8 * N as u64 },
        ways,
        targets: vec![],
    }
}

pub fn queue<const N: usize>(
    place: &Place,
    slots: usize,
    wait: Wait,
    in_place: bool,
) -> Result<Box<dyn Way>> {
    stream(
        place,
        |name| shm::Pusher::<N>::open(name, slots, wait, in_place),
        |name| shm::Puller::<N>::open(name, slots, wait, in_place),
    )
}

/// Opens the end of a stream that belongs in this process.
pub(super) fn stream<S: Sender + 'static, R: Receiver + 'static>(
    place: &Place,
    sender: impl Fn(&str) -> Result<S>,
    receiver: impl Fn(&str) -> Result<R>,
) -> Result<Box<dyn Way>> {
    Ok(if place.leads { source(sender(&place.name)?) } else { Box::new(Sink(receiver(&place.name)?)) })
}

fn source<S: Sender + 'static>(sender: S) -> Box<dyn Way> {
    Box::new(Source(sender))
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
}

struct Sink<R>(R);

impl<R: Receiver> Way for Sink<R> {
    fn lead(&mut self, _: Burst) -> Result<Outcome> {
        Err("a sink follows".into())
    }

    fn follow(&mut self, burst: Burst) -> Result<Ended> {
        for number in burst.numbers() {
            check(self.0.recv()?, number)?;
        }
        Ok(Ended::now())
    }
}

/// Receives available messages until the last message, which nothing overwrites, and counts the lost ones.
struct Survivor<R>(R);

impl<R: Receiver> Way for Survivor<R> {
    fn lead(&mut self, _: Burst) -> Result<Outcome> {
        Err("a sink follows".into())
    }

    fn follow(&mut self, burst: Burst) -> Result<Ended> {
        let (last, mut before, mut received) = (burst.from + burst.count - 1, burst.from - 1, 0);
        while before < last {
            let number = self.0.recv()?;
            if number <= before || number > last {
                return Err(format!("message {number} came after {before}").into());
            }
            (before, received) = (number, received + 1);
        }
        Ok(Ended { lost: burst.count - received, ..Ended::now() })
    }
}
