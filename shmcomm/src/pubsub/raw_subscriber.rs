//! [`RawSubscriber`]: a subscriber without the type of its messages.
//!
//! Owns the seat and the position in the ring. The counts are in `counts`, the steps after an empty poll in `disconnect`,
//! those of the deadline monitor in `deadline`. Calls `segment`, `ring` and `wait`. Never interprets a message.

mod conversion;
mod counts;
mod deadline;
mod disconnect;

use super::buffer::Buffer;
use super::sample::Received;
use super::watch::Watched;
use super::{OPS, PublisherId, RecvError};
use crate::check_pace::CheckPace;
use crate::error::Error;
use crate::layout::{Geometry, Region, control, seat};
use crate::message::Invalid;
use crate::ring::{AcquiredToken, Corrupt, FastPath, ForkGuard, NoMessage, Reader, Storage, flow_control};
use crate::segment::{self, Attachment, Spec};
use crate::sync::Ordering;
use crate::wait::{self, Deadline, EventCount, Seated, SleepBackoff, Stop, WaitFor};
use conversion::Conversion;
use core::mem::MaybeUninit;
pub(super) use counts::Refusal;
use deadline::{Credit, Monitor};
use disconnect::Refused;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub(crate) struct RawSubscriber {
    pub(super) attachment: Attachment,
    pub(super) reader: Reader,
    items: EventCount,
    backoff: SleepBackoff,
    /// Private buffer in which messages are read in place, on a ring that copies, and while a pin is lent.
    pub(super) buffer: Buffer,
    pub(super) spec: Spec,
    /// Polls that found no message, since the subscriber is in this segment.
    pub(super) empties: u64,
    /// The next liveness check of the publisher after an empty poll.
    pub(super) probe: CheckPace,
    /// Share of the window, on a channel with `overflow: Wait`.
    pub(super) credit: Option<Credit>,
    /// Deadline monitor, for a subscriber that expects messages at regular times.
    pub(super) expect: Option<Box<Monitor>>,
    /// State that wait sets poll, once the subscriber is in one.
    pub(super) watched: OnceLock<Arc<Watched>>,
    pub(super) stop: Stop,
    /// The newest segment of the channel, if the subscriber cannot attach to it.
    pub(super) refused: Option<Box<Refused>>,
    /// Conversion of the messages, if the segment has another layout than this subscriber.
    pub(super) conversion: Option<Box<Conversion>>,
}

/// A message that was acquired and not read yet.
pub(super) struct Acquired {
    pub(super) len: usize,
    /// The pin of the slot, in a pinned ring.
    pub(super) acquired: Option<AcquiredToken>,
    /// `false` if the message was counted before.
    pub(super) counted: bool,
}

impl RawSubscriber {
    pub(super) fn open(spec: Spec) -> Result<Self, Error> {
        let history = spec.history;
        let mut raw = loop {
            let attachment = segment::subscribe(&spec, OPS)?;
            let join = |region, geometry: &_, bit| Reader::join(region, geometry, bit, history);
            let raw = Self::on(attachment, spec.clone(), false, join)?;
            // A publisher whose slots grew meanwhile may have scanned the old segment before this subscriber was active
            // there.
            if !raw.attachment.geometry().growth.is_some() || !raw.attachment.is_superseded() {
                break raw;
            }
        };
        if !raw.publisher_alive() {
            raw.wait_for_publisher(Deadline::after(raw.spec.connect_timeout));
        }
        Ok(raw)
    }

