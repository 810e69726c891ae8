//! [`Session`]: the two segments that connect one requester to a service in Rust; [`Sessions`]: all of them.
//!
//! Owns the position in the requests, the names of the files, and the clean-up after a requester that left.
//! Calls `owner` and `replies`. `gate` decides which requester gets which session.

use super::Owned;
use super::replies::Replies;
use crate::error::Error;
use crate::layout::v1::Kind;
use crate::os::{self, FileId};
use crate::python::v1::name::SegmentPaths;
use crate::python::v1::ring;
use crate::sync::{AtomicU32, Ordering};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Largest number of sessions of a service. Further requesters share the last one.
const MOST: u32 = 64;
/// Time after which a requester that `/proc` does not show, and that has sent no request, counts as gone.
const UNSEEN: Duration = Duration::from_secs(10);

/// Settings with which a service makes a session.
pub(in crate::python) struct SessionSettings {
    pub(in crate::python) name: String,
    pub(in crate::python) slots: u64,
    pub(in crate::python) slot_size: u64,
    /// The message that hides a reply, if fillers are used.
    pub(in crate::python) filler: Option<&'static [u8]>,
}

/// The segments of one requester.
pub(in crate::python) struct Session {
    number: u32,
    pub(in crate::python) requests: Owned,
    replies: Mutex<Replies>,
    /// The slot of the request that is read next. Locked before the replies.
    next: Mutex<u64>,
    shared: AtomicU32,
    /// Arrival time of a requester that `/proc` does not show (another pid namespace), and the count of
    /// messages at that time.
    unseen: Mutex<Option<(Instant, Option<u64>)>>,
}

impl Session {
    fn open(terms: &SessionSettings, number: u32) -> Result<Self, Error> {
        let place = |kind| SegmentPaths::of_session(kind, &terms.name, number);
        let (slots, slot_size) = (terms.slots, terms.slot_size);
        let requests = Owned::open_unnamed(&place(Kind::Req)?, slots, slot_size)?;
        let replies = Owned::open_unnamed(&place(Kind::Rep)?, slots, slot_size)?;
        let raw = requests.segment().raw();
        // A tail that is not a slot was stored by `heal`; the number of read messages is unknown.
        let tail = ring::tail(raw);
        let next = if tail < slots { tail } else { ring::slot_of_head(raw) };
        Ok(Session {
            number,
            requests,
            replies: Mutex::new(Replies::new(replies, terms.filler)),
            next: Mutex::new(next),
            shared: AtomicU32::new(0),
            unseen: Mutex::new(None),
        })
    }

    pub(in crate::python) fn next(&self) -> MutexGuard<'_, u64> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::python) fn replies(&self) -> MutexGuard<'_, Replies> {
        self.replies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the files of the requests and of the replies.
    pub(in crate::python) fn ids(&self) -> (FileId, FileId) {
        (self.requests.segment().id(), self.replies().owned().segment().id())
    }

    /// Returns `true` if several requesters have this session.
    pub(in crate::python) fn is_shared(&self) -> bool {
        // Relaxed: an independent flag.
        self.shared.load(Ordering::Relaxed) != 0
    }

    /// Records that several requesters have this session.
    pub(in crate::python) fn share(&self) {
        // Relaxed: an independent flag.
        if self.shared.swap(1, Ordering::Relaxed) == 0 {
            log::warn!(
                target: "shmcomm",
                "service `{}`: several requesters share a pair of segments; if they ask at the same time, \
                 they may get each other's replies",
                self.requests.place().name()
            );
        }
    }

    /// Records that a requester came that `/proc` does not show.
    pub(in crate::python) fn admit_unseen(&self) {
        let unseen = (Instant::now(), ring::head(self.requests.segment().raw()));
        *self.unseen.lock().unwrap_or_else(PoisonError::into_inner) = Some(unseen);
    }

    /// Returns `true` if a requester that `/proc` does not show may have this session: it has sent a request,
    /// or arrived a moment ago.
    fn may_have_unseen(&self) -> bool {
        let unseen = *self.unseen.lock().unwrap_or_else(PoisonError::into_inner);
        unseen.is_some_and(|(since, count)| {
            since.elapsed() < UNSEEN || ring::head(self.requests.segment().raw()) != count
        })
    }

    /// Discards the messages of a requester that has left, for a new one. No other process has mapped the
    /// segments.
    pub(in crate::python) fn renew(&self) {
        let mut next = self.next();
        let raw = self.requests.segment().raw();
        *next = ring::slot_of_head(raw);
        ring::set_tail(raw, *next);
        self.replies().rewind();
        *self.unseen.lock().unwrap_or_else(PoisonError::into_inner) = None;
        // Relaxed: an independent flag.
        self.shared.store(0, Ordering::Relaxed);
    }
}

/// Processes that have mapped the segments of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::python) struct Mapped {
    /// Mappings of the requests, except the owner's.
    pub(in crate::python) requests: usize,
    /// Processes that have mapped the requests more often than the replies.
    pub(in crate::python) entering: usize,
}

