//! Both ends in one process, without Python.

use super::*;
use crate::codec::Bytes;
use crate::error::ErrorKind;
use std::time::Duration;

fn options(test: &str) -> Options {
    Options { connect_timeout: Duration::ZERO, ..Options::pubsub(format!("t{}-{test}", std::process::id())) }
}

#[test]
fn messages_arrive_in_order_and_losses_are_counted() {
    let options = Options { slots: 4, slot_size: 257, ..options("order") };
    let mut publisher = Publisher::<[u8], Bytes>::open(options.clone()).unwrap();
    let mut subscriber = Subscriber::<Vec<u8>, Bytes>::open(options).unwrap();
    assert_eq!(subscriber.try_recv(), Err(TryRecvError::Empty));
    for len in [0, 1, 7, 8, 63, 64, 65, 253] {
        let message: Vec<u8> = (0..len).collect();
        publisher.send(&message).unwrap();
        assert_eq!(subscriber.try_recv().unwrap(), message);
    }
    assert_eq!(publisher.send(&[0; 254]), Err(SendError::TooLong { size: 254, capacity: 253 }));
    for i in 0..10u8 {
        publisher.send(&[i]).unwrap();
    }
    assert_eq!(subscriber.try_recv(), Err(TryRecvError::Lagged(7)));
    assert_eq!(subscriber.latest(), Ok(Some(vec![9])));
    assert_eq!((subscriber.lost(), subscriber.skipped(), subscriber.received()), (7, 2, 9));
    assert_eq!(subscriber.latest(), Ok(Some(vec![9])));
    assert_eq!(subscriber.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout));
    let stats = subscriber.stats();
    assert_eq!((stats.msg_count, stats.local_tail, stats.free_slots), (18, Some(2), 3));
}

