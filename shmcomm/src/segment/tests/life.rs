//! Life of a segment from creation to removal: seats, takeover, replacement, recovery.

use super::*;
use crate::layout::{control, event};
use crate::segment::Arrival;

fn mode(attachment: &Attachment, event: usize) -> u32 {
    attachment.region().u32(event + event::MODE).load(Ordering::Relaxed)
}

#[test]
fn publisher_creates_segment_and_subscribers_find_it() {
    let channel = Channel::new("first");
    let publisher = channel.publish();
    assert_eq!(publisher.arrival(), Arrival::Created);
    assert_eq!((publisher.seat(), publisher.role()), (0, Role::Publisher));
    let first = channel.subscribe();
    let second = channel.subscribe();
    assert_eq!((first.seat(), second.seat()), (1, 2));
    first.region().u64(control::HEAD).store(42, Ordering::Relaxed);
    assert_eq!(publisher.region().u64(control::HEAD).load(Ordering::Relaxed), 42);
    assert!(first.peer_alive(0) && publisher.peer_alive(1) && publisher.peer_alive(2));
    assert!(!publisher.peer_alive(3));
    let roles: Vec<_> =
        publisher.participants().into_iter().map(|p| (p.seat, p.role, p.pid, p.alive)).collect();
    let me = os::pid();
    assert_eq!(
        roles,
        [(0, Role::Publisher, me, true), (1, Role::Subscriber, me, true), (2, Role::Subscriber, me, true)]
    );
    assert!(publisher.name_refers_here() && !publisher.is_superseded() && !publisher.forked());
}

#[test]
fn the_last_participant_removes_the_segment() {
    let channel = Channel::new("last");
    let publisher = channel.publish();
    let subscriber = channel.subscribe();
    drop(publisher);
    assert!(channel.exists() && !subscriber.peer_alive(0));
    let late = channel.subscribe();
    drop(subscriber);
    assert!(channel.exists());
    drop(late);
    assert!(!channel.exists());
}

#[test]
fn free_seat_is_reused_and_full_table_refuses() {
    let channel = Channel::new("full");
    let _publisher = channel.publish();
    let mut guests: Vec<_> = (1..8).map(|_| channel.subscribe()).collect();
    let (kind, text) = refused(subscribe(&channel.spec, PLAIN));
    assert_eq!(kind, ErrorKind::NoSeat, "{text}");
    assert!(text.contains("all 8 seats"), "{text}");
    drop(guests.remove(3));
    assert_eq!(channel.subscribe().seat(), 4);
}

#[test]
fn second_publisher_gets_the_pid_of_the_first() {
    let channel = Channel::new("second");
    let _first = channel.publish();
    for spec in [channel.spec.clone(), channel.with(|s| s.slots = 16), channel.with(|s| s.fingerprint = 1)] {
        let (kind, text) = refused(publish(&spec, PLAIN));
        assert_eq!(kind, ErrorKind::AlreadyPublished, "{text}");
        assert!(text.contains(&format!("process {}", os::pid())), "{text}");
    }
}

#[test]
fn a_restarted_publisher_takes_its_segment_over() {
    let channel = Channel::new("takeover");
    let first = channel.publish();
    let subscriber = channel.subscribe();
    first.region().u64(control::HEAD).store(42, Ordering::Relaxed);
    die(first);
    assert!(!subscriber.peer_alive(0));
    let second = channel.publish();
    assert_eq!(second.arrival(), Arrival::Joined);
    assert_eq!(second.region().u64(control::HEAD).load(Ordering::Relaxed), 42);
    assert!(subscriber.peer_alive(0) && !subscriber.is_superseded());
}

#[test]
fn publisher_of_another_message_replaces_the_segment() {
    let channel = Channel::new("replace");
    for change in [
        (|s| s.slots = 16) as fn(&mut Spec),
        |s| s.slot_size = 128,
        |s| s.fingerprint = 7,
        |s| s.align = 64,
        |s| s.seats = 9,
        |s| s.format = Format::Bytes,
    ] {
        let first = channel.publish();
        let subscriber = channel.subscribe();
        die(first);
        let spec = channel.with(change);
        let second = publish(&spec, PLAIN).unwrap();
        assert_eq!(second.arrival(), Arrival::Replaced);
        assert!(subscriber.is_superseded() && !subscriber.name_refers_here());
        assert!(!second.is_superseded() && second.name_refers_here());
        assert!(!subscriber.peer_alive(0));
        let follower = subscribe(&spec, PLAIN).unwrap();
        assert!(follower.peer_alive(0));
        drop(subscriber);
        assert!(channel.exists(), "the old segment's last participant must not remove the new one");
    }
    assert!(!channel.exists());
}

#[test]
fn only_dead_participants_are_reclaimed_and_once() {
    use std::sync::atomic::AtomicU64;
    static RECOVERED: AtomicU64 = AtomicU64::new(0);
    const COUNTING: PatternOps = PatternOps {
        recover: |_, _, seat| {
            RECOVERED.fetch_add(1 << (8 * seat), Ordering::Relaxed);
        },
        drained: |_, _| true,
    };
    let channel = Channel::new("recovery");
    let publisher = publish(&channel.spec, COUNTING).unwrap();
    let _alive = channel.subscribe();
    die(channel.subscribe());
    let seen = publisher.participants();
    assert_eq!(seen.iter().map(|p| p.alive).collect::<Vec<_>>(), [true, true, false]);
    RECOVERED.store(0, Ordering::Relaxed);
    assert_eq!(publisher.recover_dead(), 1);
    assert_eq!(RECOVERED.load(Ordering::Relaxed), 1 << 16);
    assert_eq!(publisher.recover_dead(), 0);
    assert_eq!(publisher.participants().len(), 2);
    // A participant that takes a seat recovers it, even if that was done before.
    let heir = subscribe(&channel.spec, COUNTING).unwrap();
    assert_eq!(heir.seat(), 2);
    assert_eq!(RECOVERED.load(Ordering::Relaxed), 2 << 16);
}

