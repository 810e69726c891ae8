//! [`Attachment`]: one participant's hold of a segment.
//!
//! Owns the mapping, the seat and its lock, and what follows from them: who else lives, sweeping
//! after the dead, leaving. Calls `seats` and `os`. Never waits for a message, and never reads one.

use super::probe::Probe;
use super::seats::{self, Registration};
use super::{Keeper, Participant, Place, Role, create, system};
use crate::Error;
use crate::fault::fault_point;
use crate::layout::{FLAG_WAIT, Geometry, Region, seat};
use crate::os::{self, FileId, Lineage};
use crate::sync::{AtomicU64, Ordering};
use std::fs::File;
use std::mem::ManuallyDrop;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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
    region: Region,
    geometry: Geometry,
    flags: u32,
    seat: u32,
    role: Role,
    keeper: Keeper,
    arrival: Arrival,
    place: Place,
    lineage: Lineage,
    probe: Probe,
    /// Threads of one process share `probe`, and so its locks: this keeps them apart.
    gate: Mutex<()>,
    map: ManuallyDrop<os::Map>,
}

impl Attachment {
    /// Of a participant whose seat is locked for the map's open file description.
    pub(super) fn new(held: Held, seat: u32, role: Role, keeper: Keeper) -> Result<Self, Error> {
        let Held { place, probe, map, id, geometry, flags } = held;
        let lineage = Lineage::here().map_err(|error| system(&place, "map", error))?;
        Ok(Attachment {
            region: create::region(&map),
            geometry,
            flags,
            seat,
            role,
            keeper,
            arrival: Arrival::Joined,
            place,
            lineage,
            probe: Probe::new(probe, id),
            gate: Mutex::new(()),
            map: ManuallyDrop::new(map),
        })
    }

    pub(super) fn arrived(&mut self, arrival: Arrival) {
        self.arrival = arrival;
    }

