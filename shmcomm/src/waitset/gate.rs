//! [`Gate`]: one place to sleep for everything, which other event loops can sleep in too.
//!
//! Owns a poller with the files of a set, a bell, and a [`Sentry`] for each channel: it has the reactor
//! sleep in the channel's futex, and rings the bell when there is something. Knows no key.
//!
//! ```text
//!            arm()                       something is there: disarmed, then the bell
//!   resting ───────► watching ────────────────────────────────────────────────────► resting
//!                     │    ▲
//!                     └────┘ woken, or a round is due, and there is nothing: asks again
//! ```
//!
//! 1. A sentry asks and then looks, each time; so whatever was there when it was armed, or comes later,
//!    rings the bell. Then it rests: what stays unread costs nothing.
//! 2. The bell is silenced before the sentries are armed; so what rings after that is not missed.

use super::Interest;
use crate::os::{self, Bell, Clock, Lineage, OwnedFd, Poller};
use crate::wait::{self, Alarm, Watch, next_round};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

/// The poller's numbers of what is the gate's own; files are numbered from [`FILES`].
const BELL: u64 = 0;
const CLOCK: u64 = 1;
const FILES: u64 = 2;

/// How long the gate sleeps where no thread sleeps for a channel.
const BLIND: Duration = Duration::from_millis(1);

pub(super) struct Gate {
    poller: Poller,
    bell: Arc<Bell>,
    /// Where others sleep here: they do not know when the timers are due.
    clock: Option<Clock>,
    /// Whether the bell is known to ring.
    ringing: bool,
    next: u64,
    /// Nobody sleeps for some of the channels.
    blind: bool,
}

impl Gate {
    pub(super) fn new() -> io::Result<Self> {
        let (poller, bell) = (Poller::new()?, Arc::new(Bell::new()?));
        poller.add(&*bell, BELL, os::Ready { read: true, write: false })?;
        Ok(Gate { poller, bell, clock: None, ringing: false, next: FILES, blind: false })
    }

    /// From now on others sleep here: it is ready until [`Gate::arm`], and keeps the time.
    #[cfg(unix)]
    pub(super) fn export(&mut self) -> io::Result<&Poller> {
        if self.clock.is_none() {
            let clock = Clock::new()?;
            self.poller.add(&clock, CLOCK, os::Ready { read: true, write: false })?;
            self.clock = Some(clock);
            self.ring();
        }
        Ok(&self.poller)
    }

    pub(super) fn is_exported(&self) -> bool {
        self.clock.is_some()
    }

    /// Adds a file; the number that it is ready under.
    #[cfg(unix)]
    pub(super) fn add_file(&mut self, fd: &OwnedFd, interest: Interest) -> io::Result<u64> {
        let number = self.next;
        self.poller.add(fd, number, interest.wanted())?;
        self.next += 1;
        Ok(number)
    }

    pub(super) fn remove_file(&self, fd: &OwnedFd) {
        self.poller.remove(fd);
    }

    /// What rings here for a channel, once it is armed.
    pub(super) fn sentry(&self, watch: &Arc<dyn Watch>) -> io::Result<Post> {
        let post = Mutex::new(Orders { alarm: Alarm::new(), armed: false, round: None });
        let (watch, bell, lineage) = (watch.clone(), self.bell.clone(), Lineage::here()?);
        Ok(Post(Arc::new(Sentry { watch, bell, lineage, orders: post })))
    }

    /// Makes whoever sleeps here go on.
    pub(super) fn ring(&mut self) {
        if !self.ringing {
            self.bell.ring();
            self.ringing = true;
        }
    }

    /// From here on, whatever is ready or becomes ready makes whoever sleeps here go on; a timer is due
    /// in `timer`.
    pub(super) fn arm<'p>(&mut self, posts: impl Iterator<Item = &'p Post>, timer: Option<Duration>) {
        // (2)
        self.bell.hush();
        self.ringing = false;
        if let Some(clock) = &self.clock {
            clock.set(timer);
        }
        // All of them, whatever the others say.
        self.blind = posts.filter(|post| !post.arm()).count() > 0;
    }

    pub(super) fn sleep(&self, left: Duration) -> io::Result<()> {
        self.poller.sleep(if self.blind { left.min(BLIND) } else { left })
    }

    /// Calls `found` with the numbers of files that are ready.
    pub(super) fn look(&self, mut found: impl FnMut(u64, os::Ready)) -> io::Result<()> {
        self.poller.look(|number, ready| {
            if number >= FILES {
                found(number, ready);
            }
        })
    }
}

/// A sentry's place: dropping it ends its watch.
pub(super) struct Post(Arc<Sentry>);

struct Sentry {
    watch: Arc<dyn Watch>,
    bell: Arc<Bell>,
    /// In the child of a fork there is no reactor, and the mutex may be locked for good.
    lineage: Lineage,
    orders: Mutex<Orders>,
}

struct Orders {
    alarm: Alarm,
    armed: bool,
    /// When to look after what does not announce itself.
    round: Option<Instant>,
}

impl Post {
    /// Rings when there is something, be it there already; false if nobody sleeps for it.
    fn arm(&self) -> bool {
        let Post(sentry) = self;
        if sentry.lineage.forked() {
            return false;
        }
        let mut orders = sentry.orders();
        if orders.armed {
            return true;
        }
        orders.armed = true;
        sentry.watch(&mut orders)
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        let Post(sentry) = self;
        if sentry.lineage.forked() {
            return;
        }
        let mut orders = sentry.orders();
        orders.armed = false;
        // The reactor has an `Arc` of the sentry until then.
        orders.alarm.unset();
    }
}

impl Sentry {
    fn orders(&self) -> MutexGuard<'_, Orders> {
        // After a panic of a watch it rests, or is armed and looks again.
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One turn of its watch; false if nobody sleeps for it.
    fn watch(self: &Arc<Self>, orders: &mut Orders) -> bool {
        let mut word = Vec::with_capacity(1);
        wait::ask([&self.watch], &mut word);
        let now = Instant::now();
        let mut ready = self.watch.look() || self.watch.is_over();
        if !ready && orders.round.is_none_or(|round| round <= now) {
            orders.round = Some(next_round(now));
            ready = self.watch.idle();
        }
        if ready {
            orders.armed = false;
            self.bell.ring();
            return true;
        }
        let slice = now + self.watch.slice();
        let until = orders.round.map_or(slice, |round| round.min(slice));
        orders.alarm.set(word.first().copied(), until, &Waker::from(self.clone()))
    }
}

impl Wake for Sentry {
    fn wake(self: Arc<Self>) {
        let mut orders = self.orders();
        if orders.armed && !self.watch(&mut orders) {
            orders.armed = false;
            self.bell.ring();
        }
    }
}
