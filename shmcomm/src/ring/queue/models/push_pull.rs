//! Push/pull: nothing is lost, nothing is invented, every repeated message is marked, no participant blocks
//! another.

use super::*;
use loom::thread;
use std::sync::Mutex;

/// The record of the events, kept outside of the model's memory.
#[derive(Default)]
struct Log {
    accepted: Mutex<Vec<u64>>,
    /// The value of each processed message, and its redelivery flag.
    processed: Mutex<Vec<(u64, bool)>>,
}

impl Log {
    fn push(&self, queue: &mut Queue, value: u64) -> bool {
        let accepted = push(queue, value);
        if accepted {
            self.accepted.lock().unwrap().push(value);
        }
        accepted
    }

    /// Processes a job, and acknowledges it unless the puller dies before.
    fn work(&self, queue: &mut Queue) -> bool {
        let Some(job) = queue.try_pull() else { return false };
        let got = (job.get(0), job.redelivered());
        self.processed.lock().unwrap().push(got);
        job.done()
    }

    fn drain(&self, queue: &mut Queue) {
        while self.work(queue) {}
    }

    /// `deaths` of pullers may have repeated at most that number of messages.
    fn assert_delivered(&self, deaths: usize) {
        let accepted = self.accepted.lock().unwrap();
        let processed = self.processed.lock().unwrap();
        for value in accepted.iter() {
            let times = processed.iter().filter(|(got, _)| got == value).count();
            assert!(times >= 1, "{value} was accepted and lost; processed: {processed:?}");
        }
        let mut seen = Vec::new();
        for &(value, redelivered) in processed.iter() {
            assert!((1..100).contains(&value), "{value} was never sent");
            if seen.contains(&value) {
                assert!(redelivered, "{value} came twice and did not say so");
            }
            seen.push(value);
        }
        seen.sort_unstable();
        let repeated = seen.windows(2).filter(|pair| pair[0] == pair[1]).count();
        assert!(repeated <= deaths, "{repeated} repeated by {deaths} deaths");
    }

    /// Checks that the values of one pusher rise. Only valid if nothing was redelivered.
    fn assert_in_order(&self, of: impl Fn(u64) -> bool) {
        let processed = self.processed.lock().unwrap();
        let mine: Vec<u64> = processed.iter().map(|got| got.0).filter(|value| of(*value)).collect();
        assert!(mine.is_sorted(), "out of order: {mine:?}");
    }
}

#[test]
fn one_pusher_and_one_puller_may_die_anywhere() {
    for pusher_dies in [true, false] {
        check_deaths(None, move |point| {
            let (ring, log) = (Ring::new(2), Arc::new(Log::default()));
            let pushing = thread::spawn({
                let (ring, log) = (ring.clone(), log.clone());
                move || {
                    life(point.filter(|_| pusher_dies), || {
                        let mut queue = ring.seat(0);
                        log.push(&mut queue, 1);
                        log.push(&mut queue, 2);
                    })
                }
            });
            let mut puller = ring.seat(1);
            let alive = life(point.filter(|_| !pusher_dies), || {
                log.work(&mut puller);
                log.work(&mut puller);
            });
            let pusher_alive = pushing.join().unwrap();
            let mut heir = ring.seat(2);
            if pusher_alive.is_none() {
                heir.recover(0, false);
            }
            if alive.is_none() {
                heir.recover(1, false);
            } else {
                // A puller that has polled before finds the remaining messages, as a new puller does.
                log.drain(&mut puller);
            }
            log.drain(&mut heir);
            log.assert_delivered(usize::from(alive.is_none()));
            if alive.is_some() {
                log.assert_in_order(|_| true);
            }
            ring.assert_intact();
        });
    }
}

#[test]
fn a_full_ring_goes_round() {
    check(Some(3), || {
        let (ring, log) = (Ring::new(2), Arc::new(Log::default()));
        let mut queue = ring.seat(0);
        log.push(&mut queue, 1);
        log.push(&mut queue, 2);
        let pushing = thread::spawn({
            let log = log.clone();
            move || {
                log.push(&mut queue, 3);
                log.push(&mut queue, 4);
            }
        });
        let mut puller = ring.seat(1);
        log.work(&mut puller);
        log.work(&mut puller);
        pushing.join().unwrap();
        log.drain(&mut puller);
        log.assert_delivered(0);
        log.assert_in_order(|_| true);
        ring.assert_intact();
    });
}

