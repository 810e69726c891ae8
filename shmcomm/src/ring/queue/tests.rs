//! The promises of the queue, on heap memory: in one thread, in many threads, under Miri, and on words that
//! no protocol step wrote.

mod damage;
mod growth;
mod streams;
mod threads;

use super::word::{State, Word};
use super::*;
use crate::layout::{Geometry, GeometryError, Heap, Pattern, Shape, slot};
use crate::sync::Ordering::Relaxed;

const SIZE: u64 = 96;

struct Ring {
    geometry: Geometry,
    heap: Heap,
}

impl Ring {
    fn new(slots: u64) -> Self {
        Ring::of_size(slots, SIZE, 32).unwrap()
    }

    fn of_size(slots: u64, slot_size: u64, request_size: u64) -> Result<Self, GeometryError> {
        let shape = Shape {
            pattern: Pattern::ReqRep,
            slots,
            slot_size,
            request_size,
            align: 8,
            seats: 16,
            publishers: 1,
            schema_len: 0,
        };
        let geometry = Geometry::new(shape)?;
        Ok(Ring { heap: Heap::new(&geometry), geometry })
    }

    fn seat(&self, seat: u32) -> Queue {
        Queue::new(self.heap.region(), &self.geometry, seat)
    }

    fn words(&self) -> Vec<Word> {
        let slots = self.seat(0).slots;
        slots.all().map(|slot| slots.word(slot)).collect()
    }

    fn is_all_free(&self) -> bool {
        self.words().iter().all(|word| word.is(State::Free))
    }
}

/// Writes `value` repeatedly, so that a torn or foreign payload shows.
fn fill(loan: &mut Loan<'_>, value: u64, len: usize) {
    assert!(len <= loan.capacity());
    for word in 0..len / 8 {
        // SAFETY: within the capacity, which is exclusively ours.
        unsafe { loan.ptr().cast::<u64>().add(word).write(value) };
    }
}

fn read(ptr: core::ptr::NonNull<u8>, len: usize) -> u64 {
    assert!(len >= 8 && len.is_multiple_of(8));
    // SAFETY: the caller owns `len` bytes of an aligned payload.
    let words = unsafe { core::slice::from_raw_parts(ptr.cast::<u64>().as_ptr(), len / 8) };
    assert!(words.iter().all(|word| *word == words[0]), "torn: {words:x?}");
    words[0]
}

fn push(queue: &mut Queue, value: u64) -> bool {
    let len = 8 + value as usize % 8 * 8;
    let Some(mut loan) = queue.claim_for_push() else { return false };
    fill(&mut loan, value, len);
    assert!(loan.commit(len, value));
    true
}

fn pull(queue: &mut Queue) -> Option<(u64, bool)> {
    let job = queue.try_pull()?;
    let value = read(job.ptr(), job.len());
    assert_eq!(job.len(), 8 + value as usize % 8 * 8);
    let redelivered = job.redelivered();
    assert!(job.done());
    Some((value, redelivered))
}

fn ask(queue: &mut Queue, value: u64) -> Option<Ticket> {
    let mut loan = queue.begin_request()?;
    fill(&mut loan, value, 16);
    loan.request(16, value)
}

fn answer(queue: &mut Queue, to: impl Fn(u64) -> u64) -> Option<Delivery> {
    let mut request = queue.try_take_request()?;
    let value = read(request.ptr(), request.len());
    let capacity = request.reply_capacity();
    assert_eq!(capacity, 56);
    for word in 0..capacity / 8 {
        // SAFETY: within the reply buffer, which is exclusively ours.
        unsafe { request.reply_ptr().cast::<u64>().add(word).write(to(value)) };
    }
    assert_eq!(read(request.ptr(), request.len()), value, "the reply lies over the request");
    Some(request.reply(capacity))
}

fn fetch(queue: &Queue, ticket: Ticket) -> Result<u64, ReplyState> {
    let reply = queue.find_reply(&ticket);
    let value = match reply {
        ReplyState::Replied(len) => Ok(read(queue.reply_ptr(&ticket), len)),
        ReplyState::Pending => panic!("no reply yet"),
        other => Err(other),
    };
    assert_eq!(queue.close(ticket), CloseOutcome::Freed);
    value
}

