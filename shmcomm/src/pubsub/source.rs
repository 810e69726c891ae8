//! [`Source`]: a subscriber without the type of its messages.
//!
//! Owns the seat, the place in the ring and the counts; what there is to do when nothing is there is in
//! `absent`. Calls `segment`, `ring` and `wait`. Never interprets a message.

mod absent;

use super::buffer::Buffer;
pub(super) use super::sample::Held;
use super::terms::{Expect, Silence, Terms, Wanted};
use super::watch::Watched;
use super::{KEEPER, PublisherId, RecvError};
use crate::error::Error;
use crate::layout::{Geometry, Region, control, seat};
use crate::message::Invalid;
use crate::ring::{AtHome, Corrupt, Grabbed, Place, Reader, Seen, window};
use crate::segment::{self, Attachment, Spec};
use crate::sync::Ordering;
use crate::wait::{self, Await, Deadline, Event, Patience};
use core::mem::MaybeUninit;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub(super) struct Source {
    attachment: Attachment,
    reader: Reader,
    items: Event,
    patience: Patience,
    /// Where messages are looked at in place, on a ring that copies.
    buffer: Buffer,
    spec: Spec,
    counts: Counts,
    empties: u32,
    /// On channels that have any.
    terms: Option<Box<Terms>>,
    /// What those see who wait for it without using it, once there are any.
    watched: OnceLock<Arc<Watched>>,
}

/// What happened to this subscriber, in all segments it followed. Mirrored in its seat.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) received: u64,
    pub(super) bytes: u64,
    pub(super) lost: u64,
    pub(super) skipped: u64,
    pub(super) invalid: u64,
}

/// What a subscriber sees at first sight.
pub(super) enum Glimpse<'l> {
    /// The next message.
    Message(&'l mut [u8]),
    /// Nothing new.
    Nothing,
    /// Something that takes a closer look.
    Otherwise,
}

/// A message that was taken, and not looked at yet.
pub(super) struct Seized {
    len: usize,
    /// In a pinned ring.
    grabbed: Option<Grabbed>,
}

/// Counts a message that turned out not to be one.
pub(super) struct Refusals<'s> {
    counts: &'s mut Counts,
    attachment: &'s Attachment,
}

impl Refusals<'_> {
    pub(super) fn count(self, why: Invalid) -> RecvError {
        refuse(self.counts, self.attachment, why)
    }
}

fn refuse(counts: &mut Counts, attachment: &Attachment, why: Invalid) -> RecvError {
    counts.invalid += 1;
    counts.received = counts.received.saturating_sub(1);
    attachment.seat_word(seat::INVALID).store(counts.invalid, Ordering::Relaxed);
    attachment.seat_word(seat::MESSAGES).store(counts.received, Ordering::Relaxed);
    log::warn!(target: "shmcomm", "channel `{}`: a message was refused: {why}", attachment.channel());
    RecvError::Invalid(why)
}

impl Source {
    pub(super) fn open(spec: Spec) -> Result<Self, Error> {
        let attachment = segment::subscribe(&spec, KEEPER)?;
        let history = spec.history;
        let mut source =
            Self::on(attachment, spec, |region, geometry, bit| Reader::join(region, geometry, bit, history))?;
        if !source.publisher_alive() {
            source.wait_for_publisher(Deadline::after(source.spec.connect_timeout));
        }
        Ok(source)
    }

    fn on(
        attachment: Attachment,
        spec: Spec,
        join: impl FnOnce(Region, &Geometry, u32) -> Result<Reader, Corrupt>,
    ) -> Result<Self, Error> {
        let region = attachment.region();
        let geometry = attachment.geometry();
        let start = || join(region, geometry, attachment.seat() - geometry.publishers);
        let mut terms = Terms { window: None, expect: spec.expect_every.and_then(Expect::new) };
        let reader = if attachment.publisher_waits() {
            let asked = window::Terms {
                patience: u64::try_from(spec.patience.as_nanos()).unwrap_or(u64::MAX),
                history: spec.history > 0,
            };
            window::join(region, geometry, attachment.seat_offset(), asked, start).map(|(reader, share)| {
                terms.window = Some(Wanted { share, room: Event::new(region, control::ROOM) });
                reader
            })
        } else {
            start()
        };
        let reader = reader.map_err(|why| attachment.damaged(why))?;
        let terms = (terms.window.is_some() || terms.expect.is_some()).then(|| Box::new(terms));
        let buffer = if geometry.discipline.pins() {
            Buffer::new(0, 1)
        } else {
            Buffer::new(geometry.slot_size as usize, geometry.align as usize)
        };
        // Relaxed: a figure; where it is more, the window has said it.
        attachment.seat_word(seat::POSITION).store(reader.position(), Ordering::Relaxed);
        let items = Event::new(region, control::ITEMS);
        let patience = Patience::new();
        let counts = Counts::default();
        let (watched, empties) = (OnceLock::new(), 0);
        Ok(Source { attachment, reader, items, patience, buffer, spec, counts, empties, terms, watched })
    }

