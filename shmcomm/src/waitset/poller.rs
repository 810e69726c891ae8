//! [`Poller`]: the poller of a set, one object to sleep in for everything, also for other event loops (Linux
//! `epoll` and `eventfd`).
//!
//! Owns a poller with the files of a set, an eventfd, and a registration ([`WatchRegistration`]) for each
//! channel. The registration has the reactor sleep in the channel's futex, and notifies the eventfd when the
//! channel is ready. Calls `wait` and `os`. Never sees a key.
//!
//! ```text
//!            arm()                       something is there: disarmed, then notified
//!   resting ───────► watching ────────────────────────────────────────────────────► resting
//!                     │    ▲
//!                     └────┘ woken, or a tick is due, and there is nothing: sets the flag again
//! ```
//!
//! 1. A registration sets the flag of waiters and then polls, each time. A condition that was met before it
//!    was armed, or is met later, therefore notifies the eventfd. Then it rests: an unread message costs
//!    nothing.
//! 2. The eventfd is reset before the registrations are armed, so a notification after that is not missed.
//! 3. A registration whose watch panics is disarmed and notifies the eventfd. The next wait of the set polls
//!    the watch in the thread of the program, and arms the registration again.
//!
//! If a sandbox refuses timerfd or epoll, a wakeup of the reactor notifies the eventfd when a timer is due.
//! Without epoll, other event loops get the eventfd, and the reactor polls the files every 2 ms.

use super::member::Interest;
// Here and below: files are in a set where they have descriptors.
#[cfg(unix)]
use crate::os::FileList;
use crate::os::{self, EventFd, ForkId, OwnedFd, PollSet, TimerFd};
#[cfg(unix)]
use crate::wait::Word;
use crate::wait::{self, WakeRegistration, Watch, next_tick};
use std::io;
#[cfg(unix)]
use std::os::fd::{AsFd as _, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

/// Numbers of the poller's own descriptors; files are numbered from [`FILES`].
const EVENTFD: u64 = 0;
const TIMERFD: u64 = 1;
const FILES: u64 = 2;

const READABLE: os::Ready = os::Ready { read: true, write: false };

/// The longest sleep of the poller, if no thread sleeps for a channel.
const BLIND: Duration = Duration::from_millis(1);

pub(super) struct Poller {
    poller: PollSet,
    eventfd: Arc<EventFd>,
    /// The timer for other event loops that sleep here: they do not know when the timers are due.
    timer: Option<PollTimer>,
    /// The registration of the files, if other event loops sleep here and the system refuses epoll.
    files: Option<RegistrationHandle>,
    /// True if the eventfd is known to be ready.
    notified: bool,
    next: u64,
    /// True if no thread sleeps for some of the channels.
    blind: bool,
}

/// Makes a poller ready when a timer is due.
enum PollTimer {
    Fd(TimerFd),
    /// If timerfd or epoll is refused: the reactor notifies the eventfd.
    Reactor(WakeRegistration, Waker),
}

/// Notifies the eventfd, in the process that made it.
struct EventFdWaker(Arc<EventFd>, ForkId);

impl Wake for EventFdWaker {
    fn wake(self: Arc<Self>) {
        if !self.1.forked() {
            self.0.notify();
        }
    }
}

impl PollTimer {
    /// Makes it ready after `left`, and not before; never with `None`.
    fn set(&mut self, left: Option<Duration>) {
        match self {
            PollTimer::Fd(timerfd) => timerfd.set(left),
            PollTimer::Reactor(wakeup, waker) => {
                // A time that the clock cannot hold never comes.
                match left.and_then(|left| Instant::now().checked_add(left)) {
                    // Without a thread it is ready too early rather than never.
                    Some(due) if !wakeup.set(None, due, waker) => waker.wake_by_ref(),
                    Some(_) => {}
                    None => wakeup.unset(),
                }
            }
        }
    }
}

impl Poller {
    pub(super) fn new() -> io::Result<Self> {
        let eventfd = Arc::new(EventFd::new()?);
        let first: &EventFd = &eventfd;
        let poller = PollSet::new(first, EVENTFD, READABLE)?;
        Ok(Poller { poller, eventfd, timer: None, files: None, notified: false, next: FILES, blind: false })
    }

    /// Returns the descriptor for other event loops. From now on it is ready until [`Poller::arm`], and
    /// includes the timers.
    #[cfg(unix)]
    pub(super) fn export(&mut self) -> io::Result<BorrowedFd<'_>> {
        if self.timer.is_none() {
            self.timer = Some(match TimerFd::new()? {
                Some(timerfd) if self.poller.exported().is_ok() => {
                    self.poller.add(&timerfd, TIMERFD, READABLE)?;
                    PollTimer::Fd(timerfd)
                }
                _ => PollTimer::Reactor(
                    WakeRegistration::new(),
                    Waker::from(Arc::new(EventFdWaker(self.eventfd.clone(), ForkId::here()?))),
                ),
            });
            if let Err(files) = self.poller.exported() {
                let files: Arc<dyn Watch> = Arc::new(Files(files.clone()));
                self.files = Some(self.register(&files)?);
            }
            self.notify();
        }
        Ok(self.poller.exported().unwrap_or_else(|_| self.eventfd.as_fd()))
    }

    pub(super) fn is_exported(&self) -> bool {
        self.timer.is_some()
    }

    /// Adds a file. Returns the number under which it is reported.
    #[cfg(unix)]
    pub(super) fn add_file(&mut self, fd: &OwnedFd, interest: Interest) -> io::Result<u64> {
        let number = self.next;
        self.poller.add(fd, number, interest.wanted())?;
        self.next += 1;
        Ok(number)
    }

    pub(super) fn remove_file(&mut self, fd: &OwnedFd, number: u64) {
        self.poller.remove(fd, number);
    }

    /// Returns the registration of a channel, which notifies the eventfd once it is armed.
    pub(super) fn register(&self, watch: &Arc<dyn Watch>) -> io::Result<RegistrationHandle> {
        let orders =
            Mutex::new(Orders { wakeup: WakeRegistration::new(), armed: false, turn: 0, next_tick_at: None });
        let (watch, eventfd, fork_id) = (watch.clone(), self.eventfd.clone(), ForkId::here()?);
        Ok(RegistrationHandle(Arc::new(WatchRegistration { watch, eventfd, fork_id, orders })))
    }

    /// Wakes every event loop that sleeps here.
    pub(super) fn notify(&mut self) {
        if !self.notified {
            self.eventfd.notify();
            self.notified = true;
        }
    }

    /// Arms the registrations. From here on, a member that is ready or becomes ready wakes every event loop
    /// that sleeps here. A timer is due in `timer`.
    pub(super) fn arm<'p>(
        &mut self,
        handles: impl Iterator<Item = &'p RegistrationHandle>,
        timer: Option<Duration>,
    ) {
        // (2)
        self.eventfd.reset();
        self.notified = false;
        if let Some(timerfd) = &mut self.timer {
            timerfd.set(timer);
        }
        // All of them, whatever the others return.
        let files = self.files.iter().filter(|handle| !handle.arm()).count();
        self.blind = handles.filter(|handle| !handle.arm()).count() + files > 0;
    }

    pub(super) fn sleep(&self, left: Duration) -> io::Result<()> {
        self.poller.sleep(if self.blind { left.min(BLIND) } else { left })
    }

    /// Calls `found` with the numbers of files that are ready.
    pub(super) fn poll_once(&self, mut found: impl FnMut(u64, os::Ready)) -> io::Result<()> {
        self.poller.ready(|number, ready| {
            if number >= FILES {
                found(number, ready);
            }
        })
    }
}