#[test]
fn event_is_watched_while_a_thread_may_sleep_in_it() {
    let channel = Channel::new("modes");
    let publisher = channel.publish();
    let first = channel.subscribe();
    let second = channel.subscribe();
    assert_eq!(mode(&publisher, control::ITEMS), 0);
    first.announce_sleeper();
    second.announce_sleeper();
    assert!(may_sleep(&first) && may_sleep(&second) && !may_sleep(&publisher));
    assert_eq!(mode(&publisher, control::ITEMS), 1);
    // The value that `wait` has stored in the word stays.
    publisher.region().u32(control::ITEMS + event::MODE).store(2, Ordering::Relaxed);
    drop(first);
    assert_eq!(mode(&publisher, control::ITEMS), 2);
    die(second);
    assert_eq!(publisher.recover_dead(), 1);
    for event in [control::ITEMS, control::ROOM, control::REPLIES] {
        assert_eq!(mode(&publisher, event), 0);
    }
}

#[test]
fn each_role_is_woken_by_its_own_events() {
    for (pattern, role, woken_by) in [
        (Pattern::PushPull, Role::Puller, [1, 0, 0]),
        (Pattern::PushPull, Role::Pusher, [0, 1, 0]),
        (Pattern::ReqRep, Role::Replier, [1, 0, 0]),
        (Pattern::ReqRep, Role::Requester, [0, 1, 1]),
    ] {
        let mut channel = Channel::queue("events");
        channel.spec.pattern = pattern;
        let end = channel.join(role);
        end.announce_sleeper();
        let modes = [control::ITEMS, control::ROOM, control::REPLIES].map(|event| mode(&end, event));
        assert_eq!(modes, woken_by, "{role:?}");
    }
}

#[test]
fn either_end_of_a_queue_makes_it() {
    let channel = Channel::queue("either");
    let puller = channel.join(Role::Puller);
    let pusher = channel.join(Role::Pusher);
    assert_eq!((puller.arrival(), pusher.arrival()), (Arrival::Created, Arrival::Joined));
    assert_eq!((puller.seat(), pusher.seat()), (0, 1));
    assert_eq!(pusher.count_alive(Role::Puller), 1);
    drop((puller, pusher));
    assert!(!channel.exists());
}

#[test]
fn a_queue_with_messages_outlives_its_participants() {
    let channel = Channel::queue("outlives");
    drop(join(&channel.spec, Role::Pusher, FULL).unwrap());
    assert!(channel.exists());
    // A puller with another size keeps the messages; a puller with another message type is refused.
    let spec = channel.with(|s| s.slots = 32);
    let again = join(&spec, Role::Puller, FULL).unwrap();
    assert_eq!((again.arrival(), again.geometry().slots), (Arrival::Joined, 8));
    drop(again);
    let other = channel.with(|s| s.fingerprint = 3);
    assert_eq!(refused(join(&other, Role::Puller, FULL)).0, ErrorKind::TypeMismatch);
    // Once the queue is empty, both create a new segment.
    assert_eq!(join(&other, Role::Puller, PLAIN).unwrap().arrival(), Arrival::Replaced);
    assert!(!channel.exists());
}

#[test]
fn a_queue_in_use_is_not_replaced() {
    let channel = Channel::queue("in-use");
    let _pusher = channel.join(Role::Pusher);
    let (kind, text) = refused(join(&channel.with(|s| s.fingerprint = 3), Role::Puller, PLAIN));
    assert_eq!(kind, ErrorKind::TypeMismatch, "{text}");
    let spec = channel.with(|s| s.slots = 32);
    assert_eq!(join(&spec, Role::Puller, PLAIN).unwrap().geometry().slots, 8);
}

/// Returns the lock of a participant that has left, which a child keeps until it execs.
fn ghost(channel: &Channel) -> os::File {
    let file = os::open(&channel.path()).unwrap();
    assert!(os::try_lock(&file, 0, 1).unwrap());
    file
}

#[test]
fn lock_that_outlives_its_participant_does_no_harm() {
    let channel = Channel::new("ghost");
    let publisher = channel.publish();
    let subscriber = channel.subscribe();
    drop(publisher);
    let lock = ghost(&channel);
    for (spec, arrival) in
        [(channel.spec.clone(), Arrival::Joined), (channel.with(|s| s.slots = 16), Arrival::Replaced)]
    {
        let lock = lock.clone();
        std::thread::scope(|scope| {
            let heir = scope.spawn(|| publish(&spec, PLAIN).unwrap());
            std::thread::sleep(Duration::from_millis(20));
            os::unlock(&lock, 0, 1).unwrap();
            let heir = heir.join().unwrap();
            assert_eq!(heir.arrival(), arrival);
        });
        if arrival == Arrival::Joined {
            assert!(os::try_lock(&lock, 0, 1).unwrap());
        }
    }
    drop(subscriber);
    let publisher = channel.publish();
    let subscriber = channel.subscribe();
    drop(publisher);
    let _lock = ghost(&channel);
    drop(subscriber);
    assert!(!channel.exists(), "the last participant left, even if its lock is kept");
}
