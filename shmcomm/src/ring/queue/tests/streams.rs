//! Streams of replies: the window, the end, and words that no protocol step wrote.

use super::*;
use crate::layout::{Discipline, Exchange, StreamPlaces};

struct Streams(Ring);

impl Streams {
    fn new(slots: u64, window: u64) -> Self {
        let exchange = Exchange::behind(32, Discipline::Queue.head(), 8);
        let slot_size = StreamPlaces::slot_size(exchange, Discipline::Queue.head(), 8, (window as usize, 64));
        let Ring { geometry, .. } = Ring::of_size(slots, slot_size as u64, 32).unwrap();
        let geometry = geometry.streaming(window).unwrap();
        Streams(Ring { heap: Heap::new(&geometry), geometry })
    }
}

fn ask(queue: &mut Queue, value: u64) -> Option<StreamTicket> {
    let mut loan = queue.begin_request()?;
    fill(&mut loan, value, 32);
    loan.request_stream(32, 0)
}

/// Sends a reply of 8 to 64 bytes, if there is credit.
fn send(stream: &mut StreamWriter, value: u64) -> bool {
    let len = 8 + value as usize % 8 * 8;
    if !stream.has_credit() {
        return false;
    }
    assert!(stream.capacity() >= len);
    for word in 0..len / 8 {
        // SAFETY: within the capacity, which is exclusively ours until the commit.
        unsafe { stream.ptr().cast::<u64>().add(word).write(value) };
    }
    stream.commit(len);
    true
}

/// Takes the next reply.
fn take(queue: &Queue, ticket: &mut StreamTicket) -> Result<u64, StreamState> {
    match queue.poll_stream(ticket) {
        StreamState::Ready(len) => {
            let value = read(queue.stream_ptr(ticket), len);
            assert_eq!(len, 8 + value as usize % 8 * 8);
            queue.take_reply(ticket);
            Ok(value)
        }
        other => Err(other),
    }
}

#[test]
fn replies_arrive_in_order_behind_a_window() {
    for window in [1, 2, 3, 7] {
        let Streams(ring) = Streams::new(2, window);
        let (mut client, mut server) = (ring.seat(0), ring.seat(1));
        for round in 0..3 {
            let mut ticket = ask(&mut client, 5).unwrap();
            assert_eq!(take(&client, &mut ticket), Err(StreamState::Pending));
            let request = server.try_take_request().unwrap();
            assert_eq!(read(request.ptr(), request.len()), 5);
            let mut stream = request.stream();
            let (mut sent, mut taken) = (0, 0);
            while taken < 50 {
                while send(&mut stream, 100 * round + sent) {
                    sent += 1;
                }
                assert_eq!(sent - taken, window, "the window is full");
                assert!(client.has_stream_news(&ticket));
                for _ in 0..1 + taken % window {
                    assert_eq!(take(&client, &mut ticket), Ok(100 * round + taken));
                    taken += 1;
                }
            }
            assert_eq!(request.end_stream(), Delivery::Delivered);
            while let Ok(value) = take(&client, &mut ticket) {
                assert_eq!(value, 100 * round + taken);
                taken += 1;
            }
            assert_eq!((taken, client.poll_stream(&mut ticket)), (sent, StreamState::Ended));
            assert!(client.has_stream_news(&ticket));
            assert_eq!(client.close_stream(ticket), CloseOutcome::Freed);
            assert!(ring.is_all_free());
        }
    }
}

#[test]
fn replier_learns_of_a_cancelled_stream() {
    let Streams(ring) = Streams::new(2, 2);
    let (mut client, mut server) = (ring.seat(0), ring.seat(1));
    let mut ticket = ask(&mut client, 1).unwrap();
    let request = server.try_take_request().unwrap();
    let mut stream = request.stream();
    assert!(send(&mut stream, 1) && request.is_wanted());
    assert_eq!(take(&client, &mut ticket), Ok(1));
    assert_eq!(client.close_stream(ticket), CloseOutcome::LeftToReplier);
    assert!(!request.is_wanted());
    // The slot of the replier is not free yet, so the next request takes the other one.
    let mut next = ask(&mut client, 2).unwrap();
    assert!(ask(&mut client, 3).is_none());
    assert!(send(&mut stream, 2), "a reply that was in work");
    assert_eq!(request.end_stream(), Delivery::Cancelled);
    assert_eq!(take(&client, &mut next), Err(StreamState::Pending));
    let request = server.try_take_request().unwrap();
    assert!(send(&mut request.stream(), 7));
    drop(request);
    assert_eq!(take(&client, &mut next), Ok(7));
    assert_eq!(take(&client, &mut next), Err(StreamState::Unanswered));
    client.close_stream(next);
    assert!(ring.is_all_free());
}