/// The files of a poller without epoll, for the thread that sleeps for the channels. No notifier reports
/// files, so it polls them.
#[cfg(unix)]
struct Files(FileList);

/// Time between two polls of files, if no thread sleeps for them.
#[cfg(unix)]
const POLL: Duration = Duration::from_millis(2);

#[cfg(unix)]
impl Watch for Files {
    fn poll_once(&self) -> bool {
        self.0.is_ready(FILES)
    }

    fn housekeeping(&self) -> bool {
        false
    }

    fn prepare_wait(&self) -> Option<Word> {
        None
    }

    fn max_sleep(&self) -> Duration {
        POLL
    }

    fn is_over(&self) -> bool {
        false
    }
}

/// The handle of a registration ([`WatchRegistration`]). Dropping it ends the registration.
pub(super) struct RegistrationHandle(Arc<WatchRegistration>);

struct WatchRegistration {
    watch: Arc<dyn Watch>,
    eventfd: Arc<EventFd>,
    /// The child of a fork has no reactor, and the mutex may be locked for ever.
    fork_id: ForkId,
    orders: Mutex<Orders>,
}

/// The state of a registration. The lock is held for a few instructions at a time, and never while a watch
/// is called or a wakeup is set or cancelled. Both may write log records, and the logger may use the set.
struct Orders {
    wakeup: WakeRegistration,
    armed: bool,
    /// Number of turns that were started. The wakeup of the last one counts.
    turn: u64,
    /// Time of the next housekeeping.
    next_tick_at: Option<Instant>,
}

impl RegistrationHandle {
    /// Arms the registration, which notifies when the channel is ready or becomes ready. Returns `false` if
    /// no thread sleeps for it.
    fn arm(&self) -> bool {
        let RegistrationHandle(registration) = self;
        if registration.fork_id.forked() {
            return false;
        }
        if std::mem::replace(&mut registration.orders().armed, true) {
            return true;
        }
        let asleep = registration.watch_or_notify();
        if !asleep {
            // The next call tries again.
            registration.orders().armed = false;
        }
        asleep
    }
}

