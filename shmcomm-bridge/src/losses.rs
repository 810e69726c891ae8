//! [`Losses`]: which message of each channel came last, and how many are missing before the next one.
//!
//! Owns the last numbers, in memory and in files that survive the death of the bridge. Calls the file system only if
//! the configuration names a directory. Never sends.

use crate::wire::Head;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Largest number of segments whose last message is remembered.
const MOST: usize = 4096;
/// Bytes of a file: three words and their sum.
const RECORD: usize = 32;
/// Age after which the file of a segment is removed.
const OLD: Duration = Duration::from_secs(7 * 24 * 3600);

/// Place of the last message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Last {
    incarnation: u64,
    number: u64,
    skipped: u64,
}

impl Last {
    fn of(head: &Head) -> Last {
        Last { incarnation: head.incarnation, number: head.number, skipped: head.skipped }
    }
}

/// Relation of a message to the last one of its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A message that was not received before. This number of messages before it did not come.
    New {
        /// Messages that are missing.
        lost: u64,
    },
    /// A message that was received before.
    Repeated,
}

/// The messages of one import: the last one, and its file.
#[derive(Debug, Default)]
pub struct Track {
    last: Option<Last>,
    file: Option<File>,
}

impl Track {
    /// Compares a message with the last one.
    pub fn compare(&self, head: &Head) -> Verdict {
        let now = Last::of(head);
        let lost = match self.last {
            None => 0,
            Some(last) if now.number <= last.number => return Verdict::Repeated,
            Some(last) => {
                let same = last.incarnation == now.incarnation;
                let skipped = if same { now.skipped.saturating_sub(last.skipped) } else { now.skipped };
                (now.number - last.number - 1).saturating_sub(skipped)
            }
        };
        Verdict::New { lost }
    }

    /// Remembers a message as the last one.
    pub fn note(&mut self, head: &Head) {
        self.last = Some(Last::of(head));
    }

    /// Writes the last message to the file, if there is one.
    pub fn store(&self) -> io::Result<()> {
        match (&self.file, self.last) {
            (Some(file), Some(last)) => file.write_all_at(&record(last), 0),
            _ => Ok(()),
        }
    }
}

fn record(last: Last) -> [u8; RECORD] {
    let words = [last.incarnation, last.number, last.skipped];
    let mut out = [0; RECORD];
    for (to, word) in out.chunks_exact_mut(8).zip(words.into_iter().chain([sum(words)])) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    out
}

fn sum(words: [u64; 3]) -> u64 {
    words.iter().fold(0x7368_6d63_6f6d_6d31, |sum: u64, word| sum.rotate_left(17) ^ word)
}

fn parse(bytes: &[u8; RECORD]) -> Option<Last> {
    let mut words = bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default()));
    let mut next = || words.next().unwrap_or_default();
    let words = [next(), next(), next()];
    (next() == sum(words)).then_some(Last { incarnation: words[0], number: words[1], skipped: words[2] })
}

/// The last messages of all imports, by channel and segment.
#[derive(Debug, Default)]
pub struct Losses {
    known: HashMap<(String, u64), Last>,
    directory: Option<PathBuf>,
}

impl Losses {
    /// Makes the table, and removes files of segments that are a week old.
    pub fn new(directory: Option<&Path>) -> io::Result<Losses> {
        if let Some(directory) = directory {
            std::fs::create_dir_all(directory)?;
            for file in std::fs::read_dir(directory)?.flatten() {
                let age = file
                    .metadata()
                    .and_then(|meta| meta.modified())
                    .map(|at| SystemTime::now().duration_since(at));
                let ours = file.file_name().to_string_lossy().ends_with(".last");
                if ours && matches!(age, Ok(Ok(age)) if age > OLD) {
                    let _ = std::fs::remove_file(file.path());
                }
            }
        }
        Ok(Losses { known: HashMap::new(), directory: directory.map(Path::to_owned) })
    }

    /// Returns the track of a segment, from where it was left.
    pub fn track(&mut self, channel: &str, segment: u64) -> Result<Track, String> {
        let mut track = Track { last: self.known.get(&(channel.to_owned(), segment)).copied(), file: None };
        if let Some(directory) = &self.directory {
            // Names of channels have no `%`.
            let path = directory.join(format!("{}.{segment:016x}.last", channel.replace('/', "%")));
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
            let file =
                file.map_err(|error| format!("its state file {} does not open: {error}", path.display()))?;
            let mut bytes = [0; RECORD];
            if file.read_exact_at(&mut bytes, 0).is_ok() {
                track.last = track.last.or(parse(&bytes));
            }
            track.file = Some(file);
        }
        Ok(track)
    }

    /// Remembers where a track ends.
    pub fn leave(&mut self, channel: &str, segment: u64, track: &Track) {
        if let Some(last) = track.last {
            if self.known.len() >= MOST {
                self.known.clear();
            }
            self.known.insert((channel.to_owned(), segment), last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(incarnation: u64, number: u64, skipped: u64) -> Head {
        Head { incarnation, number, skipped, ..Head::default() }
    }

    fn next(track: &mut Track, head: &Head) -> Verdict {
        let verdict = track.compare(head);
        if verdict != Verdict::Repeated {
            track.note(head);
        }
        verdict
    }

    #[test]
    fn gaps_are_exact_and_repeats_are_found() {
        let mut track = Track::default();
        let new = |lost| Verdict::New { lost };
        assert_eq!(next(&mut track, &head(1, 5, 0)), new(0));
        assert_eq!(next(&mut track, &head(1, 6, 0)), new(0));
        assert_eq!(next(&mut track, &head(1, 6, 0)), Verdict::Repeated);
        assert_eq!(next(&mut track, &head(1, 10, 0)), new(3));
        // Three of the four missing messages were left out on purpose.
        assert_eq!(next(&mut track, &head(1, 15, 3)), new(1));
        // The exporter was killed; its successor counts from the start what it leaves out.
        assert_eq!(next(&mut track, &head(2, 20, 2)), new(2));
        // Hostile numbers.
        assert_eq!(next(&mut track, &head(2, u64::MAX, u64::MAX)), new(0));
        assert_eq!(next(&mut track, &head(2, 0, 0)), Verdict::Repeated);
    }

    #[test]
    fn state_survives_in_its_file_and_damage_is_ignored() {
        let directory = std::env::temp_dir().join(format!("shmcomm-bridge-losses-{}", std::process::id()));
        let mut losses = Losses::new(Some(&directory)).unwrap();
        let mut track = losses.track("a/b", 7).unwrap();
        track.note(&head(1, 41, 0));
        track.store().unwrap();
        // Another process: the memory is gone.
        let mut track = Losses::new(Some(&directory)).unwrap().track("a/b", 7).unwrap();
        assert_eq!(next(&mut track, &head(1, 44, 0)), Verdict::New { lost: 2 });
        std::fs::write(directory.join("a%b.0000000000000007.last"), [9; 32]).unwrap();
        let mut track = Losses::new(Some(&directory)).unwrap().track("a/b", 7).unwrap();
        assert_eq!(next(&mut track, &head(1, 50, 0)), Verdict::New { lost: 0 });
        losses.leave("a/b", 7, &track);
        let mut again = losses.track("a/b", 7).unwrap();
        assert_eq!(next(&mut again, &head(1, 50, 0)), Verdict::Repeated);
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
