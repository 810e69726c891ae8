//! [`Trigger`]: the channel whose first message starts to write.
//!
//! Owns the observer of the channel, which may appear later. Calls `channels` to find it. Takes no seat.

use crate::channels;
use crate::common::Common;
use crate::failure::Failure;
use shmcomm::{Observed, Observer};

/// The channel of a trigger.
pub struct Trigger {
    name: String,
    observer: Option<Observer>,
    /// Problem that was shown last.
    shown: Option<String>,
}

impl Trigger {
    /// Observes the channel from its next message on. A channel that does not exist is observed from its first message on.
    pub fn open(common: &Common, name: &str) -> Result<Self, Failure> {
        let full = channels::full_name(common, name);
        let found = match channels::find(common, name) {
            Ok(segment) => Some(Observer::open(&channels::intact(segment)?.channel)?),
            // A wrong name is an error at once.
            Err(Failure::NotFound(_)) => match Observer::open(&full) {
                Err(error) if error.kind() != shmcomm::ErrorKind::NotFound => return Err(error.into()),
                _ => None,
            },
            Err(error) => return Err(error),
        };
        if found.is_none() {
            eprintln!("shmcomm: waits for the channel `{full}` of the trigger");
        }
        Ok(Trigger { name: full, observer: found, shown: None })
    }

    /// Returns `true` if a message came.
    pub fn came(&mut self) -> bool {
        if self.observer.is_none() {
            match Observer::open(&self.name) {
                Ok(mut observer) => {
                    observer.seek_start();
                    self.observer = Some(observer);
                }
                Err(error) if error.kind() == shmcomm::ErrorKind::NotFound => {}
                Err(error) => self.show(error.to_string()),
            }
        }
        let Some(observer) = &mut self.observer else { return false };
        loop {
            match observer.next() {
                Observed::Message(_) | Observed::Missed(_) => return true,
                Observed::Empty => break,
                _ => {}
            }
        }
        if let Some(why) = observer.follow_error().map(ToString::to_string) {
            self.show(why);
        }
        false
    }

    /// Shows a problem once.
    fn show(&mut self, why: String) {
        if self.shown.as_ref() != Some(&why) {
            eprintln!("shmcomm: the trigger cannot be observed now: {why}");
            self.shown = Some(why);
        }
    }
}
