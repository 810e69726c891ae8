//! The handshake in all interleavings; loom runs the very steps of `eventcount`.
//!
//! A mutex and a condition model a futex: the comparison and the start of the sleep are one step, as in the
//! kernel. Sleeps have no time limit here, so a lost wake is a deadlock, which loom reports. Two threads
//! run in all interleavings, three threads in the interleavings with at most three preemptions.

use super::eventcount::{self, Words};
use super::lease;
use super::stop;
use crate::fault::crash_at;
use crate::sync::{AtomicU32, Ordering, fence};
use loom::sync::{Condvar, Mutex};
use loom::thread;
use std::sync::Arc;

/// An event, and the number of messages that were published in it.
#[derive(Default)]
struct EventCount {
    published: AtomicU32,
    waiters: AtomicU32,
    futex: AtomicU32,
}

impl EventCount {
    fn words(&self) -> Words<'_> {
        Words { waiters: &self.waiters, futex: &self.futex }
    }
}

/// The lease of a sleeper that died.
const LEFT: u32 = 7;

/// Two events, and the kernel's queue of sleepers.
struct World {
    events: [EventCount; 2],
    stop: AtomicU32,
    /// The word `MODE` of the first event. A sleeper that died has left this lease.
    lease: AtomicU32,
    asleep: Mutex<()>,
    woken: Condvar,
}

impl World {
    fn new() -> Self {
        World {
            events: Default::default(),
            stop: AtomicU32::new(stop::RUNNING),
            lease: AtomicU32::new(LEFT),
            asleep: Mutex::new(()),
            woken: Condvar::new(),
        }
    }

    fn publish(&self, event: usize) {
        let event = &self.events[event];
        // Relaxed: the fences order it.
        event.published.fetch_add(1, Ordering::Relaxed);
        if event.words().has_waiters() {
            event.words().notify();
            // The kernel searches for sleepers under its own lock.
            drop(self.asleep.lock().unwrap());
            self.woken.notify_all();
        }
    }

    /// Publishes in the first event, for sleepers that have a lease.
    fn publish_leased(&self) {
        // Relaxed: the fences order it.
        self.events[0].published.fetch_add(1, Ordering::Relaxed);
        // Stands for the short first sleeps, which cover a store that is not visible yet: sleeps are endless here.
        fence(Ordering::SeqCst);
        if self.lease.load(Ordering::Relaxed) != 0 && self.events[0].words().has_waiters() {
            self.events[0].words().notify();
            drop(self.asleep.lock().unwrap());
            self.woken.notify_all();
        }
    }

    /// Renews the lease before each sleep, and waits for a message in the first event.
    fn wait_leased(&self) {
        loop {
            lease::renew(&self.lease);
            let event = &self.events[0];
            // Relaxed: the fences order it.
            let look = || event.published.load(Ordering::Relaxed);
            let ([value], found) = eventcount::prepare_wait([event.words()], look);
            if found > 0 {
                return;
            }
            let asleep = self.asleep.lock().unwrap();
            if event.futex.load(Ordering::Acquire) == value {
                drop(self.woken.wait(asleep).unwrap());
            }
        }
    }

    fn stop(&self) {
        stop::stop(&self.stop, || {
            // The kernel searches for sleepers under its own lock.
            drop(self.asleep.lock().unwrap());
            self.woken.notify_all();
        });
    }

    /// Waits until a message was published in the first event. Returns `false` if it is stopped first.
    fn wait_or_stop(&self) -> bool {
        let event = &self.events[0];
        loop {
            if stop::is_set(&self.stop) {
                return false;
            }
            // Relaxed: the fences order it.
            let look = || event.published.load(Ordering::Relaxed);
            let ([value], found) = eventcount::prepare_wait([event.words()], look);
            if found > 0 {
                return true;
            }
            let asleep = self.asleep.lock().unwrap();
            let unchanged = event.futex.load(Ordering::Acquire) == value;
            // Relaxed: the lock orders it, as the kernel's does.
            if unchanged && self.stop.load(Ordering::Relaxed) == stop::RUNNING {
                drop(self.woken.wait(asleep).unwrap());
            }
        }
    }

