//! With what the work is done: one file for each peer, each as its own benchmark does it.
//!
//! An end sends or receives messages of `N` words that all have the message's number. What an end
//! does with the bytes is part of what is timed: see [`Touch`].

pub mod bare;
#[cfg(feature = "iceoryx2")]
pub mod iceoryx;
pub mod shm;
pub mod unix;
#[cfg(feature = "zeromq")]
pub mod zeromq;

use crate::Result;
use std::path::PathBuf;

/// An end that sends.
pub trait Sender {
    /// Sends message `number`; waits for room where nothing may be lost.
    fn send(&mut self, number: u64) -> Result<()>;
}

/// An end that receives.
pub trait Receiver {
    /// Waits for the next message, looks at its bytes, and says its number.
    fn recv(&mut self) -> Result<u64>;
}

/// An end that asks.
pub trait Caller {
    /// Sends request `number`, waits for the reply, and says its number.
    fn call(&mut self, number: u64) -> Result<u64>;
}

/// An end that answers.
pub trait Answerer {
    /// Waits for the next request, answers it with the same number, and says it.
    fn answer(&mut self) -> Result<u64>;
}

/// How an end waits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// In a loop that never gives the processor away.
    Polling,
    /// As the peer does it, at last asleep in the kernel.
    Blocking,
}

/// What is done with the bytes of a message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// All are written before it is sent, and summed when it is received.
    All,
    /// The first eight, as by one who looks at little of what is there.
    Eight,
}

impl Touch {
    #[inline(always)]
    pub fn write(self, words: &mut [u64], number: u64) {
        match self {
            Touch::All => words.fill(number),
            Touch::Eight => words[0] = number,
        }
    }

    /// The number of the message, or one that no message has if not all of its words are the same.
    #[inline(always)]
    pub fn read(self, words: &[u64]) -> u64 {
        let first = words[0];
        match self {
            Touch::All => {
                let sum = words.iter().fold(0u64, |sum, word| sum.wrapping_add(*word));
                if sum == first.wrapping_mul(words.len() as u64) { first } else { u64::MAX }
            }
            Touch::Eight => first,
        }
    }
}

/// Where the files and sockets of a run are.
pub fn folder(run: &str) -> PathBuf {
    PathBuf::from(format!("/dev/shm/benches-compare-{run}"))
}

/// The file or socket of an end, by its [name](crate::work::Place::name), which begins with the run.
pub fn path(name: &str) -> PathBuf {
    folder(name.split('-').next().unwrap_or(name)).join(name)
}

/// Says loudly which peers this build is without; an error where a table with gaps is none.
pub fn report_missing() -> Result<()> {
    let peers = [("iceoryx2", cfg!(feature = "iceoryx2")), ("ZeroMQ", cfg!(feature = "zeromq"))];
    for (peer, _) in peers.into_iter().filter(|(_, there)| !there) {
        if std::env::var("CI").is_ok_and(|ci| ci == "true") {
            return Err(format!("this build is without {peer}; under CI that is an error").into());
        }
        eprintln!("!!! SKIPPED: {peer}: this build is without it; build with its feature to compare");
    }
    Ok(())
}
