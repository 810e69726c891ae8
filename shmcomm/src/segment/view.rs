//! [`View`]: a segment that is mapped for loads only, without a seat for an observer.
//!
//! Owns that mapping and what its header says. Calls `inspect` for the checks, `seats` for the entries. Never
//! takes a lock, never stores a word: no participant can notice a view.

use super::forward::{self, Standing};
use super::inspect::{self, Found, Intact};
use super::{ChannelPath, EventPage, Participant, Sent, mapping, registration, seats, system};
use crate::error::{Error, ErrorKind};
use crate::layout::{FLAG_MANY, Format, Geometry, Identity, Pattern, Region, Words, control, seat};
use crate::os::{self, File, FileId, ForkId};
use crate::plural::count;
use crate::sync::Ordering;
use std::io;
use std::mem::ManuallyDrop;

/// Shared memory of a file, mapped for loads only.
///
/// Invariants:
/// 1. `region` is a view of `map`.
/// 2. In the child of a fork the memory is not mapped. A user of the region checks [`ReadMap::forked`] before.
pub(crate) struct ReadMap {
    region: Region,
    fork_id: ForkId,
    map: ManuallyDrop<os::Map>,
}

impl ReadMap {
    /// Maps the first `len` bytes of `file`.
    pub(crate) fn new(file: File, len: usize) -> io::Result<Self> {
        let fork_id = ForkId::here()?;
        let map = os::map_read_only(file, len)?;
        Ok(ReadMap { region: mapping::region(&map), fork_id, map: ManuallyDrop::new(map) })
    }

    /// Returns the bytes. Valid while this lives, and not in a forked child.
    pub(crate) fn region(&self) -> Region {
        self.region
    }

    /// Returns `true` in a forked child of the process that made the mapping.
    #[inline]
    pub(crate) fn forked(&self) -> bool {
        self.fork_id.forked()
    }
}

impl Drop for ReadMap {
    fn drop(&mut self) {
        // SAFETY: `map` is not used after this, nor is `region`.
        let map = unsafe { ManuallyDrop::take(&mut self.map) };
        if self.fork_id.forked() {
            map.forget();
        }
    }
}

/// A segment, for observers.
///
/// Invariants:
/// 1. `map` has at least the bytes before the slots; it has the whole segment unless the view was made by
///    [`View::of_header`]. `geometry` has been checked.
/// 2. In the child of a fork the memory is not mapped. A user of the region checks [`View::forked`] before.
pub(crate) struct View {
    region: Region,
    /// The word [`control::STATE`].
    state: Words<8>,
    map: ReadMap,
    geometry: Geometry,
    identity: Identity,
    pattern: Pattern,
    format: Format,
    schema: String,
    place: ChannelPath,
    file: File,
    id: FileId,
}

/// The state of the publishers of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Publishing {
    /// A publisher is alive. On a channel of one publisher: its process and the time of its join.
    Alive(Option<(u32, i64)>),
    /// A participant joins or leaves at this moment.
    Unsettled,
    /// No publisher is alive.
    Nothing,
}

impl View {
    /// Maps the segment of a channel, by its full name: the private one, or else that of a group. Returns `None` if there
    /// is none.
    pub(crate) fn open(channel: &str) -> Result<Option<View>, Error> {
        Self::find(channel, |geometry| geometry.segment_size)
    }

    /// Maps everything before the slots. The ring of the region must not be used.
    pub(crate) fn of_header(channel: &str) -> Result<Option<View>, Error> {
        Self::find(channel, |geometry| geometry.slots_offset)
    }

    /// Maps what [`View::of_header`] maps, of the channel of a group.
    pub(crate) fn of_header_in(channel: &str, group: &str) -> Result<Option<View>, Error> {
        Self::at(ChannelPath::listed(channel, Some(group))?, |geometry| geometry.slots_offset)
    }

    fn find(channel: &str, len: fn(&Geometry) -> u64) -> Result<Option<View>, Error> {
        let private = Self::at(ChannelPath::new(channel)?, len)?;
        if private.is_some() {
            return Ok(private);
        }
        // What one group has does not hide the channel of another one.
        let mut first = Ok(None);
        for place in ChannelPath::in_groups(channel)? {
            match Self::at(place, len) {
                Ok(Some(view)) => return Ok(Some(view)),
                Ok(None) => {}
                Err(error) => first = first.and(Err(error)),
            }
        }
        first
    }

    /// Returns the name of the group that shares the channel; `None` if it is private.
    pub(crate) fn group(&self) -> Option<&str> {
        self.place.sharing().map(|sharing| sharing.name())
    }

    fn at(place: ChannelPath, len: fn(&Geometry) -> u64) -> Result<Option<View>, Error> {
        let found = match inspect::find(&place)? {
            Found::Nothing | Found::HalfMade { .. } | Found::LeadsNowhere { .. } => return Ok(None),
            Found::Damaged { why, .. } => return Err(inspect::damaged(&place, &why)),
            Found::Intact(found) => *found,
        };
        Self::map(place, found, len).map(Some)
    }

    /// Maps a segment that was found intact.
    pub(super) fn of(place: ChannelPath, found: Intact) -> Result<View, Error> {
        Self::map(place, found, |geometry| geometry.segment_size)
    }

