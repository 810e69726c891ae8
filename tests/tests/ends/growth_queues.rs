//! Queues whose slots grow: a long job gets memory in its slot, and keeps its place among the others.

use super::growth::{PATIENCE, blob, number};
use shmcomm::codec::{Bytes, EncodeError};
use shmcomm::{
    Channel, Content, Declaration, DynPuller, DynPusher, DynRequester, ErrorKind, Opener, PullTimeoutError,
    PushError, PushPull, SpareReason, TryPullError, TryPushError, WaitSet, channel, list_segments_in,
};
use shmcomm_tests::{Namespace, namespace, stage};
use std::collections::HashMap;
use std::thread;
use std::time::Duration;

channel! {
    Names: PushPull<[String], Msgpack> { name: "names", slots: 8, slot_size: 64, grow: 1 MiB }
}

const JOBS: Channel<PushPull<[u8], Bytes>> = Channel::new("jobs").slots(8).slot_size(64);

fn jobs(ns: &Namespace, grow: usize) -> Opener<PushPull<[u8], Bytes>> {
    JOBS.open().namespace(&**ns).grow(grow)
}

#[test]
fn long_job_gets_memory_in_its_slot() {
    let ns = namespace("grows");
    let mut pusher = jobs(&ns, 1 << 20).pusher().unwrap();
    let mut puller = jobs(&ns, 1 << 20).puller().unwrap();
    let sizes = [64, 65, 200, 10, 5000, 1 << 20, 100, 64, 90, 4000];
    for (i, size) in sizes.into_iter().enumerate() {
        pusher.send(&blob(i as u64, size)).unwrap();
        if i >= 4 {
            // Some jobs stay in the queue at each growth.
            assert_eq!(number(&puller.recv_timeout(PATIENCE).unwrap()), i as u64 - 4);
        }
    }
    for expected in 6..10 {
        assert_eq!(number(&puller.recv_timeout(PATIENCE).unwrap()), expected);
    }
    assert_eq!(puller.try_recv(), Err(TryPullError::Empty));
    let stats = pusher.stats();
    assert_eq!((stats.slot_size, stats.grow, stats.growths), (1 << 20, 1 << 20, 4));
    assert_eq!((stats.messages, stats.named), (10, true));
    assert_eq!(stats.bytes, sizes.map(|size| size.max(8) as u64).iter().sum::<u64>());
    let listed = &list_segments_in(&ns).unwrap()[0];
    assert_eq!((listed.version, listed.slot_size, listed.grow, listed.growths), (3, 1 << 20, 1 << 20, 4));
    pusher.flush(PATIENCE).unwrap();
    drop((pusher, puller));
    assert!(list_segments_in(&ns).unwrap().is_empty());
}

/// On other systems all memory is taken at the start.
#[cfg(target_os = "linux")]
#[test]
fn memory_is_taken_when_a_job_needs_it() {
    use std::os::unix::fs::MetadataExt as _;
    let ns = namespace("sparse");
    let mut pusher = jobs(&ns, 64 << 20).pusher().unwrap();
    let _puller = jobs(&ns, 64 << 20).puller().unwrap();
    let path = list_segments_in(&ns).unwrap()[0].path.clone();
    let taken = || std::fs::metadata(&path).unwrap().blocks() * 512;
    assert!(std::fs::metadata(&path).unwrap().len() > 8 << 26);
    let least = taken();
    assert!(least < 256 << 10, "{least}");
    pusher.send(&blob(0, 1 << 20)).unwrap();
    let one = taken() - least;
    assert!((1 << 20..(1 << 20) + 8192).contains(&one), "{one}");
    // A shorter one goes into another slot, and needs none.
    pusher.send(&blob(1, 64)).unwrap();
    assert_eq!(taken() - least, one);
    // Listing and other readers take none.
    assert_eq!(list_segments_in(&ns).unwrap()[0].queued_work(), 2);
    let puller = DynPuller::open(&format!("{ns}/jobs")).unwrap();
    assert_eq!(taken() - least, one);
    drop(puller);
}

