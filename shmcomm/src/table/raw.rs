//! [`RawReader`]: a reader without the types of its keys. It follows its table to a new segment, and waits for changes.
//!
//! Owns the order of the checks before a load, and the condition of a wait ([`Changes`]). Calls `segment` for the mapping,
//! `wait` for the sleep. Never copies a value.
//!
//! A reader has no seat. So it announces its sleeps with a lease (`wait::lease`), in the page of the events, which it
//! maps with its first wait.

use super::mapped::Mapped;
use super::seen::{ChangeWatch, KeyIndices, Seen};
use super::{LoadError, TableWaitError};
use crate::error::Error;
use crate::layout::KeyPlace;
use crate::segment::{self, Spec, View};
use crate::wait::{self, Deadline, EventCount, Seated, SleepBackoff, Stop, WaitFor};
use crate::waitset::Watched;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time between two searches for a new segment, after the old one was removed.
const SEARCH: Duration = Duration::from_millis(1);

/// A reader of a table, by the indices of its keys.
pub(crate) struct RawReader {
    pub(crate) mapped: Arc<Mapped>,
    pub(crate) seen: Arc<Seen>,
    pub(crate) stop: Stop,
    places: Arc<[KeyPlace]>,
    spec: Spec,
    backoff: SleepBackoff,
    /// Time of the last search for a new segment.
    searched: Option<Instant>,
    pub(crate) refused: Option<Error>,
}

impl RawReader {
    pub(crate) fn new(view: View, spec: Spec, places: impl Into<Arc<[KeyPlace]>>) -> Self {
        let fork_id = view.fork_id();
        let places = places.into();
        let mapped = Mapped::new(view, places.clone());
        RawReader {
            seen: Seen::new(mapped.keys.len(), fork_id),
            mapped,
            stop: Stop::given(spec.stop.as_ref()),
            places,
            spec,
            backoff: SleepBackoff::new(),
            searched: None,
            refused: None,
        }
    }

    /// Returns `true` if the mapping may be used, and its segment was not removed or replaced.
    #[inline(always)]
    pub(crate) fn is_current(&self) -> bool {
        !self.mapped.view.forked() && !self.mapped.view.is_superseded()
    }

    /// Checks that the mapping may be used, and goes over to a new segment if the old one was removed or replaced.
    #[inline]
    pub(crate) fn check(&mut self) -> Result<(), LoadError> {
        if self.mapped.view.forked() {
            return Err(LoadError::Forked);
        }
        if self.mapped.view.is_superseded() {
            self.follow(false);
        }
        Ok(())
    }

    /// Goes over to the segment that has the name of the table now, if there is one. With `waits` it maps the events too.
    #[cold]
    fn follow(&mut self, waits: bool) {
        if self.searched.is_some_and(|searched| searched.elapsed() < SEARCH) {
            return;
        }
        self.searched = Some(Instant::now());
        let found = segment::observe_now(&self.spec).and_then(|view| {
            let mapped = view.map(|view| Mapped::new(view, self.places.clone()));
            if let (Some(mapped), true) = (&mapped, waits) {
                mapped.map_events()?;
            }
            Ok(mapped)
        });
        match found {
            Ok(Some(mapped)) => {
                self.seen.moved(&mapped);
                self.mapped = mapped;
                self.refused = None;
                self.backoff.restart();
            }
            Ok(None) => {}
            Err(error) => self.refused = Some(error),
        }
    }

    /// Returns `true` if one of the keys was stored since it was loaded last.
    pub(crate) fn has_changed(&self, keys: &KeyIndices) -> bool {
        self.seen.has_changed(&self.mapped, keys)
    }

    /// Waits until one of the keys was stored since it was loaded last. Returns `false` at the deadline.
    pub(crate) fn wait(&mut self, keys: KeyIndices, deadline: Deadline) -> Result<bool, TableWaitError> {
        let changed = wait::wait(&mut self.changes(keys)?, deadline)?;
        if self.mapped.view.forked() { Err(TableWaitError::Forked) } else { Ok(changed.is_some()) }
    }

    /// Returns the condition of a wait.
    pub(crate) fn changes(&mut self, keys: KeyIndices) -> Result<Changes<'_>, TableWaitError> {
        if self.check().is_err() {
            return Err(TableWaitError::Forked);
        }
        let unavailable = |error: Error| TableWaitError::Unavailable(error.to_string());
        self.mapped.map_events().map_err(unavailable)?;
        Ok(Changes { reader: self, keys })
    }

    /// Returns the view of these keys for a set.
    pub(crate) fn watch(&self, keys: KeyIndices) -> Result<Watched, Error> {
        // In the child of a fork the set reports the reader, and a load returns the fork error.
        if !self.mapped.view.forked() {
            self.seen.watch(&self.mapped)?;
        }
        let (spec, places) = (self.spec.clone(), self.places.clone());
        Ok(Watched::new(ChangeWatch::new(self.seen.clone(), keys, spec, places)))
    }
}

impl Drop for RawReader {
    fn drop(&mut self) {
        self.seen.end();
    }
}

/// The change of a key, as an awaited condition. The events are mapped.
pub(crate) struct Changes<'r> {
    reader: &'r mut RawReader,
    keys: KeyIndices,
}

impl WaitFor for Changes<'_> {
    type Output = ();

    #[inline]
    fn poll_once(&mut self) -> Option<()> {
        self.reader.has_changed(&self.keys).then_some(())
    }

    fn housekeeping(&mut self) -> Option<()> {
        if self.reader.mapped.view.forked() {
            // The caller returns the fork error.
            return Some(());
        }
        if self.reader.mapped.view.is_superseded() {
            self.reader.follow(true);
        }
        if self.event().renew_lease() {
            self.reader.backoff.restart();
        }
        self.poll_once()
    }

    fn event(&self) -> EventCount {
        self.reader.mapped.event().expect("a reader that waits has mapped the events")
    }

    fn backoff(&mut self) -> &mut SleepBackoff {
        &mut self.reader.backoff
    }

    fn seat(&self) -> &impl Seated {
        &*self.reader.mapped
    }

    fn stop(&self) -> &Stop {
        &self.reader.stop
    }
}

impl Seated for Mapped {
    /// Does nothing: a reader renews its lease before each sleep.
    fn enable_notify(&self) {}

    fn channel(&self) -> &str {
        self.view.channel()
    }

    fn forked(&self) -> bool {
        self.view.forked()
    }
}
