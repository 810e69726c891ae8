//! Log records are written under no lock: a logger that blocks stops no other process, and a logger may use this
//! library.
//!
//! The logger of this program checks at each record of the library that every file it knows is free for others.
// Channels with Python exist on Linux only.
#![cfg(target_os = "linux")]

use log::{LevelFilter, Log, Metadata, Record};
use shmcomm::codec::Bytes;
use shmcomm::python;
use shmcomm::{Channel, Opener, PubSub, PushPull, WaitSet};
use shmcomm_tests::{Namespace, namespace, say, stage};
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The byte of a segment's file that is the registration lock; see `docs/format.md`.
const REGISTRATION: i64 = 1 << 16;
const LONG: Duration = Duration::from_secs(30);

/// The files that the logger checks, and the records that it has seen.
struct Seen {
    /// Segments that it checks, also when their names are gone.
    segments: Vec<File>,
    /// Lock files of Python's pullers.
    locks: Vec<File>,
    records: Vec<String>,
    wrong: Vec<String>,
}

static SEEN: Mutex<Seen> =
    Mutex::new(Seen { segments: Vec::new(), locks: Vec::new(), records: Vec::new(), wrong: Vec::new() });
/// A text, and what the logger does at the first record that contains it.
type Action = (&'static str, fn());

static ACTION: Mutex<Option<Action>> = Mutex::new(None);

fn locked<T>(mutex: &'static Mutex<T>) -> MutexGuard<'static, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Logger;

impl Log for Logger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        if !record.target().starts_with("shmcomm") {
            return;
        }
        let text = record.args().to_string();
        {
            let mut seen = locked(&SEEN);
            let held =
                seen.segments.iter().any(is_registering) || seen.locks.iter().any(|file| !try_flock(file));
            if held {
                seen.wrong.push(text.clone());
            }
            seen.records.push(text.clone());
        }
        let action = locked(&ACTION).take_if(|(wanted, _)| text.contains(*wanted));
        if let Some((_, act)) = action {
            act();
        }
    }

    fn flush(&self) {}
}

/// Returns `true` if some open file has the registration lock.
fn is_registering(file: &File) -> bool {
    // SAFETY: zero is a value of every field.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    (lock.l_type, lock.l_start, lock.l_len) = (libc::F_WRLCK as i16, REGISTRATION, 1);
    // SAFETY: an open descriptor, and the structure that the command takes and that outlives the call.
    let asked = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) };
    asked == 0 && lock.l_type != libc::F_UNLCK as i16
}

/// Takes the lock of a whole file and releases it; `false` if another open file has it.
fn try_flock(file: &File) -> bool {
    // SAFETY: an open descriptor.
    let taken = unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0;
    // SAFETY: as above.
    unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_UN) };
    taken
}

fn start_logger() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Logger).unwrap();
        log::set_max_level(LevelFilter::Trace);
    });
}

