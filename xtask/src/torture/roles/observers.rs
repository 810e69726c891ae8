//! Observers beside subscribers: an observer sees no torn message.
//!
//! Owns the observer of one life. Calls the library and `life`. Never takes a seat of the channel.

use crate::life::{Life, Wrong};
use shmcomm::{Observed, Observer, message};
use shmcomm_tests::Proof;

/// An observer of the channel, in some lives.
pub struct Sight(Option<Observer>);

impl Sight {
    /// Opens an observer in 30 % of the lives, if the channel exists.
    pub fn of(life: &mut Life) -> Self {
        let observes = life.random.percent(30);
        Sight(observes.then(|| Observer::open(&life.channel).ok()).flatten())
    }

    /// Checks the next messages, at most four. A segment with messages of another length is not checked.
    pub fn check<const W: usize>(&mut self) -> Result<(), Wrong> {
        let Some(observer) = &mut self.0 else { return Ok(()) };
        for _ in 0..4 {
            match observer.next() {
                Observed::Message(seen) => {
                    let Ok(proof) = message::read::<Proof<W>>(seen.bytes()) else { continue };
                    if !proof.is_whole() {
                        return Err(format!("an observer saw message {:#x} torn", proof.number).into());
                    }
                }
                Observed::Missed(_) => {}
                _ => break,
            }
        }
        Ok(())
    }
}
