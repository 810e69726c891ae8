//! [`LateJoinGate`]: admits requesters to a service, one at a time, each to its own segments (a late-joiner
//! gate).
//!
//! Owns Python's names of the segments of a service, and the thread that shows and hides them. Calls
//! `session` for the segments and `os` for the names.
//!
//! The format does not record which requester sent a request, so two requesters on one pair of segments take
//! each other's replies. However, a requester opens two files by name, first the requests, then the replies,
//! and repeats that every 5 ms while a file is missing. The gate uses that:
//!
//! 1. The name of the requests refers to a session without a requester; the replies have no name.
//! 2. The kernel reports that the requests are opened. Their name is removed at once, and the name of the
//!    replies of the same session is shown a moment later ([`SHOWN_AFTER`]).
//! 3. When `/proc` shows that the process has mapped both, the name of the replies is removed, and step 1
//!    begins with another session.
//!
//! Two requesters that open the requests at the same time, before step 2, share a session. Later requesters
//! also share one if no further session can be made. `/proc` shows that; replies are then withdrawn after a
//! while.
//!
//! A replier in Python that takes over the channel also opens the requests, then removes both names and
//! creates its own files. Therefore a name is restored only after a while, and never replaces another file.

use super::session::{Mapped, Session, Sessions};
use crate::error::Error;
use crate::escape::Shown as _;
use crate::fault::fault_point;
use crate::layout::v1::Kind;
use crate::os;
use crate::python::v1::name::SegmentPaths;
use crate::records::LogRecords;
use crate::sync::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Time from the opening of the requests until the name of the replies is shown. A requester that found them
/// missing repeats after 5 ms; a replier in Python takes over in less time.
const SHOWN_AFTER: Duration = Duration::from_millis(3);
/// Time after which an open file that no process has mapped counts as opened by a process that is not a
/// requester.
const GRACE: Duration = Duration::from_millis(60);
/// Longest time for which one requester may delay other requesters between its two files: a little more than
/// it waits itself.
const ENTERS_WITHIN: Duration = Duration::from_secs(6);
/// Shortest and longest pause between two checks of `/proc` while a requester enters.
const CHECKS: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));
/// Pauses between two checks of a name that changed: the kernel reports the change slightly before it
/// happens.
const SOON: Duration = Duration::from_millis(1);
const AT_LAST: Duration = Duration::from_secs(2);

/// Indices of the two files in the watch.
const REQUESTS: usize = 0;

/// The gate and its thread, until it is dropped.
pub(in crate::python) struct LateJoinGate {
    shared: Arc<GateState>,
    pid: u32,
    thread: Option<JoinHandle<()>>,
}

struct GateState {
    sessions: Arc<Sessions>,
    requests: SegmentPaths,
    /// Watch of the session that is shown or entered; `None` without inotify.
    watch: Mutex<Option<Arc<os::Watch>>>,
    closed: AtomicU32,
}

impl LateJoinGate {
    /// Shows the first session, and replaces the files that have the names now.
    pub(in crate::python) fn open(sessions: &Arc<Sessions>) -> Result<Self, Error> {
        let name = &sessions.terms.name;
        let requests = SegmentPaths::new(Kind::Req, name)?;
        let all = sessions.all();
        // A requester may be entering the session that a dead owner had shown.
        let shown = os::id_of_path(requests.path()).ok().flatten();
        let entering = all.iter().find(|session| Some(session.ids().0) == shown).cloned();
        let was_entering = entering.is_some();
        let session = entering.unwrap_or_else(|| sessions.vacant());
        let watch = watch(&session)
            .inspect_err(|error| {
                log::warn!(
                    target: "shmcomm",
                    "service `{name}`: no inotify left (`fs.inotify.max_user_instances`): {error}; all requesters \
                     share one pair of segments, and can get each other's replies"
                );
            })
            .ok();
        // Any other file with the name of the replies belongs to an owner that is replaced.
        session.replies().owned().take_name()?;
        if watch.is_some() {
            session.replies().owned().hide();
        } else {
            session.share();
        }
        if was_entering && watch.is_some() {
            session.requests.hide();
        } else {
            session.requests.take_name()?;
        }
        let shared = Arc::new(GateState {
            sessions: Arc::clone(sessions),
            requests,
            watch: Mutex::new(watch),
            closed: AtomicU32::new(0),
        });
        let keeper = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("shmcomm-join".into())
            .stack_size(256 << 10)
            .spawn(move || keeper.run(session, was_entering))
            .map_err(|error| shared.requests.system("start the thread that admits requesters to", error))?;
        Ok(LateJoinGate { shared, pid: os::pid(), thread: Some(thread) })
    }
}

