//! Request/reply: duration of a round trip.

use super::latency::NAP;
use crate::Result;
use crate::case::{Burst, Case, Ended, Entry, Figure, Outcome, Place, Target, Way, check};
use crate::peer::{Answerer, Caller, Wait, bare, shm, unix};
use hdrhistogram::Histogram;
use std::time::Instant;

/// Words of a request, and of a reply.
const N: usize = 8;

pub fn cases() -> Vec<Case> {
    vec![polling(), blocking()]
}

fn polling() -> Case {
    const BURST: u64 = 10_000;
    let mut ways = vec![Entry::new("bare ping-pong", BURST, |place| {
        calls(place, Wait::Polling, bare::Line::open, bare::Line::open)
    })];
    ways.extend(peers(BURST, Wait::Polling));
    #[cfg(feature = "iceoryx2")]
    ways.push(Entry::new("iceoryx2", BURST / 2, |place| {
        use crate::peer::iceoryx::{Client, Server};
        calls(
            place,
            Wait::Polling,
            |place| Client::<N>::open(&place.name),
            |place| Server::<N>::open(&place.name),
        )
    }));
    Case {
        id: "call-64".into(),
        title: "Request and reply of 64 bytes, round trip, polling".into(),
        figure: Figure::Latency,
        ways,
        targets: vec![
            Target::at_most("shmcomm", 1.15, "bare ping-pong"),
            Target::at_most("shmcomm", 1.4, "bare ping-pong"),
        ],
    }
}

fn blocking() -> Case {
    Case {
        id: "call-64-asleep".into(),
        title: "Request and reply of 64 bytes, round trip, both sides asleep".into(),
        figure: Figure::Latency,
        ways: peers(100, Wait::Blocking),
        targets: vec![],
    }
}

fn peers(burst: u64, wait: Wait) -> Vec<Entry> {
    let few = burst.min(1000);
    vec![
        Entry::new("shmcomm", burst, move |place| {
            let caller = |place: &Place| shm::Requester::<N>::open(&place.name, wait);
            calls(place, wait, caller, |place| shm::Replier::<N>::open(&place.name, wait))
        }),
        Entry::new("Unix socket", few, move |place| {
            let open = |place: &Place| unix::Duplex::<N>::open(place, wait);
            calls(place, wait, open, open)
        }),
        #[cfg(feature = "zeromq")]
        Entry::new("ZeroMQ", few, move |place| {
            let open = |place: &Place| crate::peer::zeromq::Duplex::<N>::calls(place, wait);
            calls(place, wait, open, open)
        }),
    ]
}

/// Opens the end of a service that belongs in this process.
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
}

struct Answers<A>(A);

impl<A: Answerer> Way for Answers<A> {
    fn lead(&mut self, _: Burst) -> Result<Outcome> {
        Err("an answerer follows".into())
    }

    fn follow(&mut self, burst: Burst) -> Result<Ended> {
        for number in burst.numbers() {
            check(self.0.answer()?, number)?;
        }
        Ok(Ended::now())
    }
}
