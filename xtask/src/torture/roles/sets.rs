//! Ends that a wait set waits for.

use super::TURN;
use crate::life::{Life, Wrong, wrong};
use shmcomm::{WaitSet, Waitable};

/// The set of a process that waits in a set; `None` in another process.
pub struct Set(Option<WaitSet<()>>);

impl Set {
    pub fn of(life: &Life, end: &impl Waitable) -> Result<Self, Wrong> {
        life.sets
            .then(|| {
                let mut set = WaitSet::new();
                set.add((), end).map(|()| set)
            })
            .transpose()
            .map(Set)
            .map_err(|error| wrong("add to a set", error))
    }

    /// Waits for one turn until the end is ready. Returns `true` if it is, or without a set.
    pub fn wait(&mut self) -> Result<bool, Wrong> {
        let Some(set) = &mut self.0 else { return Ok(true) };
        let ready = set.wait_timeout(TURN).map_err(|error| wrong("wait in a set", error))?;
        Ok(!ready.is_empty())
    }
}
