//! [`QueueWatch`]: the view of a queue end for code that waits for it without using it.
//!
//! Owns a separate view of the ring, so it finds what the end would find. Calls `segment`, `ring` and
//! `wait`. Never takes a message, but recovers the slots of dead participants.

use crate::layout::control;
use crate::ring::queue::{Queue, StreamTicket, Ticket};
use crate::segment::ObserverMapping;
use crate::sync::{AtomicBool, Ordering};
use crate::wait::{EventCount, Watch, Word};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// The condition that a watch of a queue end waits for.
pub(crate) enum Awaited {
    /// A message, or a request, to take.
    Item,
    /// A free slot for a message.
    Room,
    /// The answer to this request. The wait lasts while the owner of the weak reference exists; the watch
    /// sets the flag when the answer is there.
    Reply(Ticket, Weak<AtomicBool>),
    /// The next reply of this stream, or its end. The wait lasts while the owner of the weak reference exists.
    Stream(StreamTicket, Weak<()>),
}

/// The watch of an end of a queue.
pub(crate) struct QueueWatch {
    observer: Arc<ObserverMapping>,
    queue: Mutex<Queue>,
    awaited: Awaited,
}

impl QueueWatch {
    pub(crate) fn new(observer: Arc<ObserverMapping>, awaited: Awaited) -> Self {
        let queue = Queue::new(observer.region(), observer.geometry(), observer.seat());
        QueueWatch { observer, queue: Mutex::new(queue), awaited }
    }
}

impl Watch for QueueWatch {
    fn poll_once(&self) -> bool {
        if self.observer.forked() {
            return true;
        }
        // The position that a poll reached is valid, however the poll ended.
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        match &self.awaited {
            Awaited::Item => queue.has_ready(),
            Awaited::Room => queue.has_capacity(),
            Awaited::Reply(ticket, call) => {
                let answered = queue.is_answered(ticket);
                if answered && let Some(seen) = call.upgrade() {
                    // Release pairs with the Acquire of the call, which then loads the word, too.
                    seen.store(true, Ordering::Release);
                }
                answered
            }
            Awaited::Stream(ticket, _) => queue.has_stream_news(ticket),
        }
    }

    fn housekeeping(&self) -> bool {
        if !self.observer.forked() {
            self.observer.recover_peers();
        }
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).force_scan_below();
        self.poll_once()
    }

    fn prepare_wait(&self) -> Option<Word> {
        let at = match self.awaited {
            Awaited::Item => control::ITEMS,
            Awaited::Room => control::ROOM,
            Awaited::Reply(..) | Awaited::Stream(..) => control::REPLIES,
        };
        (!self.observer.forked()).then(|| EventCount::new(self.observer.region(), at).prepare_wait())
    }

    fn max_sleep(&self) -> Duration {
        self.observer.max_sleep()
    }

    fn is_over(&self) -> bool {
        let answered = || match &self.awaited {
            Awaited::Reply(_, call) => call.strong_count() == 0,
            Awaited::Stream(_, replies) => replies.strong_count() == 0,
            Awaited::Item | Awaited::Room => false,
        };
        self.observer.has_ended() || answered()
    }
}
