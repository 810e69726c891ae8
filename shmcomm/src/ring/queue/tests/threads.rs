//! Pushers, pullers, requesters and repliers as threads: each message once, in order, with its own reply.

use super::super::*;
use super::*;
use std::sync::atomic::AtomicU64;
use std::thread;

/// Pushers and pullers as threads, each with a seat of its own. The pullers drop some of their jobs.
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
fn each_message_reaches_one_puller_in_pusher_order() {
    let each = if cfg!(miri) { 12 } else { 20_000 };
    stress(2, 1, 1, each);
    stress(4, 2, 2, each);
    stress(8, 3, 4, each);
    stress(64, 4, 3, each);
}

#[test]
fn many_requesters_and_repliers_mix_up_no_message() {
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
                    let most_polls = numbers.next() % 64;
                    let mut polls = 0;
                    loop {
                        match queue.poll_reply(&ticket) {
                            ReplyState::Pending if most_polls > 8 || polls < most_polls => {
                                thread::yield_now()
                            }
                            ReplyState::Replied(_) => {
                                assert_eq!(fetch(&queue, ticket), Ok(!value));
                                break;
                            }
                            ReplyState::Unanswered | ReplyState::Pending => {
                                queue.close(ticket);
                                break;
                            }
                            ReplyState::PeerDied => panic!("no participant died"),
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
