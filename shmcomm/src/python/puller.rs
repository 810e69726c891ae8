//! [`Puller`]: a receiving end of push/pull, beside pullers in Python.
//!
//! Owns the order in which a job is taken: look, lock, look again, copy, advance, unlock, decode.
//! Calls `lock` and `ring`.

use super::lock::Lock;
use super::name::Place;
use super::poll::{self, Poll};
use super::raw::BadLength;
use super::receive::{Source, receive};
use super::ring;
use super::segment::Segment;
use super::{
    Format, Incoming, Options, Receives, RecvError, RecvTimeoutError, Stats, TryRecvError, Unreadable, stats,
};
use crate::Error;
use crate::fault::fault_point;
use crate::layout::python::Kind;
use crate::wait::Deadline;
use core::fmt;
use core::marker::PhantomData;
use std::path::Path;
use std::time::{Duration, Instant};

/// A receiving end of a queue whose pusher may be a Python process. Any number of pullers, in Python
/// and in Rust, may take from it at once; each job goes to one of them.
///
/// All of them take turns by a lock on one file: see [`Options::lock_path`]. It is held while a job is
/// copied, not while it is decoded, and not at all while there is no job. A puller that is killed
/// while it holds the lock delays nobody; one that is stopped (`SIGSTOP`) delays all, but time limits
/// hold.
///
/// **If the pusher dies or exits**, what it left can still be taken, then nothing more comes. When one
/// comes back with a new segment, the puller finishes the old one and follows by itself.
pub struct Puller<M, F: ?Sized> {
    source: Inlet,
    _messages: Receives<M, F>,
}

/// What does not depend on the type of the messages.
struct Inlet {
    place: Place,
    segment: Segment,
    lock: Lock,
    buffer: Vec<u8>,
    last_around: Instant,
    received: u64,
    invalid: u64,
}

impl<M, F: Format> Puller<M, F> {
    /// Finds the channel's segment, waiting for it for at most the connect timeout.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is none in time; `Permission` if the
    /// lock file cannot be used; `InvalidName`, `NotASegment`, `Version`, `NoSpace` as they say.
    pub fn open(options: Options) -> Result<Self, Error> {
        let place = Place::new(Kind::Push, &options.name)?;
        let timeout = options.connect_timeout;
        let segment = Segment::attach(&place, Deadline::after(timeout), timeout)?;
        let lock = Lock::new(place.name(), options.lock_path)?;
        let buffer = vec![0; segment.shape().capacity()];
        let last_around = Instant::now();
        let source = Inlet { place, segment, lock, buffer, last_around, received: 0, invalid: 0 };
        Ok(Puller { source, _messages: PhantomData })
    }

    /// The channel's name.
    pub fn name(&self) -> &str {
        self.source.place.name()
    }

    /// The lock file that is shared with all other pullers, if they agree.
    pub fn lock_path(&self) -> &Path {
        self.source.lock.path()
    }

    /// The segment's numbers.
    pub fn stats(&self) -> Stats {
        stats::read(self.source.segment.raw(), None)
    }

    /// Jobs that this puller has received.
    pub fn received(&self) -> u64 {
        self.source.received
    }

    /// Jobs that this puller took and that were refused because they are no value of the type.
    pub fn invalid(&self) -> u64 {
        self.source.invalid
    }

    receive!(bytes "job");
}

impl<M, F: Incoming<M>> Puller<M, F> {
    receive!(M, F, "job");
}

impl Inlet {
    fn take(&mut self) -> Result<Option<Result<usize, BadLength>>, String> {
        let raw = self.segment.raw();
        // The lock is for those who have seen a job: pullers that wait do not contend for it.
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
        Ok(Some(job))
    }
}

impl Poll for Inlet {
    type Output = Result<usize, RecvError>;

    fn look(&mut self) -> Option<Self::Output> {
        if self.segment.forked() {
            return Some(Err(RecvError::Forked));
        }
        match self.take() {
            Ok(None) => None,
            Ok(Some(Ok(len))) => {
                self.received += 1;
                Some(Ok(len))
            }
            Ok(Some(Err(BadLength(claimed)))) => {
                self.invalid += 1;
                let capacity = self.buffer.len();
                Some(Err(RecvError::Invalid(Unreadable::Damaged { claimed, capacity })))
            }
            Err(why) => Some(Err(RecvError::Lock(why))),
        }
    }

    fn around(&mut self) {
        if let Some(successor) = self.segment.successor(&self.place) {
            let raw = self.segment.raw();
            if ring::waiting_from(raw, ring::tail(raw)) == 0 {
                self.buffer = vec![0; successor.shape().capacity()];
                self.segment = successor;
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

impl<M, F: ?Sized> fmt::Debug for Puller<M, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Puller").field("name", &self.source.place.name()).finish_non_exhaustive()
    }
}
