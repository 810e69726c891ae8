//! The evidence: memory that all processes of a run share and that no kill takes away.
//!
//! Owns an anonymous shared mapping, made before the first fork, and the words in it: what was sent and
//! received, who is at work, what went wrong. It is none of the library's segments, so what is judged
//! has no part in the judgement. Never blocks; every word is an atomic of its own.
//!
//! All accesses are Relaxed: each figure is judged by itself, and a process that is gone is gone
//! before the supervisor learns of it.

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};

/// Most worker processes at once.
pub const WORKERS: usize = 16;
/// Most fault points.
pub const POINTS: usize = 256;
/// Most jobs or requests of one round.
pub const JOBS: usize = 1 << 20;
/// Most recoveries that one round remembers.
const TIMES: usize = 1 << 14;
/// Most bytes of a complaint.
const TEXT: usize = 2000;

/// What is known of a job or a request; the bits above count its receivers.
pub const CLAIMED: u8 = 1;
pub const SENT: u8 = 2;
pub const RECEIVED: u8 = 4;

/// What the workers are asked to do.
pub const WORK: u32 = 0;
/// Senders leave, receivers finish what is there.
pub const FINISH: u32 = 1;
pub const LEAVE: u32 = 2;

/// All of it. Zero is a new one.
#[repr(C)]
pub struct Ledger {
    /// Kept from round to round: for each point the roles that came there (bits), the lives that did,
    /// and how often something was done there.
    pub points: [Point; POINTS],
    pub round: Round,
}

#[repr(C)]
pub struct Point {
    pub roles: AtomicU64,
    pub lives: AtomicU64,
    pub acts: AtomicU64,
}

/// What begins anew with each round.
#[repr(C)]
pub struct Round {
    pub order: AtomicU32,
    complaints: AtomicU32,
    text_len: AtomicU32,
    text: [AtomicU8; TEXT],
    pub workers: [Worker; WORKERS],
    /// The next number of a message, and of a sender.
    pub next: AtomicU64,
    pub senders: AtomicU64,
    pub sent: AtomicU64,
    pub received: AtomicU64,
    /// Received again, with the mark that says so.
    pub again: AtomicU64,
    /// Requests that were answered by news of a death, or by none.
    pub unanswered: AtomicU64,
    /// Deaths of those who send, and of those who receive.
    pub sender_deaths: AtomicU64,
    pub receiver_deaths: AtomicU64,
    /// Segments that took the place of another one.
    pub replaced: AtomicU64,
    /// When something was received last, and since when that is awaited after a death.
    pub progress: AtomicU64,
    pub harmed: AtomicU64,
    pub recoveries: Times,
    pub restarts: Times,
    pub jobs: [AtomicU8; JOBS],
}

/// A worker's place in the ledger.
#[repr(C)]
pub struct Worker {
    /// When it last came round its loop; 0 before the first time.
    pub beat: AtomicU64,
    /// When it was started; 0 once it has done something.
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
    /// A new one. It stays until the process ends, in all its children.
    pub fn new() -> Result<&'static Ledger, rustix::io::Errno> {
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: a new mapping, wherever there is room.
        let memory = unsafe { mmap_anonymous(std::ptr::null_mut(), size_of::<Ledger>(), protection, flags)? };
        // SAFETY: a page boundary, as long as a `Ledger`, never unmapped; any bytes are valid atomics,
        // and all processes use them as such.
        Ok(unsafe { &*memory.cast::<Ledger>() })
    }
}

impl Round {
    /// Begins anew. No worker is alive.
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

    /// Puts the first thing that went wrong on record.
    pub fn complain(&self, text: &str) {
        if self.complaints.fetch_add(1, Relaxed) == 0 {
            let text = text.as_bytes();
            for (to, byte) in self.text.iter().zip(text) {
                to.store(*byte, Relaxed);
            }
            self.text_len.store(text.len().min(TEXT) as u32, Relaxed);
        }
    }

    /// What went wrong, if anything did.
    pub fn complaint(&self) -> Option<String> {
        let len = self.text_len.load(Relaxed) as usize;
        let bytes: Vec<u8> = self.text.iter().take(len).map(|byte| byte.load(Relaxed)).collect();
        (len > 0).then(|| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Something came through.
    pub fn came_through(&self, now: u64) {
        self.progress.store(now, Relaxed);
        if self.harmed.load(Relaxed) != 0 {
            let harmed = self.harmed.swap(0, Relaxed);
            if harmed != 0 {
                self.recoveries.add(now.saturating_sub(harmed));
            }
        }
    }

    /// Jobs that were sent and that nobody has received.
    pub fn missing(&self) -> impl Iterator<Item = u64> {
        let known = (self.next.load(Relaxed) as usize).min(JOBS);
        let state = |at: usize| self.jobs[at].load(Relaxed);
        (0..known).filter(move |&at| state(at) & SENT != 0 && state(at) < RECEIVED).map(|at| at as u64)
    }
}

/// Nanoseconds of the clock that all processes share.
pub fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the time to a `timespec` of ours.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
