//! [`RawPublisher`]: a publisher without the type of its messages.
//!
//! Owns the order of the steps of a send: fork check, credit, ring, wake. Calls `segment` for the seat, `ring`
//! for the slots, `wait` for sleepers. Flow control for `overflow: Wait` is in `backpressure`. Never
//! interprets a message.

mod backpressure;
mod growth;
mod pace;

use super::buffer::Buffer;
use super::capacity::CapacityWatch;
use super::loan::{self, Claimed, Notifier};
use super::{OPS, PublisherId, SendError};
use crate::check_pace::CheckPace;
use crate::codec::EncodeError;
use crate::error::Error;
use crate::layout::{control, seat};
use crate::os;
use crate::plural::count;
use crate::ring::{Corrupt, Sender, StableBytesMut, StagingBuffer, Storage, Writer, flow_control};
use crate::segment::{self, Attachment, NAME_PERIOD, Role, Spec};
use crate::stats::{self, Stats};
use crate::sync::Ordering;
use crate::wait::{Deadline, EventCount, Stop};
use backpressure::{Attempts, Backpressure};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

pub(crate) struct RawPublisher {
    pub(super) attachment: Attachment,
    pub(super) writer: Writer,
    items: EventCount,
    /// State for flow control; `Some` on a channel with `overflow: Wait`.
    pub(super) backpressure: Option<Backpressure>,
    /// Number of skipped slots at the last recovery of dead subscribers.
    passed: u64,
    /// Memory in which a loan is built on a ring that copies, and an encoded message if the slots grow.
    staging: Buffer,
    pub(super) stop: Stop,
    name_check: CheckPace,
    /// The declaration, on a channel whose slots grow.
    spec: Option<Box<Spec>>,
    /// State that wait sets poll, once the publisher is in one.
    watched: OnceLock<Arc<CapacityWatch>>,
}

fn sender(attachment: &Attachment) -> Sender {
    // Relaxed: this participant's own word.
    let joined = attachment.seat_word(seat::JOINED).load(Ordering::Relaxed) as i64;
    Sender { seat: attachment.seat(), pid: os::pid(), joined }
}

fn writer(attachment: &Attachment) -> Result<Writer, Corrupt> {
    Writer::new(attachment.region(), attachment.geometry(), sender(attachment))
}

impl RawPublisher {
    /// Creates the channel's segment, or continues in the existing segment.
    pub(crate) fn open(spec: Spec) -> Result<Self, Error> {
        let mut attachment = segment::publish(&spec, OPS)?;
        let mut opened = writer(&attachment);
        // A damaged segment cannot be replaced while other publishers send to it.
        if let Err(why) = &opened
            && attachment.count_alive(Role::Publisher) == 1
        {
            log::warn!(
                target: "shmcomm",
                "channel `{}`: its slots are damaged ({why}); the segment is replaced",
                attachment.channel()
            );
            drop(attachment);
            segment::remove_by_force(&spec)?;
            attachment = segment::publish(&spec, OPS)?;
            opened = writer(&attachment);
        }
        let writer = opened.map_err(|why| attachment.damaged(why))?;
        if !attachment.geometry().discipline.shared() {
            // The counts of a sole publisher are those of the channel, minus the counts before it.
            let before = attachment.sent();
            for (at, count) in [(seat::MESSAGES, before.messages), (seat::BYTES, before.bytes)] {
                // Relaxed: statistics for other processes.
                attachment.seat_word(at).store(count, Ordering::Relaxed);
            }
        }
        let (positions, unfinished) = writer.found();
        if positions > 0 {
            log::info!(
                target: "shmcomm",
                "channel `{}`: continuing after {}; {unfinished} left unfinished",
                attachment.channel(),
                count(writer.messages(), "message"));
        }
        let stop = Stop::given(spec.stop.as_ref());
        let grows = attachment.geometry().growth.is_some();
        let keeps_laps = spec.history > 0 || grows || attachment.publisher_waits();
        let mut publisher = Self::on(attachment, writer, stop, grows.then(|| Box::new(spec)));
        if !keeps_laps {
            publisher.allow_short_laps();
        }
        // Subscribers that slept while no publisher was alive wake and find this one.
        publisher.items.wake_all();
        Ok(publisher)
    }

