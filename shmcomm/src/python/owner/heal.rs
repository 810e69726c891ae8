//! [`heal`]: keeps a service alive whose requester and replier are both Python processes.
//!
//! Owns a thread that checks the two segments of one service. Calls `segment` and `os`.

use crate::error::{Error, ErrorKind};
use crate::escape::Shown as _;
use crate::layout::v1::Kind;
use crate::os::{self, FileId};
use crate::python::v1::name::SegmentPaths;
use crate::python::v1::ring;
use crate::python::v1::segment::{Lookup, Segment, is_session};
use core::fmt;
use std::io;
use std::sync::Arc;
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use crate::sync::{AtomicU32, Ordering};

/// Time between two checks of the segments.
const PERIOD: Duration = Duration::from_millis(5);
/// Time after which a missing name counts as removed. A restarting replier removes the old segment and makes
/// the new one within about a millisecond.
const MISSING: Duration = Duration::from_millis(200);
/// A tail that no head ever reaches.
const NOWHERE: u64 = u64::MAX;

/// Keeps the exchange between an unmodified Python requester and an unmodified Python replier alive, from
/// outside, while the result lives. Run it in any process of the same user, before or after them.
///
/// - Between two Python processes a service ends after `num_slots - 1` exchanges, 15 by default: neither
///   releases a slot, and the requester's `send` then returns `False` forever. This stores a tail in both
///   segments that the head never reaches, so that they never appear full. The tail stays when this ends.
/// - Any Python client that exits removes the service's names. This restores them after 200 ms if another
///   process still uses the segments.
///
/// A replier that restarts with new segments is followed. A requester in Python takes the next reply as its
/// own, whichever requester it answers. This cannot be repaired from outside: replace one of the two ends by
/// one in Rust.
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
/// [`ErrorKind::InvalidName`] for a name that Python cannot use. If there are segments already:
/// `NotASegment`, `Version` or `Permission`, for the reason in the error. Missing segments are not an error.
pub fn heal(name: &str) -> Result<Healer, Error> {
    let sides =
        [Side::new(SegmentPaths::new(Kind::Req, name)?)?, Side::new(SegmentPaths::new(Kind::Rep, name)?)?];
    let stop = Arc::new(AtomicU32::new(0));
    let flag = Arc::clone(&stop);
    let worker = std::thread::Builder::new()
        .name("shmcomm-healer".into())
        .spawn(move || run(sides, &flag))
        .map_err(|error| {
        let why = format!("cannot start the thread that restores names: {error}");
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
        // The child of a fork has no such thread.
        if os::pid() != self.pid {
            return;
        }
        // Relaxed: an independent flag.
        self.stop.store(1, Ordering::Relaxed);
        self.thread.unpark();
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
    }
}

fn run(mut sides: [Side; 2], stop: &AtomicU32) {
    // Relaxed: an independent flag.
    while stop.load(Ordering::Relaxed) == 0 {
        for side in &mut sides {
            side.poll_once();
        }
        std::thread::park_timeout(PERIOD);
    }
}

/// One of the two segments.
struct Side {
    place: SegmentPaths,
    segment: Option<Segment>,
    missing: Option<Instant>,
    /// The file of the name, if it was found to belong to a live owner in Rust.
    in_rust: Option<FileId>,
}

impl Side {
    fn new(place: SegmentPaths) -> Result<Self, Error> {
        let mut side = Side { place, segment: None, missing: None, in_rust: None };
        if side.is_in_rust() {
            return Ok(side);
        }
        match Segment::lookup(&side.place)? {
            Lookup::Found(segment) => side.take(segment),
            Lookup::Nothing => side.remove_leftover(),
            Lookup::HalfMade(_) => {}
        }
        Ok(side)
    }

    /// Removes a file that a killed process left under the second name alone: no other process can find it.
    fn remove_leftover(&self) {
        let hidden = self.place.hidden();
        let Ok(Some(id)) = os::id_of_path(hidden) else { return };
        if !self.is_owned() && !os::mapped_files(None).contains(&id) {
            log::debug!(
                target: "shmcomm",
                "service `{}`: removes {}, which no process uses",
                self.place.name(),
                hidden.shown()
            );
            let _ = os::unlink(hidden);
        }
    }

    /// Returns `true` if the name refers to a segment of a live service in Rust. That service restores its
    /// own names, and a process that opens its segments requests admission.
    fn is_in_rust(&mut self) -> bool {
        let Ok(Some(id)) = os::id_of_path(self.place.path()) else { return false };
        if self.in_rust != Some(id) {
            self.in_rust = (is_session(&self.place, id) && self.is_owned()).then_some(id);
        }
        self.in_rust.is_some()
    }

    /// Returns `true` if an owner in Rust holds its lock on the file under the second name.
    fn is_owned(&self) -> bool {
        os::open(self.place.hidden()).is_ok_and(|file| matches!(os::is_locked(&file, 0, 1), Ok(true)))
    }

    fn poll_once(&mut self) {
        let Some(segment) = &mut self.segment else {
            // An unusable segment may be replaced later.
            if !self.is_in_rust()
                && let Ok(Lookup::Found(segment)) = Segment::lookup(&self.place)
            {
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
                if !segment.is_ours() && self.is_in_rust() {
                    self.leave();
                } else if let Some(segment) = &mut self.segment
                    && let Some(successor) = segment.successor(&self.place)
                {
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
        // An owner in Rust restores its names itself.
        if !segment.is_ours() {
            let hidden = self.place.hidden();
            // The second name from an earlier healer may refer to a segment that no process has used since.
            if !self.is_owned() && !matches!(os::id_of_path(hidden), Ok(Some(id)) if id == segment.id()) {
                let _ = os::unlink(hidden);
                if let Err(error) = os::link(segment.file(), hidden) {
                    log::warn!(target: "shmcomm", "cannot keep a name for {}: {error}", hidden.shown());
                }
            }
        }
        self.segment = Some(segment);
    }

    /// Makes a ring appear never full. Does not change the tails of services in Rust.
    fn open_up(segment: &Segment) {
        if !segment.is_ours() && ring::tail(segment.raw()) != NOWHERE {
            ring::set_tail(segment.raw(), NOWHERE);
        }
    }

    fn bring_back(&mut self) {
        let Some(segment) = &self.segment else { return };
        self.missing = None;
        if !os::mapped_files(Some(os::pid())).contains(&segment.id()) {
            // The replier has closed it, and no process uses it.
            self.leave();
            return;
        }
        match os::link(segment.file(), self.place.path()) {
            Ok(()) => log::debug!(
                target: "shmcomm",
                "service `{}`: {} was removed, and is restored",
                self.place.name(),
                self.place.path().shown()
            ),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                log::warn!(target: "shmcomm", "cannot restore {}: {error}", self.place.path().shown());
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
