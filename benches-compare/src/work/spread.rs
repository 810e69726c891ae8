//! Publish/subscribe without loss to several subscribers at full speed: deliveries a second.
//!
//! The subscribers share the other process, which polls them in turn. A round of the figure is the messages of a
//! burst, so that the deliveries are that many times the subscribers.

use crate::Result;
use crate::case::{Burst, Case, Ended, Entry, Figure, Outcome, Place, Target, Way, check, now};
use crate::peer::{Receiver, Sender, Touch, Wait, bare, shm};

const SLOTS: usize = 1024;
const SUBSCRIBERS: [usize; 3] = [1, 4, 16];

pub fn cases() -> Vec<Case> {
    vec![of::<8>(48_000)]
}

fn of<const N: usize>(burst: u64) -> Case {
    let (mut ways, mut targets) = (Vec::new(), Vec::new());
    for count in SUBSCRIBERS {
        let name = |peer: &str| format!("{peer}, {count} subscribers");
        let burst = burst / count as u64;
        ways.push(Entry::new(name("slot ring"), burst, move |place| {
            let open = |name: &str| bare::Ring::<N>::open(name, SLOTS, Wait::Polling, Touch::All);
            let receiver = |name: &str, number| Ok(open(name)?.spread(number));
            ends(place, count, |name| Ok(open(name)?.spread(count - 1)), receiver)
        }));
        ways.push(Entry::new(name("shmcomm"), burst, move |place| {
            let receiver = |name: &str, _| shm::Subscriber::<N>::open(name, Wait::Polling, Touch::All);
            ends(place, count, |name| shm::Publisher::<N>::waiting(name, SLOTS), receiver)
        }));
        ways.iter_mut().filter(|way| way.x == 0.0).for_each(|way| way.x = count as f64);
        targets.push(Target::at_least(&name("shmcomm"), 0.8, &name("slot ring")));
    }
    Case {
        id: format!("spread-{}", 8 * N),
        title: format!("To several subscribers, {} bytes, lossless", 8 * N),
        figure: Figure::Throughput { bytes: 8 * N as u64 },
        ways,
        targets,
    }
}

fn ends<S: Sender + 'static, R: Receiver + 'static>(
    place: &Place,
    count: usize,
    sender: impl Fn(&str) -> Result<S>,
    receiver: impl Fn(&str, usize) -> Result<R>,
) -> Result<Box<dyn Way>> {
    Ok(if place.leads {
        Box::new(Sends(sender(&place.name)?))
    } else {
        let receivers = (0..count).map(|number| receiver(&place.name, number));
        Box::new(Receives(receivers.collect::<Result<_>>()?))
    })
}

struct Sends<S>(S);

impl<S: Sender> Way for Sends<S> {
    fn lead(&mut self, burst: Burst) -> Result<Outcome> {
        let began = now();
        for number in burst.numbers() {
            self.0.send(number)?;
        }
        Ok(Outcome::Began(began))
    }
}

struct Receives<R>(Vec<R>);

impl<R: Receiver> Way for Receives<R> {
    fn lead(&mut self, _: Burst) -> Result<Outcome> {
        Err("subscribers follow".into())
    }

    fn follow(&mut self, burst: Burst) -> Result<Ended> {
        for number in burst.numbers() {
            for receiver in &mut self.0 {
                check(receiver.recv()?, number)?;
            }
        }
        Ok(Ended::now())
    }
}