#[test]
fn messages_come_out_in_the_order_they_went_in() {
    let ring = Ring::new(4);
    let (mut pusher, mut puller) = (ring.seat(0), ring.seat(1));
    for lap in 0..10 {
        for value in 0..4 {
            assert!(push(&mut pusher, lap * 4 + value));
        }
        assert!(!push(&mut pusher, 99), "the ring holds as many messages as it has slots");
        assert!(!pusher.has_capacity());
        for value in 0..4 {
            assert_eq!(pull(&mut puller), Some((lap * 4 + value, false)));
        }
        assert_eq!(pull(&mut puller), None);
        assert!(!puller.has_ready() && pusher.has_capacity());
    }
    assert!(ring.is_all_free());
}

#[test]
fn new_and_late_participants_find_their_position() {
    let ring = Ring::new(8);
    let (mut pusher, mut puller) = (ring.seat(0), ring.seat(1));
    let (mut late_pusher, mut late_puller) = (ring.seat(2), ring.seat(3));
    for value in 0..1001 {
        assert!(push(&mut pusher, value));
        assert_eq!(pull(&mut puller), Some((value, false)));
    }
    assert!(push(&mut late_pusher, 1));
    assert!(push(&mut ring.seat(4), 2));
    assert!(push(&mut pusher, 3));
    assert_eq!(pull(&mut late_puller), Some((1, false)));
    assert_eq!(pull(&mut ring.seat(5)), Some((2, false)));
    assert_eq!(pull(&mut puller), Some((3, false)));
    assert!(ring.is_all_free());
}

#[test]
fn dropped_job_is_redelivered_with_its_mark() {
    let ring = Ring::new(4);
    let (mut pusher, mut first, mut second) = (ring.seat(0), ring.seat(1), ring.seat(2));
    for value in 1..=3 {
        push(&mut pusher, value);
    }
    drop(first.try_pull().unwrap());
    assert_eq!(pull(&mut second), Some((1, true)));
    drop(second.try_pull().unwrap());
    second.try_pull().unwrap().put_back();
    assert_eq!(pull(&mut first), Some((2, true)));
    assert_eq!(pull(&mut first), Some((3, true)));
    assert_eq!(pull(&mut second), None);
    assert_eq!(pusher.backlog().redelivered, 3);
    assert!(ring.is_all_free());
}

#[test]
fn returned_job_is_found_by_polling() {
    let ring = Ring::new(8);
    let (mut pusher, mut puller, mut other) = (ring.seat(0), ring.seat(1), ring.seat(2));
    for told in [false, true] {
        for value in 0..2 {
            assert!(push(&mut pusher, value));
        }
        // The steps of a puller that dies before it counts.
        let lost = other.try_pull().unwrap();
        let slot = lost.slot();
        core::mem::forget(lost);
        assert_eq!(pull(&mut puller), Some((1, false)));
        assert_eq!((pull(&mut puller), pull(&mut puller)), (None, None));
        let word = puller.slots.word(slot);
        puller.slots.change(slot, word, word.returned(), super::slots::Step::PutBack).unwrap();
        if told {
            puller.force_scan_below();
            assert_eq!(pull(&mut puller), Some((0, true)));
        } else {
            let found = (0..10_000).find_map(|_| pull(&mut puller));
            assert_eq!(found, Some((0, true)));
        }
    }
    assert!(ring.is_all_free());
}

#[test]
fn a_loan_that_is_dropped_sends_nothing() {
    let ring = Ring::new(2);
    let (mut pusher, mut puller) = (ring.seat(0), ring.seat(1));
    for value in 0..5 {
        drop(pusher.claim_for_push().unwrap());
        assert!(!puller.has_ready());
        assert!(push(&mut pusher, value));
        assert_eq!(pull(&mut puller), Some((value, false)));
    }
}

#[test]
fn pusher_that_stops_half_way_blocks_no_other() {
    let ring = Ring::new(4);
    let (mut stopped, mut pusher, mut puller) = (ring.seat(0), ring.seat(1), ring.seat(2));
    push(&mut pusher, 0);
    let mut loan = stopped.claim_for_push().unwrap();
    fill(&mut loan, 1000, 8);
    for value in 1..100 {
        assert!(push(&mut pusher, value), "blocked at {value}");
        assert_eq!(pull(&mut puller), Some((value - 1, false)));
    }
    assert_eq!(pull(&mut puller), Some((99, false)));
    assert!(loan.commit(8, 0));
    assert_eq!(pull(&mut puller), Some((1000, false)));
    assert!(push(&mut stopped, 1001));
    assert_eq!(pull(&mut puller), Some((1001, false)));
    assert!(ring.is_all_free());
}