/// A test of this file, alone, and what the logger has seen in it.
struct Watching(#[allow(dead_code, reason = "kept until the end of the test")] MutexGuard<'static, ()>);

fn watch() -> Watching {
    static ALONE: Mutex<()> = Mutex::new(());
    start_logger();
    let alone = locked(&ALONE);
    *locked(&SEEN) = Seen { segments: Vec::new(), locks: Vec::new(), records: Vec::new(), wrong: Vec::new() };
    Watching(alone)
}

impl Watching {
    /// Has the logger check the segment of that channel.
    fn knows(&self, namespace: &Namespace, channel: &str) {
        let path = format!("/dev/shm/shmcomm2_{}%2F{channel}", &**namespace);
        locked(&SEEN).segments.push(File::options().read(true).write(true).open(path).unwrap());
    }

    /// Asserts that there was such a record.
    fn saw(&self, text: &str) {
        let seen = locked(&SEEN);
        assert!(seen.records.iter().any(|record| record.contains(text)), "no {text:?}: {:#?}", seen.records);
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        *locked(&ACTION) = None;
        let wrong = std::mem::take(&mut locked(&SEEN).wrong);
        if !thread::panicking() {
            assert!(wrong.is_empty(), "written under a lock: {wrong:#?}");
        }
    }
}

fn jobs(namespace: &str) -> Opener<PushPull<u64>> {
    Channel::<PushPull<u64>>::new("jobs").open().namespace(namespace)
}

fn feed(namespace: &str) -> Opener<PubSub<u64>> {
    Channel::<PubSub<u64>>::new("feed").open().namespace(namespace)
}

fn pulls() {
    let _puller = Channel::<PushPull<u64>>::new("jobs").open().puller().unwrap();
    say("there");
    stage::wait();
}

fn publishes() {
    let _publisher = Channel::<PubSub<u64>>::new("feed").open().publisher().unwrap();
    say("there");
    stage::wait();
}

/// Pushes while its peers die, with a logger that blocks at the record of it.
fn pushes_with_a_slow_logger() {
    start_logger();
    *locked(&ACTION) = Some(("died", || {
        say("blocked");
        stage::wait();
    }));
    let pusher = Channel::<PushPull<u64>>::new("jobs").open().pusher().unwrap();
    say("there");
    stage::wait();
    let mut pusher = pusher;
    // Finds the dead puller on the way.
    pusher.send(&1).unwrap();
    let _ = pusher.flush(LONG);
    say("flushed");
    stage::wait();
}

#[test]
fn part() {
    stage::play(&[
        ("pulls", pulls),
        ("publishes", publishes),
        ("pushes with a slow logger", pushes_with_a_slow_logger),
    ]);
}

#[test]
fn slow_logger_of_a_recovery_delays_no_join() {
    let ns = namespace("slow-logger");
    let mut pushes = stage::part("pushes with a slow logger", &ns);
    assert_eq!(pushes.said(), "there");
    let mut pulls = stage::part("pulls", &ns);
    assert_eq!(pulls.said(), "there");
    pulls.kill();
    pushes.say("go");
    assert_eq!(pushes.said(), "blocked");
    let start = Instant::now();
    let puller = jobs(&ns).puller();
    assert!(puller.is_ok(), "{:?} after {:?}", puller.err(), start.elapsed());
    drop(puller);
    pushes.say("go on");
}

#[test]
fn records_are_written_under_no_registration_lock() {
    let watching = watch();
    let ns = namespace("log-life");
    // Created, recovered, left.
    let mut pusher = jobs(&ns).pusher().unwrap();
    watching.knows(&ns, "jobs");
    let mut pulls = stage::part("pulls", &ns);
    assert_eq!(pulls.said(), "there");
    pulls.kill();
    pusher.send(&1).unwrap();
    let start = Instant::now();
    while !locked(&SEEN).records.iter().any(|record| record.contains("died")) {
        assert!(start.elapsed() < LONG, "the dead puller is never recovered");
        let _ = pusher.flush(Duration::from_millis(100));
    }
    assert_eq!(jobs(&ns).puller().unwrap().try_recv().unwrap(), 1);
    drop(pusher);
    watching.saw("destroyed, its last participant left");
    // Left behind, replaced, removed by force.
    let mut publishes = stage::part("publishes", &ns);
    assert_eq!(publishes.said(), "there");
    watching.knows(&ns, "feed");
    publishes.kill();
    let publisher = feed(&ns).slots(32).publisher().unwrap();
    watching.saw("replaced its segment");
    watching.knows(&ns, "feed");
    assert!(shmcomm::force_unlink(publisher.name()).unwrap());
    watching.saw("removed its segment by force");
}

#[test]
fn records_of_the_reactor_are_written_under_no_lock() {
    let watching = watch();
    let ns = namespace("log-reactor");
    let (_pusher, puller) = (jobs(&ns).pusher().unwrap(), jobs(&ns).puller().unwrap());
    watching.knows(&ns, "jobs");
    let mut pulls = stage::part("pulls", &ns);
    assert_eq!(pulls.said(), "there");
    // A logger that takes the member out of the set whose thread writes the record.
    static SET: Mutex<Option<WaitSet<u8>>> = Mutex::new(None);
    static DONE: AtomicBool = AtomicBool::new(false);
    DONE.store(false, SeqCst);
    *locked(&ACTION) = Some(("died", || {
        let set = locked(&SET).take();
        drop(set);
        DONE.store(true, SeqCst);
    }));
    let mut set = WaitSet::new();
    set.add(0, &puller).unwrap();
    set.fd().unwrap();
    assert_eq!(set.try_wait().unwrap(), []);
    *locked(&SET) = Some(set);
    pulls.kill();
    let start = Instant::now();
    while !DONE.load(SeqCst) {
        assert!(start.elapsed() < LONG, "the logger that drops the set never comes back");
        thread::sleep(Duration::from_millis(5));
    }
    watching.saw("died; recovered its seat");
}

#[test]
fn python_records_are_written_under_no_file_lock() {
    let watching = watch();
    let name = format!("log_{}", std::process::id());
    let options = python::Options::pushpull(name);
    let mut pusher = python::Pusher::<[u8], Bytes>::open(options.clone()).unwrap();
    let mut puller = python::Puller::<Vec<u8>, Bytes>::open(options).unwrap();
    locked(&SEEN).locks.push(File::open(puller.lock_path()).unwrap());
    for number in 0..100u8 {
        pusher.send_bytes(&[number]).unwrap();
        assert_eq!(puller.recv_bytes_timeout(LONG).unwrap(), [number]);
    }
    let lock = puller.lock_path().to_owned();
    drop((pusher, puller));
    let _ = std::fs::remove_file(lock);
    drop(watching);
}
