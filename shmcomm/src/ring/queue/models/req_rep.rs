//! Request/reply: every reply belongs to its request, and every end is told.

use super::*;
use loom::thread;

fn ask(queue: &mut Queue, value: u64) -> Option<Ticket> {
    let mut loan = queue.begin_request()?;
    loan.put(0, value);
    loan.request(8, 0)
}

/// Answers the next request with its value + 50, and reads it a second time behind the reply.
fn answer(queue: &mut Queue) -> Option<Delivery> {
    let mut request = queue.try_take_request()?;
    let value = request.get(0);
    assert!((1..50).contains(&value), "{value} is no request");
    request.put_reply(0, value + 50);
    Some(request.reply(8))
}

/// Returns the answer, if there is one, which must be ours: polls first, and then checks the word as a
/// waiting requester does.
fn look(queue: &Queue, ticket: &Ticket, value: u64) -> ReplyState {
    let reply = match queue.poll_reply(ticket) {
        ReplyState::Pending => queue.find_reply(ticket),
        reply => reply,
    };
    if let ReplyState::Replied(len) = reply {
        assert_eq!((len, queue.get_reply(ticket, 0)), (8, value + 50), "a foreign reply");
    }
    reply
}

#[test]
fn one_requester_and_one_replier_may_die_anywhere() {
    for (requester_dies, redeliver) in [(true, false), (false, false), (false, true)] {
        check_deaths(None, move |point| {
            let ring = Ring::new(2);
            let mut client = ring.seat(0);
            let serving = thread::spawn({
                let ring = ring.clone();
                move || life(point.filter(|_| !requester_dies), || answer(&mut ring.seat(1)))
            });
            let asked = life(point.filter(|_| requester_dies), || {
                let ticket = ask(&mut client, 1).unwrap();
                look(&client, &ticket, 1);
                ticket
            });
            let replier_alive = serving.join().unwrap();
            let mut heir = ring.seat(2);
            if replier_alive.is_none() {
                heir.recover(1, redeliver);
            }
            if asked.is_none() {
                heir.recover(0, redeliver);
            }
            let unanswered = answer(&mut heir);
            if let Some(ticket) = asked {
                match look(&client, &ticket, 1) {
                    ReplyState::Replied(_) => {}
                    ReplyState::PeerDied => {
                        assert!(replier_alive.is_none() && !redeliver && unanswered.is_none())
                    }
                    other => panic!("{other:?}"),
                }
                assert_eq!(client.close(ticket), CloseOutcome::Freed);
            }
            ring.assert_intact();
        });
    }
}

#[test]
fn a_request_is_given_up_while_it_is_answered() {
    check_deaths(Some(3), |point| {
        let ring = Ring::new(2);
        let mut client = ring.seat(0);
        let ticket = ask(&mut client, 1).unwrap();
        let serving = thread::spawn({
            let ring = ring.clone();
            move || life(point, || answer(&mut ring.seat(1)))
        });
        // Heard or not, the replier may be at any of its steps.
        let replied = matches!(look(&client, &ticket, 1), ReplyState::Replied(_));
        let closed = if replied { client.finish(ticket) } else { client.close(ticket) };
        assert!(!replied || closed == CloseOutcome::Freed);
        // Takes the same slot, if it is free: a late reply must not come to this request.
        let first = ask(&mut client, 2).unwrap();
        let second = ask(&mut client, 3);
        assert_ne!(look(&client, &first, 2), ReplyState::PeerDied);
        if let Some(second) = &second {
            assert_ne!(look(&client, second, 3), ReplyState::PeerDied);
        }
        let alive = serving.join().unwrap();
        if let Some(Some(Delivery::Cancelled)) = alive {
            assert_eq!(closed, CloseOutcome::LeftToReplier);
        }
        let mut heir = ring.seat(2);
        if alive.is_none() {
            heir.recover(1, true);
        }
        while answer(&mut heir).is_some() {}
        for (ticket, value) in [(Some(first), 2), (second, 3)] {
            if let Some(ticket) = ticket {
                assert!(matches!(look(&client, &ticket, value), ReplyState::Replied(_)));
                assert_eq!(client.close(ticket), CloseOutcome::Freed);
            }
        }
        ring.assert_intact();
    });
}

#[test]
fn dead_requester_is_recovered_beside_its_reply() {
    check(None, || {
        let ring = Ring::new(2);
        let _lost = ask(&mut ring.seat(0), 1).unwrap();
        let serving = thread::spawn({
            let ring = ring.clone();
            move || answer(&mut ring.seat(1))
        });
        ring.seat(2).recover(0, false);
        serving.join().unwrap();
        ring.assert_intact();
    });
}

