//! Publish/subscribe: cost of a `send` for the publisher while several subscribers poll.
//!
//! The subscribers share the other process, which polls them in turn. The publisher sends half a ring, times
//! that, and waits until all subscribers have it. Nothing is therefore overwritten, and the subscribers are
//! ready when the next half comes.

use crate::Result;
use crate::case::{
    Burst, Case, Ended, Entry, Figure, Outcome, Place, Target, Way, check, now, size, spelled,
};
use crate::peer::{Receiver, Sender, Touch, Wait, bare, shm};

pub const SLOTS: usize = 64;
const SUBSCRIBERS: [usize; 3] = [1, 4, 16];

pub fn cases() -> Vec<Case> {
    // The larger ring has room for the blocks that the subscribers hold, and some more.
    vec![of::<8>(6_400, SLOTS), of::<8192>(160, 32)]
}

fn of<const N: usize>(burst: u64, slots: usize) -> Case {
    let batch = slots as u64 / 2;
    let mut ways = Vec::new();
    for count in SUBSCRIBERS {
        let name = |peer: &str| format!("{peer}, {count} subscribers");
        ways.push(Entry::new(name("slot ring"), burst, move |place| {
            let open = |name: &str| bare::Ring::<N>::open(name, slots, Wait::Polling, Touch::All);
            ends(place, batch, count, |name| Ok(bare::Overwriting(open(name)?)), open)
        }));
        ways.push(Entry::new(name("shmcomm"), burst, move |place| {
            let subscriber = |name: &str| shm::Subscriber::<N>::open(name, Wait::Polling, Touch::All);
            let publisher = |name: &str| shm::Publisher::<N>::open(name, slots, Touch::All);
            ends(place, batch, count, publisher, subscriber)
        }));
        #[cfg(feature = "iceoryx2")]
        ways.push(Entry::new(name("iceoryx2"), burst / 4, move |place| {
            use crate::peer::iceoryx::{Publisher, Settings, Subscriber};
            let settings = Settings { subscribers: count, ..Settings::overflowing(slots) };
            let publisher = |name: &str| Publisher::<N>::open(name, Touch::All, settings);
            ends(place, batch, count, publisher, |name| Subscriber::<N>::open(name, Touch::All, settings))
        }));
        ways.iter_mut().filter(|way| way.x == 0.0).for_each(|way| way.x = count as f64);
    }
    let on = |peer: &str, count: usize| format!("{peer}, {count} subscribers");
    let mut targets: Vec<_> =
        SUBSCRIBERS.map(|count| Target::at_most(&on("shmcomm", count), 1.0, &on("slot ring", count))).into();
    targets.push(Target::at_most(&on("shmcomm", 16), 1.1, &on("shmcomm", 1)));
    Case {
        id: format!("fanout-{}", size(8 * N)),
        title: format!("A call of `send`, {}, to subscribers that poll", spelled(8 * N)),
        figure: Figure::Cost,
        ways,
        targets,
    }
}

/// Opens a publisher, or `count` subscribers. A line reports that the last subscriber has everything.
fn ends<S: Sender + 'static, R: Receiver + 'static>(
    place: &Place,
    batch: u64,
    count: usize,
    sender: impl Fn(&str) -> Result<S>,
    receiver: impl Fn(&str) -> Result<R>,
) -> Result<Box<dyn Way>> {
    let line = bare::Line::open(&Place { leads: place.leads, name: format!("{}-line", place.name) })?;
    Ok(if place.leads {
        Box::new(Sends { sender: sender(&place.name)?, line, batch })
    } else {
        let receivers = (0..count).map(|_| receiver(&place.name)).collect::<Result<_>>()?;
        Box::new(Receives { receivers, line, batch })
    })
}

struct Sends<S> {
    sender: S,
    line: bare::Line,
    batch: u64,
}

impl<S: Sender> Way for Sends<S> {
    fn lead(&mut self, burst: Burst) -> Result<Outcome> {
        let (mut took, mut next, end) = (0, burst.from, burst.from + burst.count);
        while next < end {
            let last = (next + self.batch).min(end);
            let began = now();
            for number in next..last {
                self.sender.send(number)?;
            }
            took += now() - began;
            check(self.line.recv()?, last)?;
            next = last;
        }
        Ok(Outcome::Took(took))
    }
}

struct Receives<R> {
    receivers: Vec<R>,
    line: bare::Line,
    batch: u64,
}

impl<R: Receiver> Way for Receives<R> {
    fn lead(&mut self, _: Burst) -> Result<Outcome> {
        Err("subscribers follow".into())
    }

    fn follow(&mut self, burst: Burst) -> Result<Ended> {
        let (mut next, end) = (burst.from, burst.from + burst.count);
        while next < end {
            let last = (next + self.batch).min(end);
            for number in next..last {
                check(self.receivers.recv()?, number)?;
            }
            self.line.send(last)?;
            next = last;
        }
        Ok(Ended::now())
    }
}
