//! Streams of replies: replies a second, and time to the first one. Each request has a thousand replies.

use crate::Result;
use crate::case::{Burst, Case, Ended, Entry, Figure, Outcome, Place, Target, Way, check, now};
use crate::peer::stream::{Asks, N, REPLIES, Replier, Requester, Ring, Streams};
use hdrhistogram::Histogram;

/// Replies of a burst, a multiple of [`REPLIES`], and so is a fifth of it.
const BURST: u64 = 50_000;

/// Measured time.
#[derive(Clone, Copy)]
enum Time {
    /// From the request to the end of its stream.
    All,
    /// From the request to its first reply.
    First,
}

pub fn cases() -> Vec<Case> {
    let bound = vec![Target::at_least("shmcomm", 1.0, "iceoryx2")];
    vec![
        Case {
            id: "stream-64".into(),
            title: "Stream of 1,000 replies of 64 bytes to a request, polling".into(),
            figure: Figure::Throughput { bytes: 8 * N as u64 },
            ways: ways(Time::All),
            targets: bound,
        },
        Case {
            id: "stream-64-first".into(),
            title: "First of 1,000 replies of 64 bytes, from the request on, polling".into(),
            figure: Figure::Latency,
            ways: ways(Time::First),
            targets: vec![Target::at_most("shmcomm", 1.0, "iceoryx2")],
        },
    ]
}

fn ways(time: Time) -> Vec<Entry> {
    #[allow(unused_mut, reason = "peers are optional")]
    let mut ways = vec![
        Entry::new("slot ring", BURST, move |place| stream(place, time, Ring::open, Ring::open)),
        Entry::new("shmcomm", BURST, move |place| {
            stream(place, time, |place| Requester::open(&place.name), |place| Replier::open(&place.name))
        }),
    ];
    #[cfg(feature = "iceoryx2")]
    ways.push(Entry::new("iceoryx2", BURST, move |place| {
        use crate::peer::stream::responses::{Client, Server};
        stream(place, time, |place| Client::open(&place.name), |place| Server::open(&place.name))
    }));
    ways
}

/// Opens the end of a stream that belongs in this process.
fn stream<A: Asks + 'static, S: Streams + 'static>(
    place: &Place,
    time: Time,
    asks: impl Fn(&Place) -> Result<A>,
    streams: impl Fn(&Place) -> Result<S>,
) -> Result<Box<dyn Way>> {
    Ok(if place.leads { Box::new(Lead(asks(place)?, time)) } else { Box::new(Follow(streams(place)?)) })
}

struct Lead<A>(A, Time);

impl<A: Asks> Way for Lead<A> {
    fn lead(&mut self, burst: Burst) -> Result<Outcome> {
        let mut samples = Histogram::new(3)?;
        let began = now();
        for first in burst.numbers().step_by(REPLIES as usize) {
            let (asked, mut next) = (now(), first);
            self.0.ask(first, |number| {
                if number == first {
                    samples.record(now() - asked)?;
                }
                check(number, next)?;
                next += 1;
                Ok(())
            })?;
            check(next, first + REPLIES)?;
        }
        Ok(match self.1 {
            Time::All => Outcome::Took(now() - began),
            Time::First => Outcome::Samples(samples),
        })
    }
}

struct Follow<S>(S);

impl<S: Streams> Way for Follow<S> {
    fn lead(&mut self, _: Burst) -> Result<Outcome> {
        Err("a replier follows".into())
    }

    fn follow(&mut self, burst: Burst) -> Result<Ended> {
        for first in burst.numbers().step_by(REPLIES as usize) {
            check(self.0.serve()?, first)?;
        }
        Ok(Ended::now())
    }
}
