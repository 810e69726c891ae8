//! [`Counters`]: the figures of one segment, read again and again by a program without an end.
//!
//! Owns the public form of the figures. Calls `inspect` once for the checks, then loads words of the mapping.
//! Takes no seat and no lock, and never writes.

use super::info::SegmentInfo;
use super::inspect::{self, Found, Intact};
use super::{ChannelPath, Participant, backlog, forward, mapping, seats};
use crate::error::{Error, ErrorKind};
use crate::layout::{Discipline, Geometry, Region, control};
use crate::os::{self, FileId, ForkId, Map};
use crate::sync::Ordering;

use std::path::PathBuf;

/// The counters of a channel, which a program without an end may read at any rate.
///
/// Participants do not notice a reader: it takes no seat and no lock. A reading takes well under a
/// microsecond for a native channel of publish/subscribe, and one system call for a channel of the Python
/// library.
///
/// ```no_run
/// let segments = shmcomm::list_segments()?;
/// let counters = shmcomm::Counters::open(&segments[0])?;
/// let before = counters.read();
/// std::thread::sleep(std::time::Duration::from_secs(1));
/// println!("{} messages in a second", counters.read().messages - before.messages);
/// # Ok::<(), shmcomm::Error>(())
/// ```
pub struct Counters {
    source: Source,
    path: PathBuf,
    id: FileId,
}

enum Source {
    Native {
        /// `None` after the drop in a forked child.
        map: Option<Map>,
        geometry: Box<Geometry>,
        /// The mapping is missing in a forked child.
        fork_id: ForkId,
    },
    #[cfg(feature = "python")]
    Python(super::version1::LiveHeader),
}

impl core::fmt::Debug for Counters {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Counters").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Counters of a channel since its segment was created. Each is loaded separately, so counters that change
/// meanwhile may be a few messages apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CounterValues {
    /// Messages sent.
    pub messages: u64,
    /// Payload bytes of these messages; `None` for channels of the Python library, which does not count them.
    pub bytes: Option<u64>,
    /// Positions without a message.
    pub holes: u64,
}

impl Counters {
    /// Opens the counters of a listed segment. Does not wait.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] if the segment has been removed since it was listed, [`ErrorKind::NotASegment`]
    /// if it is damaged, and the errors of opening a file.
    pub fn open(segment: &SegmentInfo) -> Result<Self, Error> {
        #[cfg(feature = "python")]
        if segment.version == 1 {
            let (header, id) = super::version1::LiveHeader::open(&segment.channel, &segment.path)?;
            return Ok(Counters { source: Source::Python(header), path: segment.path.clone(), id });
        }
        let place = ChannelPath::listed(&segment.channel, segment.group.as_deref())?;
        let found = match inspect::find(&place)? {
            Found::Intact(found) => found,
            Found::Nothing => return Err(place.error(ErrorKind::NotFound, "its segment has been removed")),
            Found::HalfMade { .. } => return Err(inspect::damaged(&place, "it is shorter than a header")),
            Found::Damaged { why, .. } | Found::LeadsNowhere { why, .. } => {
                return Err(inspect::damaged(&place, &why));
            }
        };
        let Intact { file, stat, geometry, .. } = *found;
        let map = usize::try_from(geometry.slots_offset)
            .map_err(std::io::Error::other)
            .and_then(|len| os::map(file, len, false))
            .map_err(|error| super::system(&place, "map", error))?;
        let fork_id = ForkId::here().map_err(|error| super::system(&place, "map", error))?;
        let source = Source::Native { map: Some(map), geometry: Box::new(geometry), fork_id };
        Ok(Counters { source, path: place.path().to_owned(), id: stat.id })
    }

    /// Returns the present counters; zeros in the child of a fork, where the segment is not mapped.
    pub fn read(&self) -> CounterValues {
        match &self.source {
            Source::Native { map: Some(map), geometry, fork_id } if !fork_id.forked() => {
                read(&mapping::region(map), geometry)
            }
            Source::Native { .. } => CounterValues::default(),
            #[cfg(feature = "python")]
            Source::Python(header) => {
                CounterValues { messages: header.messages(), ..CounterValues::default() }
            }
        }
    }

    /// Returns `true` if the name of the channel still stands for this segment. Takes a system call.
    pub fn is_current(&self) -> bool {
        forward::stands_for(&self.path, self.id)
    }
}

impl Drop for Counters {
    fn drop(&mut self) {
        if let Source::Native { map, fork_id, .. } = &mut self.source
            && fork_id.forked()
            && let Some(map) = map.take()
        {
            map.forget();
        }
    }
}

fn read(region: &Region, geometry: &Geometry) -> CounterValues {
    // Relaxed: a figure to show.
    let holes = region.u64(control::HOLES).load(Ordering::Relaxed);
    let sent = seats::sent(region, geometry);
    if geometry.discipline != Discipline::Queue {
        return CounterValues { messages: sent.messages, bytes: Some(sent.bytes), holes };
    }
    let participants: Vec<_> = (0..geometry.seats)
        .filter_map(|index| seats::read(region, geometry, index))
        // Only what it has sent counts here.
        .map(|entry| Participant::new(region, geometry, entry, true))
        .collect();
    let (messages, bytes) = backlog::sent(sent, &participants);
    CounterValues { messages, bytes: Some(bytes), holes }
}
