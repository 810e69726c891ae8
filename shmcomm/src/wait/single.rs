//! Waiting for one end, in the thread that uses it.
//!
//! Owns the place to sleep ([`Event`]) and the three phases. Calls `handshake` for the order of steps.

use super::handshake::{self, Words};
use super::many::Word;
use super::{Deadline, FIRST_SLICE, SLICE, SPINS, YIELDS};
use crate::fault::fault_point;
use crate::layout::{Line, Region, event};
use crate::os::{self, FutexAt};
use crate::sync::{AtomicU32, Ordering, spin_loop};
use std::time::Duration;

/// Where participants of a segment sleep until something of one kind happens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    words: Line,
}

impl Event {
    /// The event whose words start at byte `at`.
    pub(crate) fn new(region: Region, at: usize) -> Self {
        Event { words: region.line(at) }
    }

    #[inline]
    fn mode(&self) -> &AtomicU32 {
        self.words.u32(event::MODE)
    }

    pub(super) fn futex(&self) -> &AtomicU32 {
        self.words.u32(event::FUTEX)
    }

    pub(super) fn words(&self) -> Words<'_> {
        Words { waiters: self.words.u32(event::WAITERS), futex: self.futex() }
    }

    /// How often somebody was woken: it has changed once everybody was.
    #[inline]
    pub(crate) fn wakes(&self) -> u32 {
        // Acquire: who sees a wake sees what it was about.
        self.futex().load(Ordering::Acquire)
    }

    /// Asks to be woken, for somebody who sleeps elsewhere: see [`super::Watch::ask`].
    pub(crate) fn ask(&self) -> Word {
        let value = self.words().ask();
        (FutexAt::new(self.futex()), value)
    }

    /// Wakes whoever sleeps. Call it after what they wait for was published. Costs one load of a
    /// line that is rarely written while no participant may sleep.
    #[inline]
    pub(crate) fn notify(&self) {
        fault_point!("wake.published");
        // Relaxed: a stale 0 is what the first short sleeps are for (rule 2).
        if self.mode().load(Ordering::Relaxed) != 0 {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        if self.words().is_asked() {
            self.wake_all();
        }
    }

    /// Wakes everybody, whatever the flags say: for set-up and tear-down.
    #[cold]
    pub(crate) fn wake_all(&self) {
        self.words().answer();
        fault_point!("wake.futex");
        os::futex_wake(self.futex(), u32::MAX);
    }
}

/// How long the next sleep of an end may be. One for each end and event.
#[derive(Debug)]
pub(crate) struct Patience {
    pub(super) announced: bool,
    next: Duration,
}

impl Patience {
    pub(crate) const fn new() -> Self {
        Patience { announced: false, next: FIRST_SLICE }
    }

    pub(super) fn slice(&mut self) -> Duration {
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
    #[cfg_attr(not(feature = "async"), allow(dead_code, reason = "tasks alone ask"))]
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
        let ([value], output) = handshake::ask([event.words()], || target.look());
        if output.is_some() {
            return output;
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
