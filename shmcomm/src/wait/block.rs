//! Waiting for one end, in the thread that uses it.
//!
//! Source: eventcount (Vyukov; folly).
//!
//! Owns the futex of an event ([`EventCount`]) and the three phases: spin, yield, sleep. Calls `eventcount`
//! for the order of steps. Never reads a ring.

use super::eventcount::{self, Words};
use super::lease::{self, SeenLease};
use super::many::Word;
use super::{Deadline, FIRST_SLEEP, MAX_SLEEP, SPINS, Stop, StopHandle, Stopped, YIELDS};
use crate::fault::fault_point;
use crate::layout::{Line, Region, event};
use crate::os::{self, FutexAt};
use crate::sync::{AtomicU32, Ordering, spin_loop};
use core::ops::ControlFlow;
use std::time::Duration;

/// The eventcount in which participants of a segment sleep until something of one kind happens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventCount {
    words: Line,
}

impl EventCount {
    /// Creates the event whose words start at byte `at`.
    pub(crate) fn new(region: Region, at: usize) -> Self {
        EventCount { words: region.line(at) }
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

    /// Returns the number of wakes. It has changed once all sleepers were woken.
    #[inline]
    pub(crate) fn wakes(&self) -> u32 {
        // Acquire: a participant that sees a wake sees the data that was published before it.
        self.futex().load(Ordering::Acquire)
    }

    /// Sets the flag on behalf of a thread that sleeps elsewhere: see [`super::Watch::prepare_wait`].
    pub(crate) fn prepare_wait(&self) -> Word {
        let value = self.words().prepare_wait();
        (FutexAt::new(self.futex()), value)
    }

    /// Sleeps while the futex has this value and the wait is not stopped, at most `timeout`. (See `stop`.)
    fn commit_wait(&self, value: u32, stop: Option<&StopHandle>, timeout: Duration) {
        match stop {
            Some(stop) if os::waits_for_many() => {
                os::futex_wait_any(&[(FutexAt::new(self.futex()), value), stop.word()], timeout);
            }
            _ => {
                os::futex_wait(self.futex(), value, timeout);
            }
        }
    }

    /// Wakes all sleepers. The caller must have published the data before. Costs one load of a
    /// line that is rarely written, while no participant may sleep.
    #[inline]
    pub(crate) fn notify(&self) {
        fault_point!("wake.published");
        // Relaxed: the short first sleeps cover a stale 0 (rule 2).
        if self.mode().load(Ordering::Relaxed) != 0 {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        if self.words().has_waiters() {
            self.wake_all();
        }
    }

    /// Wakes all sleepers like [`EventCount::notify`], of an event whose sleepers have a lease. Ends a lease that no
    /// sleeper renews.
    #[inline]
    pub(crate) fn notify_leased(&self, seen: &mut SeenLease) {
        fault_point!("wake.stored");
        // Relaxed: the short first sleeps cover a stale 0 (rule 2).
        let mode = self.mode().load(Ordering::Relaxed);
        if mode != 0 {
            self.wake_leased(mode, seen);
        }
    }

    #[cold]
    fn wake_leased(&self, mode: u32, seen: &mut SeenLease) {
        self.wake();
        if seen.is_over(mode, os::monotonic_coarse()) {
            lease::end(self.mode(), mode);
        }
    }

    /// Renews the lease of the sleepers of this event. Returns `true` if no sleeper had one: the next sleeps must be short.
    pub(crate) fn renew_lease(&self) -> bool {
        lease::renew(self.mode())
    }

    /// Wakes all sleepers, whatever the flags say: for set-up and tear-down.
    #[cold]
    pub(crate) fn wake_all(&self) {
        self.words().notify();
        fault_point!("wake.futex");
        os::futex_wake(self.futex(), u32::MAX);
    }
}

/// The sleep backoff of an end: the longest next sleep. Each end has one for each event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SleepBackoff {
    pub(super) announced: bool,
    next: Duration,
    /// Number of waits that have found something.
    found: u32,
    /// The deadline of a wait that found something after that deadline.
    late: Option<Deadline>,
}

/// Number of successful waits between two checks that the attempts which follow succeed too.
const CHECK_EVERY: u32 = 64;

impl SleepBackoff {
    pub(crate) const fn new() -> Self {
        SleepBackoff { announced: false, next: FIRST_SLEEP, found: 0, late: None }
    }

    /// Makes the next sleeps short, as after an announcement.
    pub(crate) fn restart(&mut self) {
        self.next = FIRST_SLEEP;
    }

    /// Counts a wait that has found something. Returns `true` if a check is due.
    #[inline]
    pub(super) fn has_found(&mut self) -> bool {
        self.found = self.found.wrapping_add(1);
        self.found.is_multiple_of(CHECK_EVERY)
    }

    /// Returns `true` if this is the second check of one blocking call after its deadline. A damaged ring
    /// can report for ever that there is something, and have nothing for the attempts that follow.
    #[cold]
    fn waits_in_vain(&mut self, deadline: Deadline) -> bool {
        // Another thread may have to run before the attempt can succeed.
        std::thread::yield_now();
        deadline.has_passed() && self.late.replace(deadline) == Some(deadline)
    }