    pub(super) fn on(
        attachment: Attachment,
        spec: Spec,
        grown: bool,
        join: impl FnOnce(Region, &Geometry, u32) -> Result<Reader, Corrupt>,
    ) -> Result<Self, Error> {
        let region = attachment.region();
        let geometry = attachment.geometry();
        let start = || join(region, geometry, attachment.seat() - geometry.publishers);
        let mut credit = None;
        let expect = spec.expect_every.and_then(Monitor::new).map(Box::new);
        let reader = if attachment.publisher_waits() {
            let asked = flow_control::FlowTerms {
                patience: u64::try_from(spec.patience.as_nanos()).unwrap_or(u64::MAX),
                // A subscriber that follows a publisher whose slots grew starts at most a lap before the head.
                history: spec.history > 0 || grown,
            };
            flow_control::join(region, geometry, attachment.seat_offset(), asked, start).map(
                |(reader, share)| {
                    credit = Some(Credit { share, room: EventCount::new(region, control::ROOM) });
                    reader
                },
            )
        } else {
            start()
        };
        let reader = reader.map_err(|why| attachment.damaged(why))?;
        let buffer = if geometry.discipline.pins() {
            Buffer::new(0, 1)
        } else {
            Buffer::new(geometry.slot_size as usize, geometry.align as usize)
        };
        // Relaxed: a statistic; on a channel with flow control the window has stored it with its ordering.
        attachment.seat_word(seat::POSITION).store(reader.position(), Ordering::Relaxed);
        if credit.is_none() {
            flow_control::join_as_observer(region, attachment.seat_offset());
        }
        let items = EventCount::new(region, control::ITEMS);
        let backoff = SleepBackoff::new();
        let (watched, stop) = (OnceLock::new(), Stop::given(spec.stop.as_ref()));
        let mut raw = RawSubscriber {
            attachment,
            reader,
            items,
            backoff,
            buffer,
            spec,
            empties: 0,
            probe: CheckPace::new(0),
            credit,
            expect,
            watched,
            stop,
            refused: None,
            conversion: None,
        };
        raw.resolve();
        if raw.expect.is_some() {
            raw.reader.leave_fast_path();
        }
        Ok(raw)
    }

    pub(super) fn attachment(&self) -> &Attachment {
        &self.attachment
    }

    /// Returns the state that a wait set polls.
    pub(super) fn watched(&self) -> Result<&Arc<Watched>, Error> {
        if let Some(watched) = self.watched.get() {
            return Ok(watched);
        }
        let made = Arc::new(Watched::new(self.attachment.observer()?.clone()));
        made.expect(self.due(), self.period());
        if self.expect().is_some_and(Monitor::is_absent) {
            made.told(self.reader.position());
        }
        Ok(self.watched.get_or_init(|| made))
    }

    pub(super) fn stop(&self) -> &Stop {
        &self.stop
    }

    pub(super) fn lag(&self) -> u64 {
        if self.attachment.forked() { 0 } else { self.reader.lag() }
    }

    pub(super) fn publisher_alive(&self) -> bool {
        !self.attachment.forked() && self.attachment.publisher_alive()
    }

    /// Returns the publisher of the message that was received last.
    #[inline]
    pub(super) fn publisher(&self) -> Option<PublisherId> {
        self.reader.sender().filter(|_| self.counted(seat::MESSAGES) > 0).map(PublisherId::new)
    }

