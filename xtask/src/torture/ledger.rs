//! The ledger: memory that all processes of a run share and that no kill can remove.
//!
//! Owns an anonymous shared mapping, made before the first fork, and the words in it: messages sent and
//! received, workers, and complaints. It is not one of the library's segments, so the library under test
//! cannot affect it. Never blocks; every word is an independent atomic.
//!
//! All accesses are Relaxed: each count is judged by itself, and a process has ended before the supervisor is
//! notified of it.

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};

/// Largest number of worker processes at once.
pub const WORKERS: usize = 16;
/// Largest number of fault points.
pub const POINTS: usize = 256;
/// Largest number of jobs or requests of one round.
pub const JOBS: usize = 1 << 20;
/// Largest number of recoveries that one round stores.
const TIMES: usize = 1 << 14;
/// Largest length of a complaint in bytes.
const TEXT: usize = 2000;

/// State bits of a job or a request; the bits above count its receivers.
pub const CLAIMED: u8 = 1;
pub const SENT: u8 = 2;
pub const RECEIVED: u8 = 4;

/// Orders for the workers.
pub const WORK: u32 = 0;
/// Senders leave, and receivers take the remaining messages.
pub const FINISH: u32 = 1;
pub const LEAVE: u32 = 2;

/// The whole ledger. All zeros is a new ledger.
#[repr(C)]
pub struct Ledger {
    /// For each point, kept from round to round: the roles that reached it (bits), the number of lives that
    /// did, and the number of actions there.
    pub points: [Point; POINTS],
    pub round: Round,
}

#[repr(C)]
pub struct Point {
    pub roles: AtomicU64,
    pub lives: AtomicU64,
    pub acts: AtomicU64,
}

/// State that starts anew with each round.
#[repr(C)]
pub struct Round {
    pub order: AtomicU32,
    complaints: AtomicU32,
    text_len: AtomicU32,
    text: [AtomicU8; TEXT],
    pub workers: [Worker; WORKERS],
    /// Next number of a message, and of a sender.
    pub next: AtomicU64,
    pub senders: AtomicU64,
    pub sent: AtomicU64,
    pub received: AtomicU64,
    /// Messages received again, with the mark for that.
    pub again: AtomicU64,
    /// Requests that ended with `PeerDied` or `Unanswered`.
    pub unanswered: AtomicU64,
    /// Deaths of senders, and of receivers.
    pub sender_deaths: AtomicU64,
    pub receiver_deaths: AtomicU64,
    /// Segments that replaced another one.
    pub replaced: AtomicU64,
    /// Time of the last receive, and start of the wait for the next one after a death.
    pub progress: AtomicU64,
    pub harmed: AtomicU64,
    pub recoveries: Times,
    pub restarts: Times,
    pub jobs: [AtomicU8; JOBS],
}

/// Entry of a worker in the ledger.
#[repr(C)]
pub struct Worker {
    /// Time of the last turn of its loop; 0 before the first turn.
    pub beat: AtomicU64,
    /// Time of its start; 0 once it has sent or received.
    pub started: AtomicU64,
}

/// Durations in microseconds.
#[repr(C)]
pub struct Times {
    count: AtomicU32,
    micros: [AtomicU32; TIMES],
}

impl Times {
    pub fn add(&self, nanos: u64) {
        let at = self.count.fetch_add(1, Relaxed) as usize;
        if let Some(slot) = self.micros.get(at) {
            slot.store(u32::try_from(nanos / 1000).unwrap_or(u32::MAX), Relaxed);
        }
    }

    pub fn all(&self) -> impl Iterator<Item = u32> {
        let count = self.count.load(Relaxed) as usize;
        self.micros.iter().take(count).map(|micros| micros.load(Relaxed))
    }
}

impl Ledger {
    /// Returns a new ledger. It stays mapped until the process ends, in all its children.
    pub fn new() -> Result<&'static Ledger, rustix::io::Errno> {
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: a new mapping at an address that the kernel chooses.
        let memory = unsafe { mmap_anonymous(std::ptr::null_mut(), size_of::<Ledger>(), protection, flags)? };
        // SAFETY: a page boundary, as long as a `Ledger`, never unmapped; any bytes are valid atomics,
        // and all processes use them as such.
        Ok(unsafe { &*memory.cast::<Ledger>() })
    }
}

impl Round {
    /// Clears the round. No worker is alive.
    pub fn clear(&self) {
        let Round { order, complaints, text_len, text: _, workers, jobs, recoveries, restarts, .. } = self;
        for word in [order, complaints, text_len, &recoveries.count, &restarts.count] {
            word.store(0, Relaxed);
        }
        for word in [
            &self.next,
            &self.senders,
            &self.sent,
            &self.received,
            &self.again,
            &self.unanswered,
            &self.sender_deaths,
            &self.receiver_deaths,
            &self.replaced,
            &self.progress,
            &self.harmed,
        ] {
            word.store(0, Relaxed);
        }
        for worker in workers {
            worker.beat.store(0, Relaxed);
            worker.started.store(0, Relaxed);
        }
        for job in jobs {
            job.store(0, Relaxed);
        }
    }

    /// Records the first complaint.
    pub fn complain(&self, text: &str) {
        if self.complaints.fetch_add(1, Relaxed) == 0 {
            let text = text.as_bytes();
            for (to, byte) in self.text.iter().zip(text) {
                to.store(*byte, Relaxed);
            }
            self.text_len.store(text.len().min(TEXT) as u32, Relaxed);
        }
    }

    /// Returns the first complaint, if there is one.
    pub fn complaint(&self) -> Option<String> {
        let len = self.text_len.load(Relaxed) as usize;
        let bytes: Vec<u8> = self.text.iter().take(len).map(|byte| byte.load(Relaxed)).collect();
        (len > 0).then(|| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Records that a message arrived.
    pub fn came_through(&self, now: u64) {
        self.progress.store(now, Relaxed);
        if self.harmed.load(Relaxed) != 0 {
            let harmed = self.harmed.swap(0, Relaxed);
            if harmed != 0 {
                self.recoveries.add(now.saturating_sub(harmed));
            }
        }
    }

    /// Returns the jobs that were sent and not received.
    pub fn missing(&self) -> impl Iterator<Item = u64> {
        let known = (self.next.load(Relaxed) as usize).min(JOBS);
        let state = |at: usize| self.jobs[at].load(Relaxed);
        (0..known).filter(move |&at| state(at) & SENT != 0 && state(at) < RECEIVED).map(|at| at as u64)
    }
}

/// Returns nanoseconds of the clock that all processes share.
pub fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the time to a local `timespec`.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
