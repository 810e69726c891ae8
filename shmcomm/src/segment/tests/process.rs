//! Several processes: races and kills.

use super::helper::{self, Helper};
use super::*;
use crate::segment::{Arrival, open};
use std::fs;
use std::sync::Barrier;

/// Rounds of a race. Under wine a system call takes about thirty times as long.
const ROUNDS: u32 = if cfg!(target_os = "windows") { 30 } else { 1000 };

#[test]
fn killed_publisher_is_detected_and_succeeded() {
    let channel = Channel::new("killed");
    let mut first = Helper::start("publish", &channel);
    assert_eq!(first.answer(), "Created 0");
    let subscriber = channel.subscribe();
    assert!(subscriber.peer_alive(0));
    let pid = first.pid();
    let (kind, text) = refused(publish(&channel.spec, PLAIN));
    assert_eq!(kind, ErrorKind::AlreadyPublished);
    assert!(text.contains(&format!("process {pid}")), "{text}");
    first.kill();
    assert!(!subscriber.peer_alive(0));
    let info = crate::list_segments().unwrap().into_iter().find(|s| s.channel == channel.spec.name).unwrap();
    assert!(!info.stale && info.problem.is_none());
    assert_eq!(
        info.participants.iter().map(|p| (p.pid == pid, p.alive)).collect::<Vec<_>>(),
        [(true, false), (false, true)]
    );
    let heir = channel.publish();
    assert_eq!(heir.arrival(), Arrival::Joined);
    assert!(subscriber.peer_alive(0) && !subscriber.is_superseded());
}

#[test]
fn the_dead_do_not_keep_the_segment_alive() {
    let channel = Channel::new("dead");
    let publisher = channel.publish();
    let mut other = Helper::start("subscribe", &channel);
    assert_eq!(other.answer(), "Joined 1");
    other.kill();
    assert_eq!(publisher.participants().len(), 2);
    drop(publisher);
    assert!(!channel.exists());
}

#[test]
fn one_of_racing_publishers_wins_others_get_errors() {
    let channel = Channel::new("race");
    let threads = if cfg!(miri) { 2 } else { 6 };
    for round in 0..ROUNDS {
        // In turn: no segment; a stale segment that fits; a stale segment that must be replaced.
        match round % 3 {
            0 => {}
            1 => die(channel.publish()),
            _ => die(publish(&channel.with(|s| s.slots = 16), PLAIN).unwrap()),
        }
        let start = Barrier::new(threads);
        let decided = Barrier::new(threads);
        let results: Vec<Result<(), ErrorKind>> = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..threads)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        let result = publish(&channel.spec, PLAIN);
                        decided.wait();
                        result.map(drop).map_err(|error| error.kind())
                    })
                })
                .collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 1, "round {round}: {results:?}");
        let told = results.iter().filter(|r| **r == Err(ErrorKind::AlreadyPublished)).count();
        assert_eq!(told, threads - 1, "round {round}: {results:?}");
        assert!(!channel.exists());
    }
}

#[test]
fn one_of_racing_processes_wins_others_get_errors() {
    let channel = Channel::new("race-processes");
    let mut racers: Vec<_> = (0..4).map(|_| Helper::start("publish again and again", &channel)).collect();
    for round in 0..ROUNDS {
        match round % 3 {
            0 => {}
            1 => die(channel.publish()),
            _ => die(publish(&channel.with(|s| s.slots = 16), PLAIN).unwrap()),
        }
        racers.iter_mut().for_each(Helper::go);
        let answers: Vec<_> = racers.iter_mut().map(Helper::answer).collect();
        let lost = answers.iter().filter(|a| a.starts_with("AlreadyPublished")).count();
        assert_eq!(lost, 3, "round {round}: {answers:?}");
        let told =
            answers.iter().filter(|a| racers.iter().any(|r| a.contains(&format!("process {} ", r.pid()))));
        assert_eq!(told.count(), 3, "round {round}: {answers:?}");
        racers.iter_mut().for_each(Helper::go);
        // The winner leaves, and its file is removed.
        while channel.exists() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn join_beside_the_last_leave_gets_a_named_segment() {
    let channel = Channel::queue("door");
    let threads = 4;
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for _ in 0..ROUNDS / 3 {
                    let end = channel.join(Role::Pusher);
                    assert!(end.name_refers_here() && !end.is_superseded());
                }
            });
        }
    });
    assert!(!channel.exists());
}

