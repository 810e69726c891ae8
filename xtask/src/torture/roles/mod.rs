//! What the workers do: a file for each pattern.
//!
//! Owns the roles. Each is a [`Work`](super::life::Work): it opens its end, and until its term is over
//! sends or receives, checks what every message proves, and writes to the ledger. What the library
//! promises is an error if it does not hold; what it leaves open (nobody there, full, a peer that died)
//! is not. Each role also audits: what it finds in a channel that nobody else uses.

pub mod pubsub;
pub mod pushpull;
pub mod python;
pub mod reqrep;
mod sets;
mod tasks;

use super::life::{Life, Wrong, census, wrong};
use shmcomm::{Error, ErrorKind};
use std::time::{Duration, Instant};

/// How long a receiver waits at most before it comes round its loop.
const TURN: Duration = Duration::from_millis(50);
/// How long a seat may stay taken after its owner died: a process that ends has its mappings for a
/// while, in which it may not be scheduled.
const SEAT: Duration = Duration::from_secs(3);

/// How long a thread may take to end that nobody waits for.
const THREAD: Duration = Duration::from_secs(2);

/// Opens an end. Nothing if there is nobody to open it with, or no time left.
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

/// Runs a life that ends by itself, and sees that it leaves no file open and no map.
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

/// Messages at a pace: bursts, with rests between.
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