    /// Returns the publisher that has its seat in a segment.
    fn on(attachment: Attachment, mut writer: Writer, stop: Stop, spec: Option<Box<Spec>>) -> Self {
        let geometry = attachment.geometry();
        let staging = if geometry.discipline.pins() && spec.is_none() {
            Buffer::new(0, 1)
        } else {
            Buffer::new(geometry.slot_size as usize, geometry.align as usize)
        };
        let items = EventCount::new(attachment.region(), control::ITEMS);
        let passed = writer.passed();
        let backpressure = attachment.publisher_waits().then(|| Backpressure::new(&attachment));
        if backpressure.is_some() {
            // The first message scans the seats: the last publisher may have left many subscribers behind.
            writer.set_limit(0);
        }
        let name_check = CheckPace::new(0);
        writer.set_checkpoint(name_check.next());
        let watched = OnceLock::new();
        RawPublisher {
            attachment,
            writer,
            items,
            backpressure,
            passed,
            staging,
            stop,
            name_check,
            spec,
            watched,
        }
    }

    /// Lets large messages use the last slots again while the subscribers keep up.
    fn allow_short_laps(&mut self) {
        if let Writer::Broadcast(writer) = &mut self.writer {
            let (region, geometry) = (self.attachment.region(), *self.attachment.geometry());
            let followed = move |next| flow_control::all_have_reached(region, &geometry, next);
            writer.allow_short_laps(&geometry, os::monotonic, Box::new(followed));
        }
    }

    /// Returns the state that a wait set polls.
    pub(super) fn watched(&self) -> Result<&Arc<CapacityWatch>, Error> {
        if let Some(watched) = self.watched.get() {
            return Ok(watched);
        }
        let made = Arc::new(CapacityWatch::new(self.attachment.observer()?.clone()));
        Ok(self.watched.get_or_init(|| made))
    }

    /// Returns the identity of this publisher.
    pub(crate) fn id(&self) -> PublisherId {
        let sender = if self.attachment.forked() { Sender::default() } else { sender(&self.attachment) };
        PublisherId::new(sender)
    }

    pub(crate) fn stats(&self) -> Stats {
        stats::read(&self.attachment)
    }

    /// Returns the number of bytes that a slot holds.
    #[inline]
    pub(crate) fn capacity(&self) -> usize {
        self.attachment.geometry().slot_size as usize
    }

    /// Returns the number of live subscribers that receive every message from now on. With
    /// `overflow: Wait`, counts the subscribers for which the publisher waits.
    pub(crate) fn subscribers(&self) -> usize {
        let counts =
            if self.backpressure.is_some() { flow_control::is_gating } else { flow_control::has_joined };
        let earlier = self.backpressure.as_ref().filter(|_| !self.attachment.forked());
        let earlier = earlier.map_or(0, Backpressure::gating_earlier);
        earlier
            + self.attachment.count_alive_where(Role::Subscriber, |seat| {
                // Acquire: pairs with [enter]. The messages that this publisher sends next come after the start
                // of that subscriber.
                counts(self.attachment.region().u64(seat + seat::FLOW).load(Ordering::Acquire))
            })
    }

