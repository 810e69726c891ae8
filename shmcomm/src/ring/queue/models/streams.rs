//! Streams of replies: every reply that was sent arrives once, in order and in its own call, whichever end dies.

use super::*;
use loom::thread;
use std::sync::atomic::AtomicU64;

fn ask(queue: &mut Queue, value: u64) -> Option<StreamTicket> {
    let mut loan = queue.begin_request()?;
    loan.put(0, value);
    loan.request_stream(8, 0)
}

/// Answers the next request with up to `replies` replies, as far as there is credit, and ends the stream. Counts the
/// replies in `sent` after each of them. Returns the fate of the end.
fn answer(queue: &mut Queue, replies: u64, sent: &AtomicU64) -> Option<Delivery> {
    let request = queue.try_take_request()?;
    let value = request.get(0);
    let mut stream = request.stream();
    for index in 0..replies {
        if !request.is_wanted() || !stream.has_credit() {
            break;
        }
        stream.put(10 * value + index);
        stream.commit(8);
        sent.store(stream.sent(), SeqCst);
    }
    Some(request.end_stream())
}

/// Takes the next reply to the request `value`, which must be the next one and ours. Returns the state before it.
fn take(queue: &Queue, ticket: &mut StreamTicket, value: u64) -> StreamState {
    let state = queue.poll_stream(ticket);
    assert_ne!(state, StreamState::Damaged);
    if let StreamState::Ready(len) = state {
        assert_eq!((len, queue.get_stream(ticket)), (8, 10 * value + ticket.taken()), "a foreign reply");
        queue.take_reply(ticket);
    }
    state
}

/// Takes replies until the end. Returns the end.
fn drain(queue: &Queue, ticket: &mut StreamTicket, value: u64) -> StreamState {
    loop {
        match take(queue, ticket, value) {
            StreamState::Ready(_) => {}
            end => return end,
        }
    }
}

#[test]
fn replies_arrive_though_their_replier_dies() {
    check_deaths(Some(3), |point| {
        let ring = Ring::streaming(2, 1);
        let mut client = ring.seat(0);
        let mut ticket = ask(&mut client, 1).unwrap();
        let sent = Arc::new(AtomicU64::new(0));
        let serving = thread::spawn({
            let (ring, sent) = (ring.clone(), sent.clone());
            move || life(point, || answer(&mut ring.seat(1), 2, &sent))
        });
        let mut end = take(&client, &mut ticket, 1);
        if matches!(end, StreamState::Ready(_)) {
            end = take(&client, &mut ticket, 1);
        }
        let early = end == StreamState::Ended;
        let taken = ticket.taken();
        let alive = serving.join().unwrap();
        if alive.is_none() {
            ring.seat(2).recover(1, false);
        }
        let last = drain(&client, &mut ticket, 1);
        assert!(!early || taken == ticket.taken(), "a reply behind the end");
        // A replier that died may have died behind the count of a reply.
        let sent = sent.load(SeqCst);
        let got = ticket.taken();
        assert!(got == sent || alive.is_none() && got == sent + 1, "{got} of {sent} replies");
        match last {
            StreamState::Ended => {}
            StreamState::PeerDied => assert!(alive.is_none()),
            other => panic!("{other:?}"),
        }
        assert_eq!(client.close_stream(ticket), CloseOutcome::Freed);
        ring.assert_intact();
    });
}

#[test]
fn replier_writes_no_reply_that_is_being_read() {
    check(None, || {
        let ring = Ring::streaming(2, 1);
        let mut client = ring.seat(0);
        let mut ticket = ask(&mut client, 1).unwrap();
        // The first reply is there, and the replier sends the second one meanwhile.
        let mut server = ring.seat(1);
        let request = server.try_take_request().unwrap();
        let mut stream = request.stream();
        assert!(stream.has_credit());
        stream.put(10);
        stream.commit(8);
        std::mem::forget(request);
        let reading = thread::spawn({
            let ring = ring.clone();
            move || {
                let client = ring.seat(0);
                assert!(matches!(take(&client, &mut ticket, 1), StreamState::Ready(_)));
                take(&client, &mut ticket, 1);
                ticket
            }
        });
        if stream.has_credit() {
            stream.put(11);
            stream.commit(8);
        }
        let sent = stream.sent();
        let mut ticket = reading.join().unwrap();
        ring.seat(2).recover(1, false);
        assert_eq!(drain(&client, &mut ticket, 1), StreamState::PeerDied);
        assert_eq!(ticket.taken(), sent);
        client.close_stream(ticket);
        ring.assert_intact();
    });
}

#[test]
fn cancelled_stream_sends_nothing_to_the_next_call() {
    check_deaths(Some(2), |point| {
        let ring = Ring::streaming(2, 2);
        let mut client = ring.seat(0);
        let mut ticket = ask(&mut client, 1).unwrap();
        let serving = thread::spawn({
            let ring = ring.clone();
            move || life(point, || answer(&mut ring.seat(1), 2, &AtomicU64::new(0)))
        });
        take(&client, &mut ticket, 1);
        let closed = client.close_stream(ticket);
        // It takes the same slot, if that is free.
        let mut next = [ask(&mut client, 2), ask(&mut client, 3)];
        for (ticket, value) in next.iter_mut().zip([2, 3]) {
            // A reply to the cancelled request is none of ours.
            ticket.as_mut().map(|ticket| take(&client, ticket, value));
        }
        let alive = serving.join().unwrap();
        if let Some(Some(Delivery::Cancelled)) = alive {
            assert_eq!(closed, CloseOutcome::LeftToReplier);
        }
        let mut heir = ring.seat(2);
        if alive.is_none() {
            heir.recover(1, false);
        }
        let sent = AtomicU64::new(0);
        while answer(&mut heir, 1, &sent).is_some() {}
        for (ticket, value) in next.into_iter().zip([2, 3]) {
            let Some(mut ticket) = ticket else { continue };
            let end = drain(&client, &mut ticket, value);
            assert!(end == StreamState::Ended || alive.is_none() && end == StreamState::PeerDied, "{end:?}");
            assert!(end == StreamState::PeerDied || ticket.taken() > 0);
            assert_eq!(client.close_stream(ticket), CloseOutcome::Freed);
        }
        ring.assert_intact();
    });
}

#[test]
fn dead_requester_of_a_stream_leaves_no_slot_behind() {
    check_deaths(Some(2), |point| {
        let ring = Ring::streaming(2, 1);
        let serving = thread::spawn({
            let ring = ring.clone();
            move || answer(&mut ring.seat(1), 2, &AtomicU64::new(0))
        });
        let alive = life(point, || {
            let mut client = ring.seat(0);
            let mut ticket = ask(&mut client, 1).unwrap();
            take(&client, &mut ticket, 1);
            client.close_stream(ticket)
        });
        let mut heir = ring.seat(2);
        if alive.is_none() {
            heir.recover(0, false);
        }
        serving.join().unwrap();
        while answer(&mut heir, 1, &AtomicU64::new(0)).is_some() {}
        ring.assert_intact();
    });
}
