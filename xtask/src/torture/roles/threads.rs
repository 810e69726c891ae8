//! Ends that are dropped in one thread while another thread waits on them.
//!
//! Owns the second thread of a process. It waits in sets, in their futexes or through the reactor, for ends
//! that the first thread drops. Such an end joins, recovers dead participants and leaves; it takes no
//! message.

use super::TURN;
use crate::life::{Life, Wrong, wrong};
use shmcomm::{Error, WaitSet, Waitable};
use std::panic::resume_unwind;
use std::sync::mpsc::{Sender, channel};
use std::thread::{Builder, JoinHandle};

/// The second thread of a process that has one; `None` in another process.
pub struct Threads(Option<Waiter>);

struct Waiter {
    sets: Option<Sender<WaitSet<()>>>,
    thread: Option<JoinHandle<()>>,
}

impl Threads {
    pub fn of(life: &Life) -> Result<Self, Wrong> {
        if !life.threads {
            return Ok(Threads(None));
        }
        let (sets, received) = channel::<WaitSet<()>>();
        let thread = Builder::new().name("waits".into()).spawn(move || {
            for mut set in received {
                // The outcome does not matter: the end may be dropped.
                let _ = set.wait_timeout(TURN / 4);
                let _ = set.wait_timeout(TURN / 4);
            }
        });
        let thread = thread.map_err(|error| wrong("start a thread", error))?;
        Ok(Threads(Some(Waiter { sets: Some(sets), thread: Some(thread) })))
    }

    /// Opens one more end in 3 of 100 calls, has the second thread wait on it, and drops it meanwhile. Runs `check`
    /// before the drop.
    pub fn visit<E: Waitable>(
        &mut self,
        life: &mut Life,
        open: impl FnOnce() -> Result<E, Error>,
        check: impl FnOnce(&E) -> Result<(), Wrong>,
    ) -> Result<(), Wrong> {
        let Some(waiter) = &mut self.0 else { return Ok(()) };
        if !life.random.percent(3) {
            return Ok(());
        }
        // The roles check why an end is refused.
        let Ok(end) = open() else { return Ok(()) };
        let mut set = WaitSet::new();
        set.add((), &end).map_err(|error| wrong("add to a set", error))?;
        if life.random.percent(50) {
            // From now on the reactor waits for the end.
            set.fd().map_err(|error| wrong("export a set", error))?;
            set.try_wait().map_err(|error| wrong("poll a set", error))?;
        }
        waiter.hand_over(set);
        let rest = life.random.magnitude(4000);
        life.rest(rest);
        check(&end)?;
        drop(end);
        Ok(())
    }
}

impl Waiter {
    fn hand_over(&mut self, set: WaitSet<()>) {
        if self.sets.as_ref().is_some_and(|sets| sets.send(set).is_err()) {
            // The second thread panicked at a fault point, so this thread panics too.
            self.end();
        }
    }

    fn end(&mut self) {
        self.sets = None;
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join)
            && !std::thread::panicking()
        {
            resume_unwind(panic);
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.end();
    }
}
