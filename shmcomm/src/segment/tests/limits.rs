//! Forks, and limits of processes and file systems, on Linux.

use super::helper::{self, Helper, report};
use super::*;
use std::fs;

#[test]
fn child_started_meanwhile_does_not_keep_the_seat() {
    let channel = Channel::new("child");
    let publisher = channel.publish();
    let mut parent = Helper::start("leave a child", &channel);
    let child: u32 = parent.answer().parse().unwrap();
    assert!(publisher.peer_alive(1));
    parent.kill();
    assert!(fs::exists(format!("/proc/{child}")).unwrap());
    assert!(!publisher.peer_alive(1), "the child of the dead one has its lock");
    let child = rustix::process::Pid::from_raw(child as i32).unwrap();
    let _ = rustix::process::kill_process(child, rustix::process::Signal::KILL);
}

#[test]
fn forked_child_gets_errors_and_does_no_harm() {
    let channel = Channel::new("fork");
    let mut helper = Helper::start("fork", &channel);
    assert_eq!(helper.answer(), "child: forked true, own forked false seat 2");
    assert_eq!(helper.answer(), "parent: forked false, peer alive true, left 2, exists true, child status 0");
}

/// Forks while it is attached. The child checks its inherited ends, drops them, and opens its own.
pub(super) fn forks(channel: &Channel) {
    let publisher = channel.publish();
    let subscriber = channel.subscribe();
    // SAFETY: the other thread of this process is the test harness, which waits for this one and
    // holds no lock meanwhile.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let forked = publisher.forked() && subscriber.forked();
        drop((publisher, subscriber));
        let own = channel.subscribe();
        report(format_args!("child: forked {forked}, own forked {} seat {}", own.forked(), own.seat()));
        drop(own);
        std::process::exit(0);
    }
    let child = rustix::process::Pid::from_raw(child).unwrap();
    let (_, status) =
        rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty()).unwrap().unwrap();
    report(format_args!(
        "parent: forked {}, peer alive {}, left {}, exists {}, child status {}",
        publisher.forked(),
        publisher.peer_alive(subscriber.seat()),
        publisher.participants().len(),
        channel.exists(),
        status.exit_status().unwrap_or(-1),
    ));
    drop((publisher, subscriber));
}

#[test]
fn ten_thousand_attachments_leak_nothing() {
    let channel = Channel::new("often");
    let mut helper = Helper::start("attach often", &channel);
    assert_eq!(helper.answer(), "files 0, maps 0, seats 1, exists false");
}

pub(super) fn attaches_often(channel: &Channel) {
    let count = |path: &str| match path {
        "files" => fs::read_dir("/proc/self/fd").unwrap().count(),
        _ => {
            fs::read_to_string("/proc/self/maps").unwrap().lines().filter(|l| l.contains("shmcomm2_")).count()
        }
    };
    let publisher = channel.publish();
    let (files, maps) = (count("files"), count("maps"));
    for round in 0..10_000 {
        match round % 3 {
            0 => drop(channel.subscribe()),
            1 => drop((channel.subscribe(), channel.subscribe())),
            _ => assert_eq!(refused(publish(&channel.spec, PLAIN)).0, ErrorKind::AlreadyPublished),
        }
    }
    let (files, maps) = (count("files") - files, count("maps") - maps);
    let seats = (0..channel.spec.seats).filter(|&seat| publisher.peer_alive(seat)).count();
    drop(publisher);
    report(format_args!("files {files}, maps {maps}, seats {seats}, exists {}", channel.exists()));
}

#[test]
fn too_few_open_files_are_an_error_with_the_number() {
    let channel = Channel::new("few-files");
    let mut helper = Helper::start("few files", &channel);
    let answer = helper.answer();
    assert!(answer.starts_with("Os ") && answer.contains("ulimit -n"), "{answer}");
    assert!(answer.contains("may have 24 files open"), "{answer}");
    assert_eq!(helper.answer(), "works again");
}

