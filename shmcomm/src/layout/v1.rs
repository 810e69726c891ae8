//! Version 1 of the segment: the layout of the Python library shm-comm 1.0.0 (PyPI `shm-comm`).
//!
//! Source: `shm_comm/core.py` and `shm_comm/utils.py` of that package.
//!
//! Owns the offsets, the names of the files, and the arithmetic of the geometry. Calls nothing. Never
//! opens, maps or waits.
//!
//! ```text
//!      0  magic, version, head, tail, message count, drop count, slots, slot size   (words)
//!     64  eight words that Python sets to zero and never reads: see `word::MARK`
//!    128  slots, each: u32 length, then the payload; a slot has `slot_size` bytes in all
//! ```
//!
//! Head and tail count modulo the number of slots; the message count does not. A slot size may be any
//! number, so nothing in a slot is aligned. Numbers are little-endian.

use super::{MAGIC, VERSION_PYTHON};
use crate::plural::count;

/// Number of bytes before the first slot.
pub(crate) const HEADER: usize = 128;
/// Number of bytes of a slot before its payload.
pub(crate) const PREFIX: usize = 4;

/// The words of the header, by index.
pub(crate) mod word {
    pub(crate) const MAGIC: usize = 0;
    pub(crate) const VERSION: usize = 1;
    /// The slot that is written next.
    pub(crate) const HEAD: usize = 2;
    /// The slot that is read next, if readers share it.
    pub(crate) const TAIL: usize = 3;
    /// Number of messages written since creation. Python writes it after `HEAD`.
    pub(crate) const MSG_COUNT: usize = 4;
    /// Number of messages refused because the ring was full.
    pub(crate) const DROP_COUNT: usize = 5;
    pub(crate) const NUM_SLOTS: usize = 6;
    /// Size of a slot in bytes. Python writes it last at creation.
    pub(crate) const SLOT_SIZE: usize = 7;
    /// Our addition: [`OURS`](super::OURS) in a segment that this crate made.
    pub(crate) const MARK: usize = 8;
    /// Our addition: process id of the owner. For display, never for a decision.
    pub(crate) const OWNER: usize = 9;
    /// Our addition, in a reply segment: the request that the newest reply answers. High half: the number
    /// of the request; low half: the value of `HEAD` once the reply can be read.
    pub(crate) const ANSWERED: usize = 10;
    /// Number of words.
    pub(crate) const COUNT: usize = 16;
}

/// The [`word::MARK`] of a segment that this crate made: its owner holds a lock on byte 0, and keeps a
/// second name ([`Kind::hidden`]).
pub(crate) const OURS: u64 = u64::from_le_bytes(*b"shmcomm!");

/// The use of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Pub,
    Req,
    Rep,
    Push,
}

impl Kind {
    /// All kinds.
    pub(crate) const ALL: [Kind; 4] = [Kind::Pub, Kind::Req, Kind::Rep, Kind::Push];

    const fn prefix(self) -> &'static str {
        match self {
            Kind::Pub => "shmcomm_pub_",
            Kind::Req => "shmcomm_req_",
            Kind::Rep => "shmcomm_rep_",
            Kind::Push => "shmcomm_push_",
        }
    }

    /// Returns the file name of a channel, as Python names it.
    pub(crate) fn file(self, channel: &str) -> String {
        format!("{}{channel}", self.prefix())
    }

    /// Returns the second name of a file that this crate made. Python's `list_segments` lists it, and its
    /// `force_unlink` removes it; its resource tracker does not know it.
    pub(crate) fn hidden(self, channel: &str) -> String {
        let prefix = self.prefix();
        format!("{}~{channel}", &prefix[..prefix.len() - 1])
    }

    /// Returns the second name in a further session of a service whose channel is `channel`.
    pub(crate) fn hidden_in_session(self, channel: &str, session: u32) -> String {
        let hidden = self.hidden(channel);
        if session == 0 { hidden } else { format!("{hidden}~{session}") }
    }

    /// Returns the channel that a second name belongs to, of any session. A channel's own name contains no
    /// `~`.
    pub(crate) fn of_hidden(file: &str) -> Option<(Kind, &str)> {
        let (prefix, rest) = file.split_once('~')?;
        let channel = rest.split_once('~').map_or(rest, |(channel, _)| channel);
        let kind = Kind::ALL.into_iter().find(|kind| kind.prefix().strip_suffix('_') == Some(prefix))?;
        Some((kind, channel))
    }

    /// Returns the channel that a file belongs to.
    pub(crate) fn of_file(file: &str) -> Option<(Kind, &str)> {
        Kind::ALL.into_iter().find_map(|kind| Some((kind, file.strip_prefix(kind.prefix())?)))
    }

    /// Returns the kinds of the segments of one channel of this kind.
    pub(crate) const fn pair(self) -> &'static [Kind] {
        match self {
            Kind::Pub => &[Kind::Pub],
            Kind::Req | Kind::Rep => &[Kind::Req, Kind::Rep],
            Kind::Push => &[Kind::Push],
        }
    }

    pub(crate) const fn pattern(self) -> &'static str {
        match self {
            Kind::Pub => "publish/subscribe",
            Kind::Req | Kind::Rep => "request/reply",
            Kind::Push => "push/pull",
        }
    }
}

