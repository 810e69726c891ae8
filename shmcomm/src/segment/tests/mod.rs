//! Tests of segments: the promises of [`super`], each with real files and locks.

mod helper;
mod life;
// Forks, limits of processes and `/proc`.
#[cfg(target_os = "linux")]
mod limits;
mod process;
mod refusals;
mod versions;

use super::{Attachment, ChannelPath, PatternOps, Role, Spec, join, publish, subscribe};
use crate::error::ErrorKind;
use crate::layout::{Format, Pattern, seat};
use crate::os;
use crate::sync::Ordering;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Keeper of a ring that keeps no messages.
const PLAIN: PatternOps = PatternOps { recover: |_, _, _| {}, drained: |_, _| true };
/// Keeper of a queue that always has a message.
const FULL: PatternOps = PatternOps { recover: |_, _, _| {}, drained: |_, _| false };

/// A small channel whose name no other test has. Its file is removed at the end of the test, whatever its
/// result.
struct Channel {
    spec: Spec,
}

impl Channel {
    fn new(test: &str) -> Self {
        let spec = Spec {
            name: format!("test/segment-{test}-{}", os::pid()),
            sharing: None,
            pattern: Pattern::PubSub,
            format: Format::Fixed,
            slots: 8,
            slot_size: 64,
            grow: 0,
            in_place: None,
            request_size: 0,
            window: 0,
            reply_size: 0,
            align: 8,
            seats: 8,
            publishers: 1,
            flags: 0,
            fingerprint: 0x1234_5678_9abc_def0,
            fingerprint2: 0,
            schema: r#"[{"name":"Imu"}]"#.into(),
            difference: crate::message::schema::first_difference,
            codecs: crate::message::schema::codec_difference,
            resolve: None,
            connect_timeout: Duration::ZERO,
            history: 0,
            patience: Duration::from_secs(5),
            expect_every: None,
            stop: None,
            asked: super::Requested::NOTHING,
        };
        Channel { spec }
    }

    fn queue(test: &str) -> Self {
        let mut channel = Self::new(test);
        channel.spec.pattern = Pattern::PushPull;
        channel
    }

    fn with(&self, change: impl FnOnce(&mut Spec)) -> Spec {
        let mut spec = self.spec.clone();
        change(&mut spec);
        spec
    }

    fn path(&self) -> PathBuf {
        ChannelPath::new(&self.spec.name).unwrap().path().to_owned()
    }

    fn exists(&self) -> bool {
        self.path().symlink_metadata().is_ok()
    }

    fn publish(&self) -> Attachment {
        publish(&self.spec, PLAIN).unwrap()
    }

    fn subscribe(&self) -> Attachment {
        subscribe(&self.spec, PLAIN).unwrap()
    }

    fn join(&self, role: Role) -> Attachment {
        join(&self.spec, role, PLAIN).unwrap()
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        let path = self.path();
        let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir(&path));
    }
}

/// Leaves the segment as a killed process does: only the lock is released.
fn die(attachment: Attachment) {
    let place = ChannelPath::new(attachment.channel()).unwrap();
    let (seat, here, file) = (attachment.seat(), attachment.name_refers_here(), os::open(place.path()));
    attachment.abandon();
    // Another test may be starting a process, which has the lock until it execs.
    while here && file.as_ref().is_ok_and(|file| crate::segment::seats::alive(file, seat)) {
        std::thread::yield_now();
    }
}

/// A directory for one test, removed at the end.
struct TestDir {
    path: PathBuf,
}

impl TestDir {
    fn new(parent: &Path, test: &str) -> Self {
        let path = parent.join(format!("shmcomm-test-{test}-{}", os::pid()));
        std::fs::create_dir(&path).unwrap();
        TestDir { path }
    }

    fn count(&self) -> usize {
        self.path.read_dir().unwrap().count()
    }
}

impl Drop for TestDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Returns the kind and the text of an error.
fn refused(result: Result<Attachment, crate::error::Error>) -> (ErrorKind, String) {
    let error = result.err().expect("it should have been refused");
    (error.kind(), error.to_string())
}

/// Returns the default directory of segments.
fn default_dir() -> PathBuf {
    os::default_dir().unwrap()
}

fn may_sleep(attachment: &Attachment) -> bool {
    let at = attachment.seat_offset() + seat::MAY_SLEEP;
    attachment.region().u32(at).load(Ordering::Relaxed) != 0
}
