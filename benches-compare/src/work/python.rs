//! Wire version 1: a publisher in Python, a subscriber in Rust, and the share of Rust in the latency.

use crate::Result;
use crate::case::{Burst, Case, Ended, Entry, Figure, Outcome, Target, Way, now};
use crate::peer::python::{Script, Venv};
use hdrhistogram::Histogram;
use shmcomm::codec::Pickle;
use shmcomm::python::{Options, Subscriber, TryRecvError};

/// Makes the cases; none without a Python that has shm-comm 1.0.0.
pub fn cases() -> Vec<Case> {
    let Some(venv) = Venv::get() else { return vec![] };
    vec![Case {
        id: "python-share".into(),
        title: "Subscriber in Rust, publisher in Python (wire version 1), one way, and Rust's share of it"
            .into(),
        figure: Figure::Share,
        ways: vec![Entry::new("shmcomm", 500, move |place| {
            Ok(if place.leads {
                Box::new(Publishes(Script::start(venv, place, "publish")?))
            } else {
                Box::new(Subscribes(Subscriber::open(Options::pubsub(place.name.clone()))?))
            })
        })],
        targets: vec![Target::figure("shmcomm", 10.0, 1.0, "%")],
    }]
}

struct Publishes(Script);

impl Way for Publishes {
    fn lead(&mut self, burst: Burst) -> Result<Outcome> {
        self.0.ask(burst)?;
        Ok(Outcome::Theirs)
    }
}

struct Subscribes(Subscriber<u64, Pickle>);

impl Way for Subscribes {
    fn lead(&mut self, _: Burst) -> Result<Outcome> {
        Err("a subscriber follows".into())
    }

    /// Times the receives. A message holds the time at which Python called `send`. The share of Rust is the
    /// call that received it; the time before is Python's, or idle.
    fn follow(&mut self, burst: Burst) -> Result<Ended> {
        let mut samples = Histogram::new(3)?;
        let mut shares = Vec::new();
        let (mut left, mut lost) = (burst.count, 0);
        while left > 0 {
            let called = now();
            let (sent, came) = match self.0.try_recv() {
                Ok(sent) => (sent, now()),
                Err(TryRecvError::Empty) => continue,
                // Another process had this processor for a while.
                Err(TryRecvError::Lagged(count)) => {
                    (left, lost) = (left.saturating_sub(count), lost + count);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            left -= 1;
            let way = came.saturating_sub(sent).max(1);
            samples.record(way)?;
            shares.push(100.0 * (came - called.max(sent)) as f64 / way as f64);
        }
        shares.sort_by(f64::total_cmp);
        let share = shares.get(shares.len() / 2).copied();
        Ok(Ended { lost, value: share, samples: Some(samples), ..Ended::now() })
    }
}
