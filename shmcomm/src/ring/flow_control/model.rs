//! The window under the model checker, with the ring whose publisher it delays: the code itself, in every
//! interleaving, with a crash at every fault point of either side.

use super::*;
use crate::fault::crash_at;
use crate::layout::{Discipline, Heap, Pattern, Shape};
use crate::ring::broadcast::Writer;
use crate::ring::slot::NoMessage;
use crate::ring::slot::initialized;
use core::mem::MaybeUninit;
use loom::cell::UnsafeCell;
use loom::thread;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64 as Counter};

const SLOTS: u64 = 2;
/// Time in nanoseconds after which every stall timeout has ended.
const LATE: u64 = 100;
const TERMS: FlowTerms = FlowTerms { patience: LATE, history: false };

#[derive(Clone)]
struct Ring {
    heap: Arc<Heap>,
    geometry: Geometry,
    /// Plain memory for each slot, whose races loom reports. The publisher writes it with a message, and
    /// the subscriber reads it before it stores its new position. Not used if messages may be lost.
    plain: Option<Arc<[UnsafeCell<()>; SLOTS as usize]>>,
}

impl Ring {
    fn new() -> Self {
        let shape = Shape {
            pattern: Pattern::PubSub,
            slots: SLOTS,
            slot_size: 8,
            request_size: 0,
            align: 8,
            seats: 2,
            publishers: 1,
            schema_len: 0,
        };
        let geometry = Geometry::with(Discipline::Copied, shape).unwrap();
        Ring { heap: Arc::new(Heap::new(&geometry)), geometry, plain: None }
    }

    fn with_plain_memory() -> Self {
        Ring { plain: Some(Arc::new(core::array::from_fn(|_| UnsafeCell::new(())))), ..Self::new() }
    }

    fn publisher(&self) -> Publisher {
        let region = self.heap.region();
        let mut writer =
            Writer::new(region, &self.geometry).expect("a region that only crashes have touched");
        // As in an opened channel: the first message computes the limit.
        writer.set_limit(0);
        Publisher { ring: self.clone(), writer, window: FlowControl::new(region, &self.geometry) }
    }

    fn subscriber(&self, terms: FlowTerms) -> Subscriber {
        let region = self.heap.region();
        let seat = self.geometry.seat(1);
        let history = if terms.history { SLOTS } else { 0 };
        let start = || Reader::join(region, &self.geometry, 0, history);
        let (reader, share) = join(region, &self.geometry, seat, terms, start).expect("a sound region");
        Subscriber { ring: self.clone(), next: reader.position(), reader, share, lost: 0 }
    }

    fn word(&self, at: usize) -> u64 {
        self.heap.region().u64(self.geometry.seat(1) + at).load(Relaxed)
    }

    /// Recovers the seat of a dead subscriber.
    fn recover(&self) {
        for at in [seat::POSITION, seat::FLOW, seat::EVICTIONS] {
            self.heap.region().u64(self.geometry.seat(1) + at).store(0, Release);
        }
    }
}

struct Publisher {
    ring: Ring,
    writer: Writer,
    window: FlowControl,
}

impl Publisher {
    /// Sends a message, unless a subscriber blocks the publisher.
    fn send(&mut self) -> bool {
        let next = self.writer.next_position();
        if !self.writer.has_credit() {
            self.writer.set_limit(self.window.limit(next));
        }
        if !self.writer.has_credit() {
            return false;
        }
        if let Some(plain) = &self.ring.plain {
            plain[(next % SLOTS) as usize].with_mut(|_| ());
        }
        self.writer.send(&self.writer.messages().to_ne_bytes()).is_ok()
    }

    fn cut_whoever_holds(&mut self) -> u32 {
        let next = self.writer.next_position();
        self.window.limit(next);
        self.window.evict_stalled(next, 0);
        self.window.evict_stalled(next, LATE)
    }
}

