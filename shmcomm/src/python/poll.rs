//! Waiting where nobody wakes: Python announces nothing, so an end that waits looks again and again.
//!
//! Owns the pace of looking. Never reads a ring: what is waited for comes as a trait.

use crate::sync::spin_loop;
use crate::wait::Deadline;
use std::time::{Duration, Instant};

/// Looks with a pause instruction in between: some microseconds.
const SPINS: u32 = 128;
/// Looks with the processor offered to others in between.
const YIELDS: u32 = 16;
/// How often an end looks around while it waits: is the segment still the one that the name stands
/// for?
const LOOK_AROUND: Duration = Duration::from_millis(5);

/// How long to sleep after having waited that long: first as Python does itself, in the end a
/// millisecond, which costs a processor about half a percent.
pub(super) fn nap(waited: Duration) -> Duration {
    match waited.as_millis() {
        0..20 => Duration::from_micros(50),
        20..1000 => Duration::from_micros(200),
        _ => Duration::from_millis(1),
    }
}

/// What can be waited for.
pub(super) trait Poll {
    type Output;

    /// Looks, without blocking.
    fn look(&mut self) -> Option<Self::Output>;

    /// Looks after what changes rarely.
    fn around(&mut self);

    /// When it last did.
    fn last_around(&mut self) -> &mut Instant;

    /// How long it may sleep between two looks.
    fn longest_nap(&self) -> Duration {
        Duration::from_millis(1)
    }
}

/// Looks once, and around if that is due.
#[inline]
pub(super) fn once<P: Poll>(target: &mut P) -> Option<P::Output> {
    if let Some(output) = target.look() {
        return Some(output);
    }
    if look_around(target) { target.look() } else { None }
}

/// Looks around if that is due; false if it is not.
pub(super) fn look_around<P: Poll>(target: &mut P) -> bool {
    let now = Instant::now();
    if now.duration_since(*target.last_around()) < LOOK_AROUND {
        return false;
    }
    *target.last_around() = now;
    target.around();
    true
}

/// Looks until there is something, or `None` at the deadline. Something that is there already beats a
/// deadline that has passed.
pub(super) fn until<P: Poll>(target: &mut P, deadline: Deadline) -> Option<P::Output> {
    if let Some(output) = once(target) {
        return Some(output);
    }
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
        if deadline.has_passed() {
            return target.look();
        }
        std::thread::yield_now();
    }
    let start = Instant::now();
    loop {
        let left = deadline.left()?;
        std::thread::sleep(nap(start.elapsed()).min(target.longest_nap()).min(left));
        if let Some(output) = once(target) {
            return Some(output);
        }
    }
}
