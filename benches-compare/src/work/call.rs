//! Request/reply: how long a round trip takes.

use super::{Burst, Case, Entry, Figure, Outcome, Place, Way, check, now};
use crate::Result;
use crate::peer::{Answerer, Caller, Wait, bare, shm, unix};
use crate::report::Target;
use hdrhistogram::Histogram;
use std::time::{Duration, Instant};

/// Words of a request, and of a reply.
const N: usize = 8;
/// Long enough for both sides to be asleep.
const NAP: Duration = Duration::from_micros(200);

pub fn cases() -> Vec<Case> {
    vec![polling(), blocking()]
}

fn polling() -> Case {
    const BURST: u64 = 10_000;
    let mut ways = vec![Entry::new("bare ping-pong", BURST, |place| {
        calls(place, Wait::Polling, bare::Line::open, bare::Line::open)
    })];
    ways.extend(peers(BURST, Wait::Polling));
    Case {
        id: "call-64",
        title: "Request and reply of 64 bytes, round trip, polling",
        figure: Figure::Latency,
        ways,
        targets: vec![Target::at_most("shmcomm", 1.4, "bare ping-pong")],
    }
}

fn blocking() -> Case {
    Case {
        id: "call-64-blocking",
        title: "Request and reply of 64 bytes, round trip, both sides asleep",
        figure: Figure::Latency,
        ways: peers(100, Wait::Blocking),
        targets: vec![],
    }
}

fn peers(burst: u64, wait: Wait) -> Vec<Entry> {
    vec![
        Entry::new("shmcomm", burst, move |place| {
            let caller = |place: &Place| shm::Requester::<N>::open(&place.name, wait);
            calls(place, wait, caller, |place| shm::Replier::<N>::open(&place.name, wait))
        }),
        Entry::new("Unix socket", burst.min(1000), move |place| {
            let open = |place: &Place| unix::Duplex::<N>::open(place, wait);
            calls(place, wait, open, open)
        }),
        #[cfg(feature = "zeromq")]
        Entry::new("ZeroMQ", burst.min(1000), move |place| {
            let open = |place: &Place| crate::peer::zeromq::Duplex::<N>::calls(place, wait);
            calls(place, wait, open, open)
        }),
    ]
}

/// The end of a service that belongs in this process.
fn calls<C: Caller + 'static, A: Answerer + 'static>(
    place: &Place,
    wait: Wait,
    caller: impl Fn(&Place) -> Result<C>,
    answerer: impl Fn(&Place) -> Result<A>,
) -> Result<Box<dyn Way>> {
    Ok(if place.leads { Box::new(Asks(caller(place)?, wait)) } else { Box::new(Answers(answerer(place)?)) })
}

struct Asks<C>(C, Wait);

impl<C: Caller> Way for Asks<C> {
    fn lead(&mut self, burst: Burst) -> Result<Outcome> {
        let mut samples = Histogram::new(3)?;
        for number in burst.numbers() {
            if self.1 == Wait::Blocking {
                std::thread::sleep(NAP);
            }
            let began = Instant::now();
            let got = self.0.call(number)?;
            samples.record(began.elapsed().as_nanos() as u64)?;
            check(got, number)?;
        }
        Ok(Outcome::Samples(samples))
    }

    fn follow(&mut self, _: Burst) -> Result<u64> {
        Err("a caller leads".into())
    }
}

struct Answers<A>(A);

impl<A: Answerer> Way for Answers<A> {
    fn lead(&mut self, _: Burst) -> Result<Outcome> {
        Err("an answerer follows".into())
    }

    fn follow(&mut self, burst: Burst) -> Result<u64> {
        for number in burst.numbers() {
            check(self.0.answer()?, number)?;
        }
        Ok(now())
    }
}
