//! [`QueueWatch`]: an end of a queue, as it looks to those who wait for it without using it.
//!
//! Owns a view of the ring of its own, so it finds what the end would find. Calls `segment`, `ring` and
//! `wait`. Never takes a message, but makes good what the dead left.

use crate::layout::control;
use crate::ring::queue::{Queue, Ticket};
use crate::segment::Witness;
use crate::sync::{AtomicBool, Ordering};
use crate::wait::{Event, Watch, Word};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// What an end of a queue can be waited for.
pub(crate) enum Awaited {
    /// A message, or a request, to take.
    Item,
    /// Room for one.
    Room,
    /// The answer to this request, as long as somebody has what the other one belongs to, which is told when the
    /// answer is there.
    Reply(Ticket, Weak<AtomicBool>),
}

/// Watches an end of a queue.
pub(crate) struct QueueWatch {
    witness: Arc<Witness>,
    queue: Mutex<Queue>,
    awaited: Awaited,
}

impl QueueWatch {
    pub(crate) fn new(witness: Arc<Witness>, awaited: Awaited) -> Self {
        let queue = Queue::new(witness.region(), witness.geometry(), witness.seat());
        QueueWatch { witness, queue: Mutex::new(queue), awaited }
    }
}

impl Watch for QueueWatch {
    fn look(&self) -> bool {
        if self.witness.forked() {
            return true;
        }
        // Where a look got to is true whatever ended it.
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        match &self.awaited {
            Awaited::Item => queue.has_ready(),
            Awaited::Room => queue.has_room(),
            Awaited::Reply(ticket, call) => {
                let answered = queue.is_answered(ticket);
                if answered && let Some(seen) = call.upgrade() {
                    // Release pairs with the Acquire of the call, which then looks at the word, too.
                    seen.store(true, Ordering::Release);
                }
                answered
            }
        }
    }

    fn idle(&self) -> bool {
        if !self.witness.forked() {
            self.witness.sweep();
        }
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).look_everywhere();
        self.look()
    }

    fn ask(&self) -> Option<Word> {
        let at = match self.awaited {
            Awaited::Item => control::ITEMS,
            Awaited::Room => control::ROOM,
            Awaited::Reply(..) => control::REPLIES,
        };
        (!self.witness.forked()).then(|| Event::new(self.witness.region(), at).ask())
    }

    fn slice(&self) -> Duration {
        self.witness.slice()
    }

    fn is_over(&self) -> bool {
        let answered = || matches!(&self.awaited, Awaited::Reply(_, call) if call.strong_count() == 0);
        self.witness.has_ended() || answered()
    }
}
