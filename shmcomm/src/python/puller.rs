//! [`Puller`]: a receiving end of push/pull, beside pullers in Python.
//!
//! Owns the order in which a job is taken: poll, lock, poll again, copy, advance, unlock, decode.
//! Calls `lock` and `ring`.

use super::format::Reading;
use super::poll::{self, Poll};
use super::receive::{Source, receive};
use super::v1::lock::Lock;
use super::v1::name::SegmentPaths;
use super::v1::raw::BadLength;
use super::v1::ring;
use super::v1::segment::Segment;
use super::{
    Format, Incoming, Options, Receives, RecvError, RecvTimeoutError, Stats, TryRecvError, Unreadable, stats,
    trace,
};
use crate::error::Error;
use crate::fault::fault_point;
use crate::layout::v1::Kind;
use crate::message::{self, Fixed, ShmMessage};
use crate::wait::{Deadline, Stop};
use core::fmt;
use core::marker::PhantomData;
use std::path::Path;
use std::time::{Duration, Instant};

/// A receiving end of a queue whose pusher may be a Python process. Any number of pullers, in Python and in
/// Rust, may take from it at the same time; each job goes to one of them.
///
/// All pullers share a lock on one file: see [`Options::lock_path`]. A puller holds it while it copies a job,
/// not while it decodes one, and not while there is no job. A puller that is killed while it holds the lock
/// delays no other puller. A stopped puller (`SIGSTOP`) delays all, but timeouts still apply.
///
/// **If the pusher dies or exits**, its remaining jobs can still be taken; then no more arrive. When a pusher
/// opens the channel with a new segment, the puller finishes the old one and follows by itself.
pub struct Puller<M, F: ?Sized> {
    source: Receiver,
    _messages: Receives<M, F>,
}

/// The part that does not depend on the message type.
struct Receiver {
    place: SegmentPaths,
    segment: Segment,
    lock: Lock,
    buffer: Vec<u8>,
    reading: Reading,
    last_housekeeping: Instant,
    stop: Stop,
    received: u64,
    invalid: u64,
}

impl<M, F: Format> Puller<M, F> {
    /// Finds the channel's segment, waiting for it for at most the connect timeout.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is none in time; `Permission` if the lock
    /// file cannot be used; `InvalidName`, `NotASegment`, `Version`, `NoSpace` for the reason in the error.
    pub fn open(options: Options) -> Result<Self, Error> {
        let place = SegmentPaths::new(Kind::Push, &options.name)?;
        let reading = Reading::new(&options);
        let timeout = options.connect_timeout;
        let stop = Stop::given(options.stop.as_ref());
        let segment = Segment::attach(&place, Deadline::after(timeout), timeout, &stop)?;
        options.compare(Kind::Push, &segment);
        let lock = Lock::new(place.name(), options.lock_path)?;
        let buffer = vec![0; segment.shape().capacity()];
        let last_housekeeping = Instant::now();
        let source = Receiver {
            place,
            segment,
            lock,
            buffer,
            reading,
            last_housekeeping,
            stop,
            received: 0,
            invalid: 0,
        };
        Ok(Puller { source, _messages: PhantomData })
    }

    /// Returns the channel's name.
    pub fn name(&self) -> &str {
        self.source.place.name()
    }

    /// Returns the reason why this end has not re-attached to the segment that has the channel's name now, if
    /// it could not: a damaged segment, or one of another user. Checked every 5 ms while no job arrives; also
    /// logged as a warning, once for each such segment. Never blocks.
    pub fn follow_error(&self) -> Option<&Error> {
        self.source.segment.follow_error()
    }

    /// Returns the lock file, which all other pullers share if they use the same path.
    pub fn lock_path(&self) -> &Path {
        self.source.lock.path()
    }

    /// Returns the segment's counts.
    pub fn stats(&self) -> Stats {
        stats::read(self.source.segment.raw(), None)
    }

    /// Returns the number of jobs that this puller has received.
    pub fn received(&self) -> u64 {
        self.source.received
    }

    /// Returns the number of jobs that this puller took and refused because they are not a value of the type.
    pub fn invalid(&self) -> u64 {
        self.source.invalid
    }

    receive!(bytes "job");
}

impl<M, F: Incoming<M>> Puller<M, F> {
    receive!(M, F, "job");
}

impl<M: ShmMessage> Puller<M, Fixed> {
    receive!(boxed M, "job");
}

/// Slot of a job that was taken, and the number of copied bytes.
type Taken = (u64, Result<usize, BadLength>);

impl Receiver {
    fn take(&mut self) -> Result<Option<Taken>, String> {
        let raw = self.segment.raw();
        // Only pullers that have seen a job take the lock: waiting pullers do not contend for it.
        if ring::waiting_from(raw, ring::tail(raw)) == 0 {
            return Ok(None);
        }
        let Some(_held) = self.lock.try_hold()? else { return Ok(None) };
        fault_point!("py.turn");
        let slots = raw.shape().slots;
        let tail = ring::tail(raw) % slots;
        if ring::waiting_from(raw, tail) == 0 {
            return Ok(None);
        }
        let job = raw.take(tail, &mut self.buffer);
        fault_point!("py.taken");
        ring::set_tail(raw, (tail + 1) % slots);
        Ok(Some((tail, job)))
    }
}

impl Poll for Receiver {
    type Output = Result<usize, RecvError>;

    fn poll_once(&mut self) -> Option<Self::Output> {
        if self.segment.forked() {
            return Some(Err(RecvError::Forked));
        }
        match self.take() {
            Ok(None) => None,
            Ok(Some((slot, Ok(len)))) => {
                trace::read(&self.place, slot, len);
                self.received += 1;
                Some(Ok(len))
            }
            Ok(Some((_, Err(BadLength(claimed))))) => {
                self.invalid += 1;
                let capacity = self.buffer.len();
                Some(Err(RecvError::Invalid(Unreadable::Damaged { claimed, capacity })))
            }
            Err(why) => Some(Err(RecvError::Lock(why))),
        }
    }

    fn housekeeping(&mut self) {
        if let Some(successor) = self.segment.successor(&self.place) {
            let raw = self.segment.raw();
            if ring::waiting_from(raw, ring::tail(raw)) == 0 {
                self.buffer = vec![0; successor.shape().capacity()];
                self.segment = successor;
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

impl<M, F: ?Sized> fmt::Debug for Puller<M, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Puller").field("name", &self.source.place.name()).finish_non_exhaustive()
    }
}