impl Drop for LateJoinGate {
    fn drop(&mut self) {
        // The child of a fork has no such thread.
        if os::pid() != self.pid {
            return;
        }
        {
            let watch = self.shared.watch.lock().unwrap_or_else(PoisonError::into_inner);
            // Relaxed: an independent flag, which the thread loads under the same lock before it waits.
            self.shared.closed.store(1, Ordering::Relaxed);
            if let Some(watch) = &*watch {
                watch.stop();
            }
        }
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// Shows the replies of a session. The log record of it is written after their mutex is released.
fn show_replies(session: &Session) {
    let mut records = LogRecords::new();
    session.replies().owned().show(&mut records);
}

/// Reports when the files of a session are opened, or gain or lose a name.
fn watch(session: &Session) -> std::io::Result<Arc<os::Watch>> {
    let replies = session.replies().owned().place().hidden().to_owned();
    Ok(Arc::new(os::watch(&[session.requests.place().hidden(), &replies])?))
}

/// Events of the two files during a wait of the thread.
#[derive(Clone, Copy, Default)]
struct Events {
    /// The requests were opened.
    requests: bool,
    /// The replies were opened.
    replies: bool,
    /// An event happened: a file was opened, or gained or lost a name.
    any: bool,
}

impl GateState {
    fn run(&self, mut session: Arc<Session>, mut entering: bool) {
        if self.watch.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
            return self.keep_shown(&session);
        }
        loop {
            if !entering && !self.wait_for_knock(&session) {
                return;
            }
            fault_point!("py.knocked");
            let entered = self.let_in(&session);
            if self.is_closed() || self.check_replaced() {
                return;
            }
            entering = false;
            if entered {
                session = self.sessions.vacant();
                fault_point!("py.vacant");
            }
            if !self.show(&session) {
                return;
            }
        }
    }

    /// Keeps both names of the only session, without inotify.
    fn keep_shown(&self, session: &Session) {
        while !self.is_closed() && !self.check_replaced() {
            if !session.requests.is_shown() {
                session.requests.show(&mut LogRecords::new());
            }
            if !session.replies().owned().is_shown() {
                show_replies(session);
            }
            std::thread::park_timeout(CHECKS.1);
        }
    }

    /// Watches a session and gives it the name of the requests. Returns `false` if the gate is closed or
    /// replaced.
    fn show(&self, session: &Session) -> bool {
        let mut pause = SOON;
        loop {
            match watch(session) {
                Ok(new) => {
                    let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
                    if self.is_closed() {
                        return false;
                    }
                    *watch = Some(new);
                    drop(watch);
                    session.requests.show(&mut LogRecords::new());
                    return !self.check_replaced();
                }
                // Another process has used up the watches: no requester is admitted until there is one again.
                Err(error) => {
                    log::warn!(
                        target: "shmcomm",
                        "service `{}`: no new requester is admitted: {error}",
                        self.requests.name()
                    );
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(AT_LAST);
                }
            }
            if self.is_closed() {
                return false;
            }
        }
    }

    /// Waits until a requester opens the requests, and keeps their name until then. Returns
    /// `false` if the gate is closed or replaced.
    fn wait_for_knock(&self, session: &Session) -> bool {
        let mut pause = None;
        loop {
            let events = self.wait(pause);
            if events.requests {
                return !self.is_closed();
            }
            pause = match pause {
                _ if events.any => Some(SOON),
                pause => pause.map(|pause: Duration| pause * 4).filter(|pause| *pause <= AT_LAST),
            };
            if self.is_closed() || self.check_replaced() {
                return false;
            }
            // The resource tracker of a client that exits removes any file with the name.
            if !session.requests.is_shown() {
                session.requests.show(&mut LogRecords::new());
            }
        }
    }

    /// Shows the replies of a session to a requester that has opened its requests. Returns `true` when a
    /// requester has both, `false` if there was none.
    fn let_in(&self, session: &Session) -> bool {
        let knocked = Instant::now();
        session.requests.hide();
        if session.is_shared() {
            session.replies().admit_another();
        }
        let (ids, mut opened, mut pause) = ([session.ids()], false, CHECKS.0);
        let mut checked = knocked;
        let mut seen = false;
        // Mappings of requesters that had a shared session before.
        let before = if session.is_shared() { Mapped::of(&ids)[0].requests } else { 0 };
        loop {
            opened |= self.wait(Some(pause)).replies;
            if self.is_closed() || self.check_replaced() {
                break;
            }
            let since = knocked.elapsed();
            if since >= SHOWN_AFTER {
                show_replies(session);
            }
            if checked.elapsed() < pause {
                continue;
            }
            checked = Instant::now();
            pause = (pause * 2).min(CHECKS.1);
            let mapped = Mapped::of(&ids)[0];
            let came = mapped.requests.saturating_sub(before);
            seen |= came > 0;
            if came > 0 && mapped.entering == 0 {
                session.replies().owned().hide();
                if mapped.requests > 1 {
                    session.share();
                }
                return true;
            }
            if came > 0 && since >= ENTERS_WITHIN {
                // It has mapped the requests and does not open the replies.
                session.replies().owned().hide();
                return true;
            }
            if came == 0 && (seen || since >= GRACE) {
                session.replies().owned().hide();
                // The requests were opened, but `/proc` never shows a mapping: the requester may be in
                // another pid namespace.
                if opened && !seen {
                    session.admit_unseen();
                    return true;
                }
                // The requester has left already, and may have sent a request.
                if !session.is_shared() {
                    session.renew();
                }
                return false;
            }
        }
        session.replies().owned().hide();
        false
    }

    fn wait(&self, timeout: Option<Duration>) -> Events {
        let mut events = Events::default();
        let watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(watch) = watch.filter(|_| !self.is_closed()) else { return events };
        let waited = watch.wait(timeout, |file| {
            events.requests |= file == REQUESTS;
            events.replies |= file != REQUESTS;
        });
        match waited {
            Ok(any) => events.any = any,
            Err(_) => std::thread::sleep(CHECKS.1),
        }
        events
    }

    /// Returns `true` if another process has given its own requests the name.
    fn check_replaced(&self) -> bool {
        let shown = os::id_of_path(self.requests.path()).ok().flatten();
        let Some(shown) = shown else {
            // Its second name is gone too: a removal by force.
            let removed = self.sessions.all().iter().any(|session| session.requests.replaced());
            if removed {
                self.sessions.set_replaced();
            }
            return removed;
        };
        let replaced = self.sessions.all().iter().all(|session| session.ids().0 != shown);
        if replaced && !self.sessions.is_replaced() {
            self.sessions.set_replaced();
            log::warn!(
                target: "shmcomm",
                "service `{}`: another process has put its own segment under {}; no new requester finds this \
                 replier",
                self.requests.name(),
                self.requests.path().shown()
            );
        }
        replaced
    }

    fn is_closed(&self) -> bool {
        // Relaxed: an independent flag.
        self.closed.load(Ordering::Relaxed) != 0
    }
}
