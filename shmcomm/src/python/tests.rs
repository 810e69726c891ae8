//! Both ends in one process: what does not need a Python to be true.

use super::*;
use crate::ErrorKind;
use crate::codec::Bytes;
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
    // What Python's `create_segment` does, but with a rename, so that the keeper cannot come first.
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
    // Python's segment is not this crate's to remove, but to replace.
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
fn segments_are_listed_beside_native_ones_and_removed_by_force() {
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
    assert_eq!((info.slots, info.slot_size, info.messages), (64, 4092, 1));
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
