//! A slot that has grown keeps its size for its next owners.

use super::*;
use crate::layout::Growth;

const LIMIT: usize = 4096;

/// A ring of four slots of `SIZE` bytes that grow. On the heap all of them have their memory.
fn ring() -> Ring {
    let shape = Shape {
        pattern: Pattern::PushPull,
        slots: 4,
        slot_size: SIZE,
        request_size: 0,
        align: 8,
        seats: 16,
        publishers: 1,
        schema_len: 0,
    };
    let growth = Growth { limit: LIMIT as u64, ..Growth::NONE };
    let geometry = Geometry::new(shape).unwrap().growing(growth).unwrap();
    Ring { heap: Heap::new(&geometry), geometry }
}

/// Claims the next slot, and returns its number and its capacity.
fn claimed(queue: &mut Queue) -> (u64, usize, Loan<'_>) {
    let mut loan = queue.claim_for_push().unwrap();
    assert_eq!(loan.capacity(), SIZE as usize);
    loan.take_grown();
    (loan.index(), loan.capacity(), loan)
}

#[test]
fn grown_slot_keeps_its_size_for_every_owner() {
    let ring = ring();
    let (mut one, mut other, mut puller) = (ring.seat(1), ring.seat(2), ring.seat(3));
    let (slot, capacity, mut loan) = claimed(&mut one);
    assert_eq!((slot, capacity), (0, SIZE as usize));
    loan.grow(1024);
    // A job of the new size, and another pusher beside it.
    fill(&mut loan, 5, 1024);
    assert!(loan.commit(1024, 0));
    let (slot, capacity, loan) = claimed(&mut other);
    assert_eq!((slot, capacity), (1, SIZE as usize));
    drop(loan);
    let job = puller.try_pull().unwrap();
    assert_eq!((job.len(), read(job.ptr(), 1024)), (1024, 5));
    job.done();
    for _ in 2..4 {
        push(&mut one, 1);
        puller.try_pull().unwrap().done();
    }
    // The next owner finds it on the next lap, grows it further, and dies with it.
    let (slot, capacity, mut loan) = claimed(&mut other);
    assert_eq!((slot, capacity), (0, 1024));
    loan.grow(LIMIT + 1);
    assert_eq!(loan.capacity(), LIMIT);
    core::mem::forget(loan);
    one.recover(2, false);
    assert!(ring.is_all_free());
    for _ in 1..4 {
        push(&mut one, 1);
        puller.try_pull().unwrap().done();
    }
    let (slot, capacity, _loan) = claimed(&mut one);
    assert_eq!((slot, capacity), (0, LIMIT));
}

#[test]
fn size_of_a_slot_never_falls() {
    let ring = ring();
    let mut queue = ring.seat(1);
    let (_, _, mut loan) = claimed(&mut queue);
    loan.grow(2000);
    loan.grow(1000);
    assert_eq!(loan.capacity(), 2000);
    let extra = ring.geometry.slots_offset as usize + slot::EXTRA;
    assert_eq!(ring.heap.region().u64(extra).load(Relaxed), 2000);
    // Less than a slot has from the start, and more than it can have, in a damaged segment.
    for (word, capacity) in [(0, SIZE as usize), (7, SIZE as usize), (u64::MAX, LIMIT)] {
        ring.heap.region().u64(extra).store(word, Relaxed);
        loan.take_grown();
        assert_eq!(loan.capacity(), capacity);
    }
}

#[test]
fn length_beyond_the_limit_is_limited_to_it() {
    let ring = ring();
    let (mut pusher, mut puller) = (ring.seat(1), ring.seat(2));
    let (_, _, mut loan) = claimed(&mut pusher);
    loan.grow(LIMIT);
    assert!(loan.commit(usize::MAX, 0));
    assert_eq!(puller.try_pull().unwrap().len(), LIMIT);
}