    pub(super) fn probe(&self) -> Result<&File, Error> {
        self.probe.file().map_err(|error| system(&self.place, "lock", error))
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// The bytes of the segment. Valid while this attachment lives, and not in a forked child.
    pub(crate) fn region(&self) -> Region {
        self.region
    }

    pub(crate) fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Whether the publisher of this segment waits for its subscribers.
    pub(crate) fn publisher_waits(&self) -> bool {
        self.flags & FLAG_WAIT != 0
    }

    pub(crate) fn seat(&self) -> u32 {
        self.seat
    }

    /// Where this participant's entry starts in the region.
    pub(crate) fn seat_offset(&self) -> usize {
        self.geometry.seat(self.seat)
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    pub(crate) fn arrival(&self) -> Arrival {
        self.arrival
    }

    /// Full name of the channel.
    pub(crate) fn channel(&self) -> &str {
        self.place.name()
    }

    /// Whether this process is a forked child of the one that attached; under 1 ns.
    #[inline]
    pub(crate) fn forked(&self) -> bool {
        self.lineage.forked()
    }

    /// Tells this process from its children, for what outlives a call and touches the region.
    #[inline]
    pub(crate) fn lineage(&self) -> Lineage {
        self.lineage
    }

    /// The error for what no participant leaves in a segment.
    pub(crate) fn damaged(&self, why: impl std::fmt::Display) -> Error {
        super::inspect::damaged(&self.place, &why.to_string())
    }

    /// Whether the participant on `seat` lives; a system call of 200 to 500 ns.
    pub(crate) fn peer_alive(&self, seat: u32) -> bool {
        self.probe.alive(seat)
    }

    /// Whether another segment has taken this one's place, or somebody has removed it.
    #[cfg(test)]
    pub(crate) fn is_superseded(&self) -> bool {
        use crate::layout::control::{LIVE, STATE};
        // Relaxed: it is only ever set, and whoever sees it opens the channel anew.
        self.region.u64(STATE).load(Ordering::Relaxed) != LIVE
    }

    /// Whether the channel's name still stands for this segment; a system call.
    pub(crate) fn name_refers_here(&self) -> bool {
        matches!(os::id_of_path(self.place.path()), Ok(Some(id)) if id == self.probe.id())
    }

    /// Everybody who has written an entry, and whether they live.
    pub(crate) fn participants(&self) -> Vec<Participant> {
        (0..self.geometry.seats)
            .filter_map(|index| seats::read(&self.region, &self.geometry, index))
            .map(|entry| {
                // No need to ask about oneself.
                let alive = entry.seat == self.seat || self.peer_alive(entry.seat);
                Participant::new(&self.region, &self.geometry, entry, alive)
            })
            .collect()
    }

    /// A counter in this participant's own entry: `layout::seat::*`.
    #[inline]
    pub(crate) fn seat_word(&self, at: usize) -> &AtomicU64 {
        self.region.u64(self.seat_offset() + at)
    }

    /// Whether somebody has taken seat `index` and not left it; a load. Whether that one lives is another
    /// question: [`Attachment::peer_alive`].
    #[inline]
    pub(crate) fn is_taken(&self, index: u32) -> bool {
        // [entry read] pairs with [entry written]: one that left did all it did before.
        self.region.u32(self.geometry.seat(index) + seat::ROLE).load(Ordering::Acquire) != 0
    }

    /// A lower bound of the participants of `role` that live.
    pub(crate) fn count_alive(&self, role: Role) -> usize {
        self.count_alive_where(role, |_| true)
    }

    /// As [`Attachment::count_alive`], of those whose entry, from the byte that is given, suits.
    pub(crate) fn count_alive_where(&self, role: Role, suits: impl Fn(usize) -> bool) -> usize {
        if self.forked() {
            return 0;
        }
        (0..self.geometry.seats)
            .filter(|&index| {
                let at = self.geometry.seat(index);
                // Relaxed: the lock decides.
                let role_there = self.region.u32(at + seat::ROLE).load(Ordering::Relaxed);
                role_there == role as u32 && suits(at) && self.peer_alive(index)
            })
            .count()
    }

    /// Announces that this participant may sleep from now on, so that others look for sleepers.
    /// Returns at once if it has been announced; waits at most 20 ms for others that join or leave, as
    /// its caller has a deadline to keep.
    pub(crate) fn announce_sleeper(&self) -> Result<(), Error> {
        let word = self.region.u32(self.seat_offset() + seat::MAY_SLEEP);
        // Relaxed: only this participant writes it.
        if word.load(Ordering::Relaxed) != 0 {
            return Ok(());
        }
        let _gate = self.gate();
        let probe = self.probe()?;
        let _registration = Registration::wait_for(&self.place, probe, Duration::from_millis(20))?;
        // Relaxed: read under the registration lock, which is held.
        word.store(1, Ordering::Relaxed);
        seats::update_modes(&self.region, &self.geometry, probe, (self.seat, true));
        Ok(())
    }

    /// Cleans up after participants that died: whatever the pattern says they left in the ring,
    /// then their entries. Returns how many there were; 0 also if somebody else is at it.
    pub(crate) fn sweep_dead(&self) -> u32 {
        let _gate = self.gate();
        let Ok(probe) = self.probe() else { return 0 };
        let Ok(Some(_registration)) = Registration::try_now(probe) else { return 0 };
        let mut swept = 0;
        for index in (0..self.geometry.seats).filter(|&index| index != self.seat) {
            // Relaxed: written under the registration lock, which is held.
            if self.region.u32(self.geometry.seat(index) + seat::ROLE).load(Ordering::Relaxed) == 0 {
                continue;
            }
            // To hold the lock of a seat is the proof that its participant is dead, and keeps a new
            // one off the seat until it is clean.
            if !matches!(seats::take(probe, index), Ok(true)) {
                continue;
            }
            // Read of the dead alone: the name allocates, and ends look for the dead while they send.
            let Some(entry) = seats::read(&self.region, &self.geometry, index) else {
                let _ = seats::give_back(probe, index);
                continue;
            };
            fault_point!("segment.sweeping");
            (self.keeper.sweep)(&self.region, &self.geometry, index);
            fault_point!("segment.swept");
            seats::clear(&self.region, &self.geometry, index);
            fault_point!("segment.buried");
            let _ = seats::give_back(probe, index);
            log::warn!(
                target: "shmcomm",
                "channel `{}`: {} {} (`{}`) on seat {index} died; cleaned up after it",
                self.channel(),
                entry.role.name(),
                entry.pid,
                entry.name
            );
            swept += 1;
        }
        if swept > 0 {
            seats::update_modes(&self.region, &self.geometry, probe, (self.seat, true));
        }
        swept
    }

    /// Wakes everybody who sleeps in the segment, so that they look at it again.
    pub(crate) fn wake_all(&self) {
        seats::wake_all(&self.region, Some(&self.geometry));
    }

    /// What is left of a participant that is killed: everything but its lock.
    #[cfg(test)]
    pub(super) fn abandon(self) {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `map` is not used after this: `this` is never dropped.
        unsafe { ManuallyDrop::drop(&mut this.map) };
        // SAFETY: as for `map`.
        unsafe { std::ptr::drop_in_place(&raw mut this.probe) };
    }

    fn gate(&self) -> MutexGuard<'_, ()> {
        // It guards no data, so a panic of another thread has left nothing behind.
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&mut self) {
        let probe = self.probe.file().map_err(|error| system(&self.place, "lock", error));
        let registration = probe.and_then(|probe| Ok((probe, Registration::wait(&self.place, probe)?)));
        let mut last = false;
        if let Ok((probe, _)) = &registration {
            (self.keeper.sweep)(&self.region, &self.geometry, self.seat);
            fault_point!("segment.leaving");
            seats::clear(&self.region, &self.geometry, self.seat);
            fault_point!("segment.left");
            seats::update_modes(&self.region, &self.geometry, probe, (self.seat, false));
            // Those who waited for this one look up and see that it has gone.
            if !matches!(self.role, Role::Subscriber | Role::Puller) {
                seats::wake_all(&self.region, Some(&self.geometry));
            }
            last = !seats::any_seated(&self.region, &self.geometry, probe)
                && (self.keeper.spent)(&self.region, &self.geometry);
        }
        // SAFETY: `map` is not used after this, nor is `region`: `drop` ends with this function.
        unsafe { ManuallyDrop::drop(&mut self.map) };
        fault_point!("segment.unmapped");
        if let Err(error) = registration {
            log::warn!(target: "shmcomm", "{error}; left without a clean-up, which others will do");
            return;
        }
        // Nobody has joined meanwhile, as the registration lock is held.
        if !last || !self.name_refers_here() {
            return;
        }
        fault_point!("segment.last");
        match os::unlink(self.place.path()) {
            Ok(()) => {
                log::info!(target: "shmcomm", "channel `{}`: destroyed, its last participant left", self.channel());
            }
            Err(error) => {
                log::warn!(target: "shmcomm", "channel `{}`: cannot remove its segment: {error}", self.channel());
            }
        }
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        if self.forked() {
            // SAFETY: `map` is not used after this.
            let map = unsafe { ManuallyDrop::take(&mut self.map) };
            map.forget();
        } else {
            self.leave();
        }
    }
}