#[test]
fn makers_killed_at_any_time_leave_nothing_half_made() {
    let mut channel = Channel::new("kill-makers");
    let test_dir = TestDir::new(&default_dir(), "makers");
    let dir = &test_dir.path;
    channel.spec.name = "victim".into();
    let place = ChannelPath::within(dir, &channel.spec.name).unwrap();
    let mut queue = channel.with(|s| s.pattern = Pattern::PushPull);
    queue.name.push_str("/queue");
    let queue_place = ChannelPath::within(dir, &queue.name).unwrap();
    let rounds = if cfg!(target_os = "windows") {
        10
    } else if cfg!(debug_assertions) {
        60
    } else {
        300
    };
    for round in 0..rounds {
        let mut makers: Vec<_> = (0..2)
            .map(|_| {
                let mut command = helper::command("come and go", &channel);
                command.env(crate::segment::name::DIR_VARIABLE, dir);
                Helper::spawn(command)
            })
            .collect();
        for maker in &mut makers {
            assert_eq!(maker.answer(), "coming");
        }
        std::thread::sleep(Duration::from_micros(137 * (round * 7919 % 61)));
        makers.into_iter().for_each(Helper::kill);
        let listed = crate::segment::list::list_within(dir).unwrap();
        assert!(listed.len() <= 2 && listed.iter().all(|s| s.problem.is_none() && s.stale), "{listed:?}");
        let publisher = open::publish_at(&place, &channel.spec, PLAIN).unwrap();
        let subscriber = open::subscribe_at(&place, &channel.spec, PLAIN).unwrap();
        assert_eq!((publisher.seat(), subscriber.seat()), (0, 1));
        drop((publisher, subscriber));
        let pusher = open::join_at(&queue_place, &queue, Role::Pusher, PLAIN).unwrap();
        assert_eq!(pusher.seat(), 0);
        drop(pusher);
        let left: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        // A publisher that takes a segment over does not remove temporary files.
        assert!(left.iter().all(|name| name.to_str().unwrap().starts_with("shmcomm2~")), "{left:?}");
    }
    drop(open::publish_at(&place, &channel.spec, PLAIN).unwrap());
    assert_eq!(test_dir.count(), 0);
}

#[test]
fn process_stopped_while_joining_causes_an_error() {
    let channel = Channel::new("stopped");
    let publisher = channel.publish();
    let mut stopped = Helper::start("register and stop", &channel);
    assert_eq!(stopped.answer(), "stopped");
    let (kind, text) = refused(subscribe(&channel.spec, PLAIN));
    assert_eq!(kind, ErrorKind::Os, "{text}");
    assert!(text.contains(os::CURES.stops), "{text}");
    assert_eq!(publisher.recover_dead(), 0);
    // Once it is dead, it has no lock.
    stopped.kill();
    channel.subscribe();
}

#[test]
fn segment_removed_by_force_informs_its_participants() {
    let channel = Channel::new("force");
    assert!(!crate::force_unlink(&channel.spec.name).unwrap());
    let publisher = channel.publish();
    let subscriber = channel.subscribe();
    assert!(crate::force_unlink(&channel.spec.name).unwrap());
    assert!(publisher.is_superseded() && subscriber.is_superseded() && !channel.exists());
    let (kind, _) = refused(subscribe(&channel.spec, PLAIN));
    assert_eq!(kind, ErrorKind::NotFound);
    let second = channel.publish();
    assert_eq!(second.arrival(), Arrival::Created);
    drop((publisher, subscriber));
    assert!(channel.exists());
}

#[test]
fn interrupted_removal_is_finished_by_the_next_open() {
    for publishes in [false, true] {
        let channel = Channel::new("cut-short");
        die(channel.publish());
        let file = os::open(&channel.path()).unwrap();
        os::write_at(&file, &1u64.to_ne_bytes(), crate::layout::control::STATE as u64).unwrap();
        if publishes {
            assert_eq!(channel.publish().arrival(), Arrival::Created);
        } else {
            assert_eq!(refused(subscribe(&channel.spec, PLAIN)).0, ErrorKind::NotFound);
        }
        assert!(!channel.exists());
    }
}