#[test]
fn pusher_that_stops_anywhere_blocks_no_other() {
    check_deaths(Some(2), |point| {
        let (ring, log) = (Ring::new(2), Arc::new(Log::default()));
        // Suspended, not dead: no participant recovers its seat, and none learns anything from it.
        let stopped = thread::spawn({
            let ring = ring.clone();
            move || {
                life(point, || {
                    push(&mut ring.seat(0), 1);
                })
                .is_none()
            }
        });
        log.push(&mut ring.seat(1), 11);
        // It sees 11; perhaps it does not see 1.
        let mut puller = ring.seat(2);
        log.drain(&mut puller);
        log.assert_delivered(0);
        let stopped = stopped.join().unwrap();
        let mut queue = ring.seat(3);
        for value in 12..15 {
            // The ring is full only if the message of the other pusher has become ready meanwhile.
            if log.push(&mut queue, value) || log.work(&mut puller) && log.push(&mut queue, value) {
                log.drain(&mut puller);
            } else {
                panic!("blocked at {value}");
            }
        }
        log.assert_delivered(0);
        log.assert_in_order(|value| value > 10);
        if stopped {
            puller.recover(0, false);
        }
        log.drain(&mut puller);
        ring.assert_intact();
    });
}

#[test]
fn reader_of_a_claim_sees_all_lower_claims() {
    check(Some(2), || {
        let ring = Ring::new(8);
        let (mut puller, mut pusher) = (ring.seat(0), ring.seat(1));
        for value in [1, 2] {
            push(&mut pusher, value);
            pull(&mut puller);
        }
        // Two suspended participants, each with a slot. Other participants learn of them only from the
        // slots.
        let stopped = [2, 3].map(|seat| {
            let ring = ring.clone();
            thread::spawn(move || {
                life(Some(1), || {
                    push(&mut ring.seat(seat), 3);
                })
            })
        });
        // Finds its position from the start, and passes a slot or two unseen.
        let pushing = thread::spawn({
            let ring = ring.clone();
            move || assert!(push(&mut ring.seat(4), 4))
        });
        pushing.join().unwrap();
        assert_eq!(pull(&mut puller), Some((4, false)));
        for stopped in stopped {
            stopped.join().unwrap();
        }
    });
}

#[test]
fn two_pushers_keep_their_order_for_two_pullers() {
    check(Some(2), || {
        let (ring, log) = (Ring::new(4), Arc::new(Log::default()));
        let pushing = thread::spawn({
            let (ring, log) = (ring.clone(), log.clone());
            move || {
                let mut queue = ring.seat(0);
                log.push(&mut queue, 1);
                log.push(&mut queue, 2);
            }
        });
        let other = thread::spawn({
            let (ring, log) = (ring.clone(), log.clone());
            move || {
                log.push(&mut ring.seat(1), 11);
            }
        });
        let mut puller = ring.seat(2);
        log.work(&mut puller);
        log.work(&mut puller);
        pushing.join().unwrap();
        other.join().unwrap();
        log.drain(&mut puller);
        assert_eq!(log.accepted.lock().unwrap().len(), 3);
        log.assert_delivered(0);
        log.assert_in_order(|value| value < 10);
        ring.assert_intact();
    });
}

#[test]
fn one_pusher_keeps_its_order() {
    check(None, || {
        let (ring, log) = (Ring::new(2), Arc::new(Log::default()));
        let pushing = thread::spawn({
            let (ring, log) = (ring.clone(), log.clone());
            move || {
                let mut queue = ring.seat(0);
                log.push(&mut queue, 1);
                log.push(&mut queue, 2);
            }
        });
        let mut puller = ring.seat(1);
        log.work(&mut puller);
        pushing.join().unwrap();
        log.drain(&mut puller);
        log.assert_delivered(0);
        log.assert_in_order(|_| true);
    });
}

#[test]
fn returned_job_is_found_by_a_puller_past_it() {
    check(Some(3), || {
        let (ring, log) = (Ring::new(2), Arc::new(Log::default()));
        let mut pusher = ring.seat(0);
        log.push(&mut pusher, 1);
        log.push(&mut pusher, 2);
        let dropping = thread::spawn({
            let ring = ring.clone();
            move || drop(ring.seat(1).try_pull())
        });
        let mut puller = ring.seat(2);
        log.work(&mut puller);
        dropping.join().unwrap();
        log.drain(&mut puller);
        log.assert_delivered(0);
        ring.assert_intact();
    });
}

#[test]
fn returned_job_is_found_counted_or_not() {
    check_deaths(Some(3), |point| {
        // A free slot behind the message: a puller that passed it scans back only if a count tells it to.
        let (ring, log) = (Ring::new(4), Arc::new(Log::default()));
        log.push(&mut ring.seat(0), 1);
        let mut puller = ring.seat(2);
        let dropping = thread::spawn({
            let ring = ring.clone();
            move || life(point, || drop(ring.seat(1).try_pull()))
        });
        log.work(&mut puller);
        let alive = dropping.join().unwrap();
        if alive.is_none() {
            puller.recover(1, false);
            // As a waiting puller does after a recovery: the dead participant may not have reached the count.
            puller.force_scan_below();
        }
        log.drain(&mut puller);
        log.assert_delivered(0);
        ring.assert_intact();
    });
}

