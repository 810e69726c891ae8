//! Steps of a subscriber that finds no message: liveness of the publishers, and attaching to a newer segment.
//!
//! Owns the steps from an empty position to `Empty`, `Disconnected` or another segment. Calls `segment` and
//! the parts of its subscriber. Never takes a message.
//!
//! # When nothing is there
//!
//! ```text
//!   nothing at my position
//!     ├─ a publisher's seat is taken, and its lock held ────────────────→ empty: wait
//!     └─ no publisher ─ poll once more: a message came meanwhile ───────→ receive it
//!          ├─ the name refers to a segment that continues this one ─────→ follow, at the same position
//!          ├─ the name refers to another segment that fits ─────────────→ follow, from its start
//!          └─ it does not, or does not fit: logged once, and stored ─────→ disconnected
//! ```
//!
//! The seat's word shows a clean leave at once. A crash shows only in the lock, which takes a system call. A message
//! that arrives during the call waits for it. So the subscriber makes it before every sleep, and after empty `try_recv`
//! calls about every [`PROBE_PERIOD`].

use super::RawSubscriber;
use super::{OPS, RecvError};
use crate::error::{Error, ErrorKind};
use crate::fault::fault_point;
use crate::layout::seat;
use crate::os::FileId;
use crate::plural::count;
use crate::ring::{NoMessage, Reader};
use crate::segment;
use crate::sync::Ordering;
use crate::wait::WaitFor;
use std::sync::OnceLock;

/// A segment that a subscriber cannot attach to.
pub(in crate::pubsub) struct Refused {
    successor: FileId,
    error: Error,
}

impl Refused {
    fn is_same(&self, successor: FileId, error: &Error) -> bool {
        self.successor == successor && self.error.kind() == error.kind()
    }
}

/// Nanoseconds between two liveness checks of the publisher by a subscriber that polls.
const PROBE_PERIOD: u64 = 1_000_000;

impl RawSubscriber {
    /// Returns an error for a ring without a message, or `Ok` if there is none yet.
    pub(in crate::pubsub) fn nothing(&mut self, missed: NoMessage) -> Result<(), RecvError> {
        match missed {
            NoMessage::Empty => self.empty(),
            NoMessage::Lagged(lost) => Err(self.lagged(lost)),
        }
    }

    /// Returns `true` if an empty fast path can be reported without a liveness check: a publisher is
    /// registered and no check is due. Counts the empty poll in that case.
    #[inline(always)]
    pub(in crate::pubsub) fn may_stay_empty(&mut self) -> bool {
        let empties = self.empties + 1;
        let may = empties < self.probe.next()
            && self.attachment.publisher_seated()
            && self.watched.get().is_none()
            && self.expect.is_none();
        if may {
            self.empties = empties;
        }
        may
    }

    /// Handles an empty ring: fails if no publisher is alive.
    pub(in crate::pubsub) fn empty(&mut self) -> Result<(), RecvError> {
        self.empties += 1;
        // Relaxed: only this end stores it.
        if self.attachment.seat_word(seat::POSITION).load(Ordering::Relaxed) != self.reader.position() {
            // The reader has skipped holes. Another process that loads the seat must not take them for
            // messages.
            self.moved();
        }
        let suspect = self.watched.get().is_some_and(|watched| watched.is_suspect());
        let is_due = self.probe.is_due(self.empties, PROBE_PERIOD);
        if suspect || is_due || !self.attachment.publisher_seated() {
            self.probe()?;
        }
        self.missed()
    }

    #[cold]
    fn probe(&mut self) -> Result<(), RecvError> {
        if self.publisher_alive() { Ok(()) } else { self.without_publisher() }
    }

    #[cold]
    fn lagged(&mut self, lost: u64) -> RecvError {
        self.add_count(seat::LOST, lost);
        self.moved();
        log::debug!(target: "shmcomm", "channel `{}`: {lost} lost", self.attachment.channel(), lost = count(lost, "message"));
        RecvError::Lagged(lost)
    }

    /// Follows to a newer segment or fails with `Disconnected`, when no publisher is alive.
    #[cold]
    pub(in crate::pubsub) fn without_publisher(&mut self) -> Result<(), RecvError> {
        // The last message may have been published after the ring was found empty.
        if self.reader.ready() || self.follow() {
            return Ok(());
        }
        if let Some(expect) = self.expect_mut() {
            expect.gone();
        }
        if let Some(watched) = self.watched.get() {
            watched.told(self.reader.position());
        }
        Err(RecvError::Disconnected)
    }

    /// Re-attaches if the channel name now refers to a different segment.
    pub(in crate::pubsub) fn follow(&mut self) -> bool {
        let Some(successor) = self.attachment.successor() else {
            self.refused = None;
            return false;
        };
        let spec = self.spec.clone();
        let mut grown = false;
        let next = segment::follow(&spec, OPS).and_then(|next| {
            if self.watched.get().is_some() {
                // The wait sets move to the new segment together with the subscriber, or the subscriber does
                // not move.
                next.observer()?;
            }
            grown = next.geometry().continues(self.attachment.geometry());
            Self::on(next, spec, grown, |region, geometry, bit| {
                let mut reader = Reader::from_start(region, geometry, bit);
                if grown {
                    reader.take_place_of(&self.reader);
                }
                // Otherwise every message in the new segment is new to this subscriber.
                Ok(reader)
            })
        });
        match next {
            Ok(mut next) => {
                fault_point!("sub.followed");
                let new = if grown { "larger" } else { "new" };
                log::info!(target: "shmcomm", "channel `{}`: followed to its {new} segment", self.attachment.channel());
                next.spec.connect_timeout = self.spec.connect_timeout;
                next.stop = core::mem::take(&mut self.stop);
                self.hand_counts_to(&next.attachment);
                if grown {
                    // The period goes on: the publisher is the same.
                    core::mem::swap(&mut next.expect, &mut self.expect);
                }
                if let Some(watched) = self.watched.take() {
                    if let Ok(observer) = next.attachment.observer() {
                        watched.moved(observer.clone());
                        watched.expect(next.due(), next.period());
                    }
                    next.watched = OnceLock::from(watched);
                }
                *self = next;
                if grown && let Some(credit) = &self.credit {
                    // The publisher may have waited for a subscriber in the old segment.
                    credit.room.notify();
                }
                true
            }
            Err(error) => {
                self.refuse_successor(successor, error);
                false
            }
        }
    }

    /// Stores the reason why the newest segment cannot be used. Logs it once for each segment and kind of
    /// reason. Each receive tries again, because another publisher may end or the system may have room again.
    fn refuse_successor(&mut self, successor: FileId, error: Error) {
        let known = self.refused.as_ref().is_some_and(|refused| refused.is_same(successor, &error));
        if !known && error.kind() != ErrorKind::NotFound {
            log::warn!(
                target: "shmcomm",
                "not followed: {error}; this subscriber receives nothing until a publisher of its own declaration \
                 is back"
            );
        }
        if let Some(watched) = self.watched.get() {
            watched.ignore(successor);
        }
        self.refused = Some(Box::new(Refused { successor, error }));
    }

    /// Returns the reason why the newest segment of the channel cannot be used.
    pub(in crate::pubsub) fn follow_error(&self) -> Option<&Error> {
        self.refused.as_ref().map(|refused| &refused.error)
    }
}
