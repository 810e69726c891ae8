//! A queue in a segment with words that no library wrote.

use super::*;

#[test]
fn any_words_end_every_operation() {
    // One thread: the sanitizer of threads has nothing to find.
    let rounds = if cfg!(miri) {
        5
    } else if cfg!(tsan) {
        1_000
    } else {
        20_000
    };
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for _ in 0..rounds {
        let ring = Ring::new(4);
        let region = ring.heap.region();
        let mut queue = ring.seat(1);
        let mut late = ring.seat(2);
        for _ in 0..numbers.next() % 12 {
            push(&mut late, 8);
            queue.try_pull().map(Job::done);
        }
        for slot in 0..4 {
            for word in 0..4 {
                let value = match numbers.next() % 4 {
                    0 => numbers.next(),
                    // Plausible: a small lap, any flags, small seats.
                    1 => numbers.next() & 0x0000_0003_0018_00ff,
                    2 => numbers.next() & 0x0000_0007_0010_01c7,
                    _ => continue,
                };
                let at = ring.geometry.slots_offset as usize + slot * ring.geometry.stride as usize;
                region.u64(at + word * 8).store(value, Relaxed);
            }
        }
        region.u64(crate::layout::control::TAIL).store(numbers.next(), Relaxed);
        for _ in 0..8 {
            for queue in [&mut queue, &mut late] {
                if let Some(ticket) = ask(queue, 7) {
                    if let ReplyState::Replied(len) = queue.poll_reply(&ticket) {
                        assert!(len <= 56);
                    }
                    queue.close(ticket);
                }
                if let Some(loan) = queue.claim_for_push() {
                    loan.commit(usize::MAX, 0);
                }
                if let Some(job) = queue.try_pull() {
                    assert!(job.len() <= SIZE as usize);
                    job.done();
                }
                if let Some(request) = queue.try_take_request() {
                    assert!(request.len() + request.reply_capacity() <= SIZE as usize);
                    request.reply(usize::MAX);
                }
                queue.has_ready();
                queue.has_capacity();
                queue.backlog();
                queue.outstanding();
            }
            queue.recover(numbers.next() as u32 % 16, numbers.next().is_multiple_of(2));
        }
    }
}

/// No library makes such segments, but a header may describe one.
#[test]
fn slot_as_short_as_a_status_word_does_no_harm() {
    for longest in 0..SIZE {
        let fits = |size: &u64| Ring::of_size(2, *size, longest).is_ok();
        let size = (1..3 * SIZE).find(fits).unwrap();
        assert_eq!(size, (longest + 32).next_multiple_of(64) - 24);
        let ring = Ring::of_size(2, size, longest).unwrap();
        let (mut client, mut server) = (ring.seat(0), ring.seat(1));
        for _ in 0..4 {
            let loan = client.begin_request().unwrap();
            assert_eq!(loan.request_capacity() as u64, longest);
            let mut ticket = loan.request(usize::MAX, 0).unwrap();
            let request = server.try_take_request().unwrap();
            assert_eq!((request.len() as u64, request.reply_capacity()), (longest, 0));
            assert_eq!(request.reply(usize::MAX), Delivery::Delivered);
            assert_eq!(client.poll_reply(&ticket), ReplyState::Replied(0));
            assert_eq!(client.finish(ticket), CloseOutcome::Freed);
            ticket = client.begin_request().and_then(|loan| loan.request(0, 0)).unwrap();
            assert_eq!(client.poll_reply(&ticket), ReplyState::Pending);
            drop(server.try_take_request().unwrap());
            assert_eq!(client.poll_reply(&ticket), ReplyState::Unanswered);
            assert_eq!(client.close(ticket), CloseOutcome::Freed);
        }
        assert!(ring.is_all_free());
    }
}