#[test]
fn a_puller_that_keeps_a_job_costs_one_slot() {
    let ring = Ring::new(4);
    let (mut pusher, mut slow, mut puller) = (ring.seat(0), ring.seat(1), ring.seat(2));
    push(&mut pusher, 1000);
    let job = slow.try_pull().unwrap();
    for value in 0..99 {
        assert!(
            push(&mut pusher, value * 3)
                && push(&mut pusher, value * 3 + 1)
                && push(&mut pusher, value * 3 + 2)
        );
        assert!(!push(&mut pusher, 99));
        for k in 0..3 {
            assert_eq!(pull(&mut puller), Some((value * 3 + k, false)));
        }
        assert_eq!(pull(&mut puller), None);
    }
    assert_eq!(read(job.ptr(), job.len()), 1000);
    drop(job);
    assert_eq!(pull(&mut puller), Some((1000, true)));
    assert!(ring.is_all_free());
}

#[test]
fn a_full_ring_of_kept_jobs_is_full() {
    let ring = Ring::new(2);
    let mut pusher = ring.seat(0);
    let (mut a, mut b) = (ring.seat(1), ring.seat(2));
    assert!(push(&mut pusher, 1) && push(&mut pusher, 2));
    let (first, second) = (a.try_pull().unwrap(), b.try_pull().unwrap());
    assert!(!push(&mut pusher, 3) && !pusher.has_capacity());
    let before = ring.words();
    assert!(!push(&mut pusher, 3));
    assert_eq!(before, ring.words(), "a search without a free slot changes nothing");
    assert!(second.done());
    assert!(push(&mut pusher, 3));
    assert!(first.done());
    assert_eq!(pull(&mut b), Some((3, false)));
}

#[test]
fn the_dead_leave_nothing_behind_and_lose_nothing() {
    let ring = Ring::new(4);
    let (mut dead, mut alive) = (ring.seat(3), ring.seat(1));
    push(&mut dead, 1);
    push(&mut dead, 2);
    core::mem::forget(dead.claim_for_push());
    core::mem::forget(dead.try_pull());
    let recovered = alive.recover(3, false);
    assert_eq!(recovered, RecoveredSlots { freed: 1, returned: 1, ..RecoveredSlots::default() });
    assert_eq!(alive.recover(3, false), RecoveredSlots::default(), "a second recovery has no effect");
    assert_eq!(pull(&mut alive), Some((1, true)));
    assert_eq!(pull(&mut alive), Some((2, false)));
    assert!(ring.is_all_free());
}

#[test]
fn every_reply_goes_to_its_request() {
    let ring = Ring::new(4);
    let (mut a, mut b, mut replier) = (ring.seat(0), ring.seat(1), ring.seat(2));
    for round in 0..50 {
        let first = ask(&mut a, round).unwrap();
        let second = ask(&mut b, round + 1000).unwrap();
        let third = ask(&mut a, round + 2000).unwrap();
        assert_eq!(a.poll_reply(&first), ReplyState::Pending);
        for _ in 0..3 {
            assert_eq!(answer(&mut replier, |value| value * 7), Some(Delivery::Delivered));
        }
        assert_eq!(answer(&mut replier, |value| value), None);
        assert_eq!(fetch(&a, third), Ok((round + 2000) * 7));
        assert_eq!(fetch(&a, first), Ok(round * 7));
        assert_eq!(fetch(&b, second), Ok((round + 1000) * 7));
    }
    assert!(ring.is_all_free());
}

#[test]
fn a_request_can_be_given_up_at_any_time() {
    let ring = Ring::new(2);
    let (mut client, mut replier) = (ring.seat(0), ring.seat(1));
    let ready = ask(&mut client, 1).unwrap();
    assert_eq!(client.close(ready), CloseOutcome::Freed);
    assert!(!replier.has_ready());

    let taken = ask(&mut client, 2).unwrap();
    let request = replier.try_take_request().unwrap();
    assert!(request.is_wanted());
    assert_eq!(client.replier_of(&taken), Some(1));
    assert_eq!(client.close(taken), CloseOutcome::LeftToReplier);
    assert!(!request.is_wanted());
    let next = ask(&mut client, 3).unwrap();
    assert_eq!(request.reply(8), Delivery::Cancelled);
    assert_eq!(client.poll_reply(&next), ReplyState::Pending, "a late reply went to a later request");
    assert_eq!(answer(&mut replier, |value| value), Some(Delivery::Delivered));
    assert_eq!(client.close(next), CloseOutcome::Freed);
    assert!(ring.is_all_free());
}