/// Number and size of the slots, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) slots: u64,
    /// Size of a slot in bytes, with the prefix.
    pub(crate) slot_size: u64,
}

impl Shape {
    /// Checks number and size of the slots. The error is a text for people.
    pub(crate) fn new(slots: u64, slot_size: u64) -> Result<Self, String> {
        let shape = Shape { slots, slot_size };
        if !(2..=u64::from(u32::MAX)).contains(&slots) {
            return Err(format!(
                "{slots}; it takes 2 to {}, and one of them stays empty",
                u32::MAX,
                slots = count(slots, "slot")
            ));
        }
        if !(PREFIX as u64 + 1..=u64::from(u32::MAX)).contains(&slot_size) {
            return Err(format!(
                "slots of {slot_size}; it takes 5 to {}, and {PREFIX} of them are the length",
                u32::MAX,
                slot_size = count(slot_size, "byte")
            ));
        }
        match shape.segment_size() {
            Some(size) if isize::try_from(size).is_ok() => Ok(shape),
            _ => Err(format!(
                "{slots} of {slot_size}, more than can be addressed",
                slot_size = count(slot_size, "byte"),
                slots = count(slots, "slot")
            )),
        }
    }

    fn segment_size(self) -> Option<u64> {
        self.slots.checked_mul(self.slot_size)?.checked_add(HEADER as u64)
    }

    /// Returns the size of the segment, in bytes.
    pub(crate) fn size(self) -> u64 {
        self.segment_size().expect("checked by `new`")
    }

    /// Returns the payload capacity of a slot, in bytes.
    pub(crate) fn capacity(self) -> usize {
        self.slot_size as usize - PREFIX
    }
}

/// The content of the first eight words of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// The maker of the file has not finished it yet.
    HalfMade,
    NotASegment {
        magic: u64,
    },
    Version(u64),
    Impossible(String),
    Complete(Shape),
}

impl Header {
    pub(crate) fn read(words: &[u64; word::COUNT], len: u64) -> Header {
        // Python writes them in this order. A word that is not written yet is zero.
        let (magic, version) = (words[word::MAGIC], words[word::VERSION]);
        if magic != MAGIC {
            return if magic == 0 { Header::HalfMade } else { Header::NotASegment { magic } };
        }
        if version != VERSION_PYTHON {
            return if version == 0 { Header::HalfMade } else { Header::Version(version) };
        }
        let (slots, slot_size) = (words[word::NUM_SLOTS], words[word::SLOT_SIZE]);
        if slots == 0 || slot_size == 0 {
            return Header::HalfMade;
        }
        match Shape::new(slots, slot_size) {
            Ok(shape) if shape.size() <= len => Header::Complete(shape),
            Ok(shape) => Header::Impossible(format!(
                "{slots} of {slot_size} take {}, but the file has {len}",
                count(shape.size(), "byte"),
                slot_size = count(slot_size, "byte"),
                slots = count(slots, "slot")
            )),
            Err(why) => Header::Impossible(why),
        }
    }

    /// Returns the number of messages between tail and head, which count modulo the slots: the jobs of a queue
    /// that no puller has received.
    pub(crate) fn waiting(words: &[u64; word::COUNT], slots: u64) -> u64 {
        let (head, tail) = (words[word::HEAD] % slots, words[word::TAIL] % slots);
        (head + slots - tail) % slots
    }

