//! [`Attachment`]: one participant's hold of a segment.
//!
//! Owns the mapping with the seat's lock, and leaving. What can be asked of a mapped segment, by its
//! participant or by a [`Witness`], is in `hold`. Calls `seats` and `os`. Never waits for a message,
//! and never reads one.

use super::hold::{Hold, Witness};
use super::probe::Probe;
use super::seats::{self, Registration};
use super::{Keeper, Place, Role, create, system};
use crate::Error;
use crate::fault::fault_point;
use crate::layout::Geometry;
use crate::os::{self, FileId, Lineage};
use std::fs::File;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::{Arc, Mutex, OnceLock};

/// How a participant came to its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It made it.
    Created,
    /// It was there, made by another participant, alive or dead.
    Joined,
    /// It made it in the place of one that could not be used.
    Replaced,
}

/// A mapped segment and a file to ask for locks.
pub(super) struct Held {
    pub(super) place: Place,
    pub(super) probe: File,
    pub(super) map: os::Map,
    pub(super) id: FileId,
    pub(super) geometry: Geometry,
    /// `layout::FLAG_*`, of the segment.
    pub(super) flags: u32,
}

/// A participant of a segment, from its registration until it is dropped or dies.
///
/// Invariants:
/// 1. `map` is the whole segment, `geometry` has been checked against its length, and `region` is
///    a view of it.
/// 2. While `map` lives, byte `seat` of the file is locked for it; nobody else writes the entry of
///    that seat.
/// 3. In the child of a fork the memory is not there. Whoever touches the region asks
///    [`Attachment::forked`] before.
///
/// Dropping it leaves: the entry is emptied, the lock goes, and the last participant removes the
/// name. A killed process does none of that but lose the lock, and the others see to the rest.
pub(crate) struct Attachment {
    hold: Hold,
    role: Role,
    arrival: Arrival,
    witness: OnceLock<Arc<Witness>>,
    map: ManuallyDrop<os::Map>,
}

impl Deref for Attachment {
    type Target = Hold;

    #[inline]
    fn deref(&self) -> &Hold {
        &self.hold
    }
}

impl Attachment {
    /// Of a participant whose seat is locked for the map's open file description.
    pub(super) fn new(held: Held, seat: u32, role: Role, keeper: Keeper) -> Result<Self, Error> {
        let Held { place, probe, map, id, geometry, flags } = held;
        let lineage = Lineage::here().map_err(|error| system(&place, "map", error))?;
        let region = create::region(&map);
        let (probe, gate) = (Arc::new(Probe::new(probe, id)), Arc::new(Mutex::new(())));
        let (own, first) = (region.line(geometry.seat(seat)), region.line(geometry.seat(0)));
        let hold = Hold { region, geometry, own, first, flags, seat, keeper, place, lineage, probe, gate };
        let map = ManuallyDrop::new(map);
        Ok(Attachment { hold, role, arrival: Arrival::Joined, witness: OnceLock::new(), map })
    }

    pub(super) fn arrived(&mut self, arrival: Arrival) {
        self.arrival = arrival;
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    pub(crate) fn arrival(&self) -> Arrival {
        self.arrival
    }

    /// What looks after this segment in its participant's stead; made by the first call, which also
    /// announces that the participant may sleep.
    pub(crate) fn witness(&self) -> Result<&Arc<Witness>, Error> {
        if let Some(witness) = self.witness.get() {
            return Ok(witness);
        }
        let made = Witness::new(&self.hold)?;
        Ok(self.witness.get_or_init(|| made))
    }

    /// What is left of a participant that is killed: everything but its lock.
    #[cfg(test)]
    pub(super) fn abandon(self) {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `map` is not used after this: `this` is never dropped.
        unsafe { ManuallyDrop::drop(&mut this.map) };
        // SAFETY: as for `map`.
        unsafe { std::ptr::drop_in_place(&raw mut this.hold) };
    }

    fn leave(&mut self) {
        let hold = &self.hold;
        let probe = hold.probe.file().map_err(|error| system(&hold.place, "lock", error));
        let registration = probe.and_then(|probe| Ok((probe, Registration::wait(&hold.place, probe)?)));
        let mut last = false;
        if let Ok((probe, _)) = &registration {
            (hold.keeper.sweep)(&hold.region, &hold.geometry, hold.seat);
            fault_point!("segment.leaving");
            seats::clear(&hold.region, &hold.geometry, hold.seat);
            fault_point!("segment.left");
            seats::update_modes(&hold.region, &hold.geometry, probe, (hold.seat, false));
            // Those who waited for this one look up and see that it has gone.
            if !matches!(self.role, Role::Subscriber | Role::Puller) {
                seats::wake_all(&hold.region, Some(&hold.geometry));
            }
            last = !seats::any_seated(&hold.region, &hold.geometry, probe)
                && (hold.keeper.spent)(&hold.region, &hold.geometry);
        }
        // SAFETY: `map` is not used after this, nor is `region`: `drop` ends with this function.
        unsafe { ManuallyDrop::drop(&mut self.map) };
        fault_point!("segment.unmapped");
        if let Err(error) = registration {
            log::warn!(target: "shmcomm", "{error}; left without a clean-up, which others will do");
            return;
        }
        // Nobody has joined meanwhile, as the registration lock is held.
        if !last || !hold.name_refers_here() {
            return;
        }
        fault_point!("segment.last");
        match os::unlink(hold.place.path()) {
            Ok(()) => {
                log::info!(target: "shmcomm", "channel `{}`: destroyed, its last participant left", hold.channel());
            }
            Err(error) => {
                log::warn!(target: "shmcomm", "channel `{}`: cannot remove its segment: {error}", hold.channel());
            }
        }
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        if let Some(witness) = self.witness.get() {
            witness.end();
        }
        if self.forked() {
            // SAFETY: `map` is not used after this.
            let map = unsafe { ManuallyDrop::take(&mut self.map) };
            map.forget();
        } else {
            self.leave();
        }
    }
}
