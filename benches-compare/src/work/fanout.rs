//! Publish/subscribe: what a call of `send` costs the publisher with so many subscribers, which are
//! there, and neither sleep nor read meanwhile.

use super::{Burst, Case, Entry, Figure, Outcome, Way, now};
use crate::Result;
use crate::peer::{Sender, Touch, Wait, bare, shm};
use crate::report::Target;

const N: usize = 8;
const SLOTS: usize = 64;
const BURST: u64 = 50_000;

pub fn cases() -> Vec<Case> {
    let mut ways = vec![Entry::new("slot ring", BURST, |place| {
        if !place.leads {
            return Ok(Box::new(Idle(())));
        }
        Ok(Box::new(Sends(Overwriting(bare::Ring::<N>::open(
            &place.name,
            SLOTS,
            Wait::Polling,
            Touch::All,
        )?))))
    })];
    ways.extend([0, 1, 16].map(|count| {
        Entry::new(format!("shmcomm, {count} subscribers"), BURST, move |place| {
            if place.leads {
                return Ok(Box::new(Sends(shm::Publisher::<N>::open(&place.name, SLOTS, Touch::All)?)));
            }
            let open = |_| shm::Subscriber::<N>::open(&place.name, Wait::Polling, Touch::All);
            Ok(Box::new(Idle((0..count).map(open).collect::<Result<Vec<_>>>()?)))
        })
    }));
    #[cfg(feature = "iceoryx2")]
    ways.extend([0, 1, 16].map(|count| {
        Entry::new(format!("iceoryx2, {count} subscribers"), BURST / 10, move |place| {
            use crate::peer::iceoryx::{Publisher, Subscriber};
            if place.leads {
                return Ok(Box::new(Sends(Publisher::<N>::open(&place.name, Touch::All, count)?)));
            }
            let open = |_| Subscriber::<N>::open(&place.name, Touch::All, count);
            Ok(Box::new(Idle((0..count).map(open).collect::<Result<Vec<_>>>()?)))
        })
    }));
    vec![Case {
        id: "fanout-64",
        title: "A call of `send`, 64 bytes, subscribers that neither sleep nor read",
        figure: Figure::Cost,
        ways,
        targets: vec![
            Target::at_most("shmcomm, 1 subscribers", 1.0, "slot ring"),
            Target::at_most("shmcomm, 16 subscribers", 1.1, "shmcomm, 1 subscribers"),
        ],
    }]
}

/// A ring whose sender looks at nobody.
struct Overwriting(bare::Ring<N>);

impl Sender for Overwriting {
    #[inline]
    fn send(&mut self, number: u64) -> Result<()> {
        self.0.put(number);
        Ok(())
    }
}

struct Sends<S>(S);

impl<S: Sender> Way for Sends<S> {
    fn lead(&mut self, burst: Burst) -> Result<Outcome> {
        let began = now();
        for number in burst.numbers() {
            self.0.send(number)?;
        }
        Ok(Outcome::Took(now() - began))
    }

    fn follow(&mut self, _: Burst) -> Result<u64> {
        Err("a sender leads".into())
    }
}

/// Keeps the subscribers.
struct Idle<S>(#[allow(dead_code, reason = "they only have to be there")] S);

impl<S> Way for Idle<S> {
    fn lead(&mut self, _: Burst) -> Result<Outcome> {
        Err("subscribers follow".into())
    }

    fn follow(&mut self, _: Burst) -> Result<u64> {
        Ok(now())
    }
}
