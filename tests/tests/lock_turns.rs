//! Threads of one process that lock through one open file: what one of them holds, another neither takes nor
//! releases.
//!
//! This program takes the place of `fcntl`: a chosen thread is held for a moment when it has got the registration
//! lock. Each call goes to the kernel as it is, so only the order of events is changed. While the thread is held,
//! another open file asks for the lock, as a process that joins does: it must not get it.
// The calls of the C library that are replaced here differ on other systems.
#![cfg(target_os = "linux")]

use shmcomm::{Channel, Opener, PushPull, WaitSet};
use shmcomm_tests::{Namespace, namespace};
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The byte of a segment's file that is the registration lock; see `docs/format.md`.
const REGISTRATION: i64 = 1 << 16;
/// Longer than any of these threads takes by itself.
const LONG: Duration = Duration::from_secs(30);

/// The name of the thread that is held the next time it has got the registration lock.
static WANTED: Mutex<Option<&str>> = Mutex::new(None);
static HELD: AtomicBool = AtomicBool::new(false);
static LET_GO: AtomicBool = AtomicBool::new(false);

fn wanted() -> MutexGuard<'static, Option<&'static str>> {
    WANTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The call of the C library, followed by the pause of the thread that is wanted.
///
/// # Safety
/// As for `fcntl`.
#[unsafe(no_mangle)]
unsafe extern "C" fn fcntl(fd: i32, command: i32, argument: usize) -> i32 {
    // SAFETY: the caller's promise.
    let result = unsafe { libc::syscall(libc::SYS_fcntl, fd, command, argument) } as i32;
    if command == libc::F_OFD_SETLK && result == 0 {
        // SAFETY: these commands take such a structure.
        let lock = unsafe { *(argument as *const libc::flock) };
        if lock.l_start == REGISTRATION && lock.l_type == libc::F_WRLCK as i16 {
            registered();
        }
    }
    result
}

/// The name that the C library has for the same call with large offsets.
///
/// # Safety
/// As for `fcntl`.
#[unsafe(no_mangle)]
unsafe extern "C" fn fcntl64(fd: i32, command: i32, argument: usize) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { fcntl(fd, command, argument) }
}

fn registered() {
    let mut wanted = wanted();
    if wanted.is_none() || thread::current().name() != *wanted {
        return;
    }
    *wanted = None;
    drop(wanted);
    HELD.store(true, SeqCst);
    let start = Instant::now();
    while !LET_GO.load(SeqCst) && start.elapsed() < LONG {
        thread::sleep(Duration::from_millis(1));
    }
}

