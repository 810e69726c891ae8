//! Work of the workers: a file for each pattern.
//!
//! Owns the roles. Each role is a [`Work`](super::life::Work): it opens its end, and until its term is over
//! sends or receives, checks every message, and writes to the ledger. A broken promise of the library is an
//! error. A permitted outcome is not (no peer, full, a peer that died). Each pattern also has an audit of a
//! channel that no other process uses.

pub mod growing_jobs;
pub mod growth;
mod observers;
pub mod pubsub;
pub mod pushpull;
pub mod python;
pub mod reqrep;
mod sets;
pub mod streams;
pub mod table;
mod tasks;
mod threads;

use super::life::{Life, Wrong, census, wrong};
use shmcomm::{Error, ErrorKind, Stats};
use std::time::{Duration, Instant};

/// Longest wait of a receiver in one turn of its loop.
const TURN: Duration = Duration::from_millis(50);
/// Longest time for which a seat may stay taken after its owner died: a process that ends keeps its mappings
/// for a while, in which it may not be scheduled.
const SEAT: Duration = Duration::from_secs(3);

/// Longest time that a thread without a joiner may take to end.
const THREAD: Duration = Duration::from_secs(2);

/// Opens an end. Returns `None` if there is no peer to open it with, or no time left.
fn open<E>(life: &Life, mut open: impl FnMut() -> Result<E, Error>) -> Result<Option<E>, Wrong> {
    let start = Instant::now();
    loop {
        match open() {
            Ok(end) => return Ok(Some(end)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) if error.kind() == ErrorKind::AlreadyPublished && start.elapsed() < SEAT => {}
            Err(error) => return Err(wrong("open", error)),
        }
        if life.is_over() {
            return Ok(None);
        }
        life.rest(500);
    }
}

/// Runs a life that ends by itself, and checks that it leaves no open file and no mapping.
fn leaves_nothing(life: &mut Life, work: impl FnOnce(&mut Life) -> Result<(), Wrong>) -> Result<(), Wrong> {
    if !life.random.percent(25) {
        return work(life);
    }
    let before = census()?;
    work(life)?;
    // A thread that kept a name of the Python wire ends a little later than its end was dropped.
    let start = Instant::now();
    let mut after = census()?;
    while before != after && start.elapsed() < THREAD {
        life.rest(1000);
        after = census()?;
    }
    if before != after {
        return Err(format!(
            "leaked: (files, maps) were {before:?}, and are {after:?} after all ends were dropped"
        )
        .into());
    }
    Ok(())
}

/// Checks that a queue whose participant lives keeps its name, whatever other processes do.
fn is_named(stats: &Stats) -> Result<(), Wrong> {
    if stats.named {
        Ok(())
    } else {
        Err("divided: the segment of a live participant has lost its name".into())
    }
}

/// Pace of the messages: bursts, with rests between.
struct Pace {
    burst: u64,
    rest: u64,
    left: u64,
}

impl Pace {
    fn new(life: &mut Life) -> Self {
        Pace { burst: life.random.magnitude(256), rest: life.random.magnitude(1000), left: 0 }
    }

    fn next(&mut self, life: &Life) {
        if self.left == 0 {
            self.left = self.burst;
            life.rest(50 + self.rest);
        }
        self.left -= 1;
    }
}