    /// Waits until there are `count` subscribers. Returns `false` after `timeout` and after a stop.
    pub(crate) fn wait_for_subscribers(&self, count: usize, timeout: Duration) -> bool {
        let until = Instant::now().checked_add(timeout);
        loop {
            if self.subscribers() >= count {
                return true;
            }
            if self.stop.is_stopped() || until.is_some_and(|until| Instant::now() >= until) {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Sends if the send is only a copy into the next slot, and no check of the name is due. Returns `false`, and does
    /// nothing, otherwise.
    #[inline(always)]
    pub(crate) fn send_fast(&mut self, bytes: &[u8]) -> bool {
        if !self.may_continue() {
            return false;
        }
        // One of several publishers has no checkpoint: the others move its position. Checked before the message is
        // stored, because the compiler then tests the kind of the ring once.
        if matches!(self.writer, Writer::Multi(..)) {
            self.keep_name();
        }
        let sent = self.writer.send_fast(bytes);
        if sent {
            loan::sent(&self.items, &self.attachment, bytes.len());
        }
        sent
    }

    /// Sends a message, waiting for room if there is a deadline. Returns `false` if there was no room.
    #[inline(never)]
    pub(crate) fn send(&mut self, bytes: &[u8], deadline: Option<Deadline>) -> Result<bool, SendError> {
        if !self.ensure_room(deadline)? {
            return Ok(false);
        }
        let mut attempts = Attempts::new(deadline);
        while self.writer.send(bytes).is_err() {
            if !self.reclaim_or_wait(deadline)? || attempts.are_over() {
                return Ok(false);
            }
        }
        loan::sent(&self.items, &self.attachment, bytes.len());
        self.keep_name();
        self.recover_if_skipped();
        Ok(true)
    }

    /// Sends the message that `write` writes into the slot, or into the buffer that is copied into it. Waits
    /// for room if there is a deadline. Returns `false` if there was no room. `size` returns the number of bytes
    /// of the message, if it is known; it is called only if the slots grow.
    pub(crate) fn send_with(
        &mut self,
        deadline: Option<Deadline>,
        size: impl FnOnce() -> Option<usize>,
        write: impl Fn(&mut [u8]) -> Result<usize, EncodeError>,
    ) -> Result<bool, SendError> {
        if self.spec.is_some() {
            match size() {
                Some(size) => self.make_fit(size)?,
                None => return self.send_fitting(deadline, write),
            }
        }
        let Some((mut claimed, notifier)) = self.try_claim(deadline)? else { return Ok(false) };
        let len = write(claimed.bytes_mut())?;
        loan::send(claimed, len, notifier).map(|()| true)
    }

    /// Checks that the channel's name still refers to this segment, if a check is due.
    #[inline(always)]
    fn keep_name(&mut self) {
        let position = self.writer.next_position();
        if position >= self.name_check.next() {
            self.check_name(position);
        }
    }

    #[cold]
    fn check_name(&mut self, position: u64) {
        if self.name_check.is_due(position, NAME_PERIOD) {
            self.attachment.keep_name();
        }
        // The fast paths make no check of earlier segments.
        let behind = self.backpressure.as_ref().is_some_and(Backpressure::is_behind);
        self.writer.set_checkpoint(if behind { 0 } else { self.name_check.next() });
    }

    /// Recovers dead subscribers if the publisher skipped a pinned slot, because the subscriber that pins it
    /// may be dead.
    #[inline]
    fn recover_if_skipped(&mut self) {
        if self.writer.passed() != self.passed {
            self.recover_dead();
        }
    }

    #[cold]
    fn recover_dead(&mut self) {
        self.passed = self.writer.passed();
        self.attachment.recover_dead();
    }

    /// Every available slot is pinned. Reclaims the slots of dead subscribers. If that frees none, waits for
    /// credit until `deadline`, on a channel with `overflow: Wait`. Returns `false` at the deadline.
    #[cold]
    fn reclaim_or_wait(&mut self, deadline: Option<Deadline>) -> Result<bool, SendError> {
        if self.attachment.recover_dead() > 0 { Ok(true) } else { self.wait_for_credit(deadline) }
    }

    #[inline(always)]
    pub(crate) fn claim(&mut self) -> Result<(Claimed<'_>, Notifier<'_>), SendError> {
        // `Deadline::Never` cannot have passed.
        self.try_claim(Some(Deadline::Never))?.ok_or(SendError::AllSlotsHeld)
    }

    /// Claims room for a message, waiting for it if there is a deadline. Returns `None` if there was no room.
    //
    // Only the fast path of a message that is built in its slot is inlined.
    #[inline(always)]
    pub(crate) fn try_claim(
        &mut self,
        deadline: Option<Deadline>,
    ) -> Result<Option<(Claimed<'_>, Notifier<'_>)>, SendError> {
        let claimed = if self.may_continue() && self.writer.claim_fast() {
            Storage::Slot(self.writer.claim())
        } else if self.writer.is_pinned() {
            if !self.claim_slow(deadline)? {
                return Ok(None);
            }
            Storage::Slot(self.writer.claim())
        } else {
            self.keep_name();
            if !self.ensure_room(deadline)? {
                return Ok(None);
            }
            Storage::Private(StagingBuffer::new(self.staging.bytes_mut(), &mut self.writer))
        };
        Ok(Some((claimed, Notifier { items: &self.items, attachment: &self.attachment })))
    }

    /// Makes the slow path of a claim. Returns `false` if there was no room.
    //
    // Not cold: a publisher of several has no other.
    #[inline(never)]
    fn claim_slow(&mut self, deadline: Option<Deadline>) -> Result<bool, SendError> {
        self.keep_name();
        if !self.ensure_room(deadline)? {
            return Ok(false);
        }
        let mut attempts = Attempts::new(deadline);
        while self.writer.try_claim().is_err() {
            if !self.reclaim_or_wait(deadline)? || !self.ensure_room(deadline)? || attempts.are_over() {
                return Ok(false);
            }
        }
        self.recover_if_skipped();
        Ok(true)
    }
}
