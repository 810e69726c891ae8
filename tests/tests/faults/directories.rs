//! Directories of other file systems than tmpfs: channels work there, or are refused with the reason.
//!
//! Each file system is mounted in a mount namespace that ends with its process. Overlayfs is the one of
//! containers: there a mapping does not keep the lock of a file that is closed.

use shmcomm::{ErrorKind, PullTimeoutError, RecvTimeoutError};
use shmcomm_tests::{Jobs, Large, LargeFeed, Namespace, Small, SmallFeed, namespace, say, stage};
use std::path::PathBuf;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);
/// Longer than an end waits before it asks whether its peers live.
const LONG: Duration = Duration::from_millis(300);

#[test]
fn part() {
    stage::play(&[("use a directory", use_a_directory), ("hold", hold)]);
}

/// A directory to mount on, or to use; removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn new(parent: PathBuf, ns: &Namespace) -> Self {
        let path = parent.join(format!("shmcomm-{ns}"));
        std::fs::create_dir(&path).unwrap();
        Directory(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Starts a process that uses channels in the directory that the script mounts, and returns its answer. Returns
/// `None` if this system cannot mount the directory.
fn answer(test: &str, script: &str) -> Option<String> {
    let ns = namespace(test);
    let dir = Directory::new(std::env::temp_dir(), &ns);
    let wrapper =
        stage::own_mount(&dir.0, &format!("{script} 2>/dev/null || {{ echo \"> no mount\"; exit; }}"))?;
    let said = stage::part_under(&wrapper, "use a directory", &ns).said();
    if said == "no mount" {
        stage::skip(&format!("`{script}` is not possible here"));
        return None;
    }
    Some(said)
}

#[test]
fn tmpfs_has_channels() {
    let script = "mount -t tmpfs tmpfs \"$0\" && SHMCOMM_DIR=\"$0\"";
    if let Some(said) = answer("tmpfs", script) {
        assert_eq!(said, "works");
    }
}

#[test]
fn overlayfs_has_channels() {
    let script = "mount -t tmpfs tmpfs \"$0\" && cd \"$0\" && mkdir lower upper work merged \
        && mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work overlay merged \
        && SHMCOMM_DIR=\"$0/merged\"";
    if let Some(said) = answer("overlay", script) {
        assert_eq!(said, "works");
    }
}

/// The sources are built on ext4, xfs or btrfs as a rule, and on overlayfs in a container.
#[test]
fn file_system_of_the_build_has_channels_or_an_error() {
    let ns = namespace("build");
    let dir = Directory::new(PathBuf::from(env!("CARGO_TARGET_TMPDIR")), &ns);
    let mut command = stage::command("use a directory", &ns);
    command.env("SHMCOMM_DIR", &dir.0);
    let said = shmcomm_tests::Peer::spawn(command).said();
    assert!(said == "works" || said.starts_with("Unsupported "), "{said}");
}

#[test]
fn ramfs_is_refused_with_the_reason() {
    let Some(said) = answer("ramfs", "mount -t ramfs ramfs \"$0\" && SHMCOMM_DIR=\"$0\"") else { return };
    assert!(said.starts_with("Unsupported ") && said.contains("cannot reserve room"), "{said}");
}

fn use_a_directory() {
    let mut publisher = match SmallFeed::publisher() {
        Ok(publisher) => publisher,
        Err(error) => return say(format_args!("{:?} {error}", error.kind())),
    };
    // No live participant is declared dead.
    let second = SmallFeed::publisher().expect_err("a second publisher is refused");
    assert_eq!(second.kind(), ErrorKind::AlreadyPublished);
    let ns = namespace("inside");
    let mut other = stage::part("hold", &ns);
    assert_eq!(other.said(), "holds");
    let mut subscriber = SmallFeed::subscriber().unwrap();
    publisher.send(&Small::new(1)).unwrap();
    assert_eq!(subscriber.recv_timeout(PATIENCE), Ok(Small::new(1)));
    assert_eq!(subscriber.recv_timeout(LONG), Err(RecvTimeoutError::Timeout));
    let mut feed = LargeFeed::open().namespace(&*ns).subscriber().unwrap();
    let mut puller = Jobs::open().namespace(&*ns).puller().unwrap();
    assert_eq!(feed.recv_timeout(LONG).map(|_| ()), Err(RecvTimeoutError::Timeout));
    assert_eq!(puller.claim_timeout(LONG).map(|_| ()), Err(PullTimeoutError::Timeout));
    let taken = LargeFeed::open().namespace(&*ns).publisher().expect_err("a second publisher is refused");
    assert_eq!(taken.kind(), ErrorKind::AlreadyPublished);
    // The dead are.
    other.kill();
    assert_eq!(feed.recv_timeout(PATIENCE).map(|_| ()), Err(RecvTimeoutError::Disconnected));
    let job = puller.claim_timeout(PATIENCE).unwrap();
    assert_eq!((job.number, job.redelivered()), (7, true));
    job.done();
    let mut heir = LargeFeed::open().namespace(&*ns).publisher().unwrap();
    heir.send(&Large::new(2)).unwrap();
    assert_eq!(feed.recv_timeout(PATIENCE).unwrap().number, 2);
    drop((publisher, subscriber, feed, puller, heir));
    let left = shmcomm::list_segments().unwrap();
    assert!(left.is_empty(), "{left:?}");
    say("works");
}

/// Holds an end of each pattern, and a job, until it is killed.
fn hold() {
    let _publisher = LargeFeed::publisher().unwrap();
    let mut pusher = Jobs::pusher().unwrap();
    let mut puller = Jobs::puller().unwrap();
    pusher.send(&Small::new(7)).unwrap();
    let _job = puller.claim().unwrap();
    say("holds");
    stage::wait();
}
