//! Publish/subscribe with a Python process on the other end.

use serde::{Deserialize, Serialize};
use shmcomm::codec::{Bytes, Pickle, Value};
use shmcomm::python::{Options, Publisher, RecvTimeoutError, Subscriber};
use shmcomm::{ErrorKind, Fixed, ShmMessage};
use shmcomm_tests::python;
use shmcomm_tests::wire::{LONG, Name, Talker, number_of};
use std::time::{Duration, Instant};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Pose {
    frame: String,
    position: [f64; 3],
    stamp: u64,
    note: Option<String>,
}

fn pose(stamp: u64) -> Pose {
    Pose { frame: "Füße".into(), position: [1.5, -2.0, 0.0], stamp, note: None }
}

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[repr(C)]
struct Imu {
    stamp: u64,
    acc: [f32; 4],
}

#[test]
fn python_receives_what_a_publisher_sends_as_pickle() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("pickle-out");
    let mut publisher = Publisher::<Pose, Pickle>::open(name.pubsub()).unwrap();
    let mut subscriber = Talker::python(python, "subscribe.py", &[&name.0, "pickle"]);
    subscriber.expect("ready");
    for stamp in 0..3 {
        publisher.send(&pose(stamp)).unwrap();
        subscriber.expect(&format!(
            "{{'frame': 'Füße', 'position': (1.5, -2.0, 0.0), 'stamp': {stamp}, 'note': None}}"
        ));
    }
}

#[test]
fn a_subscriber_receives_what_python_sends_as_pickle() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("pickle-in");
    let mut publisher = Talker::python(python, "publish.py", &[&name.0, "pickle"]);
    publisher.expect("ready");
    let mut subscriber = Subscriber::<Pose, Pickle>::open(name.pubsub()).unwrap();
    let mut values = Subscriber::<Value, Pickle>::open(name.pubsub()).unwrap();
    publisher.say("{'frame': 'Füße', 'position': (1.5, -2, 0.0), 'stamp': 2**63, 'note': None}");
    assert_eq!(subscriber.recv_timeout(LONG).unwrap(), pose(1 << 63));
    assert_eq!(values.recv_timeout(LONG).unwrap()["stamp"].as_u64(), Some(1 << 63));
    publisher.say("{'frame': 'Füße'}");
    let refused = subscriber.recv_timeout(LONG).unwrap_err();
    assert!(matches!(refused, RecvTimeoutError::Invalid(_)), "{refused}");
    assert!(refused.to_string().contains("position"), "{refused}");
    publisher.say("numpy.arange(3, dtype='>f8')");
    subscriber.recv_timeout(LONG).unwrap_err();
    values.recv_timeout(LONG).unwrap();
    let array = values.recv_timeout(LONG).unwrap();
    assert!(format!("{array:?}").contains('2'), "{array:?}");
    assert_eq!((subscriber.received(), subscriber.invalid(), subscriber.lost()), (1, 2, 0));
}

#[test]
fn raw_bytes_and_fixed_layouts_go_both_ways() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("raw");
    let imu = Imu { stamp: 7, acc: [1.0, 2.0, 3.0, 4.0] };
    let hex = "07000000000000000000803f000000400000404000008040";
    let mut publisher = Talker::python(python, "publish.py", &[&name.0, "bytes"]);
    publisher.expect("ready");
    let mut fixed = Subscriber::<Imu, Fixed>::open(name.pubsub()).unwrap();
    let mut bytes = Subscriber::<Vec<u8>, Bytes>::open(name.pubsub()).unwrap();
    publisher.say(hex);
    assert_eq!(fixed.recv_timeout(LONG).unwrap(), imu);
    assert_eq!(bytes.recv_bytes_timeout(LONG).unwrap().len(), 24);
    publisher.say("00");
    let refused = fixed.recv_timeout(LONG).unwrap_err().to_string();
    assert!(refused.contains("24 bytes") && refused.contains("there are 1"), "{refused}");
    assert_eq!(bytes.recv_timeout(LONG).unwrap(), [0]);
    publisher.finish();

    let mut publisher = Publisher::<Imu, Fixed>::open(name.pubsub()).unwrap();
    let mut subscriber = Talker::python(python, "subscribe.py", &[&name.0, "bytes"]);
    subscriber.expect("ready");
    publisher.send(&imu).unwrap();
    subscriber.expect(hex);
    publisher.send_bytes(b"\x01\x02").unwrap();
    subscriber.expect("0102");
}

