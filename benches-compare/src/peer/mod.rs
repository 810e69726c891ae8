//! With what the work is done: one file for each peer, each as its own benchmark does it.
//!
//! An end sends or receives messages of `N` words that all have the message's number. What an end
//! does with the bytes is part of what is timed: see [`Touch`].

pub mod bare;
#[cfg(feature = "iceoryx2")]
pub mod iceoryx;
pub mod ipc;
pub mod pipe;
pub mod python;
pub mod shm;
pub mod shmem;
pub mod threads;
pub mod unix;
#[cfg(feature = "zeromq")]
pub mod zeromq;

use crate::Result;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

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

/// The number of a message of `N` words that came as bytes, which need not be aligned; as [`Touch::read`].
fn read_bytes<const N: usize>(bytes: &[u8]) -> Result<u64> {
    if bytes.len() != 8 * N {
        return Err("a message of another length".into());
    }
    let (words, _) = bytes.as_chunks::<8>();
    let first = u64::from_ne_bytes(words[0]);
    let sum = words.iter().fold(0u64, |sum, word| sum.wrapping_add(u64::from_ne_bytes(*word)));
    Ok(if sum == first.wrapping_mul(N as u64) { first } else { u64::MAX })
}

/// Where the files and sockets of a run are.
pub fn folder(run: &str) -> PathBuf {
    PathBuf::from(format!("/dev/shm/benches-compare-{run}"))
}

/// The file or socket of an end, by its [name](crate::work::Place::name), which begins with the run.
pub fn path(name: &str) -> PathBuf {
    folder(name.split('-').next().unwrap_or(name)).join(name)
}

/// Bytes of all shared memory with this name, and of what iceoryx2 has made anywhere (it names its
/// files by hashes).
pub fn occupied(name: &str) -> Result<u64> {
    fn walk(folder: &Path, belongs: &dyn Fn(&str) -> bool, within: bool) -> u64 {
        let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
        entries
            .flatten()
            .map(|entry| {
                let belongs_too = within || belongs(&entry.file_name().to_string_lossy());
                match entry.metadata() {
                    Ok(data) if data.is_dir() => walk(&entry.path(), belongs, belongs_too),
                    Ok(data) if belongs_too => data.blocks() * 512,
                    _ => 0,
                }
            })
            .sum()
    }
    let ours = |file: &str| file.contains(name) || file.starts_with("iox2");
    Ok(walk(Path::new("/dev/shm"), &ours, false) + walk(Path::new("/tmp/iceoryx2"), &ours, true))
}

/// Bytes of memory that this process has in use.
pub fn resident() -> Result<u64> {
    let sizes = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = sizes.split(' ').nth(1).ok_or("no resident pages")?.parse()?;
    Ok(pages * rustix::param::page_size() as u64)
}

/// A thousand channels are a thousand descriptors in each process.
pub fn allow_many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Says loudly which peers this build is without; an error where a table with gaps is none.
pub fn report_missing() -> Result<()> {
    let peers = [
        (
            "iceoryx2",
            cfg!(feature = "iceoryx2"),
            "this build is without it; build with its feature to compare",
        ),
        ("ZeroMQ", cfg!(feature = "zeromq"), "this build is without it; build with its feature to compare"),
        ("Python shm-comm", python::Venv::get().is_some(), "no Python 3 with venv, or no network"),
    ];
    for (peer, _, why) in peers.into_iter().filter(|(_, there, _)| !there) {
        if std::env::var("CI").is_ok_and(|ci| ci == "true") {
            return Err(format!("{peer} is missing ({why}); under CI that is an error").into());
        }
        eprintln!("!!! SKIPPED: {peer}: {why}");
    }
    Ok(())
}
