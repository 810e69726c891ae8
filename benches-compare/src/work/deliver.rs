//! Publish/subscribe: the time until the last of many subscribers has a message, and the cost of a `send`
//! that wakes them all.

use super::fanout::SLOTS;
use crate::Result;
use crate::case::{Burst, Case, Ended, Entry, Figure, Outcome, Place, Target, Way, check};
use crate::peer::{Receiver, Sender, Touch, Wait, bare, shm};
use hdrhistogram::Histogram;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const N: usize = 8;
/// Time that is long enough for all sleepers to receive the last message and to sleep again.
const NAP: Duration = Duration::from_millis(1);
const SLEEPERS: usize = 16;

/// Makes the cases with polling subscribers, which share one process and one thread.
pub fn last() -> Vec<Case> {
    const BURST: u64 = 2_000;
    let mut ways = Vec::new();
    for count in [1, 4, 16] {
        let name = |peer: &str| format!("{peer}, {count} subscribers");
        ways.push(Entry::new(name("slot ring"), BURST, move |place| {
            let open = |name: &str| bare::Ring::<N>::open(name, SLOTS, Wait::Polling, Touch::All);
            ends(place, count, |name| Ok(bare::Overwriting(open(name)?)), open)
        }));
        ways.push(Entry::new(name("shmcomm"), BURST, move |place| {
            let publisher = |name: &str| shm::Publisher::<N>::open(name, SLOTS, Touch::All);
            ends(place, count, publisher, |name| shm::Subscriber::<N>::open(name, Wait::Polling, Touch::All))
        }));
        #[cfg(feature = "iceoryx2")]
        ways.push(Entry::new(name("iceoryx2"), BURST / 2, move |place| {
            use crate::peer::iceoryx::{Publisher, Settings, Subscriber};
            let settings = Settings { subscribers: count, ..Settings::overflowing(SLOTS) };
            let publisher = |name: &str| Publisher::<N>::open(name, Touch::All, settings);
            ends(place, count, publisher, |name| Subscriber::<N>::open(name, Touch::All, settings))
        }));
    }
    vec![Case {
        id: "deliver-64".into(),
        title: "From before `send` of 64 bytes until the last subscriber has it, and has said so".into(),
        figure: Figure::Latency,
        ways,
        targets: vec![],
    }]
}

fn ends<S: Sender + 'static, R: Receiver + 'static>(
    place: &Place,
    count: usize,
    sender: impl Fn(&str) -> Result<S>,
    receiver: impl Fn(&str) -> Result<R>,
) -> Result<Box<dyn Way>> {
    let line = bare::Line::open(&Place { leads: place.leads, name: format!("{}-line", place.name) })?;
    Ok(if place.leads {
        Box::new(Sends(sender(&place.name)?, line))
    } else {
        Box::new(Receives((0..count).map(|_| receiver(&place.name)).collect::<Result<_>>()?, line))
    })
}

struct Sends<S>(S, bare::Line);

impl<S: Sender> Way for Sends<S> {
    fn lead(&mut self, burst: Burst) -> Result<Outcome> {
        let mut samples = Histogram::new(3)?;
        for number in burst.numbers() {
            let began = Instant::now();
            self.0.send(number)?;
            let got = self.1.recv()?;
            samples.record(began.elapsed().as_nanos() as u64)?;
            check(got, number)?;
        }
        Ok(Outcome::Samples(samples))
    }
}

struct Receives<R>(Vec<R>, bare::Line);

impl<R: Receiver> Way for Receives<R> {
    fn lead(&mut self, _: Burst) -> Result<Outcome> {
        Err("subscribers follow".into())
    }

    fn follow(&mut self, burst: Burst) -> Result<Ended> {
        for number in burst.numbers() {
            check(self.0.recv()?, number)?;
            self.1.send(number)?;
        }
        Ok(Ended::now())
    }
}