/// Floods a subscriber and returns how many messages it received and lost.
fn flood(slots: u64, slot_size: u64) -> (u64, u64) {
    let Some(python) = python::latest() else { return (1, 1) };
    let name = Name::new(&format!("flood-{slots}-{slot_size}"));
    let arguments = [name.0.as_str(), &slots.to_string(), &slot_size.to_string(), "0.6"];
    let mut publisher = Talker::python(python, "flood.py", &arguments);
    publisher.expect("ready");
    let mut subscriber = Subscriber::<Vec<u8>, Bytes>::open(name.pubsub()).unwrap();
    publisher.say("go");
    let receiver = std::thread::spawn(move || {
        let (mut next, mut lost, mut received) = (0, 0, 0);
        // Nothing for a second: the flood is over.
        loop {
            match subscriber.recv_bytes_timeout(Duration::from_secs(1)) {
                Ok(message) => {
                    assert_eq!(number_of(message), next);
                    next += 1;
                    received += 1;
                }
                Err(RecvTimeoutError::Lagged(n)) => {
                    next += n;
                    lost += n;
                }
                Err(RecvTimeoutError::Timeout) => break,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!((subscriber.received(), subscriber.lost()), (received, lost));
        (received, lost)
    });
    let sent = publisher.number();
    let (received, lost) = receiver.join().unwrap();
    eprintln!("{slots} slots of {slot_size} bytes: {sent} sent, {received} received, {lost} lost");
    assert_eq!(received + lost, sent);
    (received, lost)
}

#[test]
fn flooded_subscriber_gets_no_torn_message() {
    for slots in [2, 4, 64] {
        for slot_size in [4096, 1 << 20] {
            let (received, _) = flood(slots, slot_size);
            assert!(received > 0 || slots == 2, "{slots} slots of {slot_size} bytes");
        }
    }
}

#[test]
fn odd_slot_sizes_work_both_ways() {
    let Some(_) = python::latest() else { return };
    let (received, _) = flood(16, 257);
    assert!(received > 0);
    let Some(python) = python::latest() else { return };
    let name = Name::new("odd");
    let options = Options { slots: 5, slot_size: 257, ..name.pubsub() };
    let mut publisher = Publisher::<[u8], Bytes>::open(options).unwrap();
    let mut subscriber = Talker::python(python, "subscribe.py", &[&name.0, "bytes"]);
    subscriber.expect("ready");
    for i in 0..20u8 {
        publisher.send(&vec![i; 253]).unwrap();
        subscriber.expect(&format!("{i:02x}").repeat(253));
    }
}

#[test]
fn fifty_python_clients_join_and_leave_a_channel() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("visitors");
    let mut publisher = Publisher::<str, Pickle>::open(name.pubsub()).unwrap();
    let mut stayer = Talker::python(python, "subscribe.py", &[&name.0, "pickle"]);
    stayer.expect("ready");
    for _ in 0..25 {
        let pair = [(); 2].map(|()| Talker::python(python, "visit.py", &[&name.0]));
        pair.into_iter().for_each(Talker::finish);
    }
    name.wait_until_back("pub");
    let mut subscriber = Subscriber::<String, Pickle>::open(name.pubsub()).unwrap();
    publisher.send("still here").unwrap();
    stayer.expect("'still here'");
    assert_eq!(subscriber.recv_timeout(LONG).unwrap(), "still here");
    drop(publisher);
    assert!(!name.file("pub").exists());
}

#[test]
fn python_subscribers_survive_a_killed_publisher() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("killed");
    let mut first = Talker::rust("publisher", &name);
    first.expect("ready");
    let mut subscriber = Talker::python(python, "subscribe.py", &[&name.0, "pickle"]);
    subscriber.expect("ready");
    first.say("one");
    subscriber.expect("'one'");
    first.kill();
    // If the tracker of a client removes the segment meanwhile, it is found again by its hidden name.
    Talker::python(python, "visit.py", &[&name.0]).finish();
    let mut second = Talker::rust("publisher", &name);
    second.expect("ready again");
    second.say("two");
    subscriber.expect("'two'");
    second.finish();
    assert!(!name.file("pub").exists());
}

/// Not a test: what [`Talker::rust`] runs in another process.
#[test]
fn role() {
    let (Ok(role), Ok(channel)) = (std::env::var("SHMCOMM_ROLE"), std::env::var("SHMCOMM_CHANNEL")) else {
        return;
    };
    assert_eq!(role, "publisher");
    let mut publisher = Publisher::<str, Pickle>::open(Options::pubsub(channel)).unwrap();
    println!("\n{}", if publisher.resumed() { "ready again" } else { "ready" });
    for line in std::io::stdin().lines() {
        publisher.send(&line.unwrap()).unwrap();
    }
}

