//! A `/dev/shm` that is full, in a mount namespace of its own: attaching to a segment that Python made is an
//! error with the numbers, where reading it would kill.

use shmcomm::ErrorKind;
use shmcomm::codec::Bytes;
use shmcomm::python::{Options, Publisher, Puller, Pusher, Replier, Requester, Subscriber};
use shmcomm_tests::wire::{LONG, Name};
use shmcomm_tests::{python, stage};
use std::process::Command;
use std::time::Duration;

/// Bytes of the `/dev/shm` in the namespace.
const ROOM: u64 = 1 << 20;

/// Returns `true` if this process may have a mount namespace of its own.
fn can_mount() -> bool {
    let mount = mounted(&["true"]).output();
    let can = mount.as_ref().is_ok_and(|output| output.status.success());
    if !can {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "nothing is skipped in CI: {mount:?}");
        eprintln!("\n!!!! SKIPPED: only root can mount a small /dev/shm\n");
    }
    can
}

/// A command with a small `/dev/shm` that no other process sees.
fn mounted(command: &[&str]) -> Command {
    let mut unshare = Command::new("unshare");
    let mount = format!("mount -t tmpfs -o size={ROOM} tmpfs /dev/shm && exec \"$@\"");
    unshare.args(["--mount", "--propagation", "private", "sh", "-c", &mount, "sh"]).args(command);
    unshare
}

#[test]
fn attach_on_full_dev_shm_is_an_error_with_numbers() {
    let Some(python) = python::latest() else { return };
    if !can_mount() {
        return;
    }
    let me = std::env::current_exe().unwrap();
    let role = [me.to_str().unwrap(), &stage::sibling("role"), "--exact", "--nocapture", "--test-threads=1"];
    let python = python.command().get_program().to_owned();
    let output = mounted(&role).env("SHMCOMM_ROLE", "full").env("SHMCOMM_PYTHON", python).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}\n{said}{}", output.status, String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("4 refused"), "{said}");
}

/// Makes the segments of all patterns, which take no memory until something is written to them.
const MAKE: &str = "
import sys
from shm_comm import *
ends = [Publisher('full', num_slots=64, slot_size=65536), Pusher('full', num_slots=64, slot_size=65536),
        Replier('full', num_slots=64, slot_size=65536)]
print('ready', flush=True)
sys.stdin.read()
";

/// Not a test by itself: what runs in the namespace.
#[test]
fn role() {
    if std::env::var("SHMCOMM_ROLE").as_deref() != Ok("full") {
        return;
    }
    let python = std::env::var_os("SHMCOMM_PYTHON").unwrap();
    let mut makers = shmcomm_tests::wire::Talker::start(Command::new(python).args(["-c", MAKE]));
    makers.expect("ready");
    let short = |options: Options| Options { connect_timeout: Duration::from_secs(1), ..options };
    let refused = |error: shmcomm::Error| {
        assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
        let (size, text) = (128 + 64 * 65536, error.to_string());
        assert!(text.contains(&size.to_string()) && text.contains("free"), "{text}");
        1
    };
    let mut count = refused(Subscriber::<Vec<u8>, Bytes>::open(short(Options::pubsub("full"))).unwrap_err());
    count += refused(Puller::<Vec<u8>, Bytes>::open(short(Options::pushpull("full"))).unwrap_err());
    count += refused(Requester::<[u8], Vec<u8>, Bytes>::open(short(Options::reqrep("full"))).unwrap_err());
    // A segment of this crate's that would not fit is not made, and nothing is left of it.
    let large = Options { slots: 64, slot_size: 65536, ..Options::pubsub("other") };
    count += refused(Publisher::<[u8], Bytes>::open(large).unwrap_err());
    let left = std::fs::read_dir("/dev/shm").unwrap().flatten().map(|entry| entry.file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().contains("other")).collect();
    assert!(left.is_empty(), "{left:?}");
    println!("{count} refused");

    // What has its memory works on, whatever others fill up.
    let name = Name::new("full");
    let mut publisher = Publisher::<[u8], Bytes>::open(name.pubsub()).unwrap();
    let mut pusher =
        Pusher::<[u8], Bytes>::open(Options { slots: 8, linger: Duration::ZERO, ..name.pushpull() }).unwrap();
    let _replier = Replier::<Vec<u8>, [u8], Bytes>::open(name.reqrep()).unwrap();
    let full = std::fs::write("/dev/shm/filler", vec![1; ROOM as usize]).unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    let mut subscriber = Subscriber::<Vec<u8>, Bytes>::open(name.pubsub()).unwrap();
    let mut puller = Puller::<Vec<u8>, Bytes>::open(name.pushpull()).unwrap();
    for i in 0..200u8 {
        publisher.send(&vec![i; 4092]).unwrap();
        pusher.send(&vec![i; 4092]).unwrap();
        assert_eq!(subscriber.recv_timeout(LONG).unwrap(), vec![i; 4092]);
        assert_eq!(puller.recv_timeout(LONG).unwrap(), vec![i; 4092]);
    }
}
