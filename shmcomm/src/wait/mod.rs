//! Waiting: spin, yield, then sleep in a futex that all processes share.
//!
//! Owns the one store-load handshake of the project ([`Event`]), the deadline, and the order of the
//! phases. Calls `os` for the clock and the futex. Never reads a ring: what is waited for comes as a
//! closure, and so does what is to be looked after between two sleeps. `task` does for tasks what
//! [`wait`] does for threads, with the help of `reactor`.
//!
//! # The handshake
//!
//! ```text
//!   notifier                            sleeper
//!   publish                             futex value → v
//!   MODE == 0?  → done                  WAITERS := 1
//!   fence(SeqCst)          [notify]     fence(SeqCst)             [sleep]
//!   WAITERS := 0, was it 1?             is it published? → done
//!   FUTEX += 1, wake all                sleep while FUTEX == v
//! ```
//!
//! 1. Of the two fences one comes first. If it is the notifier's, the sleeper's look after its own
//!    fence sees what was published. If it is the sleeper's, the notifier sees `WAITERS`.
//! 2. A notifier that takes the flag away changes `FUTEX` afterwards, and every sleeper read `FUTEX`
//!    before it set the flag: so whoever set the flag that was taken either finds `FUTEX` changed,
//!    or is already asleep and woken.
//! 3. `MODE` spares notifiers the fence, the only dear instruction, as long as nobody has ever wanted
//!    to sleep. It is set under the registration lock by the first sleep of a participant, and
//!    cleared when the last such participant has left. A notifier may read the old value for as long
//!    as a store takes to become visible, nanoseconds to microseconds; so the sleeps right after the
//!    announcement are short and grow ([`Patience`]).
//! 4. No sleep is longer than [`SLICE`]: a notifier may be killed between publishing and waking.

#[cfg_attr(not(feature = "async"), allow(dead_code, reason = "tasks alone have alarms"))]
mod reactor;
#[cfg(feature = "async")]
pub(crate) mod task;

use crate::fault::fault_point;
use crate::layout::{Region, event};
use crate::os;
use crate::sync::{AtomicU32, Ordering, fence, spin_loop};
use std::time::{Duration, Instant};

/// The longest sleep between two looks at the state of the world.
pub(crate) const SLICE: Duration = Duration::from_millis(50);
/// Looks with a pause instruction in between: a few microseconds.
const SPINS: u32 = 128;
/// Looks with the processor offered to others in between.
const YIELDS: u32 = 8;

/// Where participants of a segment sleep until something of one kind happens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    region: Region,
    at: usize,
}

impl Event {
    /// The event whose words start at byte `at`.
    pub(crate) fn new(region: Region, at: usize) -> Self {
        Event { region, at }
    }

    #[inline]
    fn mode(&self) -> &AtomicU32 {
        self.region.u32(self.at + event::MODE)
    }

    fn waiters(&self) -> &AtomicU32 {
        self.region.u32(self.at + event::WAITERS)
    }

    fn futex(&self) -> &AtomicU32 {
        self.region.u32(self.at + event::FUTEX)
    }

    /// Wakes whoever sleeps. Call it after what they wait for was published. Costs one load of a
    /// line that is rarely written while no participant may sleep.
    #[inline]
    pub(crate) fn notify(&self) {
        fault_point!("wake.published");
        // Relaxed: a stale 0 is what the first short sleeps are for (3).
        if self.mode().load(Ordering::Relaxed) != 0 {
            self.wake();
        }
    }

    fn wake(&self) {
        // [notify] pairs with [sleep]. (1)
        fence(Ordering::SeqCst);
        // Relaxed: ordered by the fence.
        if self.waiters().load(Ordering::Relaxed) != 0 {
            self.wake_all();
        }
    }

    /// Wakes everybody, whatever the flags say: for set-up and tear-down.
    #[cold]
    pub(crate) fn wake_all(&self) {
        // Release: keeps the change of the futex behind it. (2)
        self.waiters().swap(0, Ordering::AcqRel);
        fault_point!("wake.flag");
        self.futex().fetch_add(1, Ordering::Release);
        fault_point!("wake.futex");
        os::futex_wake(self.futex(), u32::MAX);
    }
}