#[test]
fn subscriber_follows_a_restarted_python_publisher() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("restart");
    let mut first = Talker::python(python, "publish.py", &[&name.0, "pickle"]);
    first.expect("ready");
    let mut subscriber = Subscriber::<u32, Pickle>::open(name.pubsub()).unwrap();
    let mut beside = Vec::new();
    for (how, number) in [("kill", 1), ("exit", 2), ("beside", 3)] {
        first.say(&number.to_string());
        assert_eq!(subscriber.recv_timeout(LONG).unwrap(), number);
        match how {
            "kill" => first.kill(),
            "exit" => first.finish(),
            _ => beside.push(first),
        }
        if beside.is_empty() {
            name.wait_until_gone("pub");
        }
        first = Talker::python(python, "publish.py", &[&name.0, "pickle"]);
        first.expect("ready");
    }
    first.say("4");
    assert_eq!(subscriber.recv_timeout(LONG).unwrap(), 4);
}

#[test]
fn a_creator_in_a_loop_causes_no_error_but_timeouts() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("loop");
    let mut creator = Talker::python(python, "create_in_a_loop.py", &[&name.0, "3"]);
    creator.expect("ready");
    let end = Instant::now() + Duration::from_millis(2800);
    let (mut opened, mut timeouts) = (0, 0);
    while Instant::now() < end {
        let options = Options { connect_timeout: Duration::ZERO, ..name.pubsub() };
        match Subscriber::<Value, Pickle>::open(options) {
            Ok(mut subscriber) => {
                opened += 1;
                match subscriber.recv_timeout(Duration::ZERO) {
                    Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => timeouts += 1,
            Err(error) => panic!("{error}"),
        }
    }
    eprintln!("{opened} opened, {timeouts} in the middle of a creation or before it");
    assert!(opened > 0 && timeouts > 0 && creator.number() > 10);
}

#[test]
fn files_that_are_no_segments_are_refused() {
    let name = Name::new("odd-files");
    let path = name.file("pub");
    let open = || {
        let options = Options { connect_timeout: Duration::from_millis(20), ..name.pubsub() };
        Subscriber::<Value, Pickle>::open(options).unwrap_err()
    };
    let put = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    };
    put(b"");
    let error = open();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("0 bytes so far"), "{error}");
    put(&[0; 4096]);
    assert_eq!(open().kind(), ErrorKind::NotFound);
    put(&[1; 4096]);
    assert_eq!(open().kind(), ErrorKind::NotASegment);
    let mut header = [0; 4096];
    header[..8].copy_from_slice(b"1MMOCMHS");
    header[8] = 2;
    put(&header);
    assert_eq!(open().kind(), ErrorKind::Version);
    header[8] = 1;
    put(&header);
    assert_eq!(open().kind(), ErrorKind::NotFound);
    (header[48], header[57]) = (64, 16);
    put(&header);
    let error = open();
    assert_eq!(error.kind(), ErrorKind::NotASegment);
    assert!(error.to_string().contains("take 262272 bytes, but the file has 4096"), "{error}");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    assert_eq!(open().kind(), ErrorKind::Permission);
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/dev/null", &path).unwrap();
    assert_eq!(open().kind(), ErrorKind::NotASegment);
}

#[test]
fn too_little_shared_memory_is_an_error_with_numbers() {
    let name = Name::new("full");
    let options = Options { slots: 1 << 20, slot_size: 1 << 30, ..name.pubsub() };
    let error = Publisher::<[u8], Bytes>::open(options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace);
    let text = error.to_string();
    assert!(text.contains(&((1u64 << 50) + 128).to_string()) && text.contains("free"), "{text}");
    assert!(!name.file("pub").exists());
}

#[test]
fn message_that_does_not_fit_is_refused_with_sizes() {
    let name = Name::new("long");
    let mut publisher = Publisher::<str, Pickle>::open(Options { slot_size: 64, ..name.pubsub() }).unwrap();
    let error = publisher.send(&"x".repeat(100)).unwrap_err().to_string();
    assert!(error.contains("holds 60") && error.contains("`slot_size`"), "{error}");
    assert_eq!(publisher.stats().msg_count, 0);
}
