//! The queue under loom: every interleaving and every stale read that the memory model allows.
//!
//! A participant that dies stops at one of its fault points, each of them in turn. Another participant that
//! learned of the death then recovers its seat, as if it had got the lock of the seat. Models without a bound
//! are exhaustive. `SHMCOMM_MUTANT` selects a known-wrong variant, and each must fail: see
//! `.ci/loom-mutants`.

mod push_pull;
mod req_rep;
mod streams;

use super::*;
use crate::fault::crash_at;
use crate::layout::{Discipline, Exchange, Geometry, Heap, Pattern, Shape, StreamPlaces};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// Creates a ring of `slots` slots of 120 bytes: a request of 8 bytes has its reply at byte 40.
struct Ring {
    geometry: Geometry,
    heap: Heap,
}

impl Ring {
    fn new(slots: u64) -> Arc<Self> {
        let shape = Shape {
            pattern: Pattern::ReqRep,
            slots,
            slot_size: 120,
            request_size: 8,
            align: 8,
            seats: 8,
            publishers: 1,
            schema_len: 0,
        };
        let geometry = Geometry::new(shape).unwrap();
        Arc::new(Ring { heap: Heap::new(&geometry), geometry })
    }

    /// Creates a ring whose requests of 8 bytes have a window of replies of 8 bytes. The counts of a stream are words
    /// of the payload.
    fn streaming(slots: u64, window: u64) -> Arc<Self> {
        let (request_size, align) = (8, 8);
        let exchange = Exchange::behind(request_size, Discipline::Queue.head(), align);
        let sizes = (window as usize, 8);
        let slot_size = StreamPlaces::slot_size(exchange, Discipline::Queue.head(), align, sizes) as u64;
        let shape = Shape {
            pattern: Pattern::ReqRep,
            slots,
            slot_size,
            request_size: request_size as u64,
            align: align as u64,
            seats: 8,
            publishers: 1,
            schema_len: 0,
        };
        let geometry = Geometry::new(shape).unwrap().streaming(window).unwrap();
        Arc::new(Ring { heap: Heap::observed(&geometry), geometry })
    }

    fn seat(&self, seat: u32) -> Queue {
        Queue::new(self.heap.region(), &self.geometry, seat)
    }

    /// Checks that the ring is empty, and still takes and gives a full ring of messages.
    fn assert_intact(&self) {
        let (mut pusher, mut puller) = (self.seat(6), self.seat(7));
        let slots = pusher.slots;
        for (index, slot) in slots.all().enumerate() {
            let word = slots.word(slot);
            assert!(word.is(State::Free), "slot {index} is left {word:?}");
        }
        for value in 0..slots.count {
            assert!(push(&mut pusher, 900 + value), "no room in an empty ring");
        }
        for value in 0..slots.count {
            assert_eq!(pull(&mut puller), Some((900 + value, false)));
        }
    }
}

fn push(queue: &mut Queue, value: u64) -> bool {
    let Some(mut loan) = queue.claim_for_push() else { return false };
    loan.put(0, value);
    loan.commit(8, 0)
}

fn pull(queue: &mut Queue) -> Option<(u64, bool)> {
    let job = queue.try_pull()?;
    let got = (job.get(0), job.redelivered());
    job.done();
    Some(got)
}

/// Runs a model with at most `bound` preemptions; without a bound, with all of them.
fn check(bound: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = bound;
    builder.max_branches = 20_000;
    builder.check(model);
}

/// True if a participant reached its last point in the model that runs now.
static DIED: AtomicBool = AtomicBool::new(false);

/// Runs `life`, and kills it at its `point`-th fault point. Returns `None` if it died.
fn life<T>(point: Option<u32>, life: impl FnOnce() -> T) -> Option<T> {
    let Some(point) = point else { return Some(life()) };
    let outcome = crash_at(point, life);
    if outcome.is_none() {
        DIED.store(true, SeqCst);
    }
    outcome
}

/// Checks `model` without a death, and then with one at each point that is ever reached.
fn check_deaths(bound: Option<usize>, model: impl Fn(Option<u32>) + Send + Sync + Clone + 'static) {
    let alive = model.clone();
    check(bound, move || alive(None));
    for point in 0.. {
        DIED.store(false, SeqCst);
        let model = model.clone();
        check(bound, move || model(Some(point)));
        if !DIED.load(SeqCst) {
            assert!(point > 2, "no participant died at point {point}");
            break;
        }
    }
}
