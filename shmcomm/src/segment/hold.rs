//! [`Hold`]: a mapped segment, and what can be asked of it; [`Witness`]: a second mapping of it.
//!
//! Owns who else lives, sweeping after the dead, and the announcement of sleepers. Calls `seats` and
//! `os`. Never takes or leaves a seat: that is `attachment`'s.
//!
//! A participant is used by one thread at a time, through `&mut`. Somebody else may look after its
//! channel meanwhile: a set that waits for many, a thread that watches for sleepers. They get a witness:
//! a mapping of their own, without a seat. It stays valid for whoever has it, whatever becomes of the
//! participant, and keeps no seat locked. The futexes in it are the same words to the kernel.

use super::probe::Probe;
use super::seats::{self, Registration};
use super::{Keeper, Participant, Place, Role, Sent, create, system};
use crate::Error;
use crate::fault::fault_point;
use crate::layout::{FLAG_WAIT, Geometry, Line, Region, seat};
use crate::os::{self, Lineage};
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crate::wait;
use std::fs::File;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A segment that is mapped, and its participant's seat.
///
/// `geometry` has been checked against the length of the mapping that `region` is a view of. In the
/// child of a fork the memory is not there: whoever touches the region asks [`Hold::forked`] before.
pub(crate) struct Hold {
    pub(super) region: Region,
    pub(super) geometry: Geometry,
    /// The entries of this participant, and of whoever has the first seat.
    pub(super) own: Line,
    pub(super) first: Line,
    /// `layout::FLAG_*`, of the segment.
    pub(super) flags: u32,
    pub(super) seat: u32,
    pub(super) keeper: Keeper,
    pub(super) place: Place,
    pub(super) lineage: Lineage,
    pub(super) probe: Arc<Probe>,
    /// Threads of one process share `probe`, and so its locks: this keeps them apart.
    pub(super) gate: Arc<Mutex<()>>,
}

impl Hold {
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

    /// Whether a publisher has taken a seat and not left it; a load where there is one. Whether it lives is
    /// another question.
    #[inline]
    pub(crate) fn publisher_seated(&self) -> bool {
        // [entry read], as in `is_taken`.
        self.first.u32(seat::ROLE).load(Ordering::Acquire) != 0 || self.other_publisher_seated()
    }

    #[cold]
    fn other_publisher_seated(&self) -> bool {
        (1..self.geometry.publishers).any(|seat| self.is_taken(seat))
    }

    /// Whether a publisher lives; a system call where there is one.
    pub(crate) fn publisher_alive(&self) -> bool {
        (0..self.geometry.publishers).any(|seat| self.is_taken(seat) && self.peer_alive(seat))
    }

    /// What the channel has sent, in figures to show.
    pub(crate) fn sent(&self) -> Sent {
        seats::sent(&self.region, &self.geometry)
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
        self.own.u64(at)
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
    pub(crate) fn announce_sleeper(&self) {
        if let Err(error) = self.try_to_announce() {
            // Sleeps stay bounded, so what comes is found late, not never.
            log::warn!(target: "shmcomm", "{error}; this end will not be woken, and looks every 50 ms");
        }
    }

    fn try_to_announce(&self) -> Result<(), Error> {
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

    /// Cleans up after participants that died, and tells everybody if there were any.
    #[cold]
    pub(crate) fn sweep(&self) {
        if self.sweep_dead() > 0 {
            self.wake_all();
        }
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

    fn gate(&self) -> MutexGuard<'_, ()> {
        // It guards no data, so a panic of another thread has left nothing behind.
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A second mapping of a participant's segment, without its seat. Dropping it only unmaps.
pub(crate) struct Witness {
    hold: Hold,
    announced: Instant,
    /// Not 0 when the participant has gone, or gone over to another segment.
    ended: AtomicU32,
    map: ManuallyDrop<os::Map>,
}

impl Deref for Witness {
    type Target = Hold;

    #[inline]
    fn deref(&self) -> &Hold {
        &self.hold
    }
}

impl Witness {
    /// Of the participant that has `hold`, which may sleep from now on.
    pub(super) fn new(hold: &Hold) -> Result<Arc<Self>, Error> {
        let map = create::map(&hold.place, hold.probe()?, &hold.geometry)?;
        hold.announce_sleeper();
        let region = create::region(&map);
        let hold = Hold {
            region,
            geometry: hold.geometry,
            own: region.line(hold.geometry.seat(hold.seat)),
            first: region.line(hold.geometry.seat(0)),
            flags: hold.flags,
            seat: hold.seat,
            keeper: hold.keeper,
            place: hold.place.clone(),
            lineage: hold.lineage,
            probe: hold.probe.clone(),
            gate: hold.gate.clone(),
        };
        let (announced, ended) = (Instant::now(), AtomicU32::new(0));
        Ok(Arc::new(Witness { hold, announced, ended, map: ManuallyDrop::new(map) }))
    }

    /// How long a sleep in an event of this segment may be now.
    pub(crate) fn slice(&self) -> Duration {
        wait::slice_since(self.announced)
    }

    /// The participant has gone.
    pub(super) fn end(&self) {
        // Relaxed: a flag by itself.
        self.ended.store(1, Ordering::Relaxed);
    }

    /// Whether the participant has gone, or gone over to another segment.
    pub(crate) fn has_ended(&self) -> bool {
        // Relaxed: a flag by itself.
        self.ended.load(Ordering::Relaxed) != 0
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        // SAFETY: `map` is not used after this, nor is `region`: what looks through it has an `Arc`
        // of this.
        let map = unsafe { ManuallyDrop::take(&mut self.map) };
        if self.hold.forked() {
            map.forget();
        }
    }
}
