//! The libraries under comparison: one file for each peer, used as in its own benchmark.
//!
//! An end sends or receives messages of `N` words, each of which holds the message's number. The time that an
//! end spends on the bytes is part of the figure: see [`Touch`].

pub mod bare;
pub mod growth;
#[cfg(feature = "iceoryx2")]
pub mod iceoryx;
pub mod ipc;
pub mod pipe;
pub mod python;
pub mod shm;
pub mod shmem;
pub mod stream;
pub mod table;
pub mod threads;
pub mod unix;
#[cfg(feature = "zeromq")]
pub mod zeromq;

use crate::Result;
use crate::case::check;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// An end that sends.
pub trait Sender {
    /// Sends message `number`; waits for room if no message may be lost.
    fn send(&mut self, number: u64) -> Result<()>;
}

/// An end that receives.
pub trait Receiver {
    /// Waits for the next message, reads its bytes, and returns its number.
    fn recv(&mut self) -> Result<u64>;
}

/// Several receivers of one process, polled in turn: each gets the message.
impl<R: Receiver> Receiver for Vec<R> {
    #[inline]
    fn recv(&mut self) -> Result<u64> {
        let (first, others) = self.split_first_mut().ok_or("no receiver")?;
        let number = first.recv()?;
        for other in others {
            check(other.recv()?, number)?;
        }
        Ok(number)
    }
}

/// An end that sends requests.
pub trait Caller {
    /// Sends request `number`, waits for the reply, and returns its number.
    fn call(&mut self, number: u64) -> Result<u64>;
}

/// An end that replies.
pub trait Answerer {
    /// Waits for the next request, replies with the same number, and returns it.
    fn answer(&mut self) -> Result<u64>;
}

/// Kind of waiting of an end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Polls in a loop that never yields the processor.
    Polling,
    /// Waits as the peer does by default, and finally sleeps in the kernel.
    Blocking,
}

/// Access to the bytes of a message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// All bytes are written before the message is sent, and summed when it is received.
    All,
    /// Only the first eight bytes are accessed, as by a receiver that needs little of the message.
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

    /// Returns the number of the message, or an impossible number if its words are not all the same.
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

/// Returns the number of a message of `N` words in bytes, which need not be aligned; as [`Touch::read`].
fn read_bytes<const N: usize>(bytes: &[u8]) -> Result<u64> {
    if bytes.len() != 8 * N {
        return Err("a message of another length".into());
    }
    let (words, _) = bytes.as_chunks::<8>();
    let first = u64::from_ne_bytes(words[0]);
    let sum = words.iter().fold(0u64, |sum, word| sum.wrapping_add(u64::from_ne_bytes(*word)));
    Ok(if sum == first.wrapping_mul(N as u64) { first } else { u64::MAX })
}

/// Returns the folder for the files and sockets of a run.
pub fn folder(run: &str) -> PathBuf {
    PathBuf::from(format!("/dev/shm/benches-compare-{run}"))
}

/// Returns the file or socket of an end, by its [name](crate::case::Place::name), which begins with the run.
pub fn path(name: &str) -> PathBuf {
    folder(name.split('-').next().unwrap_or(name)).join(name)
}

/// Returns the bytes of all shared memory with this name. Includes everything that iceoryx2 has made
/// anywhere, because iceoryx2 names its files by hashes.
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

/// Returns the resident memory of this process in bytes.
pub fn resident() -> Result<u64> {
    let sizes = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = sizes.split(' ').nth(1).ok_or("no resident pages")?.parse()?;
    Ok(pages * rustix::param::page_size() as u64)
}

/// Raises the limit of open files: a thousand channels are a thousand descriptors in each process.
pub fn allow_many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Prints which peers this build lacks. Returns an error if a table with gaps is not acceptable.
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
