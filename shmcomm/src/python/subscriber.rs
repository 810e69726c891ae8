//! [`Subscriber`]: a receiving end of publish/subscribe, for publishers in Python.
//!
//! Owns the position in the ring and the change to a new segment. Calls `ring` for every read.

use super::format::Reading;
use super::poll::{self, Poll};
use super::receive::{Source, receive};
use super::v1::name::SegmentPaths;
use super::v1::ring::{self, Read};
use super::v1::segment::Segment;
use super::{
    Format, Incoming, Options, Receives, RecvError, RecvTimeoutError, Stats, TryRecvError, Unreadable, stats,
    trace,
};
use crate::error::{Error, ErrorKind};
use crate::layout::v1::Kind;
use crate::message::{self, Fixed, ShmMessage};
use crate::wait::{Deadline, Stop};
use core::fmt;
use core::marker::PhantomData;
use std::time::{Duration, Instant};

/// Number of attempts of [`Subscriber::latest`]; an attempt fails if the message is overwritten meanwhile.
const FOLLOW_ATTEMPTS: u32 = 64;

/// A receiving end of a publish/subscribe channel whose publisher may be a Python process.
///
/// It starts with the first message sent after it was opened, like Python's subscriber. It never receives a
/// message torn, twice or out of order, however fast the publisher is. Missed messages are counted exactly
/// ([`RecvError::Lagged`], [`lost`](Subscriber::lost)).
///
/// **If the publisher dies or exits**, no more messages arrive. When a publisher opens the channel with a new
/// segment, the subscriber finishes the old one. It then follows by itself, from the new segment's first
/// message on. It checks the name every 5 ms while no message arrives.
pub struct Subscriber<M, F: ?Sized> {
    source: Receiver,
    _messages: Receives<M, F>,
}

/// The part that does not depend on the message type.
struct Receiver {
    place: SegmentPaths,
    segment: Segment,
    /// The message that is read next.
    next: u64,
    buffer: Vec<u8>,
    reading: Reading,
    last_housekeeping: Instant,
    stop: Stop,
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
    /// `NotASegment`, `Version`, `Permission`, `NoSpace` for the reason in the error. `NotASegment` also if
    /// another process writes to the segment's count of messages without a pause.
    pub fn open(options: Options) -> Result<Self, Error> {
        let place = SegmentPaths::new(Kind::Pub, &options.name)?;
        let timeout = options.connect_timeout;
        let stop = Stop::given(options.stop.as_ref());
        let segment = Segment::attach(&place, Deadline::after(timeout), timeout, &stop)?;
        let reading = Reading::new(&options);
        options.compare(Kind::Pub, &segment);
        let buffer = vec![0; segment.shape().capacity()];
        let next = ring::head(segment.raw()).ok_or_else(|| restless(&place))?;
        let last_housekeeping = Instant::now();
        let (received, lost, skipped, invalid) = (0, 0, 0, 0);
        let source = Receiver {
            place,
            segment,
            next,
            buffer,
            reading,
            last_housekeeping,
            stop,
            received,
            lost,
            skipped,
            invalid,
        };
        Ok(Subscriber { source, _messages: PhantomData })
    }

    /// Returns `true` in the child of a fork.
    pub(crate) fn forked(&self) -> bool {
        self.source.segment.forked()
    }

    /// Returns the channel's name.
    pub fn name(&self) -> &str {
        self.source.place.name()
    }

    /// Returns the segment's counts. `local_tail` is the slot that this subscriber reads next.
    pub fn stats(&self) -> Stats {
        let segment = &self.source.segment;
        stats::read(segment.raw(), Some(self.source.next % segment.shape().slots))
    }

    /// Returns the position in the segment of the message that is received next.
    pub(crate) fn position(&self) -> u64 {
        self.source.next
    }

    /// Returns the number of messages that this subscriber has received, from all segments that it followed.
    pub fn received(&self) -> u64 {
        self.source.received
    }

    /// Returns the number of messages that were overwritten before this subscriber received them.
    pub fn lost(&self) -> u64 {
        self.source.lost
    }

    /// Returns the number of messages that [`latest`](Subscriber::latest) skipped.
    pub fn skipped(&self) -> u64 {
        self.source.skipped
    }

    /// Returns the number of messages that were refused because they are not a value of the type.
    pub fn invalid(&self) -> u64 {
        self.source.invalid
    }

    /// Returns the reason why this end has not re-attached to the segment that has the channel's name now, if
    /// it could not: a damaged segment, or one of another user. Checked every 5 ms while no message arrives;
    /// also logged as a warning, once for each such segment. Never blocks.
    pub fn follow_error(&self) -> Option<&Error> {
        self.source.segment.follow_error()
    }

