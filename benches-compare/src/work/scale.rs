//! Cost of a message as a quantity grows: subscribers, slots, the message size, the channels of a process.

use crate::Result;
use crate::case::{Burst, Case, Ended, Entry, Figure, Outcome, Place, Two, Way, check, now, spelled};
use crate::peer::{Receiver, Sender, Touch, Wait, occupied, shm};

const N: usize = 8;

pub fn cases() -> Vec<Case> {
    vec![subscribers(), slots(), sizes(), channels()]
}

fn case(work: &str, title: &str, ways: Vec<Entry>) -> Case {
    let (id, title) = (format!("scale-{work}"), format!("shmcomm: {title}"));
    Case { id, title, figure: Figure::Scale, ways, targets: vec![] }
}

/// Makes the case of subscribers that exist, and neither read nor sleep.
fn subscribers() -> Case {
    let ways = [0usize, 1, 4, 16, 64, 256].map(|count| {
        Entry::new(format!("{count} subscribers"), 20_000, move |place| {
            if !place.leads {
                let open = |_| shm::Subscriber::<N>::open(&place.name, Wait::Polling, Touch::All);
                return Ok(Box::new(Idle { _ends: (0..count).map(open).collect::<Result<Vec<_>>>()? }));
            }
            let sender = shm::Publisher::<N>::with_seats(&place.name, 64, (count + 2).max(8), Touch::All)?;
            Ok(Box::new(Sends { sender, name: place.name.clone() }))
        })
        .at(count as f64)
    });
    case("subscribers", "a call of `send`, 64 bytes, as subscribers grow", ways.into())
}

fn slots() -> Case {
    let ways = [4usize, 64, 1024, 8192, 65_536].map(|slots| {
        Entry::new(format!("{slots} slots"), 5_000, move |place| passes::<N>(place, slots, 1, Touch::All))
            .at(slots as f64)
    });
    case("slots", "one way, 64 bytes, polling, as slots grow", ways.into())
}

fn sizes() -> Case {
    fn of<const N: usize>(slots: usize) -> Entry {
        Entry::new(spelled(8 * N), 2_000, move |place| passes::<N>(place, slots, 1, Touch::Eight))
            .at((8 * N) as f64)
    }
    let ways = vec![of::<1024>(4), of::<8192>(4), of::<131_072>(4), of::<1_048_576>(4), of::<8_388_608>(4)];
    case("size", "one way in place, 8 bytes touched, polling, as messages grow", ways)
}

fn channels() -> Case {
    let ways = [1usize, 10, 100, 1000].map(|count| {
        Entry::new(format!("{count} channels"), 4_000, move |place| passes::<N>(place, 4, count, Touch::All))
            .at(count as f64)
    });
    case("channels", "one way, 64 bytes, polling, over all channels in turn, as they grow", ways.into())
}

struct Sends {
    sender: shm::Publisher<N>,
    name: String,
}

impl Way for Sends {
    fn lead(&mut self, burst: Burst) -> Result<Outcome> {
        let began = now();
        for number in burst.numbers() {
            self.sender.send(number)?;
        }
        let ns = (now() - began) as f64 / burst.count as f64;
        Ok(Outcome::Value(ns, occupied(&self.name)?))
    }
}

struct Idle<R> {
    _ends: Vec<R>,
}

impl<R> Way for Idle<R> {
    fn lead(&mut self, _: Burst) -> Result<Outcome> {
        Err("subscribers follow".into())
    }
}

/// Sends messages to and fro, each on the next of several channels in each direction.
fn passes<const N: usize>(
    place: &Place,
    slots: usize,
    channels: usize,
    touch: Touch,
) -> Result<Box<dyn Way>> {
    let ends = (0..channels).map(|channel| {
        let place = Place { leads: place.leads, name: format!("{}-{channel}", place.name) };
        let sender = |name: &str| shm::Publisher::<N>::with_seats(name, slots, 8, touch);
        place.both(sender, |name| shm::Subscriber::<N>::open(name, Wait::Polling, touch))
    });
    Ok(Box::new(Passes { ends: ends.collect::<Result<_>>()?, name: place.name.clone() }))
}

struct Passes<const N: usize> {
    ends: Vec<Two<shm::Publisher<N>, shm::Subscriber<N>>>,
    name: String,
}

impl<const N: usize> Way for Passes<N> {
    fn lead(&mut self, burst: Burst) -> Result<Outcome> {
        let (began, count) = (now(), self.ends.len() as u64);
        for number in burst.numbers() {
            let ends = &mut self.ends[(number % count) as usize];
            ends.send(number)?;
            check(ends.recv()?, number)?;
        }
        let ns = (now() - began) as f64 / burst.count as f64 / 2.0;
        Ok(Outcome::Value(ns, occupied(&self.name)?))
    }

    fn follow(&mut self, burst: Burst) -> Result<Ended> {
        let count = self.ends.len() as u64;
        for number in burst.numbers() {
            let ends = &mut self.ends[(number % count) as usize];
            check(ends.recv()?, number)?;
            ends.send(number)?;
        }
        Ok(Ended::now())
    }
}
