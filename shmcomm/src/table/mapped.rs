//! [`Mapped`]: the mapped segment of a table, for its readers.
//!
//! Owns both mappings: all words for loads only, and the page of the events from the first wait on. Calls `segment` and
//! `ring`. Never waits.

use crate::error::Error;
use crate::layout::{KeyPlace, control};
use crate::ring::table::KeyReader;
use crate::segment::{EventPage, Participant, View};
use crate::wait::EventCount;
use std::sync::{Arc, OnceLock};

/// A mapped table.
pub(crate) struct Mapped {
    pub(crate) view: View,
    pub(crate) keys: Vec<KeyReader>,
    places: Arc<[KeyPlace]>,
    events: OnceLock<EventPage>,
}

impl Mapped {
    pub(crate) fn new(view: View, places: Arc<[KeyPlace]>) -> Arc<Self> {
        let key = |place: &KeyPlace| KeyReader::new(view.region(), view.geometry(), *place);
        let keys = places.iter().map(key).collect();
        Arc::new(Mapped { view, keys, places, events: OnceLock::new() })
    }

    /// Returns the writers of the key with this index, alive and dead. Takes a system call of 200 to 500 ns for each.
    pub(crate) fn writers(&self, index: u32) -> Vec<Participant> {
        let place = self.places.get(index as usize);
        place.map_or_else(Vec::new, |place| self.view.writers(index, place.offset))
    }

    /// Returns `true` if a writer of the key is alive.
    pub(super) fn is_written(&self, index: u32) -> bool {
        self.writers(index).iter().any(|writer| writer.alive)
    }

    /// Maps the events, if they are not mapped yet.
    pub(crate) fn map_events(&self) -> Result<(), Error> {
        if self.events.get().is_none() {
            let page = self.view.event_page()?;
            // Another thread may have mapped them meanwhile. Then this mapping is not needed.
            let _ = self.events.set(page);
        }
        Ok(())
    }

    /// Returns the event that a store notifies; `None` before [`Mapped::map_events`]. Must not be called in a forked child.
    pub(crate) fn event(&self) -> Option<EventCount> {
        self.events.get().map(|page| EventCount::new(page.region(), control::ITEMS))
    }
}
