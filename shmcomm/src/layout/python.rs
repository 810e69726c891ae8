//! Version 1 of the segment: the layout of the Python library shm-comm 1.0.0 (PyPI `shm-comm`).
//!
//! Owns the offsets, the names of the files, and the arithmetic of the geometry. The source is
//! `shm_comm/core.py` and `shm_comm/utils.py` of that package. Never opens, maps or waits.
//!
//! ```text
//!      0  magic, version, head, tail, message count, drop count, slots, slot size   (words)
//!     64  eight words that Python sets to zero and never looks at: see `word::MARK`
//!    128  slots, each: u32 length, then the payload; a slot has `slot_size` bytes in all
//! ```
//!
//! Head and tail count modulo the number of slots; the message count does not. A slot size may be any
//! number, so nothing in a slot is aligned. Numbers are little-endian.

use super::{MAGIC, VERSION_PYTHON};

/// Bytes before the first slot.
pub(crate) const HEADER: usize = 128;
/// Bytes of a slot before its payload.
pub(crate) const PREFIX: usize = 4;

/// The header's words, by index.
pub(crate) mod word {
    pub(crate) const MAGIC: usize = 0;
    pub(crate) const VERSION: usize = 1;
    /// The slot that is written next.
    pub(crate) const HEAD: usize = 2;
    /// The slot that is read next, where readers share it.
    pub(crate) const TAIL: usize = 3;
    /// Messages written since creation. Python writes it after `HEAD`.
    pub(crate) const MSG_COUNT: usize = 4;
    /// Messages refused because the ring was full.
    pub(crate) const DROP_COUNT: usize = 5;
    pub(crate) const NUM_SLOTS: usize = 6;
    /// Python writes it last at creation.
    pub(crate) const SLOT_SIZE: usize = 7;
    /// Ours: [`OURS`](super::OURS) in a segment that this crate made.
    pub(crate) const MARK: usize = 8;
    /// Ours: process id of the owner. To show, never to decide with.
    pub(crate) const OWNER: usize = 9;
    /// Ours, in a reply segment: which request the newest reply answers. High half: the request's
    /// number; low half: what `HEAD` is once the reply can be read.
    pub(crate) const ANSWERED: usize = 10;
    /// How many there are.
    pub(crate) const COUNT: usize = 16;
}

/// [`word::MARK`] of a segment that this crate made: its owner holds a lock on byte 0, and keeps a
/// second name ([`Kind::hidden`]).
pub(crate) const OURS: u64 = u64::from_le_bytes(*b"shmcomm!");

/// What a segment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Pub,
    Req,
    Rep,
    Push,
}

impl Kind {
    /// Each of them.
    pub(crate) const ALL: [Kind; 4] = [Kind::Pub, Kind::Req, Kind::Rep, Kind::Push];

    const fn prefix(self) -> &'static str {
        match self {
            Kind::Pub => "shmcomm_pub_",
            Kind::Req => "shmcomm_req_",
            Kind::Rep => "shmcomm_rep_",
            Kind::Push => "shmcomm_push_",
        }
    }

    /// The file of a channel, as Python names it.
    pub(crate) fn file(self, channel: &str) -> String {
        format!("{}{channel}", self.prefix())
    }

    /// The second name of a file that this crate made. Python lists only what starts with `shmcomm_`.
    pub(crate) fn hidden(self, channel: &str) -> String {
        self.file(channel).replacen('_', "~", 1)
    }

    /// The channel that a file belongs to.
    pub(crate) fn of_file(file: &str) -> Option<(Kind, &str)> {
        Kind::ALL.into_iter().find_map(|kind| Some((kind, file.strip_prefix(kind.prefix())?)))
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
    /// With the prefix.
    pub(crate) slot_size: u64,
}

impl Shape {
    /// What is wrong with it, in words.
    pub(crate) fn new(slots: u64, slot_size: u64) -> Result<Self, String> {
        let shape = Shape { slots, slot_size };
        if !(2..=u64::from(u32::MAX)).contains(&slots) {
            return Err(format!("{slots} slots; it takes 2 to {}, and one of them stays empty", u32::MAX));
        }
        if !(PREFIX as u64 + 1..=u64::from(u32::MAX)).contains(&slot_size) {
            return Err(format!(
                "slots of {slot_size} bytes; it takes 5 to {}, and {PREFIX} of them are the length",
                u32::MAX
            ));
        }
        match shape.segment_size() {
            Some(size) if isize::try_from(size).is_ok() => Ok(shape),
            _ => Err(format!("{slots} slots of {slot_size} bytes, more than can be addressed")),
        }
    }

    fn segment_size(self) -> Option<u64> {
        self.slots.checked_mul(self.slot_size)?.checked_add(HEADER as u64)
    }

    /// Bytes of the segment.
    pub(crate) fn size(self) -> u64 {
        self.segment_size().expect("checked by `new`")
    }

    /// Payload bytes that a slot holds.
    pub(crate) fn capacity(self) -> usize {
        self.slot_size as usize - PREFIX
    }
}

/// What the first eight words of a file say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// Its maker has not come to the end yet.
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
        // Python writes them in this order; what is not written yet is zero.
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
                "{slots} slots of {slot_size} bytes take {} bytes, but the file has {len}",
                shape.size()
            )),
            Err(why) => Header::Impossible(why),
        }
    }

    /// The words of a new, empty segment.
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
    fn every_step_of_a_creation_is_half_made_and_nothing_else() {
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
        }
        assert_eq!(Kind::of_file("shmcomm2_imu"), None);
        assert_eq!(Kind::Pub.hidden("a_b"), "shmcomm~pub_a_b");
    }
}