    /// Returns the number of messages that wait for this subscriber or are already lost.
    pub fn lag(&self) -> u64 {
        if self.source.segment.forked() {
            return 0;
        }
        ring::ahead(self.source.segment.raw(), self.source.next).unwrap_or(0)
    }

    receive!(bytes "message");
}

impl<M, F: Incoming<M>> Subscriber<M, F> {
    receive!(M, F, "message");

    /// Returns the newest message, even if it was received before, or `None` if there is none yet. Never
    /// blocks.
    ///
    /// The messages between the last received message and the newest are skipped. They count as
    /// [`skipped`](Subscriber::skipped), not as lost, and later receives continue behind the newest.
    ///
    /// The message is returned by value: one of a large fixed layout takes its size of stack. `latest_boxed`
    /// takes none.
    ///
    /// # Errors
    /// [`RecvError::Invalid`] if it is not a value of the type, [`RecvError::Forked`].
    pub fn latest(&mut self) -> Result<Option<M>, RecvError> {
        match self.source.latest() {
            None => Ok(None),
            Some(len) => self.decode(len?).map(Some),
        }
    }
}

impl<M: ShmMessage> Subscriber<M, Fixed> {
    receive!(boxed M, "message");

    /// Returns the newest message like [`latest`](Subscriber::latest), on the heap. A large message takes no
    /// stack.
    ///
    /// # Errors
    /// See [`latest`](Subscriber::latest).
    pub fn latest_boxed(&mut self) -> Result<Option<Box<M>>, RecvError> {
        match self.source.latest() {
            None => Ok(None),
            Some(len) => self.decode_boxed(len?).map(Some),
        }
    }
}

/// Returns the error for a segment whose count of messages is never at rest.
fn restless(place: &SegmentPaths) -> Error {
    place.error(
        ErrorKind::NotASegment,
        format!(
            "the count of messages in {} changes all the time, so that it cannot be read: a process writes to it \
             that is no publisher; end that process, delete the file, and restart the publisher",
            place.path().display()
        ),
    )
}

impl Receiver {
    fn latest(&mut self) -> Option<Result<usize, RecvError>> {
        if self.segment.forked() {
            return Some(Err(RecvError::Forked));
        }
        for _ in 0..FOLLOW_ATTEMPTS {
            let newest = ring::head(self.segment.raw())?.checked_sub(1)?;
            let (from, lost) = (self.next, self.lost);
            self.next = newest;
            match self.poll_once() {
                // It was overwritten already: there is a newer one.
                Some(Err(RecvError::Lagged(_))) => {
                    self.lost = lost;
                    self.skipped = self.skipped.saturating_add(self.next.saturating_sub(from));
                }
                result => {
                    self.skipped = self.skipped.saturating_add(newest.saturating_sub(from));
                    return result;
                }
            }
        }
        None
    }

    fn follow(&mut self, segment: Segment) {
        self.buffer = vec![0; segment.shape().capacity()];
        self.segment = segment;
        self.next = 0;
    }
}

impl Poll for Receiver {
    type Output = Result<usize, RecvError>;

    #[inline]
    fn poll_once(&mut self) -> Option<Self::Output> {
        if self.segment.forked() {
            return Some(Err(RecvError::Forked));
        }
        match ring::read(self.segment.raw(), self.next, &mut self.buffer) {
            Read::Empty => None,
            // Positions wrap and counts saturate: the segment can hold any value.
            Read::Lost(n) => {
                self.next = self.next.wrapping_add(n);
                self.lost = self.lost.saturating_add(n);
                Some(Err(RecvError::Lagged(n)))
            }
            Read::Message(len) => {
                trace::read(&self.place, self.next % self.segment.shape().slots, len);
                self.next = self.next.wrapping_add(1);
                self.received += 1;
                Some(Ok(len))
            }
            Read::BadLength(claimed) => {
                self.next = self.next.wrapping_add(1);
                self.invalid += 1;
                let capacity = self.buffer.len();
                Some(Err(RecvError::Invalid(Unreadable::Damaged { claimed, capacity })))
            }
        }
    }

    fn housekeeping(&mut self) {
        if let Some(successor) = self.segment.successor(&self.place) {
            // The old segment's messages were written before the new segment was made, as far as this end can
            // determine; the remaining ones come first.
            if ring::head(self.segment.raw()) == Some(self.next) {
                self.follow(successor);
            }
        }
    }

    fn last_housekeeping(&mut self) -> &mut Instant {
        &mut self.last_housekeeping
    }

    fn stop(&self) -> &Stop {
        &self.stop
    }
}

impl Source for Receiver {
    fn bytes(&self, len: usize) -> &[u8] {
        &self.buffer[..len]
    }

    fn reading(&self) -> &Reading {
        &self.reading
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