    pub(super) fn attachment(&self) -> &Attachment {
        &self.attachment
    }

    /// For those who wait for it without using it.
    pub(super) fn watched(&self) -> Result<&Arc<Watched>, Error> {
        if let Some(watched) = self.watched.get() {
            return Ok(watched);
        }
        let made = Arc::new(Watched::new(self.attachment.witness()?.clone()));
        made.expect(self.due());
        Ok(self.watched.get_or_init(|| made))
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    pub(super) fn lag(&self) -> u64 {
        if self.attachment.forked() { 0 } else { self.reader.lag() }
    }

    pub(super) fn publisher_alive(&self) -> bool {
        !self.attachment.forked() && self.attachment.publisher_alive()
    }

    /// Who sent the message that was taken last.
    #[inline]
    pub(super) fn publisher(&self) -> Option<PublisherId> {
        self.reader.sender().filter(|_| self.counts.received > 0).map(PublisherId::new)
    }

    /// The next message as it almost always is: as long as `landing`, to which it is copied, and nothing to be
    /// said before it. Or nothing new. [`Source::read`] tells all else.
    #[inline(always)]
    pub(super) fn glance<'l>(&mut self, landing: &'l mut [MaybeUninit<u8>]) -> Glimpse<'l> {
        if self.attachment.forked() {
            return Glimpse::Otherwise;
        }
        match self.reader.glance(landing) {
            Seen::Message(bytes) => {
                self.took(bytes.len());
                Glimpse::Message(bytes)
            }
            Seen::Nothing if self.may_stay_empty() => Glimpse::Nothing,
            Seen::Nothing | Seen::Otherwise => Glimpse::Otherwise,
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
                self.took(len);
                Ok(Some((bytes, len)))
            }
            Err(missed) => self.nothing(missed).map(|()| None),
        }
    }

    /// Gets hold of the next message, waiting for it if there is a deadline.
    //
    // Inlined, like all on the way to a sample: else what is known of it goes through memory at each step.
    #[inline(always)]
    pub(super) fn hold(
        &mut self,
        deadline: Option<Deadline>,
    ) -> Result<Option<(Held<'_>, Refusals<'_>)>, RecvError> {
        loop {
            if let Some(seized) = self.seize()? {
                return Ok(Some(self.show(seized)));
            }
            match deadline {
                Some(deadline) if self.wait(deadline)? => {}
                _ => return Ok(None),
            }
        }
    }

    /// Takes the next message, if there is one.
    #[inline(always)]
    pub(super) fn seize(&mut self) -> Result<Option<Seized>, RecvError> {
        if self.attachment.forked() {
            return Err(RecvError::Forked);
        }
        let outcome = if self.reader.is_pinned() {
            self.reader.grab().map(|grabbed| (grabbed.len(), Some(grabbed)))
        } else {
            self.reader.receive_into(self.buffer.bytes_mut()).map(|len| (len, None))
        };
        match outcome {
            Ok((len, grabbed)) => {
                self.took(len);
                Ok(Some(Seized { len, grabbed }))
            }
            Err(missed) => self.nothing(missed).map(|()| None),
        }
    }

    /// What was taken last.
    #[inline(always)]
    pub(super) fn show(&mut self, Seized { len, grabbed }: Seized) -> (Held<'_>, Refusals<'_>) {
        let publisher = self.reader.sender().map(PublisherId::new);
        let bytes = match grabbed {
            Some(grabbed) => Place::Slot(AtHome::new(self.reader.guard(grabbed), self.attachment.lineage())),
            None => Place::Private(&self.buffer.bytes()[..len]),
        };
        (Held { bytes, publisher }, Refusals { counts: &mut self.counts, attachment: &self.attachment })
    }

    /// Gets hold of the newest message.
    #[inline]
    pub(super) fn hold_latest(&mut self) -> Result<Option<(Held<'_>, Refusals<'_>)>, RecvError> {
        if self.attachment.forked() {
            return Err(RecvError::Forked);
        }
        let (before, skipped) = (self.reader.position(), self.reader.skipped());
        let grabbed = if self.reader.is_pinned() {
            self.reader.grab_latest().map(|grabbed| (grabbed.len(), Some(grabbed)))
        } else {
            self.reader.receive_latest(self.buffer.bytes_mut()).map(|len| (len, None))
        };
        let Some((len, grabbed)) = grabbed else { return Ok(None) };
        // The newest may have been received before: then it does not count again.
        if self.reader.position() > before {
            self.counts.skipped += self.reader.skipped() - skipped;
            self.attachment.seat_word(seat::SKIPPED).store(self.counts.skipped, Ordering::Relaxed);
            self.took(len);
        }
        Ok(Some(self.show(Seized { len, grabbed })))
    }

    /// Waits for something to look at. `false` at the deadline.
    pub(super) fn wait(&mut self, deadline: Deadline) -> Result<bool, RecvError> {
        match wait::wait(self, deadline) {
            Some(Ok(())) => Ok(true),
            Some(Err(error)) => Err(error),
            None => Ok(false),
        }
    }

    /// That a message is missed, if that was not said yet.
    fn missed(&mut self) -> Option<RecvError> {
        let Silence { silent, expected } = self.terms.as_mut()?.expect.as_mut()?.missed()?;
        self.show_due();
        Some(RecvError::Missed { silent, expected })
    }

    pub(super) fn wait_for_publisher(&mut self, deadline: Deadline) -> bool {
        loop {
            if self.publisher_alive() || (self.follow() && self.publisher_alive()) {
                return true;
            }
            if deadline.has_passed() || self.attachment.forked() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Counts a message that turned out not to be one.
    pub(super) fn refuse(&mut self, why: Invalid) -> RecvError {
        refuse(&mut self.counts, &self.attachment, why)
    }

    #[inline(always)]
    fn took(&mut self, len: usize) {
        #[cfg(feature = "trace-slots")]
        log::trace!(
            target: "shmcomm::slots",
            "channel `{}`: received {len} bytes before position {}",
            self.attachment.channel(),
            self.reader.position()
        );
        // Where messages queue there is nothing to store here.
        if self.empties != 0 {
            self.empties = 0;
        }
        self.counts.received += 1;
        self.counts.bytes += len as u64;
        match &mut self.terms {
            // Relaxed, here and below: figures for others to show, written by this end alone.
            None => {
                self.attachment.seat_word(seat::POSITION).store(self.reader.position(), Ordering::Relaxed)
            }
            Some(terms) => {
                let position = self.reader.position();
                match &mut terms.window {
                    Some(window) => window.moved(position),
                    None => self.attachment.seat_word(seat::POSITION).store(position, Ordering::Relaxed),
                }
                if terms.expect.is_some() {
                    self.met();
                }
            }
        }
        self.attachment.seat_word(seat::MESSAGES).store(self.counts.received, Ordering::Relaxed);
        self.attachment.seat_word(seat::BYTES).store(self.counts.bytes, Ordering::Relaxed);
    }

    /// A message came, which was expected.
    #[inline(never)]
    fn met(&mut self) {
        if let Some(expect) = self.terms.as_mut().and_then(|terms| terms.expect.as_mut()) {
            expect.met();
            self.show_due();
        }
    }

    /// Shows those who wait for it when a message will be missed.
    fn show_due(&self) {
        if let Some(watched) = self.watched.get() {
            watched.expect(self.due());
        }
    }

    /// Says how far the reader is.
    fn moved(&mut self) {
        let position = self.reader.position();
        match self.terms.as_mut().and_then(|terms| terms.window.as_mut()) {
            Some(window) => window.moved(position),
            // Relaxed: a figure.
            None => self.attachment.seat_word(seat::POSITION).store(position, Ordering::Relaxed),
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        if let Some(window) = self.terms.as_ref().and_then(|terms| terms.window.as_ref())
            && !self.attachment.forked()
        {
            window.share.leave();
            window.room.notify();
        }
    }
}

impl Await for Source {
    type Output = Result<(), RecvError>;

    fn look(&mut self) -> Option<Self::Output> {
        self.reader.ready().then_some(Ok(()))
    }

    fn idle(&mut self) -> Option<Self::Output> {
        if self.attachment.forked() {
            return Some(Err(RecvError::Forked));
        }
        if self.publisher_alive() {
            return self.missed().map(Err);
        }
        match self.without_publisher() {
            // Followed, or something came: look again.
            Ok(()) => self.look(),
            Err(error) => Some(Err(error)),
        }
    }

    fn due(&self) -> Deadline {
        let expect = self.terms.as_ref().and_then(|terms| terms.expect.as_ref());
        expect.map_or(Deadline::Never, Expect::due)
    }

    fn event(&self) -> Event {
        self.items
    }

    fn announce(&mut self) {
        self.attachment.announce_sleeper();
    }

    fn patience(&mut self) -> &mut Patience {
        &mut self.patience
    }

    fn channel(&self) -> &str {
        self.attachment.channel()
    }

    fn forked(&self) -> bool {
        self.attachment.forked()
    }
}