    fn map(place: ChannelPath, found: Intact, len: fn(&Geometry) -> u64) -> Result<View, Error> {
        let Intact { file, stat, identity, geometry, pattern, format, schema } = found;
        let size = len(&geometry);
        let len = usize::try_from(size).map_err(|_| {
            let why = format!("the segment has {}, more than this process can address", count(size, "byte"));
            place.error(ErrorKind::InvalidGeometry, why)
        })?;
        let map = ReadMap::new(file.clone(), len).map_err(|error| system(&place, "map", error))?;
        let (region, id) = (map.region(), stat.id);
        let state = region.words(control::STATE);
        Ok(View { region, state, map, geometry, identity, pattern, format, schema, place, file, id })
    }

    /// Returns the bytes of the segment. Valid while this view lives, and not in a forked child.
    pub(crate) fn region(&self) -> Region {
        self.region
    }

    pub(crate) fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(crate) fn pattern(&self) -> Pattern {
        self.pattern
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    pub(crate) fn schema(&self) -> &str {
        &self.schema
    }

    /// Returns the full name of the channel.
    pub(crate) fn channel(&self) -> &str {
        self.place.name()
    }

    /// Maps the events of the segment, for an observer that sleeps in one.
    pub(crate) fn event_page(&self) -> Result<EventPage, Error> {
        EventPage::new(&self.place, &self.file)
    }

    /// Returns `true` in a forked child of the process that made the view.
    #[inline]
    pub(crate) fn forked(&self) -> bool {
        self.map.forked()
    }

    /// Returns the fork id of the process that made the view.
    pub(crate) fn fork_id(&self) -> ForkId {
        self.map.fork_id
    }

    /// Returns `true` if the segment was replaced or removed. Takes one load.
    #[inline]
    pub(crate) fn is_superseded(&self) -> bool {
        // Relaxed: it is set once and never cleared, and a process that loads it opens the channel again.
        self.state.u64(0).load(Ordering::Relaxed) != control::LIVE
    }

    /// Returns the participant on seat `index`, alive or dead. Takes a system call of 200 to 500 ns if there is one.
    pub(crate) fn participant(&self, index: u32) -> Option<Participant> {
        let entry = seats::read(&self.region, &self.geometry, index)?;
        Some(Participant::new(&self.region, &self.geometry, entry, seats::alive(&self.file, index)))
    }

    /// Returns the participants that store the key of a table with this index and offset, alive or dead. Takes a system call
    /// of 200 to 500 ns for each.
    pub(crate) fn writers(&self, index: u32, offset: u64) -> Vec<Participant> {
        if self.identity.flags & FLAG_MANY == 0 {
            return self.participant(index).into_iter().collect();
        }
        let position = |seat: &u32| {
            // Relaxed: for display. A writer stores it once.
            self.region.u64(self.geometry.seat(*seat) + seat::POSITION).load(Ordering::Relaxed)
        };
        let writers = (0..self.geometry.seats).filter(|seat| position(seat) == offset + 1);
        writers.filter_map(|seat| self.participant(seat)).collect()
    }

    /// Returns `true` if the name of the channel belongs to another file. Takes one system call, or six if
    /// the file was removed.
    pub(crate) fn is_replaced(&self) -> bool {
        forward::standing(self.place.path(), self.id) == Standing::Other
    }

    /// Returns the segment that has the channel's name now, if it is another one.
    pub(crate) fn successor(&self) -> Result<Option<View>, Error> {
        Ok(View::open(self.channel())?.filter(|view| view.id != self.id))
    }

    /// Returns the state of the publishers. Takes one or two system calls of 200 to 500 ns.
    pub(crate) fn publishing(&self) -> Publishing {
        let taken = |seat: &u32| {
            // [entry read] pairs with [entry written].
            self.region.u32(self.geometry.seat(*seat) + seat::ROLE).load(Ordering::Acquire) != 0
        };
        let alive = (0..self.geometry.publishers).filter(taken).find(|seat| seats::alive(&self.file, *seat));
        match alive {
            Some(_) if self.geometry.publishers > 1 => Publishing::Alive(None),
            Some(seat) => match seats::read(&self.region, &self.geometry, seat) {
                Some(entry) => Publishing::Alive(Some((entry.pid, entry.joined))),
                None => Publishing::Unsettled,
            },
            None if registration::is_held(&self.file) => Publishing::Unsettled,
            None => Publishing::Nothing,
        }
    }

    /// Returns the position behind the newest message of a broadcast ring, in a snapshot.
    pub(crate) fn head(&self) -> u64 {
        seats::sent(&self.region, &self.geometry).head
    }

    /// Returns the counts of the messages that the channel has sent.
    pub(crate) fn sent(&self) -> Sent {
        seats::sent(&self.region, &self.geometry)
    }

    /// Returns every participant that has an entry, with its liveness.
    pub(crate) fn participants(&self) -> Vec<Participant> {
        (0..self.geometry.seats)
            .filter_map(|index| seats::read(&self.region, &self.geometry, index))
            .map(|entry| {
                let alive = seats::alive(&self.file, entry.seat);
                Participant::new(&self.region, &self.geometry, entry, alive)
            })
            .collect()
    }
}
