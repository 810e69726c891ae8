//! [`heal`]: keeps a service alive whose requester and replier are both Python processes.
//!
//! Owns a thread that looks at the two segments of one service. Calls `segment` and `os`.

use super::name::Place;
use super::ring;
use super::segment::{Look, Segment};
use crate::layout::python::Kind;
use crate::os;
use crate::{Error, ErrorKind};
use core::fmt;
use std::io;
use std::sync::Arc;
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use crate::sync::{AtomicU32, Ordering};

/// How often the segments are looked at.
const PERIOD: Duration = Duration::from_millis(5);
/// A name that has been missing for so long is not on its way to a new segment: a replier that
/// restarts removes the old one and makes the new one within a millisecond or so.
const MISSING: Duration = Duration::from_millis(200);
/// A tail that no head ever reaches.
const NOWHERE: u64 = u64::MAX;

/// Keeps an unmodified Python requester and an unmodified Python replier talking, from outside, for as
/// long as the result lives: run it in any process of the same user, before or after them.
///
/// - Between two Python processes a service ends after `num_slots - 1` exchanges, 15 by default: nobody
///   gives a slot back, and the requester's `send` then returns `False` for ever. This stores a tail in
///   both segments that the head never meets, so that they never look full. It stays when this ends.
/// - Any Python client that exits removes the service's names. This brings them back after 200 ms if
///   another process still uses the segments.
///
/// A replier that restarts with new segments is followed. What it cannot mend is that a requester in
/// Python takes the next reply for its own, whoever asked: replace one of the two ends by one in Rust
/// for that.
///
/// ```no_run
/// let _healer = shmcomm::python::heal("arm_controller")?;
/// loop {
///     std::thread::park();
/// }
/// # #[allow(unreachable_code)]
/// # Ok::<(), shmcomm::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::InvalidName`] for a name that Python cannot use. If there are segments already,
/// `NotASegment`, `Version` or `Permission` as they say; none is no error.
pub fn heal(name: &str) -> Result<Healer, Error> {
    let sides = [Side::new(Place::new(Kind::Req, name)?)?, Side::new(Place::new(Kind::Rep, name)?)?];
    let stop = Arc::new(AtomicU32::new(0));
    let flag = Arc::clone(&stop);
    let worker = std::thread::Builder::new()
        .name("shmcomm-healer".into())
        .spawn(move || run(sides, &flag))
        .map_err(|error| {
        let why = format!("cannot start the thread that heals: {error}");
        Error::new(ErrorKind::Os, name.to_owned(), why).with_source(error)
    })?;
    Ok(Healer { stop, pid: os::pid(), thread: worker.thread().clone(), worker: Some(worker) })
}

/// Heals until it is dropped: see [`heal`].
#[must_use = "healing ends when this is dropped"]
pub struct Healer {
    stop: Arc<AtomicU32>,
    pid: u32,
    thread: Thread,
    worker: Option<JoinHandle<()>>,
}

impl fmt::Debug for Healer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Healer").finish_non_exhaustive()
    }
}

impl Drop for Healer {
    fn drop(&mut self) {
        // A child of a fork has no such thread.
        if os::pid() != self.pid {
            return;
        }
        // Relaxed: a flag of its own.
        self.stop.store(1, Ordering::Relaxed);
        self.thread.unpark();
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
    }
}

fn run(mut sides: [Side; 2], stop: &AtomicU32) {
    // Relaxed: a flag of its own.
    while stop.load(Ordering::Relaxed) == 0 {
        for side in &mut sides {
            side.look();
        }
        std::thread::park_timeout(PERIOD);
    }
}

/// One of the two segments.
struct Side {
    place: Place,
    segment: Option<Segment>,
    missing: Option<Instant>,
}

impl Side {
    fn new(place: Place) -> Result<Self, Error> {
        let mut side = Side { place, segment: None, missing: None };
        if let Look::Found(segment) = Segment::look(&side.place)? {
            side.take(segment);
        }
        Ok(side)
    }

    fn look(&mut self) {
        let Some(segment) = &self.segment else {
            // What cannot be used today may be replaced tomorrow.
            if let Ok(Look::Found(segment)) = Segment::look(&self.place) {
                self.take(segment);
            }
            return;
        };
        match os::id_of_path(self.place.path()) {
            Ok(Some(id)) if id == segment.id() => {
                self.missing = None;
                Self::open_up(segment);
            }
            Ok(Some(_)) => {
                if let Some(successor) = segment.successor(&self.place) {
                    self.leave();
                    self.take(successor);
                }
            }
            Ok(None) => {
                let since = *self.missing.get_or_insert_with(Instant::now);
                Self::open_up(segment);
                if since.elapsed() >= MISSING && !segment.is_ours() {
                    self.bring_back();
                }
            }
            Err(_) => {}
        }
    }

    fn take(&mut self, segment: Segment) {
        self.missing = None;
        Self::open_up(&segment);
        // An owner in Rust looks after its names itself.
        if !segment.is_ours() {
            let hidden = self.place.hidden();
            // What an earlier healer left stands for a segment that nobody has asked for since.
            let other = os::open(hidden).ok();
            let owned = other.is_some_and(|file| matches!(os::is_locked(&file, 0, 1), Ok(true)));
            if !owned && !matches!(os::id_of_path(hidden), Ok(Some(id)) if id == segment.id()) {
                let _ = os::unlink(hidden);
                if let Err(error) = os::link(segment.file(), hidden) {
                    log::warn!(target: "shmcomm", "cannot keep a name for {}: {error}", hidden.display());
                }
            }
        }
        self.segment = Some(segment);
    }

    /// Makes a ring that looks never full. (Tails of services in Rust are not this one's business.)
    fn open_up(segment: &Segment) {
        if !segment.is_ours() && ring::tail(segment.raw()) != NOWHERE {
            ring::set_tail(segment.raw(), NOWHERE);
        }
    }

    fn bring_back(&mut self) {
        let Some(segment) = &self.segment else { return };
        self.missing = None;
        if !os::mapped_files(Some(os::pid())).contains(&segment.id()) {
            // The replier has closed it, and everybody is gone.
            self.leave();
            return;
        }
        match os::link(segment.file(), self.place.path()) {
            Ok(()) => log::debug!(
                target: "shmcomm",
                "service `{}`: {} was removed, and is there again",
                self.place.name(),
                self.place.path().display()
            ),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                log::warn!(target: "shmcomm", "cannot bring {} back: {error}", self.place.path().display());
                self.leave();
            }
        }
    }

    fn leave(&mut self) {
        let Some(segment) = self.segment.take() else { return };
        let hidden = self.place.hidden();
        if !segment.is_ours() && matches!(os::id_of_path(hidden), Ok(Some(id)) if id == segment.id()) {
            let _ = os::unlink(hidden);
        }
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        self.leave();
    }
}