    /// Returns the words of a new, empty segment.
    pub(crate) fn fresh(shape: Shape, owner: u32) -> [u64; word::COUNT] {
        let mut words = [0; word::COUNT];
        words[word::MAGIC] = MAGIC;
        words[word::VERSION] = VERSION_PYTHON;
        words[word::NUM_SLOTS] = shape.slots;
        words[word::SLOT_SIZE] = shape.slot_size;
        words[word::MARK] = OURS;
        words[word::OWNER] = u64::from(owner);
        words
    }

    pub(crate) fn from_bytes(bytes: &[u8; HEADER]) -> [u64; word::COUNT] {
        let mut words = [0; word::COUNT];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = u64::from_le_bytes(bytes.try_into().expect("chunks of eight"));
        }
        words
    }

    pub(crate) fn to_bytes(words: &[u64; word::COUNT]) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        for (bytes, word) in bytes.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_the_one_that_python_writes() {
        let shape = Shape::new(64, 4096).unwrap();
        let bytes = Header::to_bytes(&Header::fresh(shape, 7));
        assert_eq!(&bytes[..16], b"1MMOCMHS\x01\0\0\0\0\0\0\0");
        assert_eq!(&bytes[48..64], b"\x40\0\0\0\0\0\0\0\0\x10\0\0\0\0\0\0");
        assert!(bytes[16..48].iter().all(|&b| b == 0));
        assert_eq!(shape.size(), 128 + 64 * 4096);
        assert_eq!(Header::read(&Header::from_bytes(&bytes), shape.size()), Header::Complete(shape));
    }

    #[test]
    fn every_step_of_a_creation_is_incomplete() {
        let shape = Shape::new(4, 257).unwrap();
        let whole = Header::fresh(shape, 0);
        let mut words = [0; word::COUNT];
        for index in [word::MAGIC, word::VERSION, word::NUM_SLOTS, word::SLOT_SIZE] {
            assert_eq!(Header::read(&words, shape.size()), Header::HalfMade);
            words[index] = whole[index];
        }
        assert_eq!(Header::read(&words, shape.size()), Header::Complete(shape));
    }

    #[test]
    fn impossible_headers_are_refused() {
        let words = |slots, slot_size| {
            let mut words = Header::fresh(Shape::new(2, 5).unwrap(), 0);
            words[word::NUM_SLOTS] = slots;
            words[word::SLOT_SIZE] = slot_size;
            words
        };
        for (slots, slot_size) in [(1, 4096), (64, 4), (u64::MAX, 8), (4, u64::MAX), (1 << 31, 1 << 31)] {
            let header = Header::read(&words(slots, slot_size), 1 << 20);
            assert!(matches!(header, Header::Impossible(_)), "{slots} × {slot_size}: {header:?}");
        }
        assert!(matches!(Header::read(&words(64, 4096), 4096), Header::Impossible(_)));
        let mut other = words(2, 5);
        other[word::MAGIC] = 1;
        assert_eq!(Header::read(&other, 4096), Header::NotASegment { magic: 1 });
        other[word::MAGIC] = MAGIC;
        other[word::VERSION] = 2;
        assert_eq!(Header::read(&other, 4096), Header::Version(2));
    }

    #[test]
    fn files_and_channels_stand_for_each_other() {
        for kind in Kind::ALL {
            let file = kind.file("arm.left_2");
            assert_eq!(Kind::of_file(&file), Some((kind, "arm.left_2")));
            assert_eq!(kind.hidden("arm.left_2").len(), file.len());
            assert_eq!(Kind::of_file(&kind.hidden("arm.left_2")), None);
            assert_eq!(Kind::of_hidden(&kind.hidden("arm.left_2")), Some((kind, "arm.left_2")));
            assert_eq!(Kind::of_hidden(&kind.hidden_in_session("a.b", 12)), Some((kind, "a.b")));
            assert_eq!(Kind::of_hidden(&file), None);
        }
        assert_eq!(Kind::of_file("shmcomm2_imu"), None);
        assert_eq!(Kind::Pub.hidden("a_b"), "shmcomm_pub~a_b");
    }
}