/// Makes the cases with sleeping subscribers, one thread each.
pub fn wake() -> Vec<Case> {
    const BURST: u64 = 25;
    #[allow(unused_mut, reason = "peers are optional")]
    let mut ways = vec![
        Entry::new("bare futex", BURST, |place| {
            sleepers(
                place,
                |name| {
                    let ring = bare::Ring::<N>::open(name, SLOTS, Wait::Blocking, Touch::All)?;
                    Ok(bare::Overwriting(ring.waking(SLEEPERS as u32)))
                },
                |name| bare::Ring::<N>::open(name, SLOTS, Wait::Blocking, Touch::All),
            )
        }),
        Entry::new("shmcomm", BURST, |place| {
            sleepers(
                place,
                |name| shm::Publisher::<N>::open(name, SLOTS, Touch::All),
                |name| shm::Subscriber::<N>::open(name, Wait::Blocking, Touch::All),
            )
        }),
    ];
    #[cfg(feature = "iceoryx2")]
    ways.push(Entry::new("iceoryx2", BURST, |place| {
        use crate::peer::iceoryx::{Publisher, Settings, Subscriber};
        let settings =
            Settings { subscribers: SLEEPERS, wait: Wait::Blocking, ..Settings::overflowing(SLOTS) };
        sleepers(
            place,
            move |name| Publisher::<N>::open(name, Touch::All, settings),
            move |name| Subscriber::<N>::open(name, Touch::All, settings),
        )
    }));
    vec![Case {
        id: "wake-64".into(),
        title: "A call of `send`, 64 bytes, that wakes 16 sleeping subscribers".into(),
        figure: Figure::Latency,
        ways,
        targets: vec![Target::at_most("shmcomm", 1.2, "bare futex")],
    }]
}

fn sleepers<S: Sender + 'static, R: Receiver + 'static>(
    place: &Place,
    sender: impl Fn(&str) -> Result<S>,
    receiver: impl Fn(&str) -> Result<R> + Send + Copy + 'static,
) -> Result<Box<dyn Way>> {
    if place.leads {
        return Ok(Box::new(Wakes(sender(&place.name)?)));
    }
    let (opened, all_open) = mpsc::channel();
    let received = Arc::new(AtomicU64::new(0));
    let threads = (0..SLEEPERS).map(|_| {
        let (name, opened, received) = (place.name.clone(), opened.clone(), received.clone());
        std::thread::spawn(move || {
            // The end is opened here: the ends of some peers cannot be sent to another thread.
            let mut receiver = match receiver(&name) {
                Ok(receiver) => receiver,
                Err(error) => {
                    let _ = opened.send(Err(error.to_string()));
                    return;
                }
            };
            // This is the processor to which the process is pinned later.
            crate::rig::pin(1);
            let _ = opened.send(Ok(()));
            while receiver.recv().is_ok_and(|number| number != LAST) {
                // Relaxed: a count.
                received.fetch_add(1, Ordering::Relaxed);
            }
        })
    });
    let threads = threads.collect();
    for _ in 0..SLEEPERS {
        all_open.recv()??;
    }
    Ok(Box::new(Sleepers { threads, received, expected: 0 }))
}

/// Number of the message that ends the sleepers; messages count from 1.
const LAST: u64 = 0;

struct Wakes<S: Sender>(S);

impl<S: Sender> Way for Wakes<S> {
    fn lead(&mut self, burst: Burst) -> Result<Outcome> {
        let mut samples = Histogram::new(3)?;
        for number in burst.numbers() {
            std::thread::sleep(NAP);
            let began = Instant::now();
            self.0.send(number)?;
            samples.record(began.elapsed().as_nanos() as u64)?;
        }
        Ok(Outcome::Samples(samples))
    }
}

impl<S: Sender> Drop for Wakes<S> {
    fn drop(&mut self) {
        let _ = self.0.send(LAST);
        std::thread::sleep(10 * NAP);
    }
}

struct Sleepers {
    threads: Vec<JoinHandle<()>>,
    received: Arc<AtomicU64>,
    expected: u64,
}

impl Way for Sleepers {
    fn lead(&mut self, _: Burst) -> Result<Outcome> {
        Err("subscribers follow".into())
    }

    fn follow(&mut self, burst: Burst) -> Result<Ended> {
        self.expected += burst.count * SLEEPERS as u64;
        // Relaxed: a count.
        while self.received.load(Ordering::Relaxed) < self.expected {
            if self.threads.iter().any(JoinHandle::is_finished) {
                return Err("a subscriber ended too early".into());
            }
            std::thread::sleep(NAP);
        }
        Ok(Ended::now())
    }
}

impl Drop for Sleepers {
    fn drop(&mut self) {
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