    pub(super) fn max_sleep(&mut self) -> Duration {
        let now = self.next;
        self.next = (now * 2).min(MAX_SLEEP);
        now
    }
}

/// The interface of an awaited condition.
pub(crate) trait WaitFor {
    /// The result of the wait.
    type Output;

    /// Polls the condition without blocking. Called after every pause.
    fn poll_once(&mut self) -> Option<Self::Output>;

    /// Checks conditions that send no notification: dead peers, a replaced segment. Called
    /// before the first sleep and between sleeps, at most about every 50 ms.
    fn housekeeping(&mut self) -> Option<Self::Output>;

    /// Returns the latest time at which `housekeeping` will have a result, and must be called.
    fn due(&self) -> Deadline {
        Deadline::Never
    }

    /// Returns the event to sleep in now. (A follower changes its segment, and with it the event.)
    fn event(&self) -> EventCount;

    fn backoff(&mut self) -> &mut SleepBackoff;

    /// Returns the end's seat in the segment.
    fn seat(&self) -> &impl Seated;

    /// Returns the handle that may stop the wait.
    fn stop(&self) -> &Stop;
}

/// The seat of an end that waits.
pub(crate) trait Seated {
    /// Makes notifiers check for waiters: sets `MODE`. Called once for each `SleepBackoff`.
    fn enable_notify(&self);

    /// Returns the name of the channel, for the log.
    fn channel(&self) -> &str;

    /// Returns `true` if this process is a forked child of the process that opened the end. In a child only
    /// [`housekeeping`](WaitFor::housekeeping) may be called, and has a result. A thread that waits cannot become a forked
    /// child, a task can.
    #[cfg_attr(not(feature = "async"), allow(dead_code, reason = "only tasks call this"))]
    fn forked(&self) -> bool;
}

/// Waits until `target` has something. Returns `None` at the deadline. A result that is there already takes
/// precedence over a deadline that has passed, except if `target` reports it more than 64 times and never
/// has it. A stop takes precedence over both.
pub(crate) fn wait<A: WaitFor>(target: &mut A, deadline: Deadline) -> Result<Option<A::Output>, Stopped> {
    target.stop().check()?;
    let Some(output) = poll(target, deadline)? else { return Ok(None) };
    if target.backoff().has_found() && target.backoff().waits_in_vain(deadline) {
        return Ok(None);
    }
    Ok(Some(output))
}

#[inline(always)]
fn poll<A: WaitFor>(target: &mut A, deadline: Deadline) -> Result<Option<A::Output>, Stopped> {
    match spin(SPINS, deadline, || target.poll_once()) {
        ControlFlow::Break(output) => Ok(output),
        ControlFlow::Continue(()) => sleep(target, deadline),
    }
}

/// Calls `poll` until it returns an output: `spins` times with a pause instruction after it, then [`YIELDS`]
/// times with a yield of the processor. Breaks with `None` at the deadline; continues if the caller must sleep.
#[inline(always)]
pub(crate) fn spin<T>(
    spins: u32,
    deadline: Deadline,
    mut poll: impl FnMut() -> Option<T>,
) -> ControlFlow<Option<T>> {
    for _ in 0..spins {
        if let Some(output) = poll() {
            return ControlFlow::Break(Some(output));
        }
        spin_loop();
    }
    for _ in 0..YIELDS {
        if let Some(output) = poll() {
            return ControlFlow::Break(Some(output));
        }
        if deadline.has_passed() {
            return ControlFlow::Break(poll());
        }
        std::thread::yield_now();
    }
    ControlFlow::Continue(())
}

#[cold]
fn sleep<A: WaitFor>(target: &mut A, deadline: Deadline) -> Result<Option<A::Output>, Stopped> {
    let stop = target.stop().get().cloned();
    loop {
        if stop.as_ref().is_some_and(StopHandle::is_stopped) {
            return Err(Stopped);
        }
        if let Some(output) = target.housekeeping() {
            return Ok(Some(output));
        }
        if !target.backoff().announced {
            target.seat().enable_notify();
            target.backoff().announced = true;
            fault_point!("wait.announced");
        }
        let event = target.event();
        let ([value], output) = eventcount::prepare_wait([event.words()], || target.poll_once());
        if output.is_some() {
            return Ok(output);
        }
        let Some(left) = deadline.left() else { return Ok(None) };
        // `housekeeping` reports everything that is due before the sleep: this is zero only if it became due since.
        let due = target.due().left().unwrap_or(Duration::ZERO);
        let slice = target.backoff().max_sleep().min(left).min(due);
        log::trace!(target: "shmcomm", "channel `{}`: sleeping for up to {slice:?}", target.seat().channel());
        fault_point!("wait.sleeping");
        event.commit_wait(value, stop.as_ref(), slice);
        fault_point!("wait.woken");
        if let Some(output) = target.poll_once() {
            return Ok(Some(output));
        }
    }
}