impl Drop for RegistrationHandle {
    fn drop(&mut self) {
        let RegistrationHandle(registration) = self;
        if registration.fork_id.forked() {
            return;
        }
        let wakeup = {
            let mut orders = registration.orders();
            orders.armed = false;
            std::mem::replace(&mut orders.wakeup, WakeRegistration::new())
        };
        // The reactor has an `Arc` of the registration until then.
        drop(wakeup);
    }
}

impl WatchRegistration {
    fn orders(&self) -> MutexGuard<'_, Orders> {
        // `watch_or_notify` lets no panic pass. A panic elsewhere leaves it armed with a wakeup, or at rest.
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Polls its watch and sleeps on. Disarms and notifies if the channel is ready, or if the watch panics
    /// (3). Returns `false` if no thread sleeps for it.
    fn watch_or_notify(self: &Arc<Self>) -> bool {
        match catch_unwind(AssertUnwindSafe(|| self.watch())) {
            Ok(asleep) => asleep,
            Err(panic) => {
                // Its destructor can panic as well.
                std::mem::forget(panic);
                self.orders().armed = false;
                self.eventfd.notify();
                true
            }
        }
    }

    /// Runs one turn: polls the watch, and then notifies the eventfd or sets the wakeup. Returns `false` if
    /// no thread sleeps for it.
    ///
    /// Another turn may start as soon as the wakeup is set. The wakeup of the later turn stays.
    fn watch(self: &Arc<Self>) -> bool {
        let mut word = Vec::with_capacity(1);
        wait::prepare_wait([&self.watch], &mut word);
        let now = Instant::now();
        let (turn, round, mut wakeup) = {
            let mut orders = self.orders();
            orders.turn += 1;
            (orders.turn, orders.next_tick_at, std::mem::replace(&mut orders.wakeup, WakeRegistration::new()))
        };
        let mut ready = self.watch.poll_once() || self.watch.is_over();
        let mut next = round;
        if !ready && round.is_none_or(|round| round <= now) {
            next = Some(next_tick(now));
            ready = self.watch.housekeeping();
        }
        if ready {
            let mut orders = self.orders();
            (orders.armed, orders.next_tick_at) = (false, next);
            drop(orders);
            self.eventfd.notify();
            return true;
        }
        let slice = now + self.watch.max_sleep();
        let until = next.map_or(slice, |round| round.min(slice));
        let set = wakeup.set(word.first().copied(), until, &Waker::from(self.clone()));
        let mut orders = self.orders();
        orders.next_tick_at = next;
        // Disarmed by its end, or by a later turn: then this wakeup is dropped, after the lock is released.
        if orders.armed && orders.turn == turn {
            std::mem::swap(&mut orders.wakeup, &mut wakeup);
        }
        drop(orders);
        set
    }
}

impl Wake for WatchRegistration {
    fn wake(self: Arc<Self>) {
        let armed = self.orders().armed;
        if armed && !self.watch_or_notify() {
            self.orders().armed = false;
            self.eventfd.notify();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::{AtomicU32, Ordering};
    use crate::wait::Word;

    /// Panics with its next poll if `bad`, and is ready if `there`.
    #[derive(Default)]
    struct Panics {
        bad: AtomicU32,
        there: AtomicU32,
    }

    impl Watch for Panics {
        fn poll_once(&self) -> bool {
            assert_eq!(self.bad.load(Ordering::Relaxed), 0, "the watch panics, as this test wants it");
            self.there.load(Ordering::Relaxed) != 0
        }

        fn housekeeping(&self) -> bool {
            false
        }

        fn prepare_wait(&self) -> Option<Word> {
            None
        }

        fn max_sleep(&self) -> Duration {
            Duration::from_millis(5)
        }

        fn is_over(&self) -> bool {
            false
        }
    }

    fn notifies(poller: &Poller) -> bool {
        let end = Instant::now() + Duration::from_secs(30);
        while Instant::now() < end {
            let start = Instant::now();
            poller.sleep(Duration::from_secs(30)).unwrap();
            if start.elapsed() < Duration::from_secs(29) {
                return true;
            }
        }
        false
    }

    #[test]
    fn watch_that_panics_rings_and_is_armed_again() {
        let panics = Arc::new(Panics::default());
        let watch: Arc<dyn Watch> = panics.clone();
        let mut poller = Poller::new().unwrap();
        let handle = poller.register(&watch).unwrap();
        // In the thread that arms it.
        panics.bad.store(1, Ordering::Relaxed);
        poller.arm([&handle].into_iter(), None);
        assert!(notifies(&poller));
        // In the thread that sleeps for it.
        panics.bad.store(0, Ordering::Relaxed);
        poller.arm([&handle].into_iter(), None);
        assert!(handle.0.orders().armed);
        panics.bad.store(1, Ordering::Relaxed);
        assert!(notifies(&poller));
        assert!(!handle.0.orders().armed);
        // And it works again.
        panics.bad.store(0, Ordering::Relaxed);
        poller.arm([&handle].into_iter(), None);
        panics.there.store(1, Ordering::Relaxed);
        assert!(notifies(&poller));
    }
}