    /// Waits until `messages` messages were published in the first `N` events together.
    fn wait_for<const N: usize>(&self, messages: u32) {
        let events: [&EventCount; N] = std::array::from_fn(|event| &self.events[event]);
        // Relaxed: the fences order it.
        let look = || events.iter().map(|event| event.published.load(Ordering::Relaxed)).sum::<u32>();
        loop {
            let (values, found) = eventcount::prepare_wait(events.map(EventCount::words), look);
            if found == messages {
                return;
            }
            let asleep = self.asleep.lock().unwrap();
            let mut words = events.iter().zip(values);
            if words.all(|(event, value)| event.futex.load(Ordering::Acquire) == value) {
                drop(self.woken.wait(asleep).unwrap());
            }
        }
    }
}

/// Runs the first closure in this thread, and the others in other threads.
fn together<const N: usize>(preemptions: Option<usize>, first: fn(&World), others: [fn(&World); N]) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(move || {
        let world = Arc::new(World::new());
        let others = others.map(|other| {
            let world = world.clone();
            thread::spawn(move || other(&world))
        });
        first(&world);
        for other in others {
            other.join().unwrap();
        }
    });
}

#[test]
fn a_sleeper_is_woken() {
    together(None, |world| world.wait_for::<1>(1), [|world| world.publish(0)]);
}

/// A late wake for the first message must not prevent the wake for the second.
#[test]
fn a_late_wake_is_not_for_the_next_message() {
    let twice = |world: &World| {
        world.publish(0);
        world.publish(0);
    };
    together(None, |world| world.wait_for::<1>(2), [twice]);
}

#[test]
fn a_sleeper_in_two_events_is_woken_by_either() {
    together(None, |world| world.wait_for::<2>(1), [|world| world.publish(0)]);
    together(None, |world| world.wait_for::<2>(1), [|world| world.publish(1)]);
}

#[test]
fn a_sleeper_in_two_events_is_woken_by_both() {
    let notifiers: [fn(&World); 2] = [|world| world.publish(0), |world| world.publish(1)];
    together(Some(3), |world| world.wait_for::<2>(2), notifiers);
}

#[test]
fn a_sleeper_is_woken_by_two_notifiers() {
    together(Some(3), |world| world.wait_for::<1>(2), [|world| world.publish(0); 2]);
}

#[test]
fn two_sleepers_in_one_event_are_both_woken() {
    let others: [fn(&World); 2] = [|world| world.wait_for::<1>(1), |world| world.publish(0)];
    together(Some(3), |world| world.wait_for::<1>(1), others);
}

#[test]
fn a_stop_ends_a_wait() {
    together(None, |world| assert!(!world.wait_or_stop()), [|world| world.stop()]);
}

/// A message and a stop that come at the same time leave no thread asleep.
#[test]
fn a_stop_and_a_message_end_a_wait() {
    let others: [fn(&World); 2] = [|world| world.publish(0), |world| world.stop()];
    let first = |world: &World| {
        world.wait_or_stop();
    };
    together(Some(3), first, others);
}

/// A notifier ends the lease of a dead sleeper while another sleeper renews it, and a third process publishes.
#[test]
fn a_renewed_lease_is_not_ended() {
    let others: [fn(&World); 2] = [|world| lease::end(&world.lease, LEFT), World::publish_leased];
    together(Some(3), World::wait_leased, others);
}

/// One of two sleepers dies at any step of its wait. The other one is woken.
#[test]
fn a_dead_sleeper_takes_no_wake_away() {
    let dies = |world: &World| {
        for point in 0..2 {
            crash_at(point, || {
                lease::renew(&world.lease);
                world.events[0].words().prepare_wait();
            });
        }
    };
    together(Some(3), World::wait_leased, [dies, World::publish_leased]);
}
