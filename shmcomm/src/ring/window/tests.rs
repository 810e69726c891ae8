//! The window without a ring: what the publisher may take, whom it cuts, when it is woken.

use super::*;
use crate::layout::{Discipline, Heap, Pattern, Shape};
use crate::ring::broadcast::Writer;

const SLOTS: u64 = 64;
const SECOND: u64 = 1_000_000_000;
const TERMS: Terms = Terms { patience: SECOND, history: false };

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

    fn share(&self, seat: u32, terms: Terms) -> Share {
        let (region, geometry) = (self.heap.region(), &self.geometry);
        let start = || Reader::join(region, geometry, 0, if terms.history { SLOTS } else { 0 });
        join(region, geometry, geometry.seat(seat), terms, start).expect("a sound region").1
    }

    fn window(&self) -> Window {
        Window::new(self.heap.region(), &self.geometry)
    }

    /// Publishes so many messages, whoever has not read them.
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
    assert_eq!(window.limit(0), SLOTS, "a lap, so that whoever joins is seen");
    ring.publish(10);
    let (mut slow, mut fast) = (ring.share(1, TERMS), ring.share(5, TERMS));
    assert_eq!(window.limit(10), 10 + SLOTS);
    fast.moved(50);
    assert_eq!(window.limit(60), 10 + SLOTS);
    slow.moved(30);
    assert_eq!(window.limit(60), 30 + SLOTS);
    slow.leave();
    assert_eq!(window.limit(60), 50 + SLOTS);
    fast.leave();
    assert_eq!(window.limit(60), 60 + SLOTS);
}

#[test]
fn words_of_a_hostile_subscriber_move_no_limit_back_or_beyond_a_lap() {
    let ring = Ring::new();
    let mut window = ring.window();
    let mut share = ring.share(1, TERMS);
    for position in [0, 1, 99, u64::MAX, u64::MAX - SLOTS, 1 << 62] {
        share.moved(position);
        let limit = window.limit(1000);
        assert!((1000..=1000 + SLOTS).contains(&limit), "{position}: {limit}");
    }
}

#[test]
fn onlooker_holds_nobody_and_is_counted() {
    let ring = Ring::new();
    let mut window = ring.window();
    assert!(!has_entered(ring.word(2, seat::WINDOW)));
    ring.share(2, Terms { patience: 0, ..TERMS });
    assert!(has_entered(ring.word(2, seat::WINDOW)));
    assert_eq!(window.limit(500), 500 + SLOTS);
    assert_eq!((window.cut(500, 0), window.cut(500, u64::MAX)), (0, 0));
}

#[test]
fn only_who_stands_still_for_its_patience_is_cut() {
    let ring = Ring::new();
    let mut window = ring.window();
    let (mut stopped, mut slow) = (ring.share(1, TERMS), ring.share(2, TERMS));
    let patient = ring.share(3, Terms { patience: u64::MAX, ..TERMS });
    assert_eq!(window.limit(SLOTS), SLOTS);
    // Nobody is held up yet: time does not count.
    assert_eq!((window.cut(SLOTS - 1, 0), window.cut_due()), (0, None));
    assert_eq!((window.cut(SLOTS, 5 * SECOND), window.cut_due()), (0, Some(6 * SECOND)));
    slow.moved(1);
    assert_eq!((window.cut(SLOTS, 6 * SECOND - 1), window.cut_due()), (0, Some(6 * SECOND)));
    assert_eq!((window.cut(SLOTS, 6 * SECOND), window.cut_due()), (1, Some(u64::MAX)));
    let cut = |seat| (is_cut(ring.word(seat, seat::WINDOW)), ring.word(seat, seat::CUT));
    assert_eq!([cut(1), cut(2), cut(3)], [(true, 1), (false, 0), (false, 0)]);
    slow.moved(2);
    // The slow one gets on, by one message a patience; the one with endless patience holds.
    for turn in 0..10 {
        assert_eq!(window.cut(SLOTS + 2 + turn, (7 + turn) * SECOND), 0, "{turn}");
        slow.moved(3 + turn);
    }
    assert_eq!(window.cut(SLOTS + 20, u64::MAX), 0);
    assert_eq!(window.limit(SLOTS), SLOTS);
    patient.leave();
    assert_eq!(window.limit(SLOTS), SLOTS + 12, "who is cut holds nobody");
    // It comes in again with the first thing it does.
    stopped.moved(1);
    assert_eq!(cut(1), (false, 1));
    assert_eq!(window.limit(SLOTS), SLOTS + 1);
}

#[test]
fn publisher_is_woken_for_an_eighth_of_the_ring() {
    let ring = Ring::new();
    let mut share = ring.share(1, TERMS);
    let woken: Vec<_> = (1..=20).filter(|&position| share.moved(position)).collect();
    assert_eq!(woken, [8, 16]);
    assert!(share.moved(SLOTS), "a jump counts");
    let mut window = ring.window();
    window.limit(2 * SLOTS);
    share.moved(SLOTS + 7);
    assert!(!window.has_moved(2 * SLOTS));
    share.moved(SLOTS + 8);
    assert!(window.has_moved(2 * SLOTS));
}

#[test]
fn history_holds_the_publisher_for_what_is_there() {
    let ring = Ring::new();
    let mut window = ring.window();
    ring.publish(100);
    ring.share(1, Terms { history: true, ..TERMS });
    assert_eq!(window.limit(100), 100, "all of the ring is to be read");
    ring.share(2, TERMS);
    assert_eq!(window.limit(100), 100);
}