#[test]
fn a_channel_has_one_publisher_and_leaves_nothing() {
    let options = options("one");
    let publisher = Publisher::<[u8], Bytes>::open(options.clone()).unwrap();
    let error = Publisher::<[u8], Bytes>::open(options.clone()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyPublished);
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    let name = publisher.name().to_owned();
    drop(publisher);
    for entry in std::fs::read_dir("/dev/shm").unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        assert!(!file.ends_with(&name), "{file} is left");
    }
    let error = Subscriber::<Vec<u8>, Bytes>::open(options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn a_removed_name_comes_back() {
    let options = Options { connect_timeout: Duration::from_secs(10), ..options("heal") };
    let mut publisher = Publisher::<[u8], Bytes>::open(options.clone()).unwrap();
    for i in 0..20u8 {
        std::fs::remove_file(format!("/dev/shm/shmcomm_pub_{}", options.name)).unwrap();
        let mut subscriber = Subscriber::<Vec<u8>, Bytes>::open(options.clone()).unwrap();
        publisher.send(&[i]).unwrap();
        assert_eq!(subscriber.recv().unwrap(), [i]);
    }
}

#[test]
fn another_owner_is_noticed_and_followed() {
    let options = Options { connect_timeout: Duration::from_secs(10), ..options("usurper") };
    let path = format!("/dev/shm/shmcomm_pub_{}", options.name);
    let mut publisher = Publisher::<[u8], Bytes>::open(options.clone()).unwrap();
    let mut subscriber = Subscriber::<Vec<u8>, Bytes>::open(options.clone()).unwrap();
    // Like Python's `create_segment`, but with a rename, so that the keeper cannot come first.
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[64..].fill(0);
    let temporary = format!("/dev/shm/t-usurper-{}", std::process::id());
    std::fs::write(&temporary, &bytes).unwrap();
    std::fs::set_permissions(&temporary, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::rename(&temporary, &path).unwrap();
    while publisher.send(b"x") != Err(SendError::Replaced) {
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(publisher);
    // This crate must not remove Python's segment, but may replace it.
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    let mut publisher = Publisher::<[u8], Bytes>::open(options).unwrap();
    publisher.send(b"new").unwrap();
    loop {
        match subscriber.recv().unwrap() {
            old if old == b"x" => {}
            new => break assert_eq!(new, b"new"),
        }
    }
}

#[test]
fn python_segments_are_listed_and_removed_by_force() {
    let options = options("list");
    let mut publisher = Publisher::<[u8], Bytes>::open(options.clone()).unwrap();
    publisher.send(b"x").unwrap();
    let replier = Replier::<Vec<u8>, [u8], Bytes>::open(options.clone()).unwrap();
    let name = publisher.name().to_owned();
    let list =
        || crate::list_segments().unwrap().into_iter().filter(|s| s.channel == name).collect::<Vec<_>>();
    let found = list();
    let shown =
        |file: &str| found.iter().find(|s| s.path.ends_with(format!("shmcomm_{file}_{name}"))).unwrap();
    let info = shown("pub");
    assert_eq!((info.version, info.pattern, info.stale), (1, "publish/subscribe", false));
    assert_eq!((info.slots, info.slot_size, info.messages), (options.slots, options.slot_size, 1));
    assert_eq!(info.problem, None);
    assert_eq!(shown("req").pattern, "request/reply");
    drop(replier);
    assert!(force_unlink(&name).unwrap());
    assert!(!force_unlink(&name).unwrap());
    assert!(list().is_empty());
    let start = std::time::Instant::now();
    while publisher.send(b"x") != Err(SendError::Replaced) {
        assert!(start.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(force_unlink("a/b").unwrap_err().kind(), ErrorKind::InvalidName);
}

/// Returns the files in `/dev/shm` whose names contain `name`, sorted.
fn files_of(name: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/dev/shm").unwrap().flatten();
    let mut files: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    files.retain(|file| file.contains(name));
    files.sort();
    files
}

fn listed(name: &str) -> Vec<crate::SegmentInfo> {
    crate::list_segments().unwrap().into_iter().filter(|info| info.channel == name).collect()
}

/// Leaves the state of a killed owner after the first name has been removed: the second name alone.
fn leave_second_name(kind: &str, name: &str) {
    let hidden = format!("/dev/shm/shmcomm_{kind}~{name}");
    std::fs::copy(format!("/dev/shm/shmcomm_{kind}_{name}"), &hidden).unwrap();
}

#[test]
fn second_name_of_killed_owner_is_listed_as_stale() {
    let publisher = Publisher::<[u8], Bytes>::open(options("second-name")).unwrap();
    let name = publisher.name().to_owned();
    assert_eq!(listed(&name).len(), 1, "one segment with two names has one entry");
    // Python's guide lists files with this prefix, and removes the listed files.
    assert!(files_of(&name).iter().all(|file| file.starts_with("shmcomm_")));
    std::fs::copy(format!("/dev/shm/shmcomm_pub_{name}"), format!("/dev/shm/{name}.copy")).unwrap();
    drop(publisher);
    assert!(listed(&name).is_empty());
    std::fs::rename(format!("/dev/shm/{name}.copy"), format!("/dev/shm/shmcomm_pub~{name}")).unwrap();
    let found = listed(&name);
    assert_eq!((found.len(), found[0].version, found[0].stale), (1, 1, true));
    assert_eq!((found[0].slots, found[0].problem.as_deref()), (64, None));
    assert!(crate::force_unlink(&name).unwrap());
    assert!(!crate::force_unlink(&name).unwrap());
    assert_eq!(files_of(&name), [""; 0]);
}

#[test]
fn clean_up_loop_removes_channels_of_all_patterns() {
    let options = options("loop");
    let name = options.name.clone().into_owned();
    let publisher = Publisher::<[u8], Bytes>::open(options.clone()).unwrap();
    let replier = Replier::<Vec<u8>, [u8], Bytes>::open(options.clone()).unwrap();
    let pusher = super::Pusher::<[u8], Bytes>::open(options.clone()).unwrap();
    let puller = super::Puller::<Vec<u8>, Bytes>::open(options).unwrap();
    let lock = puller.lock_path().to_owned();
    assert!(lock.exists());
    for kind in ["pub", "push"] {
        let other = format!("{name}-{kind}");
        std::fs::copy(format!("/dev/shm/shmcomm_{kind}_{name}"), format!("/dev/shm/shmcomm_{kind}_{other}"))
            .unwrap();
        leave_second_name(kind, &other);
    }
    for segment in crate::list_segments().unwrap() {
        if segment.channel.starts_with(&name) {
            crate::force_unlink(&segment.channel).unwrap();
        }
    }
    assert_eq!(files_of(&name), [""; 0]);
    assert!(!lock.exists());
    drop((publisher, replier, pusher, puller));
    let _ = std::fs::remove_file(lock);
}

#[test]
fn discarded_pusher_removes_its_jobs_and_no_others() {
    let options = options("discard");
    let name = options.name.clone().into_owned();
    let open = || super::Pusher::<[u8], Bytes>::open(options.clone()).unwrap();
    let mut pusher = open();
    pusher.send_bytes(b"a").unwrap();
    pusher.send_bytes(b"b").unwrap();
    assert_eq!(pusher.discard(), 2);
    assert_eq!(files_of(&name), [""; 0]);
    let mut removed = open();
    removed.send_bytes(b"c").unwrap();
    crate::force_unlink(&name).unwrap();
    let other = open();
    removed.discard();
    assert!(!files_of(&name).is_empty());
    drop(other);
    assert_eq!(files_of(&name), [""; 0]);
}

#[test]
fn force_unlink_takes_the_names_of_files() {
    let publisher = Publisher::<[u8], Bytes>::open(options("by-file")).unwrap();
    let name = publisher.name().to_owned();
    assert!(!force_unlink(&format!("shmcomm_push_{name}")).unwrap());
    assert!(force_unlink(&format!("shmcomm_pub_{name}")).unwrap());
    assert!(!force_unlink(&format!("shmcomm_pub~{name}")).unwrap());
    assert_eq!(files_of(&name), [""; 0]);
    drop(publisher);
    // A name that Python can use and this library refuses is listed and can be removed.
    let odd = format!("{name} and a space");
    std::fs::write(format!("/dev/shm/shmcomm_pub_{odd}"), b"").unwrap();
    assert_eq!(listed(&odd).len(), 1);
    assert!(force_unlink(&odd).unwrap());
    assert_eq!(force_unlink(&odd).unwrap_err().kind(), ErrorKind::InvalidName);
}

#[test]
fn min_lap_delays_a_publisher_that_is_faster() {
    let min_lap = Duration::from_millis(40);
    let options = Options { slots: 4, min_lap, ..options("min-lap") };
    let mut publisher = Publisher::<[u8], Bytes>::open(options).unwrap();
    let start = std::time::Instant::now();
    for _ in 0..4 {
        publisher.send(b"first lap").unwrap();
    }
    for _ in 0..8 {
        publisher.send_bytes(b"more").unwrap();
    }
    assert!(start.elapsed() >= 2 * min_lap, "{:?}", start.elapsed());
    assert_eq!(publisher.stats().msg_count, 12);
}

#[test]
fn service_removes_either_file_of_a_killed_owner() {
    let options = Options::reqrep(options("half").name);
    // A process was killed between the two files, or while it examined one to remove its name.
    let name = |name: &str| format!("{}~{name}", options.name);
    for (half, name) in
        [("req", name("1")), ("rep", name("2")), ("rep", name("3~aside")), ("req", name("aside"))]
    {
        std::fs::write(format!("/dev/shm/shmcomm_{half}~{name}"), []).unwrap();
    }
    drop(Replier::<Vec<u8>, [u8], Bytes>::open(options.clone()).unwrap());
    assert_eq!(files_of(&options.name), [""; 0]);
}

#[test]
fn requesters_beyond_the_last_pair_share_it() {
    let options = Options {
        slots: 4,
        slot_size: 64,
        connect_timeout: Duration::from_secs(60),
        ..Options::reqrep(options("many").name)
    };
    let mut replier = Replier::<Vec<u8>, [u8], Bytes>::open(options.clone()).unwrap();
    let open = |_| super::Requester::<[u8], Vec<u8>, Bytes>::open(options.clone()).unwrap();
    let mut requesters: Vec<_> = (0..67u8).map(open).collect();
    for (number, requester) in requesters.iter_mut().enumerate() {
        requester.send(&[number as u8]).unwrap();
        let request = replier.recv_timeout(Duration::from_secs(60)).unwrap();
        replier.send(&request).unwrap();
        assert_eq!(requester.recv_timeout(Duration::from_secs(60)).unwrap(), [number as u8]);
    }
    let pairs = files_of(&options.name).iter().filter(|file| file.contains("_rep~")).count();
    assert_eq!(pairs, 64);
    assert_eq!((replier.stats().msg_count, replier.given_up()), (67, 0));
    drop(requesters);
    drop(replier);
    assert_eq!(files_of(&options.name), [""; 0]);
}
