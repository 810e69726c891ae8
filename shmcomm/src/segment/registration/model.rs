//! The registration lock in all interleavings: threads of one process that share an open file, and another
//! process.
//!
//! Owns a model of the kernel's locks. They belong to a description, which may take a lock that it already
//! has; an unlock releases every lock of the description. The turns and the registration are the real ones.

use super::{LockFile, REGISTRATION, Registration, SharedFile, Turn};
use crate::sync::{AtomicU32, Ordering};
use loom::sync::Mutex;
use loom::thread;
use std::io;
use std::sync::Arc;

/// A segment: which description has the registration lock, its name, its seats.
struct World {
    holder: Mutex<Option<u32>>,
    named: AtomicU32,
    seated: [AtomicU32; 2],
}

/// An open file description of the segment.
pub(in super::super) struct Description {
    world: Arc<World>,
    number: u32,
}

impl LockFile for Description {
    fn try_lock(&self, byte: u64) -> io::Result<bool> {
        assert_eq!(byte, REGISTRATION);
        let holder = &mut *self.world.holder.lock().unwrap();
        let free = holder.is_none_or(|holder| holder == self.number);
        if free {
            *holder = Some(self.number);
        }
        Ok(free)
    }

    fn unlock(&self, _byte: u64) -> io::Result<()> {
        let holder = &mut *self.world.holder.lock().unwrap();
        if *holder == Some(self.number) {
            *holder = None;
        }
        Ok(())
    }
}

fn world() -> Arc<World> {
    let seated = [AtomicU32::new(1), AtomicU32::new(0)];
    Arc::new(World { holder: Mutex::new(None), named: AtomicU32::new(1), seated })
}

fn register<'d>(mut turn: Turn<'d, Description>) -> Registration<'d, Description> {
    loop {
        turn = match turn.try_register().unwrap() {
            Ok(registration) => return registration,
            Err(turn) => turn,
        };
        thread::yield_now();
    }
}

/// Leaves seat 0, and removes the name if no participant is left.
fn leave(liveness: &SharedFile<Description>) {
    let registration = register(liveness.turn());
    let world = &registration.file().world;
    // Relaxed, here and below: the registration lock orders it.
    world.seated[0].store(0, Ordering::Relaxed);
    if world.seated[1].load(Ordering::Relaxed) == 0 {
        world.named.store(0, Ordering::Relaxed);
    }
}

/// Recovers dead participants if no other thread has the turn; there are none to recover.
fn recover(liveness: &SharedFile<Description>) {
    drop(liveness.turn().try_register().unwrap());
}

/// Joins on seat 1 if the segment has its name.
fn join(mut file: Description) -> bool {
    let registration = register(Turn::sole(&mut file));
    let world = &registration.file().world;
    let named = world.named.load(Ordering::Relaxed) == 1;
    if named {
        world.seated[1].store(1, Ordering::Relaxed);
    }
    named
}

fn check(steps: [fn(&SharedFile<Description>); 2]) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(move || {
        let world = world();
        let liveness = Arc::new(SharedFile::new(Description { world: world.clone(), number: 0 }));
        let threads = steps.map(|step| {
            let liveness = liveness.clone();
            thread::spawn(move || step(&liveness))
        });
        let joined = join(Description { world: world.clone(), number: 1 });
        for thread in threads {
            thread.join().unwrap();
        }
        let named = world.named.load(Ordering::Relaxed) == 1;
        assert_eq!(joined, named, "a participant and the name belong together");
    });
}

#[test]
fn reclaim_beside_a_leave_admits_no_late_join() {
    check([leave, recover]);
}

#[test]
fn two_reclaims_beside_a_join_change_nothing() {
    check([recover, recover]);
}