#[test]
fn slot_is_relocated_while_its_puller_leaves_it() {
    check_deaths(Some(3), |point| {
        let (ring, log) = (Ring::new(2), Arc::new(Log::default()));
        let (mut pusher, mut puller) = (ring.seat(0), ring.seat(1));
        log.push(&mut pusher, 1);
        log.push(&mut pusher, 2);
        let mut slow = ring.seat(2);
        let job = slow.try_pull().unwrap();
        log.work(&mut puller);
        let pushing = thread::spawn({
            let log = log.clone();
            move || {
                // The pusher goes to the slot where 2 was, past the job, or to the slot of the job.
                log.push(&mut pusher, 3);
                log.push(&mut pusher, 4);
                pusher
            }
        });
        let alive = life(point, || {
            let got = (job.get(0), job.redelivered());
            log.processed.lock().unwrap().push(got);
            job.done()
        });
        let mut pusher = pushing.join().unwrap();
        if alive.is_none() {
            puller.recover(2, false);
        }
        log.drain(&mut puller);
        assert!(log.push(&mut pusher, 5), "blocked");
        log.drain(&mut puller);
        log.assert_delivered(usize::from(alive.is_none()));
        log.assert_in_order(|value| value > 2);
        ring.assert_intact();
    });
}

#[test]
fn slot_is_relocated_while_its_pusher_fills_it() {
    check_deaths(Some(2), |point| {
        let (ring, log) = (Ring::new(2), Arc::new(Log::default()));
        let (mut pusher, mut puller) = (ring.seat(0), ring.seat(1));
        let filling = thread::spawn({
            let (ring, log) = (ring.clone(), log.clone());
            move || {
                life(point, || {
                    let mut slow = ring.seat(2);
                    log.push(&mut slow, 1);
                    log.push(&mut slow, 2);
                })
            }
        });
        log.push(&mut pusher, 11);
        log.work(&mut puller);
        log.push(&mut pusher, 12);
        log.push(&mut pusher, 13);
        let alive = filling.join().unwrap();
        if alive.is_none() {
            puller.recover(2, false);
        }
        log.drain(&mut puller);
        log.assert_delivered(0);
        log.assert_in_order(|value| value < 10);
        log.assert_in_order(|value| value > 10);
        ring.assert_intact();
    });
}

#[test]
fn a_puller_that_slept_a_lap_finds_what_is_new() {
    check(Some(2), || {
        let (ring, log) = (Ring::new(2), Arc::new(Log::default()));
        let (mut pusher, mut puller, mut late) = (ring.seat(0), ring.seat(1), ring.seat(2));
        assert!(!late.has_ready());
        let others = thread::spawn({
            let log = log.clone();
            move || {
                for value in 1..=3 {
                    log.push(&mut pusher, value);
                    if value < 3 {
                        log.work(&mut puller);
                    }
                }
            }
        });
        log.work(&mut late);
        others.join().unwrap();
        log.drain(&mut late);
        log.assert_delivered(0);
        ring.assert_intact();
    });
}

#[test]
fn dead_puller_is_recovered_beside_other_pullers() {
    check_deaths(Some(2), |point| {
        let (ring, log) = (Ring::new(2), Arc::new(Log::default()));
        let lock = Arc::new(loom::sync::atomic::AtomicBool::new(false));
        let mut pusher = ring.seat(0);
        log.push(&mut pusher, 1);
        log.push(&mut pusher, 2);
        let dying = thread::spawn({
            let (ring, log, lock) = (ring.clone(), log.clone(), lock.clone());
            move || {
                let alive = life(point, || {
                    log.work(&mut ring.seat(1));
                });
                // The kernel releases the lock of the seat.
                lock.store(true, loom::sync::atomic::Ordering::Release);
                alive.is_none()
            }
        });
        let recovery = thread::spawn({
            let (ring, lock) = (ring.clone(), lock.clone());
            move || {
                if lock.load(loom::sync::atomic::Ordering::Acquire) {
                    ring.seat(3).recover(1, false);
                }
            }
        });
        let mut puller = ring.seat(2);
        log.work(&mut puller);
        log.push(&mut pusher, 3);
        log.work(&mut puller);
        recovery.join().unwrap();
        let died = dying.join().unwrap();
        if died {
            puller.recover(1, false);
        }
        log.drain(&mut puller);
        log.assert_delivered(usize::from(died));
        ring.assert_intact();
    });
}
