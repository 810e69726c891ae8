//! The handshake in all interleavings; loom runs the very steps of `handshake`.
//!
//! A futex is modelled by a mutex and a condition: to compare and to fall asleep is one step, as in the
//! kernel. Sleeps have no end here, so a lost wake is a deadlock, which loom reports. Two threads are run
//! in all interleavings, three in those with at most three preemptions.

use super::handshake::{self, Words};
use crate::sync::{AtomicU32, Ordering};
use loom::sync::{Condvar, Mutex};
use loom::thread;
use std::sync::Arc;

/// An event, and how many messages were published there.
#[derive(Default)]
struct Event {
    published: AtomicU32,
    waiters: AtomicU32,
    futex: AtomicU32,
}

impl Event {
    fn words(&self) -> Words<'_> {
        Words { waiters: &self.waiters, futex: &self.futex }
    }
}

/// Two events, and the kernel's queue of sleepers.
struct World {
    events: [Event; 2],
    asleep: Mutex<()>,
    woken: Condvar,
}

impl World {
    fn new() -> Self {
        World { events: Default::default(), asleep: Mutex::new(()), woken: Condvar::new() }
    }

    fn publish(&self, event: usize) {
        let event = &self.events[event];
        // Relaxed: the fences order it.
        event.published.fetch_add(1, Ordering::Relaxed);
        if event.words().is_asked() {
            event.words().answer();
            // The kernel looks for sleepers under its own lock.
            drop(self.asleep.lock().unwrap());
            self.woken.notify_all();
        }
    }

    /// Waits until so many messages were published in the first `N` events together.
    fn wait_for<const N: usize>(&self, messages: u32) {
        let events: [&Event; N] = std::array::from_fn(|event| &self.events[event]);
        // Relaxed: the fences order it.
        let look = || events.iter().map(|event| event.published.load(Ordering::Relaxed)).sum::<u32>();
        loop {
            let (values, found) = handshake::ask(events.map(Event::words), look);
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

/// This thread does the first, other threads the others.
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

/// A wake for the first message that comes late must not keep the second from waking.
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