#[test]
fn the_list_shows_what_is_there() {
    let channel = Channel::new("listed");
    let publisher = channel.publish();
    let _subscriber = channel.subscribe();
    publisher.region().u64(crate::layout::control::HEAD).store(17, Ordering::Relaxed);
    let find =
        || crate::list_segments().unwrap().into_iter().find(|s| s.channel == channel.spec.name).unwrap();
    let info = find();
    assert_eq!(info.path, channel.path());
    assert_eq!((info.pattern, info.codec), ("publish/subscribe", "fixed layout"));
    assert_eq!((info.slots, info.slot_size, info.seats), (8, 64, 8));
    assert_eq!(info.size, publisher.geometry().segment_size);
    assert_eq!((info.fingerprint, &*info.schema), (channel.spec.fingerprint, &*channel.spec.schema));
    assert!(!info.stale && info.problem.is_none());
    let roles: Vec<_> = info.participants.iter().map(|p| (p.role, p.alive, p.lag)).collect();
    assert_eq!(roles, [(Role::Publisher, true, None), (Role::Subscriber, true, Some(17))]);
    assert!(!info.participants[0].process.is_empty());
    die(publisher);
    drop(_subscriber);
    // The last participant that left has removed it.
    assert!(!channel.exists());
    fs::write(channel.path(), [0; 100]).unwrap();
    let info = find();
    assert!(info.problem.unwrap().contains("100 bytes"));
}

/// Runs all code that has a fault point, in one life.
#[cfg(shmcomm_fault)]
pub(super) fn lives(channel: &Channel) {
    let first = channel.publish();
    die(channel.subscribe());
    let subscriber = channel.subscribe();
    die(channel.subscribe());
    first.recover_dead();
    die(first);
    let second = channel.publish();
    die(second);
    let third = publish(&channel.with(|s| s.slots = 16), PLAIN).unwrap();
    drop((third, subscriber));
    die(channel.publish());
    crate::force_unlink(&channel.spec.name).unwrap();
    helper::report("lived");
}

#[cfg(shmcomm_fault)]
#[test]
fn death_at_any_step_leaves_a_channel_that_works() {
    const POINTS: [&str; 13] = [
        "reserved",
        "linked",
        "temporary",
        "marked",
        "renamed",
        "unlinking",
        "seated",
        "entered",
        "recovering",
        "recovered",
        "leaving",
        "left",
        "last",
    ];
    let test_dir = TestDir::new(&default_dir(), "fault");
    let dir = &test_dir.path;
    let mut deaths = 0;
    for point in POINTS {
        for count in 1..20 {
            let mut channel = Channel::new("fault");
            channel.spec.name = "victim".into();
            let place = ChannelPath::within(dir, &channel.spec.name).unwrap();
            let mut command = helper::command("live", &channel);
            command.env(crate::segment::name::DIR_VARIABLE, dir);
            command.env("SHMCOMM_FAULT", format!("segment.{point}=abort@{count}"));
            let lived = Helper::spawn(command).answer() == "lived";
            let context = format!("{point}:{count}");
            let listed = crate::segment::list::list_within(dir).unwrap();
            assert!(listed.iter().all(|s| s.problem.is_none() && s.stale), "{context}: {listed:?}");
            let publisher = open::publish_at(&place, &channel.spec, PLAIN).expect(&context);
            let subscriber = open::subscribe_at(&place, &channel.spec, PLAIN).expect(&context);
            assert_eq!((publisher.seat(), subscriber.seat()), (0, 1), "{context}");
            publisher.recover_dead();
            assert_eq!(publisher.participants().len(), 2, "{context}");
            drop((publisher, subscriber));
            assert!(!place.path().exists(), "{context}");
            // The next process that creates a segment removes the incomplete ones.
            drop(open::publish_at(&place, &channel.spec, PLAIN).expect(&context));
            assert_eq!(test_dir.count(), 0, "{context}");
            if lived {
                assert!(count > 1, "no fault point segment.{point}");
                break;
            }
            deaths += 1;
        }
    }
    assert!(deaths > POINTS.len());
}
