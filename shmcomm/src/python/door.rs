//! [`Door`]: lets new requesters see the replies of a service, after the old replies have been hidden.
//!
//! Owns the name of the replies' segment, and the thread that shows it. Calls `owner` and `os`.
//!
//! A new requester in Python reads the replies from slot 0 on, and would take the last one that somebody
//! else got for its own. But before it can, it opens two files by name, first the requests, then the
//! replies; and where the second is not there, it looks again every 5 ms. So the replies' segment has no
//! name but its hidden one. The kernel tells when the requests are opened: that is the knock. Old replies
//! are then overwritten, the name is shown, and taken away when the replies have been opened, too.
//!
//! Neither is quite certain: knocks that come in the same microsecond may count as one, and some tool that looks
//! at the files opens them, too. So the name stays a little longer than it has to, which does no harm, as the next
//! reply takes it away; and before this end forgets about the name it looks who has mapped the requests and
//! not the replies, and stands before the door still.

use super::name::Place;
use super::owner::Owned;
use super::replier::Replies;
use crate::os::FileId;
use crate::sync::{AtomicU32, Ordering};
use crate::{Error, os};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A reply that is younger may not have been read by the one who asked for it, so it is not hidden for
/// the sake of somebody new. That one waits.
const FRESH: Duration = Duration::from_millis(25);
/// How often to wait for that. In a service that never rests one cannot wait for ever.
const PATIENCE: u32 = 8;
/// How long the name is there for somebody who knocked: a little more than a requester in Python waits.
const OPEN: Duration = Duration::from_secs(6);
/// How long it stays after the last one came in: as often as Python looks in it, on a busy machine, too.
const STAYS: Duration = Duration::from_millis(50);
/// How long after that it is looked once more who stands before the door, and may have been on the way there.
const ONCE_MORE: Duration = Duration::from_secs(1);
/// How often the name is there for one who stands there and does not come in: for a minute or so.
const CALLS: u32 = 10;
/// How often it is looked whether the name is there still, while somebody waits for it.
const TICK: Duration = Duration::from_millis(10);

/// The open requests, and the open replies, by their index in the watch.
const KNOCK: usize = 0;

/// What the thread has done with the name.
#[derive(Clone, Copy)]
enum Name {
    Hidden,
    /// It is to be looked who stands before the door.
    HiddenUntil(Instant),
    /// At most so long: a reply takes it away, too.
    Shown(Instant),
}

impl Name {
    /// How long to wait, if nothing happens.
    fn next_look(self) -> Option<Duration> {
        match self {
            Name::Hidden => None,
            Name::HiddenUntil(then) => Some(then.saturating_duration_since(Instant::now())),
            Name::Shown(until) => Some(until.saturating_duration_since(Instant::now()).min(TICK)),
        }
    }
}

/// A door with its keeper, until it is dropped.
pub(super) struct Door {
    shared: Arc<Shared>,
    pid: u32,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    watch: os::Watch,
    requests: FileId,
    replies: Arc<Mutex<Replies>>,
    closed: AtomicU32,
}

impl Door {
    /// Opens the replies' segment, behind a door where the system has what it takes.
    #[allow(clippy::type_complexity)]
    pub(super) fn open(
        request_place: &Place,
        requests: FileId,
        reply_place: &Place,
        slots: u64,
        slot_size: u64,
        nothing: Option<&'static [u8]>,
    ) -> Result<(Arc<Mutex<Replies>>, Option<Door>), Error> {
        let owned = Owned::open_unnamed(reply_place, slots, slot_size)?;
        let watch = os::watch(&[request_place.hidden(), reply_place.hidden()]);
        let Ok(watch) = watch.and_then(|watch| watch.each(reply_place.dir())) else {
            log::warn!(
                target: "shmcomm",
                "service `{}`: no inotify left (`fs.inotify.max_user_instances`), so new requesters in \
                 Python may take an old reply for theirs",
                reply_place.name()
            );
            drop(owned);
            let owned = Owned::open(reply_place, slots, slot_size)?;
            return Ok((Arc::new(Mutex::new(Replies::new(owned, nothing))), None));
        };
        let mut replies = Replies::new(owned, nothing);
        // Somebody may have knocked before the watch was there.
        replies.show(true);
        let replies = Arc::new(Mutex::new(replies));
        let shared =
            Arc::new(Shared { watch, requests, replies: Arc::clone(&replies), closed: AtomicU32::new(0) });
        let keeper = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("shmcomm-door".into())
            .stack_size(128 << 10)
            .spawn(move || keeper.run())
            .map_err(|error| reply_place.system("start the thread that shows", error))?;
        Ok((replies, Some(Door { shared, pid: os::pid(), thread: Some(thread) })))
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // A child of a fork has no such thread.
        if os::pid() != self.pid {
            return;
        }
        // Relaxed: a flag of its own.
        self.shared.closed.store(1, Ordering::Relaxed);
        self.shared.watch.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run(&self) {
        let mut name = Name::Shown(Instant::now() + STAYS);
        let (mut standing, mut calls) = (0u32, 0);
        loop {
            let (mut knocks, mut entries) = (0, 0);
            let waited = self.watch.wait(name.next_look(), |file| match file {
                KNOCK => knocks += 1,
                _ => entries += 1,
            });
            if self.is_closed() {
                return;
            }
            if waited.is_err() {
                std::thread::sleep(TICK);
            }
            standing = (standing + knocks).saturating_sub(entries);
            if knocks > 0 {
                self.admit();
                (name, calls) = (Name::Shown(Instant::now() + OPEN), 0);
            }
            let now = Instant::now();
            name = match name {
                Name::Shown(until) | Name::HiddenUntil(until) if until <= now => {
                    if calls < CALLS && self.somebody_stands() {
                        (standing, calls) = (1, calls + 1);
                        self.admit();
                        Name::Shown(now + OPEN)
                    } else {
                        self.replies().hide();
                        standing = 0;
                        if matches!(name, Name::Shown(_)) {
                            Name::HiddenUntil(now + ONCE_MORE)
                        } else {
                            Name::Hidden
                        }
                    }
                }
                Name::Shown(until) if knocks + entries > 0 && standing == 0 => {
                    Name::Shown(until.min(now + STAYS))
                }
                // A reply to somebody else took it away, or the resource tracker of somebody who left.
                Name::Shown(_) if standing > 0 && !self.replies().shown() => {
                    self.admit();
                    name
                }
                name => name,
            };
        }
    }

    /// Whether some process has come to the requests and not to the replies.
    fn somebody_stands(&self) -> bool {
        let replies = self.replies().id();
        os::is_mapped_without(self.requests, replies, Some(os::pid()))
    }

    /// Shows the name, if possible with nothing behind it that somebody new could misread.
    fn admit(&self) {
        for _ in 0..PATIENCE {
            let mut replies = self.replies();
            let age = replies.age();
            if age >= FRESH {
                return replies.show(true);
            }
            drop(replies);
            if self.is_closed() {
                return;
            }
            std::thread::sleep(FRESH - age);
        }
        self.replies().show(false);
    }

    fn is_closed(&self) -> bool {
        // Relaxed: a flag of its own.
        self.closed.load(Ordering::Relaxed) != 0
    }

    fn replies(&self) -> std::sync::MutexGuard<'_, Replies> {
        self.replies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