/// A test of this file, alone: the thread with that name will be held.
struct Hold(#[allow(dead_code, reason = "kept until the end of the test")] MutexGuard<'static, ()>);

impl Hold {
    fn next_lock_of(thread: &'static str) -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        HELD.store(false, SeqCst);
        LET_GO.store(false, SeqCst);
        *wanted() = Some(thread);
        Hold(alone)
    }

    fn wait(&self) {
        let start = Instant::now();
        while !HELD.load(SeqCst) {
            assert!(start.elapsed() < LONG, "the thread has never taken the registration lock");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Asserts for a while that the lock is kept from other open files, and lets the thread go on.
    fn nothing_gets_in(self, file: &File) {
        for _ in 0..100 {
            assert!(!could_register(file), "the lock was released under its holder");
            thread::sleep(Duration::from_millis(2));
        }
        LET_GO.store(true, SeqCst);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        *wanted() = None;
        LET_GO.store(true, SeqCst);
    }
}

/// Returns `true` if another open file could take the registration lock now. Leaves it as it is.
fn could_register(file: &File) -> bool {
    // SAFETY: zero is a value of every field.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    (lock.l_type, lock.l_start, lock.l_len) = (libc::F_WRLCK as i16, REGISTRATION, 1);
    let (call, fd) = (libc::SYS_fcntl, file.as_raw_fd());
    // SAFETY: an open descriptor, and the structure that the command takes and that outlives the call.
    let asked = unsafe { libc::syscall(call, fd, libc::F_OFD_GETLK, &raw mut lock) };
    assert_eq!(asked, 0, "{}", std::io::Error::last_os_error());
    lock.l_type == libc::F_UNLCK as i16
}

fn jobs(namespace: &Namespace) -> Opener<PushPull<u64>> {
    Channel::<PushPull<u64>>::new("jobs").open().namespace(&**namespace)
}

fn segment(namespace: &Namespace) -> File {
    let path = format!("/dev/shm/shmcomm2_{}%2Fjobs", &**namespace);
    File::options().read(true).write(true).open(path).unwrap()
}

fn named<T: Send + 'static>(name: &str, body: impl FnOnce() -> T + Send + 'static) -> thread::JoinHandle<T> {
    thread::Builder::new().name(name.into()).spawn(body).unwrap()
}

#[test]
fn dropped_end_keeps_the_lock_of_a_wait_set() {
    let ns = namespace("turn-waitset");
    let (other, end) = (jobs(&ns).pusher().unwrap(), jobs(&ns).puller().unwrap());
    let file = segment(&ns);
    let mut set = WaitSet::new();
    set.add((), &end).unwrap();
    let hold = Hold::next_lock_of("waits");
    let waits = named("waits", move || set.wait_timeout(Duration::from_millis(300)).unwrap().len());
    hold.wait();
    let leaves = named("leaves", move || drop(end));
    hold.nothing_gets_in(&file);
    leaves.join().unwrap();
    waits.join().unwrap();
    drop(other);
    assert!(could_register(&file), "the lock was left behind");
}

#[test]
fn dropped_end_keeps_the_lock_of_the_reactor() {
    let ns = namespace("turn-reactor");
    let (other, end) = (jobs(&ns).pusher().unwrap(), jobs(&ns).puller().unwrap());
    let file = segment(&ns);
    let mut set = WaitSet::new();
    set.add((), &end).unwrap();
    // From here on the reactor sleeps for the set.
    set.fd().unwrap();
    let hold = Hold::next_lock_of("shmcomm-wait");
    assert_eq!(set.try_wait().unwrap(), []);
    hold.wait();
    let leaves = named("leaves", move || drop(end));
    hold.nothing_gets_in(&file);
    leaves.join().unwrap();
    drop((other, set));
    assert!(could_register(&file), "the lock was left behind");
}

#[test]
fn wait_set_keeps_the_lock_of_a_dropped_end() {
    let ns = namespace("turn-leave");
    let (other, end) = (jobs(&ns).pusher().unwrap(), jobs(&ns).puller().unwrap());
    let file = segment(&ns);
    let mut set = WaitSet::new();
    set.add((), &end).unwrap();
    let hold = Hold::next_lock_of("leaves");
    let leaves = named("leaves", move || drop(end));
    hold.wait();
    let start = Instant::now();
    let waits = named("waits", move || {
        for _ in 0..10 {
            set.wait_timeout(Duration::from_millis(20)).unwrap();
        }
    });
    hold.nothing_gets_in(&file);
    waits.join().unwrap();
    assert!(start.elapsed() < LONG, "a set waits for a thread that leaves");
    leaves.join().unwrap();
    drop(other);
    assert!(could_register(&file), "the lock was left behind");
}

#[test]
fn wait_set_of_another_thread_keeps_the_lock() {
    let ns = namespace("turn-announce");
    let (other, end) = (jobs(&ns).pusher().unwrap(), jobs(&ns).puller().unwrap());
    let file = segment(&ns);
    let hold = Hold::next_lock_of("announces");
    let announces = named("announces", move || {
        let mut set = WaitSet::new();
        set.add((), &end).unwrap();
        (set, end)
    });
    hold.wait();
    // Another end of the same process leaves: it has a file of its own, and the kernel keeps it out.
    let leaves = named("leaves", move || drop(other));
    hold.nothing_gets_in(&file);
    leaves.join().unwrap();
    drop(announces.join().unwrap());
    assert!(could_register(&file), "the lock was left behind");
}

#[test]
fn second_end_waits_until_the_first_has_joined() {
    let ns = namespace("turn-join");
    let other = jobs(&ns).pusher().unwrap();
    let file = segment(&ns);
    let hold = Hold::next_lock_of("joins");
    let opener = jobs(&ns);
    let joins = named("joins", move || opener.puller().unwrap());
    hold.wait();
    let opener = jobs(&ns);
    let joins_too = named("joins too", move || opener.puller().unwrap());
    hold.nothing_gets_in(&file);
    drop((joins.join().unwrap(), joins_too.join().unwrap(), other));
    assert!(could_register(&file), "the lock was left behind");
}
