//! The window without a ring: the positions that the publisher may take, its evictions, and its wakes.

use super::*;
use crate::layout::{Discipline, Heap, Pattern, Shape};
use crate::ring::broadcast::Writer;

const SLOTS: u64 = 64;
const SECOND: u64 = 1_000_000_000;
const TERMS: FlowTerms = FlowTerms { patience: SECOND, history: false };

struct Ring {
    heap: Heap,
    geometry: Geometry,
}

impl Ring {
    fn new() -> Self {
        let shape = Shape {
            pattern: Pattern::PubSub,
            slots: SLOTS,
            slot_size: 8,
            request_size: 0,
            align: 8,
            seats: 6,
            publishers: 1,
            schema_len: 0,
        };
        let geometry = Geometry::with(Discipline::Copied, shape).unwrap();
        Ring { heap: Heap::new(&geometry), geometry }
    }

    fn share(&self, seat: u32, terms: FlowTerms) -> GatingSequence {
        let (region, geometry) = (self.heap.region(), &self.geometry);
        let start = || Reader::join(region, geometry, 0, if terms.history { SLOTS } else { 0 });
        join(region, geometry, geometry.seat(seat), terms, start).expect("a sound region").1
    }

    fn window(&self) -> FlowControl {
        FlowControl::new(self.heap.region(), &self.geometry)
    }

    /// Publishes this number of messages, whether subscribers have read them or not.
    fn publish(&self, count: u64) {
        let mut writer = Writer::new(self.heap.region(), &self.geometry).expect("a sound region");
        (0..count).for_each(|number| writer.send(&number.to_ne_bytes()).expect("nothing is held"));
    }

    fn word(&self, seat: u32, at: usize) -> u64 {
        self.heap.region().u64(self.geometry.seat(seat) + at).load(Relaxed)
    }
}

#[test]
fn slowest_subscriber_sets_the_limit() {
    let ring = Ring::new();
    let mut window = ring.window();
    assert_eq!(window.limit(0), SLOTS, "a lap, so that a join is detected");
    ring.publish(10);
    let (mut slow, mut fast) = (ring.share(1, TERMS), ring.share(5, TERMS));
    assert_eq!(window.limit(10), 10 + SLOTS);
    fast.consumed(50);
    assert_eq!(window.limit(60), 10 + SLOTS);
    slow.consumed(30);
    assert_eq!(window.limit(60), 30 + SLOTS);
    slow.leave();
    assert_eq!(window.limit(60), 50 + SLOTS);
    fast.leave();
    assert_eq!(window.limit(60), 60 + SLOTS);
}

#[test]
fn hostile_subscriber_cannot_move_limit_beyond_a_lap() {
    let ring = Ring::new();
    let mut window = ring.window();
    let mut share = ring.share(1, TERMS);
    for position in [0, 1, 99, u64::MAX, u64::MAX - SLOTS, 1 << 62] {
        share.consumed(position);
        let limit = window.limit(1000);
        assert!((1000..=1000 + SLOTS).contains(&limit), "{position}: {limit}");
    }
}

#[test]
fn observer_neither_holds_the_publisher_nor_counts() {
    let ring = Ring::new();
    let mut window = ring.window();
    assert!(!has_joined(ring.word(2, seat::FLOW)));
    ring.share(2, FlowTerms { patience: 0, ..TERMS });
    assert!(has_joined(ring.word(2, seat::FLOW)) && !is_gating(ring.word(2, seat::FLOW)));
    let member = ring.share(3, TERMS);
    assert!(is_gating(ring.word(3, seat::FLOW)));
    member.leave();
    assert_eq!(window.limit(500), 500 + SLOTS);
    assert_eq!((window.evict_stalled(500, 0), window.evict_stalled(500, u64::MAX)), (0, 0));
}

