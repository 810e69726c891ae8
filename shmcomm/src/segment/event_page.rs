//! [`EventPage`]: the control words of a segment, writable for a reader that has no seat and sleeps in an event.
//!
//! Owns that mapping. Calls `os`. Never maps a slot or a key, so a reader can store nothing there.

use super::{ChannelPath, mapping, system};
use crate::error::Error;
use crate::layout::{PAGE, Region};
use crate::os::{self, File, ForkId};
use std::mem::ManuallyDrop;

/// The first page of a segment, mapped writable.
///
/// Invariants:
/// 1. `region` is a view of `map`.
/// 2. In the child of a fork the memory is not mapped. A user of the region checks [`View::forked`](super::View::forked)
///    before.
pub(crate) struct EventPage {
    region: Region,
    fork_id: ForkId,
    map: ManuallyDrop<os::Map>,
}

impl EventPage {
    /// Maps the first page of `file`. A segment has at least the pages of its control words and its seats.
    pub(super) fn new(place: &ChannelPath, file: &File) -> Result<Self, Error> {
        let fork_id = ForkId::here().map_err(|error| system(place, "map", error))?;
        let map = os::map(file.clone(), PAGE, false).map_err(|error| system(place, "map", error))?;
        Ok(EventPage { region: mapping::region(&map), fork_id, map: ManuallyDrop::new(map) })
    }

    /// Returns the words before the seats. Valid while this lives, and not in a forked child.
    pub(crate) fn region(&self) -> Region {
        self.region
    }
}

impl Drop for EventPage {
    fn drop(&mut self) {
        // SAFETY: `map` is not used after this, nor is `region`.
        let map = unsafe { ManuallyDrop::take(&mut self.map) };
        if self.fork_id.forked() {
            map.forget();
        }
    }
}
