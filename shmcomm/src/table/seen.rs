//! [`Seen`]: the versions that a reader has loaded, for the reader and for the sets that it is in.
//!
//! Owns these versions, and the segment that sets poll. Calls `segment` and `wait`. Never loads a value.
//!
//! A wait reports each key whose version differs from the version that the reader loaded last. A set polls a reader in another thread.
//! So it has a share in the mapped segment, and goes over to a new segment by itself. Until the reader goes over too,
//! every key of the new segment counts as not loaded.

use super::mapped::Mapped;
use crate::error::Error;
use crate::layout::KeyPlace;
use crate::os::ForkId;
use crate::segment::{self, Spec};
use crate::sync::{AtomicBool, AtomicU64, Ordering};
use crate::wait::{Watch, Word, max_sleep_since};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The keys that a wait is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyIndices {
    chosen: Chosen,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Chosen {
    All,
    /// The first `count` of these indices.
    Few {
        indices: [u32; 8],
        count: u8,
    },
    /// Any number of indices, chosen at run time.
    Several(Arc<[u32]>),
}

impl KeyIndices {
    /// Every key of the table.
    pub(crate) const ALL: KeyIndices = KeyIndices { chosen: Chosen::All };

    /// Returns the keys with these indices, 1 to 8.
    pub(crate) fn of<const N: usize>(given: [u32; N]) -> Self {
        const { assert!(0 < N && N <= 8) };
        let mut indices = [0; 8];
        indices[..N].copy_from_slice(&given);
        KeyIndices { chosen: Chosen::Few { indices, count: N as u8 } }
    }

    /// Returns the keys with these indices, each less than the number of keys.
    pub(crate) fn several(indices: impl Into<Arc<[u32]>>) -> Self {
        KeyIndices { chosen: Chosen::Several(indices.into()) }
    }

    /// Returns `true` if one of these keys satisfies the condition. `keys` is the number of keys of the table.
    #[inline]
    pub(super) fn any(&self, keys: usize, mut satisfies: impl FnMut(usize) -> bool) -> bool {
        let indices = match &self.chosen {
            Chosen::All => return (0..keys).any(satisfies),
            Chosen::Few { indices, count } => &indices[..usize::from(*count)],
            Chosen::Several(indices) => indices,
        };
        indices.iter().any(|&index| satisfies(index as usize))
    }
}

/// The state that a reader shares with the sets that it is in.
pub(crate) struct Seen {
    /// Version of each key that the reader loaded last, in its segment.
    versions: Box<[AtomicU64]>,
    fork_id: ForkId,
    /// The segment that sets poll; `None` before the reader is put into a set.
    watched: Mutex<Option<WatchedSegment>>,
    /// Set when the reader was dropped.
    ended: AtomicBool,
}

struct WatchedSegment {
    mapped: Arc<Mapped>,
    /// `true` if the reader has not gone over to this segment.
    ahead: bool,
    /// Time at which the lease of the sleepers was renewed when there was none.
    announced: Instant,
}

impl Seen {
    pub(super) fn new(keys: usize, fork_id: ForkId) -> Arc<Self> {
        Arc::new(Seen {
            versions: (0..keys).map(|_| AtomicU64::new(0)).collect(),
            fork_id,
            watched: Mutex::new(None),
            ended: AtomicBool::new(false),
        })
    }

    /// Records that the reader has loaded this version of a key.
    #[inline]
    pub(super) fn loaded(&self, key: usize, version: u64) {
        // Relaxed, here and below: a set that loads an old value reports a key that was loaded meanwhile.
        self.versions[key].store(version, Ordering::Relaxed);
    }

    /// Returns `true` if one of the keys was stored since the reader loaded it last.
    #[inline]
    pub(super) fn has_changed(&self, mapped: &Mapped, keys: &KeyIndices) -> bool {
        let changed = |key: usize| mapped.keys[key].version() != self.versions[key].load(Ordering::Relaxed);
        keys.any(mapped.keys.len(), changed)
    }

    fn lock(&self) -> MutexGuard<'_, Option<WatchedSegment>> {
        // A panic leaves the old or the new segment, both of them complete.
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that the reader has gone over to another segment.
    pub(super) fn moved(&self, mapped: &Arc<Mapped>) {
        if self.lock().is_some() {
            // If it fails, the set gets no wake-ups of this segment, and polls it every 50 ms.
            let _ = mapped.map_events();
        }
        let new = WatchedSegment { mapped: mapped.clone(), ahead: false, announced: Instant::now() };
        let old = {
            let mut watched = self.lock();
            for version in &self.versions {
                version.store(0, Ordering::Relaxed);
            }
            watched.as_mut().map(|watched| mem::replace(watched, new))
        };
        // Unmaps the old segment, if no set uses it: outside of the lock.
        drop(old);
    }

    /// Records that the reader was dropped.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// Lets sets poll this segment, if they poll none yet.
    pub(super) fn watch(&self, mapped: &Arc<Mapped>) -> Result<(), Error> {
        mapped.map_events()?;
        let mut watched = self.lock();
        let first = || WatchedSegment { mapped: mapped.clone(), ahead: false, announced: Instant::now() };
        watched.get_or_insert_with(first);
        Ok(())
    }
}

/// The view of a reader for a set.
pub(super) struct ChangeWatch {
    seen: Arc<Seen>,
    keys: KeyIndices,
    spec: Spec,
    places: Arc<[KeyPlace]>,
}

impl ChangeWatch {
    pub(super) fn new(seen: Arc<Seen>, keys: KeyIndices, spec: Spec, places: Arc<[KeyPlace]>) -> Self {
        ChangeWatch { seen, keys, spec, places }
    }

    /// Calls `step` with the segment. In the child of a fork the mutex may stay locked for ever.
    fn with<T>(&self, step: impl FnOnce(&mut WatchedSegment) -> T) -> Option<T> {
        if self.seen.fork_id.forked() {
            return None;
        }
        self.seen.lock().as_mut().map(step)
    }

    /// Goes over to the segment that has the name of the table now, if the old one was removed or replaced.
    fn follow(&self) {
        let superseded = |watched: &mut WatchedSegment| {
            watched.mapped.view.is_superseded().then(|| watched.mapped.clone())
        };
        let Some(old) = self.with(superseded).flatten() else { return };
        // Outside of the lock: it may write log records. An error may be temporary, and the next round tries again. The
        // reader reports it with `follow_error`.
        let Ok(Some(view)) = segment::observe_now(&self.spec) else { return };
        let mapped = Mapped::new(view, self.places.clone());
        if mapped.map_events().is_err() {
            return;
        }
        let new = WatchedSegment { mapped, ahead: true, announced: Instant::now() };
        let replaced = self.with(|watched| {
            // The reader may have gone over meanwhile.
            Arc::ptr_eq(&watched.mapped, &old).then(|| mem::replace(watched, new))
        });
        drop(replaced);
    }
}

impl Watch for ChangeWatch {
    fn poll_once(&self) -> bool {
        let changed = |watched: &mut WatchedSegment| {
            let mapped = &watched.mapped;
            if watched.ahead {
                self.keys.any(mapped.keys.len(), |key| mapped.keys[key].version() != 0)
            } else {
                self.seen.has_changed(mapped, &self.keys)
            }
        };
        self.with(changed).unwrap_or(true)
    }

    fn housekeeping(&self) -> bool {
        self.follow();
        self.poll_once()
    }

    fn prepare_wait(&self) -> Option<Word> {
        self.with(|watched| {
            let event = watched.mapped.event()?;
            if event.renew_lease() {
                watched.announced = Instant::now();
            }
            Some(event.prepare_wait())
        })?
    }

    fn max_sleep(&self) -> Duration {
        self.with(|watched| max_sleep_since(watched.announced)).unwrap_or(Duration::ZERO)
    }

    fn is_over(&self) -> bool {
        // Relaxed: an independent flag.
        !self.seen.fork_id.forked() && self.seen.ended.load(Ordering::Relaxed)
    }
}