#[test]
fn only_a_stalled_subscriber_is_evicted() {
    let ring = Ring::new();
    let mut window = ring.window();
    let (mut stopped, mut slow) = (ring.share(1, TERMS), ring.share(2, TERMS));
    let patient = ring.share(3, FlowTerms { patience: u64::MAX, ..TERMS });
    assert_eq!(window.limit(SLOTS), SLOTS);
    // No subscriber blocks the publisher yet: time does not count.
    assert_eq!((window.evict_stalled(SLOTS - 1, 0), window.eviction_due()), (0, None));
    assert_eq!((window.evict_stalled(SLOTS, 5 * SECOND), window.eviction_due()), (0, Some(6 * SECOND)));
    slow.consumed(1);
    assert_eq!((window.evict_stalled(SLOTS, 6 * SECOND - 1), window.eviction_due()), (0, Some(6 * SECOND)));
    assert_eq!((window.evict_stalled(SLOTS, 6 * SECOND), window.eviction_due()), (1, Some(u64::MAX)));
    let cut = |seat| (is_evicted(ring.word(seat, seat::FLOW)), ring.word(seat, seat::EVICTIONS));
    assert_eq!([cut(1), cut(2), cut(3)], [(true, 1), (false, 0), (false, 0)]);
    slow.consumed(2);
    // The slow subscriber advances by one message per timeout. The subscriber with the endless timeout
    // blocks.
    for turn in 0..10 {
        assert_eq!(window.evict_stalled(SLOTS + 2 + turn, (7 + turn) * SECOND), 0, "{turn}");
        slow.consumed(3 + turn);
    }
    assert_eq!(window.evict_stalled(SLOTS + 20, u64::MAX), 0);
    assert_eq!(window.limit(SLOTS), SLOTS);
    patient.leave();
    assert_eq!(window.limit(SLOTS), SLOTS + 12, "an evicted subscriber limits no publisher");
    // It enters again with its next call.
    stopped.consumed(1);
    assert_eq!(cut(1), (false, 1));
    assert_eq!(window.limit(SLOTS), SLOTS + 1);
}

#[test]
fn new_subscriber_on_a_seat_has_a_full_timeout() {
    let ring = Ring::new();
    let mut window = ring.window();
    let entry = |joined: u64| {
        ring.heap.region().u64(ring.geometry.seat(1) + seat::JOINED).store(joined, Relaxed);
    };
    entry(1000);
    ring.publish(SLOTS);
    ring.share(1, FlowTerms { history: true, ..TERMS });
    assert_eq!((window.limit(SLOTS), window.evict_stalled(SLOTS, 0)), (SLOTS, 0));
    assert_eq!(window.eviction_due(), Some(SECOND));
    // It dies, and another subscriber comes to the same seat and position before the publisher checks
    // again.
    for (joined, now) in [(2000, 8 * SECOND), (3000, 9 * SECOND)] {
        entry(joined);
        ring.share(1, FlowTerms { history: true, ..TERMS });
        assert_eq!((window.limit(SLOTS), window.evict_stalled(SLOTS, now)), (SLOTS, 0), "{joined}");
        assert_eq!(window.eviction_due(), Some(now + SECOND));
    }
    assert_eq!(window.evict_stalled(SLOTS, 10 * SECOND), 1, "its own stall timeout ends");
}

#[test]
fn publisher_is_woken_for_an_eighth_of_the_ring() {
    let ring = Ring::new();
    let mut share = ring.share(1, TERMS);
    let woken: Vec<_> = (1..=20).filter(|&position| share.consumed(position)).collect();
    assert_eq!(woken, [8, 16]);
    assert!(share.consumed(SLOTS), "a jump counts");
    let mut window = ring.window();
    window.limit(2 * SLOTS);
    share.consumed(SLOTS + 7);
    assert!(!window.may_have_credit(2 * SLOTS));
    share.consumed(SLOTS + 8);
    assert!(window.may_have_credit(2 * SLOTS));
}

#[test]
fn history_holds_the_publisher_for_what_is_there() {
    let ring = Ring::new();
    let mut window = ring.window();
    ring.publish(100);
    ring.share(1, FlowTerms { history: true, ..TERMS });
    assert_eq!(window.limit(100), 100, "all of the ring is to be read");
    ring.share(2, TERMS);
    assert_eq!(window.limit(100), 100);
}