impl Mapped {
    /// Reads `/proc`: some milliseconds on a machine with hundreds of processes.
    pub(in crate::python) fn of(sessions: &[(FileId, FileId)]) -> Vec<Mapped> {
        let mut found = vec![Mapped::default(); sessions.len()];
        for (pid, files) in os::mappings() {
            // The service's own mapping.
            let own = usize::from(pid == os::pid());
            for (mapped, (requests, replies)) in found.iter_mut().zip(sessions) {
                let count = |file| files.iter().filter(|&one| one == file).count().saturating_sub(own);
                let (requests, replies) = (count(requests), count(replies));
                mapped.requests += requests;
                mapped.entering += usize::from(requests > replies);
            }
        }
        found
    }
}

/// The sessions of a service.
pub(in crate::python) struct Sessions {
    pub(in crate::python) terms: SessionSettings,
    all: Mutex<Vec<Arc<Session>>>,
    /// Number of changes of the list.
    changes: AtomicU32,
    /// Not 0 when another process has given its own segments the names.
    replaced: AtomicU32,
}

impl Sessions {
    /// Creates the first session of a service, or resumes the sessions of a dead owner that requesters still
    /// have.
    pub(in crate::python) fn open(terms: SessionSettings) -> Result<Self, Error> {
        // The lock on its requests makes this process the owner of all of them.
        let first = Session::open(&terms, 0)?;
        let mut all = vec![Arc::new(first)];
        for number in left_behind(&terms.name) {
            let place = SegmentPaths::of_session(Kind::Req, &terms.name, number)?;
            let id = os::id_of_path(place.hidden()).ok().flatten();
            let used = id.is_some_and(|id| os::mapped_files(None).contains(&id));
            if used && let Ok(session) = Session::open(&terms, number) {
                all.push(Arc::new(session));
                continue;
            }
            for kind in [Kind::Req, Kind::Rep] {
                remove_unused(&SegmentPaths::of_session(kind, &terms.name, number)?);
            }
        }
        Ok(Sessions { terms, all: Mutex::new(all), changes: AtomicU32::new(1), replaced: AtomicU32::new(0) })
    }

    /// Returns all sessions.
    pub(in crate::python) fn all(&self) -> Vec<Arc<Session>> {
        self.lock().clone()
    }

    /// Returns the number of changes of the list so far.
    pub(in crate::python) fn changes(&self) -> u32 {
        // Acquire: pairs with the Release of `add`, although the list has its own lock.
        self.changes.load(Ordering::Acquire)
    }

    /// Returns a session for a new requester: one whose requesters have left, or a new one. If there can be
    /// no more, returns the last one, marked as shared.
    pub(in crate::python) fn vacant(&self) -> Arc<Session> {
        let all = self.all();
        let ids: Vec<_> = all.iter().map(|session| session.ids()).collect();
        let mapped = Mapped::of(&ids);
        let mut free = all.iter().zip(&mapped).filter(|(_, mapped)| mapped.requests == 0);
        if let Some((free, _)) = free.find(|(session, _)| !session.may_have_unseen()) {
            free.renew();
            return Arc::clone(free);
        }
        let number = (0..MOST).find(|number| all.iter().all(|session| session.number != *number));
        let refused = match number {
            Some(number) => match Session::open(&self.terms, number) {
                Ok(session) => {
                    let session = Arc::new(session);
                    self.add(Arc::clone(&session));
                    return session;
                }
                Err(error) => error.to_string(),
            },
            None => format!("it has {MOST} already"),
        };
        let last = Arc::clone(all.last().expect("the first session stays"));
        if !last.is_shared() {
            log::warn!(
                target: "shmcomm",
                "service `{}`: no further pair of segments for another requester: {refused}",
                self.terms.name
            );
        }
        last.share();
        last
    }

    fn add(&self, session: Arc<Session>) {
        self.lock().push(session);
        self.changes.fetch_add(1, Ordering::Release);
    }

    pub(in crate::python) fn is_replaced(&self) -> bool {
        // Relaxed: an independent flag.
        self.replaced.load(Ordering::Relaxed) != 0
    }

    pub(in crate::python) fn set_replaced(&self) {
        // Relaxed: an independent flag.
        self.replaced.store(1, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Session>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes the names of a segment that a dead owner left.
fn remove_unused(place: &SegmentPaths) {
    let _ = os::unlink(&place.aside());
    let Ok(Some(id)) = os::id_of_path(place.hidden()) else { return };
    if matches!(os::id_of_path(place.path()), Ok(Some(shown)) if shown == id) {
        let _ = os::unlink(place.path());
    }
    let _ = os::unlink(place.hidden());
}

/// Returns the numbers of the further sessions of a service of which a file exists. A process that was
/// killed while it created or removed a session leaves one of the two files, or the file that it examined.
fn left_behind(name: &str) -> BTreeSet<u32> {
    let files = os::python_dir().and_then(|dir| os::list(&dir)).unwrap_or_default();
    let prefixes = [Kind::Req, Kind::Rep].map(|kind| format!("{}~", kind.hidden(name)));
    let number = |file: &str| {
        let rest = prefixes.iter().find_map(|prefix| file.strip_prefix(prefix))?;
        rest.split('~').next()?.parse().ok()
    };
    files.iter().filter_map(|file| number(file)).filter(|number| *number > 0).collect()
}