#[test]
fn dropped_request_is_reported_as_unanswered() {
    let ring = Ring::new(2);
    let (mut client, mut replier) = (ring.seat(0), ring.seat(1));
    for _ in 0..5 {
        let ticket = ask(&mut client, 1).unwrap();
        drop(replier.try_take_request().unwrap());
        assert_eq!(fetch(&client, ticket), Err(ReplyState::Unanswered));
    }
    assert!(ring.is_all_free());
}

#[test]
fn dead_replier_is_reported_or_replaced() {
    let ring = Ring::new(2);
    let (mut client, mut dead, mut other) = (ring.seat(0), ring.seat(1), ring.seat(2));
    let ticket = ask(&mut client, 5).unwrap();
    core::mem::forget(dead.try_take_request());
    assert_eq!(other.recover(1, false), RecoveredSlots { died: 1, ..RecoveredSlots::default() });
    assert_eq!(fetch(&client, ticket), Err(ReplyState::PeerDied));

    let ticket = ask(&mut client, 6).unwrap();
    core::mem::forget(dead.try_take_request());
    assert_eq!(other.recover(1, true), RecoveredSlots { returned: 1, ..RecoveredSlots::default() });
    let request = other.try_take_request().unwrap();
    assert!(request.redelivered());
    assert_eq!(request.reply(8), Delivery::Delivered);
    assert_eq!(client.close(ticket), CloseOutcome::Freed);
    assert!(ring.is_all_free());
}

#[test]
fn a_dead_requester_frees_its_slots_in_every_state() {
    let ring = Ring::new(8);
    let (mut dead, mut replier) = (ring.seat(0), ring.seat(1));
    let _replied = ask(&mut dead, 1).unwrap();
    answer(&mut replier, |value| value);
    let _unanswered = ask(&mut dead, 2).unwrap();
    replier.try_take_request().unwrap().decline();
    let _died = ask(&mut dead, 3).unwrap();
    let mut other = ring.seat(2);
    core::mem::forget(other.try_take_request());
    replier.recover(2, false);
    let _claimed = ask(&mut dead, 4).unwrap();
    let request = replier.try_take_request().unwrap();
    let _ready = ask(&mut dead, 5).unwrap();
    core::mem::forget(dead.begin_request());
    let recovered = ring.seat(5).recover(0, false);
    assert_eq!(recovered, RecoveredSlots { freed: 5, abandoned: 1, ..RecoveredSlots::default() });
    assert!(!request.is_wanted());
    assert_eq!(request.reply(8), Delivery::Cancelled);
    assert!(ring.is_all_free());
}

#[test]
fn flush_waits_for_our_messages_only() {
    let ring = Ring::new(4);
    let (mut pusher, mut other, mut puller) = (ring.seat(0), ring.seat(1), ring.seat(2));
    push(&mut pusher, 1);
    push(&mut other, 2);
    assert_eq!(pusher.outstanding(), 1);
    let job = puller.try_pull().unwrap();
    assert_eq!(pusher.outstanding(), 1);
    job.done();
    assert_eq!(pusher.outstanding(), 0);
    assert_eq!(other.outstanding(), 1);
}

#[test]
fn backlog_lists_slots_states_and_ages() {
    let ring = Ring::new(8);
    let (mut pusher, mut puller) = (ring.seat(0), ring.seat(1));
    for value in 10..14 {
        push(&mut pusher, value);
    }
    pull(&mut puller);
    let _job = puller.try_pull().unwrap();
    let _loan = pusher.claim_for_push().unwrap();
    let backlog = ring.seat(2).backlog();
    assert_eq!(
        backlog,
        SlotCounts { ready: 2, claimed: 1, writing: 1, answered: 0, oldest: Some(11), redelivered: 0 }
    );
}

#[test]
fn laps_wrap() {
    let ring = Ring::new(2);
    let slots = ring.seat(0).slots;
    for index in 0..2 {
        ring.heap
            .region()
            .u64(ring.geometry.slots_offset as usize + index * ring.geometry.stride as usize + slot::STAMP)
            .store(Word::free(u32::MAX - 3).0, Relaxed);
    }
    let (mut pusher, mut puller) = (ring.seat(0), ring.seat(1));
    for value in 0..20 {
        assert!(push(&mut pusher, value), "{value}: {:?}", ring.words());
        assert_eq!(pull(&mut puller), Some((value, false)));
    }
    assert_eq!(slots.word(slots.slot(0)).lap(), 6);
}

/// A small generator of numbers: tests need the same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