#[test]
fn order_of_each_pusher_holds_over_growths() {
    const PUSHERS: u64 = 3;
    const EACH: u64 = 400;
    let ns = &namespace("order");
    let mut keeper = jobs(ns, 1 << 14).puller().unwrap();
    thread::scope(|scope| {
        for pusher in 0..PUSHERS {
            scope.spawn(move || {
                let mut end = jobs(ns, 1 << 14).pusher().unwrap();
                for i in 0..EACH {
                    // The longest are longer and longer.
                    let len = 8 + (i * (31 + pusher) * 7) as usize % (16 + 40 * i as usize);
                    end.send(&blob(pusher << 32 | i, len.min(1 << 14))).unwrap();
                }
            });
        }
        let mut next = HashMap::new();
        for _ in 0..PUSHERS * EACH {
            let number = number(&keeper.recv_timeout(PATIENCE).unwrap());
            let next = next.entry(number >> 32).or_insert(0);
            assert_eq!(number & 0xffff_ffff, *next);
            *next += 1;
        }
    });
    assert_eq!(keeper.try_recv(), Err(TryPullError::Empty));
    assert!(keeper.stats().growths > 1);
}

#[test]
fn encoded_and_dynamic_jobs_grow() {
    let ns = namespace("kinds");
    let mut pusher = Names::open().namespace(&*ns).pusher().unwrap();
    let mut puller = Names::open().namespace(&*ns).puller().unwrap();
    assert_eq!((Names::SLOT_SIZE, Names::GROW), (64, 1 << 20));
    for len in [1, 10, 1000, 100_000] {
        pusher.send(&["x".repeat(len)]).unwrap();
    }
    for len in [1, 10, 1000, 100_000] {
        assert_eq!(puller.recv_timeout(PATIENCE).unwrap()[0].len(), len);
    }
    assert_eq!((pusher.stats().slot_size, pusher.stats().growths), (1 << 17, 2));

    let name = format!("{ns}/dynamic");
    let declaration = Declaration::push_pull(Content::Bytes).slots(8).slot_size(64).grow(4000);
    let mut pusher = DynPusher::create(&name, &declaration).unwrap();
    let mut puller = DynPuller::open(&name).unwrap();
    pusher.send_bytes(&blob(0, 100)).unwrap();
    // An end that takes the channel as it is grows it further.
    DynPusher::open(&name).unwrap().send_bytes(&blob(1, 4000)).unwrap();
    let error = pusher.send_bytes(&blob(2, 4001)).unwrap_err().to_string();
    assert!(error.contains("4001") && error.contains("4000"), "{error}");
    for expected in 0..2 {
        assert_eq!(number(puller.recv_timeout(PATIENCE).unwrap().bytes()), expected);
    }
    let what = shmcomm::describe(&name).unwrap().unwrap();
    assert_eq!((what.slot_size, what.grow, what.growths), (64, 4000, 2));
}

#[test]
fn job_beyond_the_limit_names_the_numbers() {
    let ns = namespace("limit");
    let mut pusher = jobs(&ns, 3000).pusher().unwrap();
    let mut puller = jobs(&ns, 3000).puller().unwrap();
    let too_long = EncodeError::TooLong { needed: 3001, capacity: 3000 };
    assert_eq!(pusher.send(&[0; 3001]), Err(PushError::Unencodable(too_long.clone())));
    assert_eq!(pusher.try_send(&[0; 3001]), Err(TryPushError::Unencodable(too_long)));
    assert_eq!((pusher.stats().growths, pusher.stats().messages), (0, 0));
    pusher.send(&blob(1, 3000)).unwrap();
    assert_eq!(pusher.stats().slot_size, 3000);
    assert_eq!(number(&puller.recv_timeout(PATIENCE).unwrap()), 1);
    // The slots that were given back can be used.
    for round in 0..8 {
        pusher.try_send(&blob(round, 64)).unwrap();
    }
    assert_eq!(pusher.try_send(&blob(8, 64)), Err(TryPushError::Full));
    assert_eq!(pusher.try_send(&blob(8, 3000)), Err(TryPushError::Full));
}

#[test]
fn growth_of_a_queue_that_cannot_be_is_refused() {
    let ns = namespace("refused");
    let reason = |open: Opener<PushPull<[u8], Bytes>>| {
        let error = open.pusher().expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidGeometry, "{error}");
        error.to_string()
    };
    assert!(reason(jobs(&ns, 64)).contains("more than the slots hold"));
    assert!(reason(jobs(&ns, (1 << 31) + 1)).contains("at most 2147483648"));
    assert!(reason(jobs(&ns, 1 << 31).slots(1 << 15)).contains("together they may have 35184372088832"));
    let fixed = Channel::<PushPull<u64>>::new("fixed").open().namespace(&*ns).grow(4096);
    assert!(fixed.pusher().err().unwrap().to_string().contains("one size"));
    let service = Declaration::req_rep(Content::Bytes, Content::Bytes).grow(8192);
    let error = DynRequester::create(&format!("{ns}/service"), &service).err().unwrap();
    assert!(error.to_string().contains("push/pull, and this is request/reply"), "{error}");
    assert!(list_segments_in(&ns).unwrap().is_empty());
}

