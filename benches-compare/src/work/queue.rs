//! Push/pull with many ends: three pushers in one process, four pullers in the other. Each is a thread with
//! its own end, and each message goes to exactly one puller. One to one is `throughput`.

use crate::Result;
use crate::case::{Burst, Case, Ended, Entry, Figure, Outcome, Place, Target, Way, now};
use crate::peer::{Receiver, Sender, Wait, pipe, shm};

const N: usize = 8;
const SLOTS: usize = 1024;
const PUSHERS: u64 = 3;
const PULLERS: u64 = 4;
/// Number of the message that tells a puller that one of the pushers has finished; messages count from 1.
const LAST: u64 = 0;

pub fn cases() -> Vec<Case> {
    const BURST: u64 = 12_000;
    #[allow(unused_mut, reason = "peers are optional")]
    let mut ways = vec![
        Entry::new("shmcomm", BURST, |place| {
            many(
                place,
                |_| shm::Pusher::<N>::open(&place.name, SLOTS, Wait::Blocking, false),
                |_| shm::Puller::<N>::open(&place.name, SLOTS, Wait::Blocking, false),
            )
        }),
        Entry::new("pipe", BURST / 4, |place| {
            let open = |_| pipe::End::<N>::open(&place.name, Wait::Blocking);
            many(place, open, open)
        }),
    ];
    #[cfg(feature = "zeromq")]
    // The burst is small, so that no pipe is ever full. A pusher then deals messages out in turn, and each
    // puller gets the end message.
    ways.push(Entry::new("ZeroMQ", BURST / 2, |place| {
        use crate::peer::zeromq::Socket;
        let names: Vec<_> = (0..PUSHERS).map(|i| format!("{}-{i}", place.name)).collect();
        let way = many(place, |i| Socket::<N>::push(&names[i as usize]), |_| Socket::<N>::pull_from(&names));
        // A pusher deals its messages out to the connected pullers, so all of them must be connected.
        std::thread::sleep(std::time::Duration::from_millis(300));
        way
    }));
    vec![Case {
        id: "queue-64".into(),
        title: "Push/pull, 64 bytes, three pushers, four pullers, blocking".into(),
        figure: Figure::Throughput { bytes: 8 * N as u64 },
        ways,
        targets: vec![Target::at_least("shmcomm", 1.0, "ZeroMQ"), Target::at_least("shmcomm", 1.0, "pipe")],
    }]
}

fn many<S: Sender + Send + 'static, R: Receiver + Send + 'static>(
    place: &Place,
    sender: impl Fn(u64) -> Result<S>,
    receiver: impl Fn(u64) -> Result<R>,
) -> Result<Box<dyn Way>> {
    Ok(if place.leads {
        Box::new(Pushers((0..PUSHERS).map(sender).collect::<Result<_>>()?))
    } else {
        Box::new(Pullers((0..PULLERS).map(receiver).collect::<Result<_>>()?))
    })
}

/// Result of a thread as text: errors of peers may not be `Send`.
type Said<T> = std::result::Result<T, String>;

fn joined<T>(threads: Vec<std::thread::ScopedJoinHandle<'_, Said<T>>>) -> Result<Vec<T>> {
    threads.into_iter().map(|thread| Ok(thread.join().map_err(|_| "a thread panicked")??)).collect()
}

struct Pushers<S>(Vec<S>);

impl<S: Sender + Send> Way for Pushers<S> {
    fn lead(&mut self, burst: Burst) -> Result<Outcome> {
        let began = now();
        std::thread::scope(|scope| {
            let threads = self.0.iter_mut().enumerate().map(|(i, sender)| {
                scope.spawn(move || -> Said<()> {
                    for number in burst.numbers().skip(i).step_by(PUSHERS as usize) {
                        sender.send(number).map_err(|error| error.to_string())?;
                    }
                    // One end message for each puller: if messages are dealt out in turn, each puller gets
                    // one.
                    for _ in 0..PULLERS {
                        sender.send(LAST).map_err(|error| error.to_string())?;
                    }
                    Ok(())
                })
            });
            joined(threads.collect())
        })?;
        Ok(Outcome::Began(began))
    }
}

struct Pullers<R>(Vec<R>);

impl<R: Receiver + Send> Way for Pullers<R> {
    fn lead(&mut self, _: Burst) -> Result<Outcome> {
        Err("pullers follow".into())
    }

    fn follow(&mut self, burst: Burst) -> Result<Ended> {
        let sums = std::thread::scope(|scope| {
            let threads = self.0.iter_mut().map(|receiver| {
                scope.spawn(move || -> Said<(u64, u64)> {
                    let (mut count, mut sum, mut ended) = (0u64, 0u64, 0);
                    while ended < PUSHERS {
                        match receiver.recv().map_err(|error| error.to_string())? {
                            LAST => ended += 1,
                            number => (count, sum) = (count + 1, sum.wrapping_add(number)),
                        }
                    }
                    Ok((count, sum))
                })
            });
            joined(threads.collect())
        })?;
        let ended = Ended::now();
        let all = sums.iter().fold((0, 0u64), |(n, s), (count, sum)| (n + count, s.wrapping_add(*sum)));
        let sent = (burst.count, burst.numbers().fold(0, u64::wrapping_add));
        if all == sent { Ok(ended) } else { Err(format!("{sent:?} were sent, {all:?} came").into()) }
    }
}
