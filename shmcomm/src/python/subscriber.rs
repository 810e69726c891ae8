//! [`Subscriber`]: a receiving end of publish/subscribe, for publishers in Python.
//!
//! Owns the position in the ring and the change to a new segment. Calls `ring` for every read.

use super::name::Place;
use super::poll::{self, Poll};
use super::receive::{Source, receive};
use super::ring::{self, Read};
use super::segment::Segment;
use super::{
    Format, Incoming, Options, Receives, RecvError, RecvTimeoutError, Stats, TryRecvError, Unreadable, stats,
};
use crate::Error;
use crate::layout::python::Kind;
use crate::wait::Deadline;
use core::fmt;
use core::marker::PhantomData;
use std::time::{Duration, Instant};

/// A receiving end of a publish/subscribe channel whose publisher may be a Python process.
///
/// It starts with the first message sent after it was opened, as Python's does. It never sees a
/// message torn, twice or out of order, however fast the publisher is; what it misses is counted
/// exactly ([`RecvError::Lagged`], [`lost`](Subscriber::lost)).
///
/// **If the publisher dies or exits**, nothing more comes. When it comes back with a new segment, the
/// subscriber finishes the old one and follows by itself, from the new one's first message on. It
/// notices by looking at the name every 5 ms while nothing comes.
pub struct Subscriber<M, F: ?Sized> {
    source: Inlet,
    _messages: Receives<M, F>,
}

/// What does not depend on the type of the messages.
struct Inlet {
    place: Place,
    segment: Segment,
    /// The message that is read next.
    next: u64,
    buffer: Vec<u8>,
    last_around: Instant,
    received: u64,
    lost: u64,
    skipped: u64,
    invalid: u64,
}

impl<M, F: Format> Subscriber<M, F> {
    /// Finds the channel's segment, waiting for it for at most the connect timeout.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is none in time; `InvalidName`,
    /// `NotASegment`, `Version`, `Permission`, `NoSpace` as they say.
    pub fn open(options: Options) -> Result<Self, Error> {
        let place = Place::new(Kind::Pub, &options.name)?;
        let timeout = options.connect_timeout;
        let segment = Segment::attach(&place, Deadline::after(timeout), timeout)?;
        let buffer = vec![0; segment.shape().capacity()];
        let next = ring::head(segment.raw());
        let last_around = Instant::now();
        let (received, lost, skipped, invalid) = (0, 0, 0, 0);
        let source = Inlet { place, segment, next, buffer, last_around, received, lost, skipped, invalid };
        Ok(Subscriber { source, _messages: PhantomData })
    }

    /// The channel's name.
    pub fn name(&self) -> &str {
        self.source.place.name()
    }

    /// The segment's numbers. `local_tail` is the slot that this subscriber reads next.
    pub fn stats(&self) -> Stats {
        let segment = &self.source.segment;
        stats::read(segment.raw(), Some(self.source.next % segment.shape().slots))
    }

    /// Messages that this subscriber has received, from all segments it followed.
    pub fn received(&self) -> u64 {
        self.source.received
    }

    /// Messages that were overwritten before this subscriber received them.
    pub fn lost(&self) -> u64 {
        self.source.lost
    }

    /// Messages that [`latest`](Subscriber::latest) passed over.
    pub fn skipped(&self) -> u64 {
        self.source.skipped
    }

    /// Messages that were refused because they are no value of the type.
    pub fn invalid(&self) -> u64 {
        self.source.invalid
    }

    /// How many messages are waiting to be received, or already lost.
    pub fn lag(&self) -> u64 {
        if self.source.segment.forked() {
            return 0;
        }
        ring::head(self.source.segment.raw()).saturating_sub(self.source.next)
    }

    receive!(bytes "message");
}

impl<M, F: Incoming<M>> Subscriber<M, F> {
    receive!(M, F, "message");

    /// The newest message, received before or not; `None` if there is none yet. Never blocks.
    ///
    /// What lies between the last message received and this one is passed over: it counts as
    /// [`skipped`](Subscriber::skipped), not as lost, and later receives go on behind the newest.
    ///
    /// # Errors
    /// [`RecvError::Invalid`] if it is no value of the type, [`RecvError::Forked`].
    pub fn latest(&mut self) -> Result<Option<M>, RecvError> {
        match self.source.latest() {
            None => Ok(None),
            Some(len) => self.decode(len?).map(Some),
        }
    }
}

impl Inlet {
    fn latest(&mut self) -> Option<Result<usize, RecvError>> {
        if self.segment.forked() {
            return Some(Err(RecvError::Forked));
        }
        loop {
            let newest = ring::head(self.segment.raw()).checked_sub(1)?;
            let from = self.next;
            self.next = newest;
            match self.look() {
                // Overwritten already: there is a newer one.
                Some(Err(RecvError::Lagged(n))) => {
                    self.lost -= n;
                    self.skipped += (newest + n).saturating_sub(from);
                }
                result => {
                    self.skipped += newest.saturating_sub(from);
                    return result;
                }
            }
        }
    }

    fn follow(&mut self, segment: Segment) {
        self.buffer = vec![0; segment.shape().capacity()];
        self.segment = segment;
        self.next = 0;
    }
}

impl Poll for Inlet {
    type Output = Result<usize, RecvError>;

    #[inline]
    fn look(&mut self) -> Option<Self::Output> {
        if self.segment.forked() {
            return Some(Err(RecvError::Forked));
        }
        match ring::read(self.segment.raw(), self.next, &mut self.buffer) {
            Read::Empty => None,
            Read::Lost(n) => {
                self.next += n;
                self.lost += n;
                Some(Err(RecvError::Lagged(n)))
            }
            Read::Message(len) => {
                self.next += 1;
                self.received += 1;
                Some(Ok(len))
            }
            Read::BadLength(claimed) => {
                self.next += 1;
                self.invalid += 1;
                let capacity = self.buffer.len();
                Some(Err(RecvError::Invalid(Unreadable::Damaged { claimed, capacity })))
            }
        }
    }

    fn around(&mut self) {
        if let Some(successor) = self.segment.successor(&self.place) {
            // Whoever wrote the old one wrote it before the new one was there, as far as this end can
            // tell; what is left in it comes first.
            if ring::head(self.segment.raw()) == self.next {
                self.follow(successor);
            }
        }
    }

    fn last_around(&mut self) -> &mut Instant {
        &mut self.last_around
    }
}

impl Source for Inlet {
    fn bytes(&self, len: usize) -> &[u8] {
        &self.buffer[..len]
    }

    fn refused(&mut self) {
        self.received -= 1;
        self.invalid += 1;
    }
}

impl<M, F: ?Sized> fmt::Debug for Subscriber<M, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber").field("name", &self.source.place.name()).finish_non_exhaustive()
    }
}
