//! A subscriber that finds nothing: whether that is all, and where to look next.
//!
//! Owns the way from "nothing at my position" to `Empty`, `Disconnected` or another segment. Calls `segment`
//! and what its subscriber has. Never takes a message.
//!
//! # When nothing is there
//!
//! ```text
//!   nothing at my position
//!     ├─ a publisher's seat is taken, and its lock held ────────────────→ empty: wait
//!     └─ nobody publishes ─ look once more: something came meanwhile ───→ receive it
//!          ├─ the name leads to another segment that fits ──────────────→ follow, from its start
//!          └─ it does not ──────────────────────────────────────────────→ disconnected
//! ```
//!
//! The seat's word tells a clean leave at once. A crash shows only in the lock, which takes a system
//! call: it is made before every sleep, and at every [`PROBE`]th empty `try_recv`.

use super::{KEEPER, RecvError, Source};
use crate::fault::fault_point;
use crate::layout::seat;
use crate::ring::{Missed, Reader};
use crate::segment;
use crate::sync::Ordering;
use crate::wait::Await;
use std::sync::OnceLock;
use std::time::Duration;

/// So many empty looks of `try_recv` in a row come before the next question to the kernel.
const PROBE: u32 = 256;

impl Source {
    /// Why the ring had nothing: an error, or `Ok` if there is nothing yet.
    pub(super) fn nothing(&mut self, missed: Missed) -> Result<(), RecvError> {
        match missed {
            Missed::Empty => self.empty(),
            Missed::Lagged(lost) => Err(self.lagged(lost)),
        }
    }

    /// Whether nothing at the first look is no news: there is a publisher, and no reason to ask further. Then it
    /// is counted.
    #[inline(always)]
    pub(super) fn may_stay_empty(&mut self) -> bool {
        let empties = self.empties.wrapping_add(1);
        let may = !empties.is_multiple_of(PROBE)
            && self.attachment.publisher_seated()
            && self.watched.get().is_none()
            && self.terms.as_ref().is_none_or(|terms| terms.expect.is_none());
        if may {
            self.empties = empties;
        }
        may
    }

    /// The ring is empty: an error if nobody publishes.
    pub(super) fn empty(&mut self) -> Result<(), RecvError> {
        self.empties = self.empties.wrapping_add(1);
        // Relaxed: this end alone writes it.
        if self.attachment.seat_word(seat::POSITION).load(Ordering::Relaxed) != self.reader.position() {
            // It has passed holes, which nobody who looks at the seat is to take for messages.
            self.moved();
        }
        let suspect = self.watched.get().is_some_and(|watched| watched.is_suspect());
        if suspect || self.empties.is_multiple_of(PROBE) || !self.attachment.publisher_seated() {
            self.probe()?;
        }
        if self.terms.is_some() { self.missed().map_or(Ok(()), Err) } else { Ok(()) }
    }

    #[cold]
    fn probe(&mut self) -> Result<(), RecvError> {
        if self.publisher_alive() { Ok(()) } else { self.without_publisher() }
    }

    #[cold]
    fn lagged(&mut self, lost: u64) -> RecvError {
        self.counts.lost += lost;
        self.attachment.seat_word(seat::LOST).store(self.counts.lost, Ordering::Relaxed);
        self.moved();
        log::debug!(target: "shmcomm", "channel `{}`: {lost} messages lost", self.attachment.channel());
        RecvError::Lagged(lost)
    }

    /// What there is to do when nobody publishes.
    #[cold]
    pub(super) fn without_publisher(&mut self) -> Result<(), RecvError> {
        // What was published last may have come after the ring was found empty.
        if self.reader.ready() || self.follow() {
            return Ok(());
        }
        if let Some(watched) = self.watched.get() {
            watched.told(self.reader.position());
        }
        Err(RecvError::Disconnected)
    }

    /// Goes over to the segment that has the name now, if it is another one.
    pub(super) fn follow(&mut self) -> bool {
        if self.attachment.name_refers_here() {
            return false;
        }
        let mut spec = self.spec.clone();
        spec.connect_timeout = Duration::ZERO;
        // Everything in the new segment is new to this subscriber.
        let next = segment::subscribe(&spec, KEEPER).and_then(|next| {
            if self.watched.get().is_some() {
                // Whoever watches goes over too, or nobody does.
                next.witness()?;
            }
            Self::on(next, spec, |region, geometry, bit| Ok(Reader::from_start(region, geometry, bit)))
        });
        match next {
            Ok(mut next) => {
                fault_point!("sub.followed");
                log::info!(target: "shmcomm", "channel `{}`: followed to its new segment", self.attachment.channel());
                next.spec.connect_timeout = self.spec.connect_timeout;
                next.counts = self.counts;
                next.took_over();
                if let Some(watched) = self.watched.take() {
                    if let Ok(witness) = next.attachment.witness() {
                        watched.moved(witness.clone());
                        watched.expect(next.due());
                    }
                    next.watched = OnceLock::from(watched);
                }
                *self = next;
                true
            }
            Err(error) => {
                log::debug!(target: "shmcomm", "not followed: {error}");
                false
            }
        }
    }

    /// Shows the counts of former segments in the new seat.
    fn took_over(&self) {
        for (at, count) in [
            (seat::MESSAGES, self.counts.received),
            (seat::BYTES, self.counts.bytes),
            (seat::LOST, self.counts.lost),
            (seat::SKIPPED, self.counts.skipped),
            (seat::INVALID, self.counts.invalid),
        ] {
            self.attachment.seat_word(at).store(count, Ordering::Relaxed);
        }
    }
}
