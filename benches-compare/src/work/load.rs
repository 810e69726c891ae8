//! Latency under load: messages are sent when they are due, even if the last message has not arrived. Each is
//! timed from its due time. A sender that falls behind makes all following messages late, as in practice.
//!
//! The first burst, which does not count, measures the maximum rate, with both sides reading the clock for
//! every message. A burst is no longer than the ring, so that nothing is lost.

use crate::Result;
use crate::case::{Burst, Case, Ended, Entry, Figure, Outcome, Place, Way, now};
use crate::peer::{Receiver, Sender, Touch, Wait, bare, shm, shmem};
use hdrhistogram::Histogram;

const N: usize = 8;
const SLOTS: usize = 4096;
const BURST: u64 = SLOTS as u64;

pub fn cases() -> Vec<Case> {
    let mut ways = Vec::new();
    for percent in [10, 50, 90] {
        let entry = |peer: &str, open: fn(&Place, u64) -> Result<Box<dyn Way>>| {
            Entry::new(format!("{peer}, {percent} %"), BURST, move |place| open(place, percent))
                .at(percent as f64)
        };
        ways.push(entry("slot ring", |place, percent| {
            let open = |name: &str| bare::Ring::<N>::open(name, SLOTS, Wait::Polling, Touch::All);
            ends(place, percent, open, open)
        }));
        ways.push(entry("shmcomm", |place, percent| {
            ends(
                place,
                percent,
                |name| shm::Publisher::<N>::open(name, SLOTS, Touch::All),
                |name| shm::Subscriber::<N>::open(name, Wait::Polling, Touch::All),
            )
        }));
        ways.push(entry("shmcomm push/pull", |place, percent| {
            ends(
                place,
                percent,
                |name| shm::Pusher::<N>::open(name, SLOTS, Wait::Polling, false),
                |name| shm::Puller::<N>::open(name, SLOTS, Wait::Polling, false),
            )
        }));
        ways.push(entry("shmem-ipc", |place, percent| {
            let receiver = |name: &str| shmem::Receiver::<N>::open(name, SLOTS, Wait::Polling);
            ends(place, percent, |name| shmem::Sender::<N>::open(name, SLOTS), receiver)
        }));
        #[cfg(feature = "iceoryx2")]
        ways.push(entry("iceoryx2", |place, percent| {
            use crate::peer::iceoryx::{Publisher, Settings, Subscriber};
            let settings = Settings::lossless(SLOTS);
            let publisher = |name: &str| Publisher::<N>::open(name, Touch::All, settings);
            ends(place, percent, publisher, |name| Subscriber::<N>::open(name, Touch::All, settings))
        }));
        #[cfg(feature = "zeromq")]
        ways.push(entry("ZeroMQ", |place, percent| {
            use crate::peer::zeromq::Socket;
            ends(place, percent, Socket::<N>::push, Socket::<N>::pull)
        }));
    }
    vec![Case {
        id: "load-64".into(),
        title: "One way, 64 bytes, from the intended time, at a share of the maximum rate".into(),
        figure: Figure::Latency,
        ways,
        targets: vec![],
    }]
}

fn ends<S: Sender + 'static, R: Receiver + 'static>(
    place: &Place,
    percent: u64,
    sender: impl Fn(&str) -> Result<S>,
    receiver: impl Fn(&str) -> Result<R>,
) -> Result<Box<dyn Way>> {
    Ok(if place.leads {
        Box::new(Paced { sender: sender(&place.name)?, share: percent as f64 / 100.0, interval: None })
    } else {
        Box::new(Late(receiver(&place.name)?))
    })
}

struct Paced<S> {
    sender: S,
    share: f64,
    /// Nanoseconds from one message to the next; not yet known in the first burst.
    interval: Option<f64>,
}

impl<S: Sender> Way for Paced<S> {
    fn lead(&mut self, burst: Burst) -> Result<Outcome> {
        // In the first burst all messages are due at once.
        let (began, interval) = (now(), self.interval.unwrap_or(0.0));
        for index in 0..burst.count {
            let due = began + (index as f64 * interval) as u64;
            while now() < due {}
            self.sender.send(due)?;
        }
        Ok(if self.interval.is_some() { Outcome::Theirs } else { Outcome::Began(began) })
    }

    fn calibrate(&mut self, ns: f64) {
        self.interval = Some(ns / self.share);
    }
}

struct Late<R>(R);

impl<R: Receiver> Way for Late<R> {
    fn lead(&mut self, _: Burst) -> Result<Outcome> {
        Err("a receiver follows".into())
    }

    fn follow(&mut self, burst: Burst) -> Result<Ended> {
        let mut samples = Histogram::new(3)?;
        for _ in 0..burst.count {
            let due = self.0.recv()?;
            samples.record(now().saturating_sub(due))?;
        }
        Ok(Ended { samples: Some(samples), ..Ended::now() })
    }
}