/// A subscriber that compares each received message with the expected one.
struct Subscriber {
    ring: Ring,
    reader: Reader,
    share: GatingSequence,
    next: u64,
    lost: u64,
}

impl Subscriber {
    /// Processes one message like an end. Returns `false` if there was none.
    fn receive(&mut self) -> bool {
        let mut bytes = [MaybeUninit::uninit(); 8];
        match self.reader.read_into(&mut bytes) {
            Ok(_) => {
                let number = u64::from_ne_bytes(initialized(&bytes).try_into().unwrap());
                assert_eq!(number, self.next, "repeated, out of order, or lost in silence");
                if let Some(plain) = &self.ring.plain {
                    plain[(number % SLOTS) as usize].with(|_| ());
                }
                self.next += 1;
            }
            Err(NoMessage::Lagged(lost)) => {
                self.next += lost;
                self.lost += lost;
            }
            Err(NoMessage::Empty) => return false,
        }
        let cut = is_evicted(self.ring.word(seat::FLOW));
        self.share.consumed(self.reader.position());
        if cut && mutant("flow eviction without a trace") {
            let Subscriber { reader, share, .. } = self.ring.subscriber(TERMS);
            (self.reader, self.share) = (reader, share);
        }
        true
    }

    /// Receives the remaining messages: each of the `sent` messages is received, or is counted as lost.
    fn finish(&mut self, sent: u64) -> u64 {
        while self.receive() {}
        assert_eq!(self.next, sent, "lost in silence");
        self.lost
    }
}

/// Runs every execution with at most `bound` preemptions, and returns `true` if `run` ever was.
fn model(name: &str, preemptions: usize, run: impl Fn() -> bool + Sync + Send + 'static) -> bool {
    let executions = Arc::new(Counter::new(0));
    let reached = Arc::new(AtomicBool::new(false));
    let (count, mark) = (Arc::clone(&executions), Arc::clone(&reached));
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(move || {
        count.fetch_add(1, Relaxed);
        mark.fetch_or(run(), Relaxed);
    });
    eprintln!("{name}: {} executions", executions.load(Relaxed));
    reached.load(Relaxed)
}

#[test]
fn nothing_is_overwritten_that_was_not_read() {
    let held = model("window", 3, || {
        let ring = Ring::with_plain_memory();
        let (mut publisher, mut subscriber) = (ring.publisher(), ring.subscriber(TERMS));
        let sender = thread::spawn(move || (0..4).filter(|_| publisher.send()).count() as u64);
        (0..2).for_each(|_| _ = subscriber.receive());
        let sent = sender.join().unwrap();
        assert_eq!(subscriber.finish(sent), 0, "overwritten");
        sent < 4
    });
    assert!(held, "the publisher was never held up");
}

#[test]
fn nothing_is_lost_after_a_join() {
    let late = model("join", 3, || {
        let ring = Ring::new();
        let mut publisher = ring.publisher();
        let sender = thread::spawn(move || (0..4).filter(|_| publisher.send()).count() as u64);
        let mut subscriber = ring.subscriber(TERMS);
        let joined = subscriber.next;
        let sent = sender.join().unwrap();
        assert_eq!(subscriber.finish(sent), 0, "overwritten after the join");
        joined > 0 && sent > joined
    });
    assert!(late, "no subscriber joined meanwhile, in any execution");
}

#[test]
fn history_is_there_or_counted() {
    let back = model("history", 3, || {
        let ring = Ring::new();
        let mut publisher = ring.publisher();
        assert!(publisher.send() && publisher.send());
        let sender = thread::spawn(move || 2 + (0..3).filter(|_| publisher.send()).count() as u64);
        let mut subscriber = ring.subscriber(FlowTerms { history: true, ..TERMS });
        let joined = subscriber.next;
        let sent = sender.join().unwrap();
        let lost = subscriber.finish(sent);
        assert!(lost <= SLOTS, "more than what was there before the join");
        joined == 0 && lost == 0
    });
    assert!(back, "history was never whole");
}

