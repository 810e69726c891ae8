//! The lower bound: words in shared memory that two processes write in turn, without a ring.

use memmap2::{MmapOptions, MmapRaw};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

/// Offsets in bytes to which each process writes: pairs of cache lines, far enough apart.
const PING: usize = 0;
const PONG: usize = 1024;
/// Offset of the payload in bytes: on the cache line behind that of the counter.
const PAYLOAD: usize = 64;
const SIZE: usize = 4096;

pub struct Shared {
    map: MmapRaw,
    path: PathBuf,
    owner: bool,
}

impl Shared {
    pub fn create() -> io::Result<Self> {
        let path = PathBuf::from(format!("/dev/shm/shmcomm-latency-{}", std::process::id()));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        file.set_len(SIZE as u64)?;
        Ok(Shared { map: map(&file)?, path, owner: true })
    }

    pub fn open(path: &str) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Shared { map: map(&file)?, path: path.into(), owner: false })
    }

    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        assert!(at.is_multiple_of(8) && at + 8 <= SIZE);
        // SAFETY: in bounds and aligned, mapped as long as `self` lives, and only accessed as an atomic.
        unsafe { AtomicU64::from_ptr(self.map.as_mut_ptr().add(at).cast()) }
    }

    fn await_line(&self, at: usize, number: u64) {
        while self.word(at).load(Ordering::Acquire) != number {
            std::hint::spin_loop();
        }
    }

    fn send_words(&self, at: usize, number: u64) {
        for i in 0..8 {
            self.word(at + PAYLOAD + 8 * i).store(number, Ordering::Relaxed);
        }
        self.word(at).store(number, Ordering::Release);
    }

    fn await_words(&self, at: usize, number: u64) {
        self.await_line(at, number);
        let sum: u64 = (0..8).map(|i| self.word(at + PAYLOAD + 8 * i).load(Ordering::Relaxed)).sum();
        assert_eq!(sum, 8 * number);
    }

    pub fn ping_line(&self, number: u64) {
        self.word(PING).store(number, Ordering::Release);
        self.await_line(PONG, number);
    }

    pub fn pong_line(&self, number: u64) {
        self.await_line(PING, number);
        self.word(PONG).store(number, Ordering::Release);
    }

    pub fn ping_words(&self, number: u64) {
        self.send_words(PING, number);
        self.await_words(PONG, number);
    }

    pub fn pong_words(&self, number: u64) {
        self.await_words(PING, number);
        self.send_words(PONG, number);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.owner {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn map(file: &File) -> io::Result<MmapRaw> {
    MmapOptions::new().len(SIZE).map_raw(file)
}
