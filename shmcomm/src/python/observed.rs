//! [`ObservedSegment`]: a channel of the Python library as an observer sees it, without a place among its ends.
//!
//! Owns a mapping of the header for loads only, and the position of the observer. Reads slots from the file, so
//! that no page of a sparse file is made. Calls `ring` for the head. Never writes to the segment.

use super::v1::name::SegmentPaths;
use super::v1::ring::head_of;
use super::v1::segment::check_owner;
use crate::error::{Error, ErrorKind};
use crate::layout::Pattern;
use crate::layout::v1::{HEADER, Header, Kind, OURS, PREFIX, Shape, word};
use crate::os::{self, File, FileId};
use crate::segment::ReadMap;
use crate::sync::{Ordering, fence};
use std::io;

/// A segment of version 1, for observers.
pub(crate) struct ObservedSegment {
    place: SegmentPaths,
    file: File,
    id: FileId,
    shape: Shape,
    ours: bool,
    map: ReadMap,
    next: u64,
}

/// Result of a read.
pub(crate) enum ObservedRead {
    Empty,
    Missed(u64),
    Message(usize),
}

impl ObservedSegment {
    /// Finds the segment of a channel by its name: of a publisher, else of a queue, else of a service.
    pub(crate) fn find(name: &str) -> Result<Option<ObservedSegment>, Error> {
        for kind in [Kind::Pub, Kind::Push, Kind::Req] {
            // Python could not use the name, so there is no such channel.
            let Ok(place) = SegmentPaths::new(kind, name) else { continue };
            if let Some(found) = Self::open(place)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn open(place: SegmentPaths) -> Result<Option<ObservedSegment>, Error> {
        let file = match os::open(place.path()) {
            Ok(file) => file,
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidFilename) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(place.system("open", error)),
        };
        let stat = os::stat(&file).map_err(|error| place.system("examine", error))?;
        check_owner(&place, &stat)?;
        if stat.len < HEADER as u64 {
            return Ok(None);
        }
        let mut bytes = [0; HEADER];
        os::read_at(&file, &mut bytes, 0).map_err(|error| place.system("read", error))?;
        let words = Header::from_bytes(&bytes);
        let path = place.path().display();
        let refuse = |kind, why: String| {
            Err(place
                .error(kind, format!("{path} {why}; delete it, and restart the process that created it")))
        };
        let shape = match Header::read(&words, stat.len) {
            Header::Complete(shape) => shape,
            Header::HalfMade => return Ok(None),
            Header::NotASegment { magic } => {
                return refuse(
                    ErrorKind::NotASegment,
                    format!("starts with {magic:#018x}: it is no segment"),
                );
            }
            Header::Version(version) => {
                return refuse(
                    ErrorKind::Version,
                    format!("has version {version} of the format, not version 1"),
                );
            }
            Header::Impossible(why) => {
                return refuse(ErrorKind::NotASegment, format!("is damaged: its header claims {why}"));
            }
        };
        let map = ReadMap::new(file.clone(), HEADER).map_err(|error| place.system("map", error))?;
        let (id, ours) = (stat.id, words[word::MARK] == OURS);
        let mut segment = ObservedSegment { place, file, id, shape, ours, map, next: 0 };
        segment.next = segment.head().unwrap_or(0);
        Ok(Some(segment))
    }

    pub(crate) fn name(&self) -> &str {
        self.place.name()
    }

    pub(crate) fn pattern(&self) -> Pattern {
        match self.place.kind() {
            Kind::Pub => Pattern::PubSub,
            Kind::Push => Pattern::PushPull,
            Kind::Req | Kind::Rep => Pattern::ReqRep,
        }
    }

    pub(crate) fn slots(&self) -> u64 {
        self.shape.slots
    }

    pub(crate) fn slot_size(&self) -> u64 {
        self.shape.slot_size
    }

    /// Returns the payload capacity of a slot, in bytes.
    pub(crate) fn capacity(&self) -> usize {
        self.shape.capacity()
    }

    /// Returns the number of messages that were written.
    pub(crate) fn sent(&self) -> u64 {
        self.word(word::MSG_COUNT, Ordering::Relaxed)
    }

    /// Returns `true` in a child of the process that made the segment, in which the header is not mapped.
    pub(crate) fn forked(&self) -> bool {
        self.map.forked()
    }

    fn word(&self, index: usize, order: Ordering) -> u64 {
        u64::from_le(self.map.region().u64(8 * index).load(order))
    }

    /// Returns the number of messages that have ever been written; `None` if the count is never at rest.
    pub(crate) fn head(&self) -> Option<u64> {
        head_of(self.shape.slots, |word, order| self.word(word, order))
    }

    /// Returns the position of the message that is read next.
    pub(crate) fn position(&self) -> u64 {
        self.next
    }

    /// Returns the number of messages from `position` on. Any process can write the words.
    fn ahead(&self, position: u64) -> Option<u64> {
        self.head().map(|head| head.wrapping_sub(position)).filter(|&ahead| ahead <= u64::MAX / 2)
    }

    /// Returns `true` if a read at `position` would find anything.
    pub(crate) fn ready_at(&self, position: u64) -> bool {
        self.ahead(position).is_some_and(|ahead| ahead > 0)
    }

    /// Continues with the oldest message that is still intact.
    pub(crate) fn seek_oldest(&mut self) {
        if let Some(head) = self.head() {
            self.next = head.saturating_sub(self.shape.slots - 1);
        }
    }

    /// Continues with the first message that was ever written.
    pub(crate) fn seek_start(&mut self) {
        self.next = 0;
    }

    /// Copies the next message to `buffer`, which has room for a slot: see `ring::read`.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> ObservedRead {
        let intact = self.shape.slots - 1;
        let Some(ahead) = self.ahead(self.next).filter(|&ahead| ahead > 0) else {
            return ObservedRead::Empty;
        };
        let missed = |segment: &mut ObservedSegment, lost: u64| {
            segment.next = segment.next.wrapping_add(lost);
            ObservedRead::Missed(lost)
        };
        if ahead > intact {
            return missed(self, ahead - intact);
        }
        let copied = self.copy(self.next % self.shape.slots, buffer);
        // The copy comes before the second check.
        fence(Ordering::Acquire);
        match self.ahead(self.next) {
            None => ObservedRead::Empty,
            Some(ahead) if ahead > intact => missed(self, ahead - intact),
            Some(_) => match copied {
                Some(len) => {
                    self.next = self.next.wrapping_add(1);
                    ObservedRead::Message(len)
                }
                // A length that no writer stores.
                None => missed(self, 1),
            },
        }
    }

