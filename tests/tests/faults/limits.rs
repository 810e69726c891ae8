//! Too little of something: memory for segments, address space, descriptors, permission to write; and a file
//! that is cut short under its users.

use shmcomm::{ErrorKind, RecvTimeoutError, list_segments};
use shmcomm_tests::{Jobs, LargeFeed, Namespace, Small, SmallFeed, namespace, say, stage};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn part() {
    stage::play(&[
        ("fill up", fill_up),
        ("may not write", may_not_write),
        ("little address space", little_address_space),
        ("no locked memory", no_locked_memory),
        ("no descriptor left", no_descriptor_left),
        ("publish on command", publish_on_command),
        ("receive on command", receive_on_command),
    ]);
}

/// An empty directory to mount something on; removed at the end.
struct MountPoint(PathBuf);

impl MountPoint {
    fn new(ns: &Namespace) -> Self {
        let path = std::env::temp_dir().join(format!("shmcomm-{ns}"));
        std::fs::create_dir(&path).unwrap();
        MountPoint(path)
    }
}

impl Drop for MountPoint {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[test]
fn file_system_that_fills_later_stops_no_channel() {
    let ns = namespace("fills-up");
    let dir = MountPoint::new(&ns);
    let Some(wrapper) = stage::own_tmpfs(&dir.0, "1m", "true") else { return };
    let mut process = stage::part_under(&wrapper, "fill up", &ns);
    assert_eq!(process.said(), "filled");
    assert_eq!(process.said(), "1000 messages and 1000 jobs");
    assert_eq!(process.said(), "a newcomer got 1001");
    assert_eq!(process.said(), "NoSpace");
    assert_eq!(process.said(), "the heir carried on: 1002");
}

fn fill_up() {
    let mut publisher = SmallFeed::publisher().unwrap();
    let mut subscriber = SmallFeed::subscriber().unwrap();
    let mut pusher = Jobs::pusher().unwrap();
    let mut puller = Jobs::puller().unwrap();
    let dir = PathBuf::from(std::env::var_os("SHMCOMM_DIR").unwrap());
    let mut ballast = File::create(dir.join("ballast")).unwrap();
    while ballast.write_all(&[1; 4096]).is_ok() {}
    say("filled");
    for number in 0..1000 {
        publisher.send(&Small::new(number)).unwrap();
        assert_eq!(subscriber.recv(), Ok(Small::new(number)));
        pusher.try_send(&Small::new(number)).unwrap();
        assert_eq!(puller.recv(), Ok(Small::new(number)));
    }
    say("1000 messages and 1000 jobs");
    let mut newcomer = SmallFeed::subscriber().unwrap();
    publisher.send(&Small::new(1001)).unwrap();
    say(format_args!("a newcomer got {}", newcomer.recv().unwrap().number));
    say(format_args!("{:?}", LargeFeed::publisher().err().unwrap().kind()));
    drop(publisher);
    let mut heir = SmallFeed::publisher().unwrap();
    heir.send(&Small::new(1002)).unwrap();
    say(format_args!("the heir carried on: {}", newcomer.recv().unwrap().number));
}

#[test]
fn directory_that_may_only_be_read_is_an_error() {
    let ns = namespace("read-only");
    let dir = MountPoint::new(&ns);
    let remount = "mount -o remount,ro \"$0\"";
    let Some(wrapper) = stage::own_tmpfs(&dir.0, "1m", remount) else { return };
    let mut process = stage::part_under(&wrapper, "may not write", &ns);
    let said = process.said();
    let path = dir.0.display().to_string();
    assert!(said.starts_with("Permission ") && said.contains("Read-only") && said.contains(&path), "{said}");
    assert_eq!(process.said(), "NotFound");
}

/// Files get their names, and are opened once more, through `/proc/self/fd`.
#[test]
fn system_without_proc_is_an_error_that_names_it() {
    let ns = namespace("no-proc");
    let dir = MountPoint::new(&ns);
    let Some(wrapper) = stage::own_tmpfs(&dir.0, "1m", "mount -t tmpfs tmpfs /proc") else { return };
    let mut process = stage::part_under(&wrapper, "may not write", &ns);
    let said = process.said();
    assert!(said.starts_with("Unsupported ") && said.contains("/proc"), "{said}");
    assert_eq!(process.said(), "NotFound");
}

fn may_not_write() {
    let error = SmallFeed::publisher().err().unwrap();
    say(format_args!("{:?} {error}", error.kind()));
    let error = SmallFeed::open().connect_timeout(Duration::ZERO).subscriber().err().unwrap();
    say(format_args!("{:?}", error.kind()));
}

fn limit(resource: rustix::process::Resource, current: u64) {
    let maximum = rustix::process::getrlimit(resource).maximum;
    rustix::process::setrlimit(resource, rustix::process::Rlimit { current: Some(current), maximum })
        .unwrap();
}

#[test]
fn too_little_address_space_is_an_error_with_the_cure() {
    let ns = namespace("address-space");
    let mut process = stage::part("little address space", &ns);
    let said = process.said();
    assert!(said.starts_with("Os ") && said.contains("ulimit -v"), "{said}");
    assert_eq!(process.said(), "a small channel works");
}

fn little_address_space() {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = pages.split_whitespace().next().unwrap().parse().unwrap();
    limit(rustix::process::Resource::As, pages * 4096 + (8 << 20));
    let error = LargeFeed::open().slots(1024).publisher().err().unwrap();
    say(format_args!("{:?} {error}", error.kind()));
    let mut publisher = SmallFeed::publisher().unwrap();
    let mut subscriber = SmallFeed::subscriber().unwrap();
    publisher.send(&Small::new(1)).unwrap();
    assert_eq!(subscriber.recv(), Ok(Small::new(1)));
    assert_eq!(list_segments().unwrap().iter().filter(|s| s.channel.contains("address-space")).count(), 1);
    say("a small channel works");
}

#[test]
fn limit_on_locked_memory_changes_nothing() {
    let ns = namespace("memlock");
    assert_eq!(stage::part("no locked memory", &ns).said(), "works");
}

fn no_locked_memory() {
    limit(rustix::process::Resource::Memlock, 0);
    let mut publisher = LargeFeed::publisher().unwrap();
    let mut subscriber = LargeFeed::subscriber().unwrap();
    publisher.send(&shmcomm_tests::Large::new(1)).unwrap();
    subscriber.recv_ref().unwrap().check();
    say("works");
}

#[test]
fn attached_ends_need_no_descriptor() {
    let ns = namespace("no-descriptor");
    let mut publisher = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let mut process = stage::part("no descriptor left", &ns);
    assert_eq!(process.said(), "ready");
    for number in 0..100 {
        publisher.send(&Small::new(number)).unwrap();
        assert_eq!(process.said(), format!("got {number}"));
    }
    // Another segment would take descriptors to open.
    drop(publisher);
    let mut other = SmallFeed::open().namespace(&*ns).slots(256).publisher().unwrap();
    other.send(&Small::new(100)).unwrap();
    process.say("receive");
    assert_eq!(process.said(), "Disconnected");
    // As soon as there are some, it follows, and has lost nothing.
    process.say("free");
    assert_eq!(process.said(), "got 100");
}

fn no_descriptor_left() {
    let mut subscriber = SmallFeed::subscriber().unwrap();
    limit(rustix::process::Resource::Nofile, 64);
    let mut ballast = Vec::new();
    let error = loop {
        match File::open("/dev/null") {
            Ok(file) => ballast.push(file),
            Err(error) => break error,
        }
    };
    assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
    say("ready");
    for _ in 0..100 {
        say(format_args!("got {}", subscriber.recv_timeout(PATIENCE).unwrap().number));
    }
    stage::wait();
    say(format_args!("{:?}", subscriber.recv_timeout(PATIENCE).unwrap_err()));
    stage::wait();
    drop(ballast);
    say(format_args!("got {}", subscriber.recv_timeout(PATIENCE).unwrap().number));
}

/// The file of the one segment of a namespace.
fn segment(ns: &Namespace) -> PathBuf {
    let prefix = format!("{ns}/");
    list_segments().unwrap().into_iter().find(|s| s.channel.starts_with(&prefix)).expect("it is listed").path
}

fn truncate(path: &Path) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(0).unwrap();
}