#[test]
fn other_limit_replaces_an_empty_segment_only() {
    let ns = namespace("other");
    let mut first = jobs(&ns, 1000).pusher().unwrap();
    let mut second = jobs(&ns, 2000).pusher().unwrap();
    first.send(&blob(0, 1000)).unwrap();
    assert!(matches!(second.send(&blob(1, 1001)), Err(PushError::Unencodable(_))));
    drop((first, second));
    // The job stays, so the segment stays as it is.
    let mut puller = jobs(&ns, 2000).puller().unwrap();
    assert_eq!((puller.stats().grow, puller.stats().growths), (1000, 1));
    assert_eq!(number(&puller.recv_timeout(PATIENCE).unwrap()), 0);
    drop(puller);
    let puller = jobs(&ns, 2000).puller().unwrap();
    assert_eq!((puller.stats().grow, puller.stats().growths, puller.stats().slot_size), (2000, 0, 64));
}

#[test]
fn long_jobs_outlive_all_ends() {
    let ns = namespace("outlive");
    let mut pusher = jobs(&ns, 1 << 20).pusher().unwrap();
    pusher.send(&blob(0, 10)).unwrap();
    pusher.send(&blob(1, 1 << 20)).unwrap();
    drop(pusher);
    let listed = &list_segments_in(&ns).unwrap()[0];
    assert!(listed.stale && listed.queued_work() == 2);
    assert!(matches!(shmcomm::remove_stale_segment(listed), Err(SpareReason::HoldsWork(2))));
    let mut puller = jobs(&ns, 1 << 20).puller().unwrap();
    for expected in 0..2 {
        assert_eq!(number(&puller.recv_timeout(PATIENCE).unwrap()), expected);
    }
}

/// Windows does not remove the file of a live segment.
#[cfg(unix)]
#[test]
fn long_jobs_of_a_removed_file_are_kept() {
    let ns = namespace("removed");
    let mut pusher = jobs(&ns, 1 << 20).pusher().unwrap();
    pusher.send(&blob(0, 300_000)).unwrap();
    pusher.send(&blob(1, 10)).unwrap();
    let before = list_segments_in(&ns).unwrap()[0].clone();
    std::fs::remove_file(&before.path).unwrap();
    drop(pusher);
    let mut pusher = jobs(&ns, 1 << 20).pusher().unwrap();
    // The slots of the copy have the memory that they had.
    assert_eq!((pusher.stats().growths, pusher.stats().messages), (1, 2));
    pusher.send(&blob(2, 400_000)).unwrap();
    let mut puller = jobs(&ns, 1 << 20).puller().unwrap();
    for expected in 0..3 {
        assert_eq!(number(&puller.recv_timeout(PATIENCE).unwrap()), expected);
    }
}

/// Writes words of a slot as a hostile process could.
#[cfg(unix)]
#[test]
fn words_of_a_slot_beyond_the_limit_are_limited() {
    use std::os::unix::fs::FileExt as _;
    const LIMIT: usize = 100_000;
    let ns = namespace("hostile");
    let mut pusher = jobs(&ns, LIMIT).pusher().unwrap();
    let mut puller = jobs(&ns, LIMIT).puller().unwrap();
    let path = list_segments_in(&ns).unwrap()[0].path.clone();
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let word = |at: u64| {
        let mut bytes = [0; 8];
        file.read_exact_at(&mut bytes, at).unwrap();
        u64::from_ne_bytes(bytes)
    };
    let (stride, slots) = (word(72), word(88));
    for (index, extra) in [u64::MAX, 1 << 40, 1, 0].into_iter().enumerate() {
        // Each round takes three positions.
        let slot = slots + 3 * index as u64 % 8 * stride;
        // Bytes of payload that have memory.
        file.write_at(&extra.to_ne_bytes(), slot + 24).unwrap();
        pusher.send(&blob(index as u64, LIMIT)).unwrap();
        assert!(matches!(pusher.send(&[0; LIMIT + 1]), Err(PushError::Unencodable(_))));
        // The length of the job.
        file.write_at(&u64::MAX.to_ne_bytes(), slot + 8).unwrap();
        assert_eq!(puller.recv_timeout(PATIENCE).unwrap().len(), LIMIT);
        // The refused message has taken a slot, and given it back.
        pusher.send(&blob(9, 10)).unwrap();
        assert_eq!(number(&puller.recv_timeout(PATIENCE).unwrap()), 9);
    }
    file.write_at(&u64::MAX.to_ne_bytes(), 1032).unwrap();
    assert_eq!((pusher.stats().slot_size, pusher.stats().growths), (LIMIT as u64, u64::from(u32::MAX)));
}