    /// Copies the newest message to `buffer`, whether it was read before or not, and continues behind it.
    pub(crate) fn latest(&mut self, buffer: &mut [u8]) -> Option<usize> {
        const ATTEMPTS: u32 = 64;
        for _ in 0..ATTEMPTS {
            let newest = self.head()?.checked_sub(1)?;
            self.next = newest;
            match self.read(buffer) {
                ObservedRead::Message(len) => return Some(len),
                ObservedRead::Empty => return None,
                ObservedRead::Missed(_) => {}
            }
        }
        None
    }

    /// Copies a slot; `None` if it cannot hold the length that it claims.
    fn copy(&self, slot: u64, buffer: &mut [u8]) -> Option<usize> {
        let at = HEADER as u64 + slot * self.shape.slot_size;
        let mut prefix = [0; PREFIX];
        os::read_at(&self.file, &mut prefix, at).ok()?;
        let len = u32::from_le_bytes(prefix) as usize;
        let bytes = buffer.get_mut(..len).filter(|_| len <= self.shape.capacity())?;
        os::read_at(&self.file, bytes, at + PREFIX as u64).ok()?;
        Some(len)
    }

    /// Returns `true` if its owner is alive. An owner in Rust holds a lock. A process in Python counts as alive
    /// while the channel's name leads to the segment.
    pub(crate) fn owner_alive(&self) -> bool {
        let named = matches!(os::id_of_path(self.place.path()), Ok(Some(id)) if id == self.id);
        if self.ours { os::is_locked(&self.file, 0, 1).unwrap_or(named) } else { named }
    }

    /// Returns `true` if the channel's name leads to another file.
    pub(crate) fn is_replaced(&self) -> bool {
        matches!(os::id_of_path(self.place.path()), Ok(Some(id)) if id != self.id)
    }

    /// Returns the segment that the channel's name leads to now, if it is another one.
    pub(crate) fn successor(&self) -> Result<Option<ObservedSegment>, Error> {
        Ok(Self::open(self.place.clone())?.filter(|segment| segment.id != self.id))
    }
}
