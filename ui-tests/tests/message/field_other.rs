use shmcomm::ShmMessage;
use std::num::NonZeroU32;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

#[derive(ShmMessage)]
#[repr(C)]
struct Log {
    count: usize,
    wide: u128,
    last: Option<u32>,
    at: Instant,
    took: Duration,
    pair: (u32, u32),
    hits: AtomicU64,
    id: NonZeroU32,
}

fn main() {}