#[test]
fn wait_sets_see_long_jobs() {
    let ns = namespace("sets");
    let mut pusher = jobs(&ns, 1 << 16).pusher().unwrap();
    let mut puller = jobs(&ns, 1 << 16).puller().unwrap();
    let mut set = WaitSet::new();
    set.add(1, &puller).unwrap();
    for round in 0..11 {
        pusher.send(&blob(round, 64 << round)).unwrap();
        assert_eq!(set.wait_timeout(PATIENCE).unwrap().len(), 1, "round {round}");
        assert_eq!(number(&puller.try_recv().unwrap()), round);
    }
    assert_eq!(set.try_wait().unwrap(), []);
}

#[test]
fn part() {
    stage::play(&[
        ("push forever", push_forever),
        ("keep a job", keep_a_job),
        ("fill the file system", fill_the_file_system),
        ("push once", push_once),
    ]);
}

/// Pushes jobs of all lengths until it is killed.
fn push_forever() {
    let mut pusher = JOBS.open().grow(1 << 20).pusher().unwrap();
    stage::say("ready");
    for i in 0.. {
        pusher.send(&blob(u64::from(std::process::id()) << 32 | i, 16 << (i * 5 % 17))).unwrap();
    }
}

#[test]
fn killed_pushers_leave_whole_jobs_in_order() {
    let ns = namespace("killed");
    let mut puller = jobs(&ns, 1 << 20).puller().unwrap();
    let mut next: HashMap<u64, u64> = HashMap::new();
    let mut take = |job: Vec<u8>| {
        let number = number(&job);
        let next = next.entry(number >> 32).or_insert(0);
        assert_eq!(number & 0xffff_ffff, *next, "lost, repeated or reordered");
        *next += 1;
    };
    for life in 0..10 {
        let mut peers = [stage::part("push forever", &ns), stage::part("push forever", &ns)];
        for peer in &mut peers {
            peer.said();
        }
        for _ in 0..life * 7 {
            take(puller.recv_timeout(PATIENCE).unwrap());
        }
        thread::sleep(Duration::from_micros(200 * life));
        for peer in peers {
            peer.kill();
        }
        // Every job that is there is whole; the slots of the dead are free again.
        loop {
            match puller.recv_timeout(Duration::from_millis(120)) {
                Ok(job) => take(job),
                Err(PullTimeoutError::Timeout) => break,
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(puller.stats().backlog.unwrap().used(), 0);
    }
    assert!(next.len() > 5);
}

/// Takes a job and keeps it until it is killed.
fn keep_a_job() {
    let mut puller =
        DynPuller::open(&format!("{}/jobs", std::env::var("SHMCOMM_NAMESPACE").unwrap())).unwrap();
    let job = puller.claim().unwrap();
    stage::say(number(job.message().bytes()));
    stage::wait();
}

#[test]
fn long_job_of_a_dead_puller_is_redelivered() {
    let ns = namespace("again");
    let mut pusher = jobs(&ns, 1 << 20).pusher().unwrap();
    pusher.send(&blob(0, 700_000)).unwrap();
    let mut peer = stage::part("keep a job", &ns);
    assert_eq!(peer.said(), "0");
    // Other slots grow meanwhile, for laps.
    let mut puller = jobs(&ns, 1 << 20).puller().unwrap();
    for round in 1..40 {
        pusher.send(&blob(round, 1 << (round % 20))).unwrap();
        assert_eq!(number(&puller.recv_timeout(PATIENCE).unwrap()), round);
    }
    peer.kill();
    let job = puller.recv_timeout(PATIENCE).unwrap();
    assert_eq!((number(&job), job.len()), (0, 700_000));
    assert_eq!(pusher.stats().backlog.unwrap().redelivered, 1);
}

/// Pushes longer and longer jobs on a file system of 4 MiB, in slots of up to 64 MiB.
fn fill_the_file_system() {
    let mut pusher = JOBS.open().grow(64 << 20).pusher().unwrap();
    let mut puller = JOBS.open().grow(64 << 20).puller().unwrap();
    // More than there is, in one step and in several.
    for size in [5 << 20, 40 << 20] {
        match pusher.send(&vec![1; size]) {
            Err(PushError::NotGrown(why)) => {
                let text = why.to_string();
                assert_eq!(why.kind(), ErrorKind::NoSpace, "{text}");
                assert!(text.contains(&size.to_string()) && text.contains("free"), "{text}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((pusher.stats().growths, pusher.stats().messages), (0, 0));
    // The failed attempts have taken no memory: three jobs of 1 MiB fit, and no fourth.
    let mut sent = 0;
    let failed = loop {
        match pusher.try_send(&blob(sent, 1 << 20)) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(failed, TryPushError::NotGrown(_)) && sent == 3, "{failed:?} after {sent}");
    // Every slot takes a short job, and the slots that have grown take long ones.
    while pusher.try_send(&blob(sent, 64)).is_ok() {
        sent += 1;
    }
    // The slot that was given back stands behind those of the jobs, and is used on the next lap.
    assert_eq!((sent, pusher.try_send(&blob(sent, 64))), (7, Err(TryPushError::Full)));
    for expected in 0..sent {
        assert_eq!(number(&puller.recv_timeout(PATIENCE).unwrap()), expected);
    }
    let long = (0..3).map(|i| pusher.try_send(&blob(i, 1 << 20)));
    assert_eq!(long.collect::<Vec<_>>(), [Ok(()), Ok(()), Ok(())]);
    stage::say("done");
}

#[cfg(target_os = "linux")]
#[test]
fn full_file_system_keeps_job_and_channel() {
    let ns = namespace("full");
    let dir = std::env::temp_dir().join(format!("shmcomm-grow-{}", std::process::id()));
    std::fs::create_dir(&dir).unwrap();
    if let Some(wrapper) = stage::own_tmpfs(&dir, "4m", "true") {
        assert_eq!(stage::part_under(&wrapper, "fill the file system", &ns).said(), "done");
    }
    std::fs::remove_dir(&dir).unwrap();
}

/// Pushes a job of each length up to the limit, and says how many were sent.
fn push_once() {
    let mut pusher = JOBS.open().grow(4096).pusher().unwrap();
    for number in 0..7 {
        pusher.send(&blob(number, 64 << number)).unwrap();
        stage::say(number);
    }
}

/// Needs a build with fault points: `RUSTFLAGS="--cfg shmcomm_fault"`.
#[cfg(shmcomm_fault)]
#[test]
fn death_at_each_step_in_a_queue_loses_no_job() {
    for point in ["grow.backed", "grow.recorded", "grow.counted", "push.written"] {
        for count in 1..=3 {
            let ns = namespace("each-step");
            let mut puller = jobs(&ns, 4096).puller().unwrap();
            let mut command = stage::command("push once", &ns);
            command.env("SHMCOMM_FAULT", format!("{point}=kill@{count}"));
            let mut victim = shmcomm_tests::Peer::spawn(command);
            let sent =
                std::iter::from_fn(|| Some(victim.said()).filter(|said| !said.is_empty())).count() as u64;
            victim.finish();
            assert!(sent < 7, "no fault point {point}");
            let mut heir = jobs(&ns, 4096).pusher().unwrap();
            for number in sent..7 {
                heir.send(&blob(number, 64 << number)).unwrap();
            }
            for expected in 0..7 {
                assert_eq!(number(&puller.recv_timeout(PATIENCE).unwrap()), expected, "{point}:{count}");
            }
            // All slots can be used for the longest job.
            for number in 0..8 {
                heir.try_send(&blob(number, 4096)).unwrap();
            }
            for expected in 0..8 {
                assert_eq!(number(&puller.recv_timeout(PATIENCE).unwrap()), expected, "{point}:{count}");
            }
            assert_eq!(puller.stats().backlog.unwrap().used(), 0);
        }
    }
}