#[test]
fn evicted_subscriber_is_told_and_protected_again() {
    let told = model("evicted", 2, || {
        let ring = Ring::new();
        let (mut publisher, mut subscriber) = (ring.publisher(), ring.subscriber(TERMS));
        assert!(publisher.send() && publisher.send() && !publisher.send());
        let sender = thread::spawn(move || {
            let cut = publisher.cut_whoever_holds();
            let mut sent = SLOTS;
            (0..3).for_each(|_| sent += u64::from(publisher.send()));
            (sent, cut, publisher)
        });
        subscriber.receive();
        let (sent, cut, mut publisher) = sender.join().unwrap();
        let lost = subscriber.finish(sent);
        assert!(cut == 1 || lost == 0, "lost without a cut");
        assert_eq!(ring.word(seat::EVICTIONS), u64::from(cut));
        // It has entered again with its received message, and the publisher waits for it as before.
        let more = (0..3).filter(|_| publisher.send()).count() as u64;
        assert_eq!(more, SLOTS);
        assert_eq!(subscriber.finish(sent + more), lost);
        lost > 0
    });
    assert!(told, "no execution lost a message");
}

#[test]
fn rejoined_subscriber_loses_nothing_afterwards() {
    let met = model("again", 2, || {
        let ring = Ring::new();
        let (mut publisher, mut subscriber) = (ring.publisher(), ring.subscriber(TERMS));
        assert!(publisher.send() && publisher.send() && publisher.cut_whoever_holds() == 1);
        let sender = thread::spawn(move || SLOTS + (0..4).filter(|_| publisher.send()).count() as u64);
        let met = subscriber.receive();
        assert!(!met || !is_evicted(ring.word(seat::FLOW)), "its first message brings it in");
        // Messages sent before it entered again may be overwritten; messages sent after that may not.
        let covered = ring.heap.region().u64(control::HEAD).load(Acquire);
        let (before, lost) = (subscriber.next, subscriber.lost);
        let sent = sender.join().unwrap();
        let lost = subscriber.finish(sent) - lost;
        assert!(
            !met || lost == 0 || before + lost <= covered,
            "{lost} lost from {before} on, covered from {covered}"
        );
        met
    });
    assert!(met, "it never received anything before the publisher was through");
}

#[test]
fn a_subscriber_may_die_anywhere() {
    for point in 0.. {
        let died = model(&format!("window, subscriber dies {point}"), 3, move || {
            let ring = Ring::new();
            let mut publisher = ring.publisher();
            let receiver = {
                let ring = ring.clone();
                thread::spawn(move || {
                    let life = || {
                        let mut subscriber = ring.subscriber(TERMS);
                        (0..2).for_each(|_| _ = subscriber.receive());
                    };
                    crash_at(point, life).is_none()
                })
            };
            (0..2).for_each(|_| _ = publisher.send());
            let died = receiver.join().unwrap();
            ring.recover();
            (0..3).for_each(|_| assert!(publisher.send(), "held up by the dead"));
            died
        });
        if !died {
            assert!(point > 1, "there are fault points to die at");
            return;
        }
    }
}

#[test]
fn the_next_publisher_waits_too() {
    for point in 0.. {
        let died = model(&format!("window, publisher dies {point}"), 3, move || {
            let ring = Ring::new();
            let mut subscriber = ring.subscriber(TERMS);
            let sender = {
                let ring = ring.clone();
                thread::spawn(move || {
                    let mut publisher = ring.publisher();
                    let lived = crash_at(point, || (0..3).for_each(|_| _ = publisher.send())).is_some();
                    let mut next = ring.publisher();
                    (0..3).for_each(|_| _ = next.send());
                    (next.writer.messages(), !lived)
                })
            };
            subscriber.receive();
            let (sent, died) = sender.join().unwrap();
            assert_eq!(subscriber.finish(sent), 0, "overwritten");
            died
        });
        if !died {
            assert!(point > 3, "there are fault points to die at");
            return;
        }
    }
}