/// Until when to wait.
///
/// Ordered as on the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Deadline {
    At(Instant),
    Never,
}

impl Deadline {
    /// A time that the clock cannot hold is never.
    pub(crate) fn after(timeout: Duration) -> Self {
        Instant::now().checked_add(timeout).map_or(Deadline::Never, Deadline::At)
    }

    pub(crate) fn has_passed(self) -> bool {
        self.left().is_none()
    }

    /// What is left; `None` once it has passed.
    pub(crate) fn left(self) -> Option<Duration> {
        match self {
            Deadline::Never => Some(Duration::MAX),
            Deadline::At(at) => at.checked_duration_since(Instant::now()).filter(|d| !d.is_zero()),
        }
    }
}

/// How long the next sleep of an end may be. One for each end and event.
#[derive(Debug)]
pub(crate) struct Patience {
    announced: bool,
    next: Duration,
}

impl Patience {
    pub(crate) const fn new() -> Self {
        Patience { announced: false, next: Duration::from_millis(1) }
    }

    fn slice(&mut self) -> Duration {
        let now = self.next;
        self.next = (now * 2).min(SLICE);
        now
    }
}

/// What the thing that is waited for can be asked.
pub(crate) trait Await {
    /// What waiting brings.
    type Output;

    /// Looks, without blocking: called after every pause.
    fn look(&mut self) -> Option<Self::Output>;

    /// Looks after what does not announce itself: dead peers, a replaced segment. Called before the
    /// first sleep and between sleeps, at most every 50 ms or so.
    fn idle(&mut self) -> Option<Self::Output>;

    /// When `idle` will have something to say at the latest, and is to be asked.
    fn due(&self) -> Deadline {
        Deadline::Never
    }

    /// Where to sleep now. (A follower changes its segment, and with it the event.)
    fn event(&self) -> Event;

    /// Makes notifiers look for sleepers: sets `MODE`. Called once for each `Patience`.
    fn announce(&mut self);

    fn patience(&mut self) -> &mut Patience;

    /// The channel's name, for the log.
    fn channel(&self) -> &str;

    /// Whether this process is a forked child of the one that opened the end: then only
    /// [`idle`](Await::idle) may be called, and has something. A thread that waits cannot become one, a
    /// task can.
    fn forked(&self) -> bool;
}

/// Waits until `target` has something, or `None` at the deadline. Something that is there already
/// beats a deadline that has passed.
pub(crate) fn wait<A: Await>(target: &mut A, deadline: Deadline) -> Option<A::Output> {
    for _ in 0..SPINS {
        if let Some(output) = target.look() {
            return Some(output);
        }
        spin_loop();
    }
    for _ in 0..YIELDS {
        if let Some(output) = target.look() {
            return Some(output);
        }
        if deadline.left().is_none() {
            return target.look();
        }
        std::thread::yield_now();
    }
    sleep(target, deadline)
}

#[cold]
fn sleep<A: Await>(target: &mut A, deadline: Deadline) -> Option<A::Output> {
    loop {
        if let Some(output) = target.idle() {
            return Some(output);
        }
        if !target.patience().announced {
            target.announce();
            target.patience().announced = true;
            fault_point!("wait.announced");
        }
        let event = target.event();
        // Acquire: the value is read before the flag is set. (2)
        let value = event.futex().load(Ordering::Acquire);
        // Relaxed: ordered by the fence.
        event.waiters().store(1, Ordering::Relaxed);
        fault_point!("wait.flagged");
        // [sleep] pairs with [notify]. (1)
        fence(Ordering::SeqCst);
        if let Some(output) = target.look() {
            return Some(output);
        }
        let left = deadline.left()?;
        // What is due is said before the sleep, so this is zero only if it has become due since.
        let due = target.due().left().unwrap_or(Duration::ZERO);
        let slice = target.patience().slice().min(left).min(due);
        log::trace!(target: "shmcomm", "channel `{}`: sleeping for up to {slice:?}", target.channel());
        fault_point!("wait.sleeping");
        os::futex_wait(event.futex(), value, slice);
        fault_point!("wait.woken");
        if let Some(output) = target.look() {
            return Some(output);
        }
    }
}