    /// Copies the next message to `landing` in the common case: it has that length, and no error must be
    /// reported before it. Returns `Empty` if there is no new message. [`RawSubscriber::read`] handles every other
    /// case.
    #[inline(always)]
    pub(super) fn receive_fast<'l>(&mut self, landing: &'l mut [MaybeUninit<u8>]) -> FastPath<&'l mut [u8]> {
        if self.attachment.forked() {
            return FastPath::Slow;
        }
        match self.reader.receive_fast(landing) {
            FastPath::Ready((bytes, position)) => {
                // A subscriber that expects messages takes the slow path.
                self.count(bytes.len(), position);
                FastPath::Ready(bytes)
            }
            FastPath::Empty if self.may_stay_empty() => FastPath::Empty,
            FastPath::Empty | FastPath::Slow => FastPath::Slow,
        }
    }

    /// Copies the next message to `landing`, if there is one; returns these bytes and the length of
    /// the message.
    pub(super) fn read<'l>(
        &mut self,
        landing: &'l mut [MaybeUninit<u8>],
    ) -> Result<Option<(&'l mut [u8], usize)>, RecvError> {
        if self.attachment.forked() {
            return Err(RecvError::Forked);
        }
        match self.reader.receive(landing) {
            Ok((bytes, len)) => {
                self.took(len, self.reader.position());
                Ok(Some((bytes, len)))
            }
            Err(missed) => self.nothing(missed).map(|()| None),
        }
    }

    /// Acquires the next message, waiting for it if there is a deadline.
    //
    // Inlined, like all functions on the path to a sample: otherwise its parts go through memory at each
    // step.
    #[inline(always)]
    pub(super) fn receive(
        &mut self,
        deadline: Option<Deadline>,
    ) -> Result<Option<(Received<'_>, Refusal<'_>)>, RecvError> {
        loop {
            if deadline.is_some() {
                self.stop.check()?;
            }
            if let Some(acquired) = self.acquire()? {
                return self.opened(acquired).map(Some);
            }
            match deadline {
                Some(deadline) if self.wait(deadline)? => {}
                _ => return Ok(None),
            }
        }
    }

    /// Acquires the next message, if there is one.
    #[inline(always)]
    pub(super) fn acquire(&mut self) -> Result<Option<Acquired>, RecvError> {
        if self.attachment.forked() {
            return Err(RecvError::Forked);
        }
        let outcome = if self.reader.is_pinned() {
            self.reader.acquire().map(|acquired| (acquired.len(), Some(acquired)))
        } else {
            self.reader.receive_into(self.buffer.bytes_mut()).map(|len| (len, None))
        };
        match outcome {
            Ok((len, acquired)) => {
                self.took(len, self.reader.position());
                Ok(Some(Acquired { len, acquired, counted: true }))
            }
            Err(missed) => self.acquire_followed(missed),
        }
    }

    /// Handles an empty ring. If the subscriber then has followed to another segment, acquires the next message there.
    #[cold]
    fn acquire_followed(&mut self, missed: NoMessage) -> Result<Option<Acquired>, RecvError> {
        self.nothing(missed)?;
        // Counted before the step: 0 in a segment that was just reached.
        if self.empties == 0 { self.acquire() } else { Ok(None) }
    }

    /// Returns the message that was acquired last, converted if the segment has another layout.
    #[inline(always)]
    pub(super) fn opened(&mut self, acquired: Acquired) -> Result<(Received<'_>, Refusal<'_>), RecvError> {
        if self.converts() { self.get_converted(acquired) } else { Ok(self.get(acquired)) }
    }

    /// Returns the message that was acquired last, as it is in the segment.
    #[inline(always)]
    pub(super) fn get(
        &mut self,
        Acquired { len, acquired, counted }: Acquired,
    ) -> (Received<'_>, Refusal<'_>) {
        let publisher = self.reader.sender().map(PublisherId::new);
        let bytes = match acquired {
            Some(acquired) => {
                Storage::Slot(ForkGuard::new(self.reader.get(acquired), self.attachment.fork_id()))
            }
            None => Storage::Private(&self.buffer.bytes()[..len]),
        };
        let counted = counted.then_some(len);
        (Received { bytes, publisher }, Refusal { attachment: &self.attachment, counted })
    }

    /// Acquires the newest message, converted if the segment has another layout.
    #[inline]
    pub(super) fn receive_latest(&mut self) -> Result<Option<(Received<'_>, Refusal<'_>)>, RecvError> {
        let Some(acquired) = self.acquire_latest()? else { return Ok(None) };
        self.opened(acquired).map(Some)
    }

    /// Acquires the newest message, to read it with [`opened`](Self::opened) or [`get`](Self::get).
    #[inline]
    pub(super) fn acquire_latest(&mut self) -> Result<Option<Acquired>, RecvError> {
        if self.attachment.forked() {
            return Err(RecvError::Forked);
        }
        self.follow_growth();
        let (before, skipped) = (self.reader.position(), self.reader.skipped());
        let acquired = if self.reader.is_pinned() {
            self.reader.acquire_latest().map(|acquired| (acquired.len(), Some(acquired)))
        } else {
            self.reader.receive_latest(self.buffer.bytes_mut()).map(|len| (len, None))
        };
        let Some((len, acquired)) = acquired else { return Ok(None) };
        // The newest message may have been received before; then it does not count again.
        let counted = self.reader.position() > before;
        if counted {
            self.add_count(seat::SKIPPED, self.reader.skipped().saturating_sub(skipped));
            self.took(len, self.reader.position());
        }
        Ok(Some(Acquired { len, acquired, counted }))
    }

    /// Follows to the segment in which a publisher whose slots have grown continues. A receive of the newest message
    /// makes no other check.
    #[inline]
    fn follow_growth(&mut self) {
        if self.attachment.geometry().growth.is_some() && !self.attachment.publisher_seated() {
            self.follow();
        }
    }

    /// Waits for something to receive. Returns `false` at the deadline.
    pub(super) fn wait(&mut self, deadline: Deadline) -> Result<bool, RecvError> {
        match wait::wait(self, deadline)? {
            Some(outcome) => outcome.map(|()| true),
            None => Ok(false),
        }
    }

    pub(super) fn wait_for_publisher(&mut self, deadline: Deadline) -> bool {
        loop {
            if self.publisher_alive() || (self.follow() && self.publisher_alive()) {
                return true;
            }
            if deadline.has_passed() || self.stop.is_stopped() || self.attachment.forked() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Counts the last message, of `len` bytes, as refused.
    pub(super) fn refuse(&mut self, len: usize, why: Invalid) -> RecvError {
        counts::refuse(&self.attachment, len, why)
    }

    /// Counts a message of `len` bytes before `position`, and records that an expected message was received.
    #[inline(always)]
    fn took(&mut self, len: usize, position: u64) {
        self.count(len, position);
        if self.expect.is_some() {
            self.met();
        }
    }

    /// Counts a message of `len` bytes before `position`, and stores how far the reader is.
    #[inline(always)]
    fn count(&mut self, len: usize, position: u64) {
        #[cfg(feature = "trace-slots")]
        log::debug!(
            target: "shmcomm::slots",
            "channel `{}`: read {len} before position {position}",
            self.attachment.channel(), len = crate::plural::count(len, "byte"));
        crate::counts::message(len, &self.attachment);
        self.moved_to(position);
    }

    /// Stores the position of the reader in its seat or in its share of the window.
    pub(super) fn moved(&mut self) {
        self.moved_to(self.reader.position());
    }

    #[inline(always)]
    fn moved_to(&mut self, position: u64) {
        match &mut self.credit {
            Some(credit) => credit.moved(position),
            // Relaxed: a statistic.
            None => self.attachment.seat_word(seat::POSITION).store(position, Ordering::Relaxed),
        }
    }
}

impl Drop for RawSubscriber {
    fn drop(&mut self) {
        if let Some(credit) = &self.credit
            && !self.attachment.forked()
        {
            credit.share.leave();
            credit.room.notify();
        }
    }
}

impl WaitFor for RawSubscriber {
    type Output = Result<(), RecvError>;

    fn poll_once(&mut self) -> Option<Self::Output> {
        self.reader.ready().then_some(Ok(()))
    }

    fn housekeeping(&mut self) -> Option<Self::Output> {
        if self.attachment.forked() {
            return Some(Err(RecvError::Forked));
        }
        self.attachment.keep_name();
        if self.publisher_alive() {
            return self.missed().err().map(Err);
        }
        match self.without_publisher() {
            // The subscriber followed to another segment or a message arrived: poll again.
            Ok(()) => self.poll_once(),
            Err(error) => Some(Err(error)),
        }
    }

    fn due(&self) -> Deadline {
        self.expect().map_or(Deadline::Never, Monitor::due)
    }

    fn event(&self) -> EventCount {
        self.items
    }

    fn backoff(&mut self) -> &mut SleepBackoff {
        &mut self.backoff
    }

    fn seat(&self) -> &impl Seated {
        &self.attachment
    }

    fn stop(&self) -> &Stop {
        &self.stop
    }
}
