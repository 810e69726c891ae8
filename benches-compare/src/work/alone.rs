//! The cost of a call in one thread, with every line in its cache: one publisher beside several declared ones.

use crate::Result;
use crate::case::{Burst, Case, Entry, Figure, Outcome, Place, Target, Way, check, now};
use crate::peer::{Receiver, Sender, Touch, Wait, shm};

const SLOTS: usize = 64;

pub fn cases() -> Vec<Case> {
    let (one, several) = ("one publisher", "one of four publishers");
    let mut ways = Vec::new();
    for (name, publishers) in [(one, 1), (several, 4)] {
        for (call, sends) in [("send", true), ("receive", false)] {
            ways.push(Entry::new(format!("{call}, {name}"), 6400, move |place| {
                Alone::open(place, publishers, sends)
            }));
        }
    }
    let target = |call: &str| Target::at_most(&format!("{call}, {several}"), 1.5, &format!("{call}, {one}"));
    vec![Case {
        id: "alone-64".into(),
        title: "A call in one thread, 64 bytes".into(),
        figure: Figure::Cost,
        ways,
        targets: vec![target("send"), target("receive")],
    }]
}

/// Both ends in the leading process. The other process is idle.
struct Alone(Option<(shm::Publisher<8>, shm::Subscriber<8>)>, bool);

impl Alone {
    fn open(place: &Place, publishers: usize, sends: bool) -> Result<Box<dyn Way>> {
        let ends = if place.leads {
            let publisher = shm::Publisher::<8>::one_of(&place.name, SLOTS, publishers)?;
            Some((publisher, shm::Subscriber::<8>::open(&place.name, Wait::Polling, Touch::All)?))
        } else {
            None
        };
        Ok(Box::new(Alone(ends, sends)))
    }
}

impl Way for Alone {
    fn lead(&mut self, burst: Burst) -> Result<Outcome> {
        let (publisher, subscriber) = self.0.as_mut().ok_or("the leading process has both")?;
        let (mut took, batch, end) = ([0; 2], SLOTS as u64 / 2, burst.from + burst.count);
        for first in burst.numbers().step_by(SLOTS / 2) {
            let numbers = first..(first + batch).min(end);
            let began = now();
            for number in numbers.clone() {
                publisher.send(number)?;
            }
            let sent = now();
            for number in numbers {
                check(subscriber.recv()?, number)?;
            }
            took[0] += sent - began;
            took[1] += now() - sent;
        }
        Ok(Outcome::Took(took[usize::from(!self.1)]))
    }
}