/// As documented: any program of the user can truncate a file with a name. SIGBUS ends a process that then accesses
/// the missing bytes. The channel is not lost by it.
#[test]
fn channel_recovers_from_truncation_and_sigbus() {
    let ns = namespace("truncated");
    let mut publisher = stage::part("publish on command", &ns);
    assert_eq!(publisher.said(), "ready");
    let mut subscriber = stage::part("receive on command", &ns);
    assert_eq!(subscriber.said(), "ready");
    publisher.say("send");
    assert_eq!(publisher.said(), "sent 0");
    subscriber.say("receive");
    assert_eq!(subscriber.said(), "got 0");
    truncate(&segment(&ns));
    publisher.say("send");
    assert_eq!(publisher.finish().signal(), Some(libc::SIGBUS));
    subscriber.say("receive");
    assert_eq!(subscriber.finish().signal(), Some(libc::SIGBUS));
    // What is left is refused to subscribers, and is replaced by publishers.
    let refused =
        SmallFeed::open().namespace(&*ns).connect_timeout(Duration::ZERO).subscriber().err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::NotASegment, "{refused}");
    shmcomm::force_unlink(&format!("{ns}/small")).unwrap();
    let mut heir = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let mut newcomer = SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    heir.send(&Small::new(5)).unwrap();
    assert_eq!(newcomer.recv_timeout(PATIENCE), Ok(Small::new(5)));
}

/// A process that attaches checks the length before it maps, so it detects a file truncated behind the header.
#[test]
fn truncated_segment_is_replaced_by_next_publisher() {
    let ns = namespace("cut");
    let mut publisher = stage::part("publish on command", &ns);
    assert_eq!(publisher.said(), "ready");
    let path = segment(&ns);
    OpenOptions::new().write(true).open(&path).unwrap().set_len(4096).unwrap();
    let refused =
        || SmallFeed::open().namespace(&*ns).connect_timeout(Duration::ZERO).subscriber().err().unwrap();
    assert_eq!(refused().kind(), ErrorKind::NotASegment);
    publisher.kill();
    assert_eq!(refused().kind(), ErrorKind::NotASegment);
    let mut heir = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let mut newcomer = SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    heir.send(&Small::new(5)).unwrap();
    assert_eq!(newcomer.recv_timeout(PATIENCE), Ok(Small::new(5)));
    drop(heir);
    assert_eq!(newcomer.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
}

fn publish_on_command() {
    let mut publisher = SmallFeed::publisher().unwrap();
    say("ready");
    for number in 0.. {
        stage::wait();
        publisher.send(&Small::new(number)).unwrap();
        say(format_args!("sent {number}"));
    }
}

fn receive_on_command() {
    let mut subscriber = SmallFeed::subscriber().unwrap();
    say("ready");
    loop {
        stage::wait();
        say(format_args!("got {}", subscriber.recv().unwrap().number));
    }
}