pub(super) fn runs_out_of_files(channel: &Channel) {
    use rustix::process::{Resource, Rlimit, setrlimit};
    setrlimit(Resource::Nofile, Rlimit { current: Some(24), maximum: Some(24) }).unwrap();
    let _publisher = channel.publish();
    let spec = channel.with(|s| s.seats = 64);
    let mut held = Vec::new();
    let mut other = spec.clone();
    let error = loop {
        other.name = format!("{}-{}", spec.name, held.len());
        match publish(&other, PLAIN) {
            Ok(end) => held.push(end),
            Err(error) => break error,
        }
    };
    report(format_args!("{:?} {error}", error.kind()));
    held.truncate(held.len() - 2);
    drop(channel.subscribe());
    drop(held);
    report("works again");
}

#[test]
fn a_limit_on_file_sizes_is_an_error_not_a_signal() {
    let channel = Channel::new("small-files");
    let mut helper = Helper::start("small files", &channel);
    let answer = helper.answer();
    assert!(answer.starts_with("NoSpace ") && answer.contains("ulimit -f"), "{answer}");
    assert!(answer.contains("files of 8192 bytes"), "{answer}");
    assert!(!channel.exists());
}

pub(super) fn may_not_make_large_files(channel: &Channel) {
    use rustix::process::{Resource, Rlimit, setrlimit};
    setrlimit(Resource::Fsize, Rlimit { current: Some(8192), maximum: None }).unwrap();
    let error = publish(&channel.with(|s| s.slots = 1024), PLAIN).err().unwrap();
    report(format_args!("{:?} {error}", error.kind()));
}

#[test]
fn a_full_file_system_is_an_error_with_the_numbers() {
    let channel = Channel::new("full-disk");
    let test_dir = TestDir::new(&std::env::temp_dir(), "full");
    let dir = &test_dir.path;
    // A separate file system, in a mount namespace that ends with the helper.
    let test = helper::command("full", &channel);
    let mut command = std::process::Command::new("unshare");
    if os::user() != 0 {
        command.arg("--map-root-user");
    }
    command.args(["--mount", "sh", "-c", "mount -t tmpfs -o size=1m tmpfs \"$0\" && exec \"$@\""]);
    command.arg(dir).arg(test.get_program()).args(test.get_args());
    for (name, value) in test.get_envs() {
        command.env(name, value.unwrap());
    }
    command.env(crate::segment::name::DIR_VARIABLE, dir);
    let mut helper = Helper::spawn(command);
    let answer = helper.answer();
    // Not every user may mount.
    if !answer.is_empty() {
        assert!(answer.starts_with("NoSpace "), "{answer}");
        assert!(answer.contains("64 slots of 65536 bytes") && answer.contains("1048576 free"), "{answer}");
        assert!(answer.contains("remount,size="), "{answer}");
        assert_eq!(helper.answer(), "0 files left, then Created");
        assert_eq!(helper.answer(), "stale one replaced: Created, 1 files");
    }
    drop(helper);
}

pub(super) fn fills_the_file_system(channel: &Channel) {
    let files = || crate::segment::name::dir().unwrap().read_dir().unwrap().count();
    let large = channel.with(|s| (s.slots, s.slot_size) = (64, 65536));
    let error = publish(&large, PLAIN).err().unwrap();
    report(format_args!("{:?} {error}", error.kind()));
    let left = files();
    let half = channel.with(|s| (s.slots, s.slot_size) = (8, 65536));
    let publisher = publish(&half, PLAIN).unwrap();
    report(format_args!("{left} files left, then {:?}", publisher.arrival()));
    // Two segments of this size do not fit: the stale one must be removed first.
    die(publisher);
    let other = channel.with(|s| (s.slots, s.slot_size, s.fingerprint) = (8, 65536 + 64, 1));
    let publisher = publish(&other, PLAIN).unwrap();
    report(format_args!("stale one replaced: {:?}, {} files", publisher.arrival(), files()));
}
