//! The promises of the queue, on heap memory: alone, under threads, under Miri, and on words that
//! no protocol wrote.

mod damage;

use super::word::{State, Word};
use super::*;
use crate::layout::{Geometry, GeometryError, Heap, Pattern, Shape, slot};
use crate::sync::Ordering::Relaxed;
use std::sync::atomic::AtomicU64;
use std::thread;

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

/// Writes `value` over and over, so that a torn or foreign payload shows.
fn fill(loan: &mut Loan<'_>, value: u64, len: usize) {
    assert!(len <= loan.capacity());
    for word in 0..len / 8 {
        // SAFETY: within the capacity, which is ours.
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
    assert!(loan.publish(len, value));
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

fn answer(queue: &mut Queue, to: impl Fn(u64) -> u64) -> Option<Answer> {
    let mut request = queue.try_take_request()?;
    let value = read(request.ptr(), request.len());
    let capacity = request.reply_capacity();
    assert_eq!(capacity, 56);
    for word in 0..capacity / 8 {
        // SAFETY: within the room for the reply, which is ours.
        unsafe { request.reply_ptr().cast::<u64>().add(word).write(to(value)) };
    }
    assert_eq!(read(request.ptr(), request.len()), value, "the reply lies over the request");
    Some(request.reply(capacity))
}

fn fetch(queue: &Queue, ticket: Ticket) -> Result<u64, Reply> {
    let reply = queue.find_reply(&ticket);
    let value = match reply {
        Reply::Replied(len) => Ok(read(queue.reply_ptr(&ticket), len)),
        Reply::Pending => panic!("no reply yet"),
        other => Err(other),
    };
    assert_eq!(queue.close(ticket), Closed::Freed);
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
        assert!(!pusher.has_room());
        for value in 0..4 {
            assert_eq!(pull(&mut puller), Some((lap * 4 + value, false)));
        }
        assert_eq!(pull(&mut puller), None);
        assert!(!puller.has_ready() && pusher.has_room());
    }
    assert!(ring.is_all_free());
}

#[test]
fn newcomers_and_late_ones_find_their_place() {
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
fn a_job_that_is_dropped_goes_to_another_puller_and_says_so() {
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
fn a_job_that_was_put_back_without_a_word_is_found_by_who_polls() {
    let ring = Ring::new(8);
    let (mut pusher, mut puller, mut other) = (ring.seat(0), ring.seat(1), ring.seat(2));
    for told in [false, true] {
        for value in 0..2 {
            assert!(push(&mut pusher, value));
        }
        // What a puller does that dies before it counts.
        let lost = other.try_pull().unwrap();
        let slot = lost.slot();
        core::mem::forget(lost);
        assert_eq!(pull(&mut puller), Some((1, false)));
        assert_eq!((pull(&mut puller), pull(&mut puller)), (None, None));
        let word = puller.slots.word(slot);
        puller.slots.change(slot, word, word.returned(), super::slots::Step::PutBack).unwrap();
        if told {
            puller.look_everywhere();
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
fn a_pusher_that_stops_half_way_blocks_nobody() {
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
    assert!(loan.publish(8, 0));
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
    assert!(!push(&mut pusher, 3) && !pusher.has_room());
    let before = ring.words();
    assert!(!push(&mut pusher, 3));
    assert_eq!(before, ring.words(), "looking for room in vain changes nothing");
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
    let reaped = alive.reap(3, false);
    assert_eq!(reaped, Reaped { freed: 1, returned: 1, ..Reaped::default() });
    assert_eq!(alive.reap(3, false), Reaped::default(), "sweeping again does no harm");
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
        assert_eq!(a.poll_reply(&first), Reply::Pending);
        for _ in 0..3 {
            assert_eq!(answer(&mut replier, |value| value * 7), Some(Answer::Delivered));
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
    assert_eq!(client.close(ready), Closed::Freed);
    assert!(!replier.has_ready());

    let taken = ask(&mut client, 2).unwrap();
    let request = replier.try_take_request().unwrap();
    assert!(request.is_wanted());
    assert_eq!(client.replier_of(&taken), Some(1));
    assert_eq!(client.close(taken), Closed::LeftToReplier);
    assert!(!request.is_wanted());
    let next = ask(&mut client, 3).unwrap();
    assert_eq!(request.reply(8), Answer::Cancelled);
    assert_eq!(client.poll_reply(&next), Reply::Pending, "a late reply went to a later request");
    assert_eq!(answer(&mut replier, |value| value), Some(Answer::Delivered));
    assert_eq!(client.close(next), Closed::Freed);
    assert!(ring.is_all_free());
}

#[test]
fn a_request_that_is_dropped_is_told_to_be_unanswered() {
    let ring = Ring::new(2);
    let (mut client, mut replier) = (ring.seat(0), ring.seat(1));
    for _ in 0..5 {
        let ticket = ask(&mut client, 1).unwrap();
        drop(replier.try_take_request().unwrap());
        assert_eq!(fetch(&client, ticket), Err(Reply::Unanswered));
    }
    assert!(ring.is_all_free());
}

#[test]
fn a_dead_replier_is_told_or_replaced() {
    let ring = Ring::new(2);
    let (mut client, mut dead, mut other) = (ring.seat(0), ring.seat(1), ring.seat(2));
    let ticket = ask(&mut client, 5).unwrap();
    core::mem::forget(dead.try_take_request());
    assert_eq!(other.reap(1, false), Reaped { died: 1, ..Reaped::default() });
    assert_eq!(fetch(&client, ticket), Err(Reply::PeerDied));

    let ticket = ask(&mut client, 6).unwrap();
    core::mem::forget(dead.try_take_request());
    assert_eq!(other.reap(1, true), Reaped { returned: 1, ..Reaped::default() });
    let request = other.try_take_request().unwrap();
    assert!(request.redelivered());
    assert_eq!(request.reply(8), Answer::Delivered);
    assert_eq!(client.close(ticket), Closed::Freed);
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
    replier.reap(2, false);
    let _claimed = ask(&mut dead, 4).unwrap();
    let request = replier.try_take_request().unwrap();
    let _ready = ask(&mut dead, 5).unwrap();
    core::mem::forget(dead.begin_request());
    let reaped = ring.seat(5).reap(0, false);
    assert_eq!(reaped, Reaped { freed: 5, abandoned: 1, ..Reaped::default() });
    assert!(!request.is_wanted());
    assert_eq!(request.reply(8), Answer::Cancelled);
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
fn the_backlog_tells_what_lies_where_and_how_long() {
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
        Backlog { ready: 2, claimed: 1, writing: 1, answered: 0, oldest: Some(11), redelivered: 0 }
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

/// A small generator of numbers; tests want the same ones every time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Pushers and pullers as threads, each its own seat; the pullers drop some of their jobs.
fn stress(slots: u64, pushers: u64, pullers: u64, each: u64) {
    let ring = Ring::new(slots);
    let received: Vec<AtomicU64> = (0..pushers * each).map(|_| AtomicU64::new(0)).collect();
    let (ring, received) = (&ring, &received);
    let left = &AtomicU64::new(pushers * each);
    thread::scope(|scope| {
        for pusher in 0..pushers {
            scope.spawn(move || {
                let mut queue = ring.seat(pusher as u32);
                for k in 0..each {
                    while !push(&mut queue, pusher * each + k) {
                        thread::yield_now();
                    }
                }
            });
        }
        for puller in 0..pullers {
            scope.spawn(move || {
                let mut queue = ring.seat((pushers + puller) as u32);
                let mut numbers = Numbers(puller + 1);
                let mut last = vec![None; pushers as usize];
                while left.load(Relaxed) > 0 {
                    let Some(job) = queue.try_pull() else {
                        thread::yield_now();
                        continue;
                    };
                    let value = read(job.ptr(), job.len());
                    if numbers.next().is_multiple_of(50) {
                        continue;
                    }
                    let (pusher, k) = ((value / each) as usize, value % each);
                    if !job.redelivered() {
                        assert!(last[pusher] < Some(k), "{k} of pusher {pusher} after {:?}", last[pusher]);
                        last[pusher] = Some(k);
                    }
                    assert!(job.done());
                    received[value as usize].fetch_add(1, Relaxed);
                    left.fetch_sub(1, Relaxed);
                }
            });
        }
    });
    assert!(received.iter().all(|count| count.load(Relaxed) == 1), "each exactly once");
    assert!(ring.is_all_free());
}

#[test]
fn each_message_reaches_exactly_one_puller_in_the_order_of_its_pusher() {
    let each = if cfg!(miri) { 12 } else { 20_000 };
    stress(2, 1, 1, each);
    stress(4, 2, 2, each);
    stress(8, 3, 4, each);
    stress(64, 4, 3, each);
}

#[test]
fn many_requesters_and_repliers_do_not_mix_up_their_messages() {
    let each = if cfg!(miri) { 10 } else { 10_000 };
    let ring = &Ring::new(4);
    let asking = &AtomicU64::new(3);
    thread::scope(|scope| {
        for client in 0..3u64 {
            scope.spawn(move || {
                let mut queue = ring.seat(client as u32);
                let mut numbers = Numbers(client + 1);
                for k in 0..each {
                    let value = client << 32 | k;
                    let ticket = loop {
                        match ask(&mut queue, value) {
                            Some(ticket) => break ticket,
                            None => thread::yield_now(),
                        }
                    };
                    let patience = numbers.next() % 64;
                    let mut polls = 0;
                    loop {
                        match queue.poll_reply(&ticket) {
                            Reply::Pending if patience > 8 || polls < patience => thread::yield_now(),
                            Reply::Replied(_) => {
                                assert_eq!(fetch(&queue, ticket), Ok(!value));
                                break;
                            }
                            Reply::Unanswered | Reply::Pending => {
                                queue.close(ticket);
                                break;
                            }
                            Reply::PeerDied => panic!("nobody died"),
                        }
                        polls += 1;
                    }
                }
                asking.fetch_sub(1, Relaxed);
            });
        }
        for replier in 0..2 {
            scope.spawn(move || {
                let mut queue = ring.seat(8 + replier);
                let mut numbers = Numbers(u64::from(replier) + 77);
                while asking.load(Relaxed) > 0 {
                    if numbers.next().is_multiple_of(32) {
                        drop(queue.try_take_request());
                    } else if answer(&mut queue, |value| !value).is_none() {
                        thread::yield_now();
                    }
                }
                while answer(&mut queue, |value| !value).is_some() {}
            });
        }
    });
    assert!(ring.is_all_free(), "{:?}", ring.words());
}