#[test]
fn slot_of_a_reply_is_free_after_its_requester() {
    check_deaths(None, |point| {
        let ring = Ring::new(2);
        let mut client = ring.seat(0);
        let ticket = ask(&mut client, 1).unwrap();
        assert_eq!(answer(&mut ring.seat(1)), Some(Delivery::Delivered));
        let asking = thread::spawn({
            let ring = ring.clone();
            move || {
                let mut other = ring.seat(3);
                // The second request fits once the first slot is free. It lies where the reply lay, too.
                let mut fill = || {
                    let mut loan = other.begin_request()?;
                    loan.put(0, 2);
                    loan.put(40, 3);
                    loan.request(48, 0)
                };
                let asked = [fill(), fill()];
                asked.map(|ticket| ticket.map(|ticket| other.close(ticket)))
            }
        });
        let alive = life(point, || {
            assert!(matches!(look(&client, &ticket, 1), ReplyState::Replied(_)));
            client.finish(ticket)
        });
        let asked = asking.join().unwrap();
        assert_eq!(asked[0], Some(CloseOutcome::Freed));
        if alive.is_none() {
            ring.seat(2).recover(0, false);
        }
        ring.assert_intact();
    });
}

#[test]
fn both_die() {
    // Each participant dies at each of its points. Other models test the death of one participant in more
    // detail.
    for (replier_point, point) in (0..7).flat_map(|replier| (0..6).map(move |requester| (replier, requester)))
    {
        check(Some(3), move || {
            let ring = Ring::new(2);
            let serving = thread::spawn({
                let ring = ring.clone();
                move || life(Some(replier_point), || answer(&mut ring.seat(1))).is_none()
            });
            let mut client = ring.seat(0);
            let asked = life(Some(point), || ask(&mut client, 1).map(|ticket| client.close(ticket)));
            let replier_died = serving.join().unwrap();
            let recover = {
                let ring = ring.clone();
                move || {
                    ring.seat(2).recover(1, true);
                }
            };
            let mut heir = ring.seat(3);
            match (replier_died, asked.is_none()) {
                (true, true) => {
                    // Two successors recover two seats at the same time.
                    let recovery = thread::spawn(recover);
                    heir.recover(0, true);
                    recovery.join().unwrap();
                }
                (true, false) => recover(),
                (false, true) => drop(heir.recover(0, true)),
                (false, false) => {}
            }
            assert_eq!(answer(&mut heir), None, "no requester is left");
            ring.assert_intact();
        });
    }
}

#[test]
fn two_requesters_of_two_repliers_get_own_replies() {
    check(Some(2), || {
        let ring = Ring::new(2);
        let repliers = [1, 2].map(|seat| {
            let ring = ring.clone();
            thread::spawn(move || {
                answer(&mut ring.seat(seat));
            })
        });
        let mut other = ring.seat(3);
        let theirs = ask(&mut other, 7).unwrap();
        let mut client = ring.seat(0);
        let mine = ask(&mut client, 8).unwrap();
        look(&client, &mine, 8);
        for replier in repliers {
            replier.join().unwrap();
        }
        let mut last = ring.seat(4);
        while answer(&mut last).is_some() {}
        assert!(matches!(look(&client, &mine, 8), ReplyState::Replied(_)));
        assert!(matches!(look(&other, &theirs, 7), ReplyState::Replied(_)));
        client.close(mine);
        other.close(theirs);
        ring.assert_intact();
    });
}

#[test]
fn dead_replier_is_recovered_beside_a_cancel() {
    for redeliver in [false, true] {
        check_deaths(Some(3), move |point| {
            let ring = Ring::new(2);
            let mut client = ring.seat(0);
            let ticket = ask(&mut client, 1).unwrap();
            let died = life(point, || answer(&mut ring.seat(1))).is_none();
            let recovery = thread::spawn({
                let ring = ring.clone();
                move || {
                    let mut heir = ring.seat(2);
                    if died {
                        heir.recover(1, redeliver);
                    }
                    answer(&mut heir)
                }
            });
            look(&client, &ticket, 1);
            client.close(ticket);
            let next = ask(&mut client, 2).unwrap();
            assert_ne!(look(&client, &next, 2), ReplyState::PeerDied);
            recovery.join().unwrap();
            let mut heir = ring.seat(3);
            while answer(&mut heir).is_some() {}
            assert!(matches!(look(&client, &next, 2), ReplyState::Replied(_)));
            client.close(next);
            ring.assert_intact();
        });
    }
}