#[test]
fn dead_ends_of_a_stream_are_recovered() {
    let Streams(ring) = Streams::new(2, 4);
    let (mut client, mut server) = (ring.seat(0), ring.seat(1));
    let mut ticket = ask(&mut client, 1).unwrap();
    let request = server.try_take_request().unwrap();
    let mut stream = request.stream();
    assert!(send(&mut stream, 1) && send(&mut stream, 2) && send(&mut stream, 3));
    core::mem::forget(request);
    assert_eq!(take(&client, &mut ticket), Ok(1));
    assert_eq!(ring.seat(2).recover(1, false).died, 1);
    assert_eq!((take(&client, &mut ticket), take(&client, &mut ticket)), (Ok(2), Ok(3)));
    assert_eq!(take(&client, &mut ticket), Err(StreamState::PeerDied));
    client.close_stream(ticket);
    assert!(ring.is_all_free());

    let _lost = ask(&mut client, 2).unwrap();
    let mut server = ring.seat(3);
    let request = server.try_take_request().unwrap();
    assert_eq!(ring.seat(2).recover(0, false).abandoned, 1);
    assert!(!request.is_wanted());
    assert_eq!(request.decline(), Delivery::Cancelled);
    assert!(ring.is_all_free());
}

#[test]
fn wrong_counts_are_damage_and_stay_in_bounds() {
    for wrong in [3, 1 << 40, u64::MAX, u64::MAX - 1] {
        let Streams(ring) = Streams::new(2, 2);
        let (mut client, mut server) = (ring.seat(0), ring.seat(1));
        let mut ticket = ask(&mut client, 1).unwrap();
        let request = server.try_take_request().unwrap();
        let mut stream = request.stream();
        let slots = ring.geometry.slots_offset + ring.geometry.payload_offset;
        let word = |at: usize| slots as usize + at;
        let places = ring.geometry.stream;
        ring.heap.region().u64(word(places.sent)).store(wrong, Relaxed);
        assert_eq!(client.poll_stream(&mut ticket), StreamState::Damaged);
        ring.heap.region().u64(word(places.taken)).store(wrong, Relaxed);
        for value in 0..100 {
            send(&mut stream, value);
        }
        client.close_stream(ticket);
        drop(request);
        // A reply whose length was overwritten.
        let mut ticket = ask(&mut client, 2).unwrap();
        let request = server.try_take_request().unwrap();
        assert!(send(&mut request.stream(), 1));
        for slot in 0..2 {
            let slot = slot * ring.geometry.stride as usize;
            ring.heap.region().u64(slot + word(places.replies)).store(wrong, Relaxed);
        }
        assert_eq!(
            client.poll_stream(&mut ticket),
            StreamState::Ready((wrong.min(places.reply_size() as u64)) as usize)
        );
        client.close_stream(ticket);
    }
}

#[test]
fn two_threads_stream_through_a_small_window() {
    const REPLIES: u64 = if cfg!(miri) { 50 } else { 20_000 };
    let Streams(ring) = Streams::new(2, 3);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut server = ring.seat(1);
            let request = loop {
                match server.acquire_next() {
                    Some(taken) => break server.request(taken),
                    None => std::thread::yield_now(),
                }
            };
            let mut stream = request.stream();
            for value in 0..REPLIES {
                while !send(&mut stream, value) {
                    std::thread::yield_now();
                }
            }
            assert_eq!(request.end_stream(), Delivery::Delivered);
        });
        let mut client = ring.seat(0);
        let mut ticket = ask(&mut client, 1).unwrap();
        let mut next = 0;
        let end = loop {
            match take(&client, &mut ticket) {
                Ok(value) => {
                    assert_eq!(value, next);
                    next += 1;
                }
                Err(StreamState::Pending) => std::thread::yield_now(),
                Err(end) => break end,
            }
        };
        assert_eq!((end, next), (StreamState::Ended, REPLIES));
        client.close_stream(ticket);
    });
    assert!(ring.is_all_free());
}
