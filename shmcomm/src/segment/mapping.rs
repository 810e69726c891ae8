//! [`Mapping`]: a mapped segment and its queries; [`ObserverMapping`]: a second mapping of it, for an
//! observer.
//!
//! Owns liveness checks, recovery of dead participants (Agrona `unblock`), and the announcement of sleepers.
//! Calls `seats` and `os`. Never takes or leaves a seat: `attachment` does.
//!
//! A participant is used by one thread at a time, through `&mut`. A wait set or the reactor thread may check
//! its channel meanwhile. They get an observer: a mapping of their own, without a seat. The observer stays
//! valid for its owner when the participant has left, and keeps no seat locked. The futexes in it are the
//! same words to the kernel.

mod keep_name;

pub(super) use keep_name::Keeping;
pub(crate) use keep_name::NAME_PERIOD;

use super::forward;
use super::liveness::LivenessFile;
use super::seats;
use super::{ChannelPath, Entry, Participant, PatternOps, Role, Sent, system};
use crate::error::{Error, ErrorKind};
use crate::fault::fault_point;
use crate::layout::{FLAG_WAIT, Geometry, Line, Region, seat};
use crate::os::{self, File, FileId, ForkId};
use crate::plural::count;
use crate::records::LogRecords;
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crate::wait;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Segments up to this size get their page tables filled when they are mapped, so that the first lap costs no
/// page faults (0.5 µs each). That takes a subscriber about 0.13 ms per MiB. It takes the creator, whose
/// pages are zeroed at that time, 0.4 ms per MiB. The page tables of larger segments are not filled.
const POPULATE_MAX: u64 = 64 << 20;

/// Maps a whole segment; the caller has checked that the file has that length.
pub(super) fn map(place: &ChannelPath, file: &File, geometry: &Geometry) -> Result<os::Map, Error> {
    // Filling the page tables would allocate what the slots of a queue have yet to grow to.
    let populate = geometry.segment_size <= POPULATE_MAX && !geometry.grows_each_slot();
    let len = usize::try_from(geometry.segment_size).map_err(|_| {
        let size = geometry.segment_size;
        place.error(
            ErrorKind::InvalidGeometry,
            format!(
                "the segment has {size}, more than this process can address; use fewer or smaller slots",
                size = count(size, "byte")
            ),
        )
    })?;
    os::map(file.clone(), len, populate).map_err(|error| system(place, "map", error))
}

/// Returns the bytes of a mapped segment.
///
/// The value may be used while the mapping lives.
pub(super) fn region(map: &os::Map) -> Region {
    // SAFETY: invariant 1 of `Region`: a mapping starts at a page, and its users keep it
    // (`Attachment` owns both); invariant 2: only rings and this module go through it.
    unsafe { Region::new(map.base(), map.len()) }
}

/// A mapped segment, and its participant's seat.
///
/// `geometry` has been checked against the length of the mapping of which `region` is a view. In the child of
/// a fork the memory is not mapped: every access to the region checks [`Mapping::forked`] before.
pub(crate) struct Mapping {
    pub(super) region: Region,
    pub(super) geometry: Geometry,
    /// Entries of this participant and of the participant on the first seat.
    pub(super) own: Line,
    pub(super) first: Line,
    /// Flags of the segment: `layout::FLAG_*`.
    pub(super) flags: u32,
    pub(super) seat: u32,
    pub(super) ops: PatternOps,
    pub(super) place: ChannelPath,
    pub(super) fork_id: ForkId,
    /// Shared with the observer, and so with other threads.
    pub(super) liveness: Arc<LivenessFile>,
    pub(super) name: Keeping,
}

impl Mapping {
    /// Returns the same description for a region of the same segment.
    pub(super) fn of_region(&self, region: Region) -> Mapping {
        Mapping {
            region,
            geometry: self.geometry,
            own: region.line(self.geometry.seat(self.seat)),
            first: region.line(self.geometry.seat(0)),
            flags: self.flags,
            seat: self.seat,
            ops: self.ops,
            place: self.place.clone(),
            fork_id: self.fork_id,
            liveness: self.liveness.clone(),
            name: Keeping::default(),
        }
    }

    pub(super) fn liveness_file(&self) -> Result<&File, Error> {
        self.liveness.file().map_err(|error| system(&self.place, "lock", error))
    }

    pub(super) fn place(&self) -> &ChannelPath {
        &self.place
    }

    /// Returns the bytes of the segment. Valid while this attachment lives, and not in a forked child.
    pub(crate) fn region(&self) -> Region {
        self.region
    }

    pub(crate) fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Returns `true` if the publisher of this segment waits for its subscribers.
    pub(crate) fn publisher_waits(&self) -> bool {
        self.flags & FLAG_WAIT != 0
    }

    /// Returns the identity of the segment, unique even among segments of the same name.
    pub(super) fn id(&self) -> os::FileId {
        self.liveness.id()
    }

    pub(crate) fn seat(&self) -> u32 {
        self.seat
    }

    /// Returns the offset of this participant's entry in the region.
    pub(crate) fn seat_offset(&self) -> usize {
        self.geometry.seat(self.seat)
    }

    /// Returns the full name of the channel.
    pub(crate) fn channel(&self) -> &str {
        self.place.name()
    }

    /// Returns `true` in a forked child of the process that attached; takes less than 1 ns.
    #[inline]
    pub(crate) fn forked(&self) -> bool {
        self.fork_id.forked()
    }

    /// Returns the fork id of the attaching process, for values that outlive a call and access the region.
    #[inline]
    pub(crate) fn fork_id(&self) -> ForkId {
        self.fork_id
    }

    /// Returns the error for contents that no participant leaves in a segment.
    pub(crate) fn damaged(&self, why: impl std::fmt::Display) -> Error {
        super::inspect::damaged(&self.place, &why.to_string())
    }

    /// Returns `true` if the participant on `seat` lives. Makes a system call of 200 to 500 ns, except for
    /// this participant's own seat, whose lock the liveness file does not see.
    pub(crate) fn peer_alive(&self, seat: u32) -> bool {
        seat == self.seat || self.liveness.alive(seat)
    }

    /// Returns `true` if the segment was replaced or removed.
    pub(crate) fn is_superseded(&self) -> bool {
        use crate::layout::control::{LIVE, STATE};
        // Relaxed: it is set once and never cleared, and a process that loads it opens the channel again.
        self.region.u64(STATE).load(Ordering::Relaxed) != LIVE
    }

    /// Returns `true` if the channel name refers to this segment. Takes one system call, or six if the file
    /// was removed.
    pub(crate) fn name_refers_here(&self) -> bool {
        forward::stands_for(self.place.path(), self.liveness.id())
    }

    /// Returns the file that the channel name refers to, if it is another segment. Takes a system call.
    pub(crate) fn successor(&self) -> Option<FileId> {
        let there = os::id_of_path(self.place.path()).ok().flatten().filter(|id| *id != self.liveness.id());
        // A forwarding file that leads here is no successor.
        there.filter(|_| !self.name_refers_here())
    }

    /// Returns `true` if a publisher has taken a seat and not left it. Takes one load if there is one. The
    /// publisher may be dead.
    #[inline]
    pub(crate) fn publisher_seated(&self) -> bool {
        // [entry read], as in `is_taken`.
        self.first.u32(seat::ROLE).load(Ordering::Acquire) != 0 || self.other_publisher_seated()
    }

    #[cold]
    fn other_publisher_seated(&self) -> bool {
        (1..self.geometry.publishers).any(|seat| self.is_taken(seat))
    }

    /// Returns `true` if a publisher lives or joins. Takes a system call if there is one.
    ///
    /// A publisher that joins has the lock of its seat, and clears the entry of its dead predecessor before
    /// it writes its own. Without the second condition, a subscriber could take that moment for a second
    /// death.
    pub(crate) fn publisher_alive(&self) -> bool {
        let mut seats = 0..self.geometry.publishers;
        seats.clone().any(|seat| self.is_taken(seat) && self.peer_alive(seat))
            || (self.liveness.joining() && seats.any(|seat| self.peer_alive(seat)))
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
                let alive = self.peer_alive(entry.seat);
                Participant::new(&self.region, &self.geometry, entry, alive)
            })
            .collect()
    }

    /// Returns this participant's own entry, for several words of it.
    #[inline(always)]
    pub(crate) fn seat_words(&self) -> Line {
        self.own
    }

    /// Returns a counter in this participant's own entry: `layout::seat::*`.
    #[inline]
    pub(crate) fn seat_word(&self, at: usize) -> &AtomicU64 {
        self.own.u64(at)
    }

    /// Returns `true` if a participant has taken seat `index` and not left it. Takes one load. That
    /// participant may be dead: see [`Mapping::peer_alive`].
    #[inline]
    pub(crate) fn is_taken(&self, index: u32) -> bool {
        // [entry read] pairs with [entry written]: everything that a participant did before it left is
        // visible.
        self.region.u32(self.geometry.seat(index) + seat::ROLE).load(Ordering::Acquire) != 0
    }

    /// Returns a lower bound of the number of live participants of `role`.
    pub(crate) fn count_alive(&self, role: Role) -> usize {
        self.count_alive_where(role, |_| true)
    }

    /// Counts like [`Mapping::count_alive`], only the participants whose entry satisfies `suits`, which
    /// gets the entry's offset.
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

    /// Returns `true` if a subscriber has taken a seat and not left it, alive or dead.
    pub(crate) fn has_subscribers(&self) -> bool {
        !self.forked() && (self.geometry.publishers..self.geometry.seats).any(|seat| self.is_taken(seat))
    }

    /// Announces that this participant may sleep from now on, so that other participants check for waiters.
    /// Returns at once if it was announced before. Waits at most 20 ms for participants that join or leave,
    /// because its caller has a deadline.
    pub(crate) fn announce_sleeper(&self) {
        if let Err(error) = self.try_to_announce() {
            // Sleeps stay bounded, so an event is found late, not never.
            log::warn!(target: "shmcomm", "{error}; this end gets no wake-ups, and polls every 50 ms");
        }
    }

    fn try_to_announce(&self) -> Result<(), Error> {
        let word = self.region.u32(self.seat_offset() + seat::MAY_SLEEP);
        // Relaxed: only this participant stores it.
        if word.load(Ordering::Relaxed) != 0 {
            return Ok(());
        }
        let turn = self.liveness.turn().map_err(|error| system(&self.place, "lock", error))?;
        let registration = turn.register_within(&self.place, Duration::from_millis(20))?;
        // Relaxed: loaded under the registration lock, which is held.
        word.store(1, Ordering::Relaxed);
        seats::update_modes(&self.region, &self.geometry, registration.file(), (self.seat, true));
        Ok(())
    }

    /// Recovers dead participants, and wakes every sleeper if there were any.
    #[cold]
    pub(crate) fn recover_peers(&self) {
        self.keep_name();
        if self.recover_dead() > 0 {
            self.wake_all();
        }
    }

    /// Recovers dead participants: first their slots, with `PatternOps::recover`, then their entries.
    /// Returns the number of recovered participants, or 0 also if another participant is recovering them.
    pub(crate) fn recover_dead(&self) -> u32 {
        let mut records = LogRecords::new();
        // Does not wait: another thread may have its turn until it has the registration lock.
        let Ok(Some(turn)) = self.liveness.try_turn() else { return 0 };
        let Ok(Ok(registration)) = turn.try_register() else { return 0 };
        let mut recovered = 0;
        for index in (0..self.geometry.seats).filter(|&index| index != self.seat) {
            // Relaxed: stored under the registration lock, which is held.
            if self.region.u32(self.geometry.seat(index) + seat::ROLE).load(Ordering::Relaxed) == 0 {
                continue;
            }
            // A participant whose seat can be locked is dead. The lock also keeps a new participant off the
            // seat until it is recovered.
            if !matches!(registration.turn().take_seat(index), Ok(true)) {
                continue;
            }
            // Read only for dead participants: the name allocates, and ends scan for dead participants while
            // they send.
            let Some(entry) = seats::read(&self.region, &self.geometry, index) else {
                let _ = registration.turn().give_seat_back(index);
                continue;
            };
            fault_point!("segment.recovering");
            (self.ops.recover)(&self.region, &self.geometry, index);
            fault_point!("segment.recovered");
            seats::clear(&self.region, &self.geometry, index);
            fault_point!("segment.cleared");
            let _ = registration.turn().give_seat_back(index);
            let Entry { role, pid, name, .. } = entry;
            records.warn(format!(
                "channel `{}`: {} {pid} (`{name}`) on seat {index} died; recovered its seat",
                self.channel(),
                role.name()
            ));
            recovered += 1;
        }
        if recovered > 0 {
            seats::update_modes(&self.region, &self.geometry, registration.file(), (self.seat, true));
        }
        recovered
    }

    /// Wakes every sleeper in the segment, so that it checks the state again.
    pub(crate) fn wake_all(&self) {
        seats::wake_all(&self.region, Some(&self.geometry));
    }
}

/// A second mapping of a participant's segment, without its seat. Dropping it only unmaps the segment.
pub(crate) struct ObserverMapping {
    mapping: Mapping,
    announced: Instant,
    /// Not 0 when the participant has left or attached to another segment.
    ended: AtomicU32,
    map: ManuallyDrop<os::Map>,
}

impl Deref for ObserverMapping {
    type Target = Mapping;

    #[inline]
    fn deref(&self) -> &Mapping {
        &self.mapping
    }
}

impl ObserverMapping {
    /// Maps the segment of the participant with `mapping`, and announces that it may sleep from now on.
    pub(super) fn new(mapping: &Mapping) -> Result<Arc<Self>, Error> {
        let map = map(&mapping.place, mapping.liveness_file()?, &mapping.geometry)?;
        mapping.announce_sleeper();
        let mapping = mapping.of_region(region(&map));
        let (announced, ended) = (Instant::now(), AtomicU32::new(0));
        Ok(Arc::new(ObserverMapping { mapping, announced, ended, map: ManuallyDrop::new(map) }))
    }

    /// Maps the segment in `file`, in which no participant of this process has a seat. `like` describes a segment of the
    /// same channel.
    pub(super) fn of_file(
        like: &Mapping,
        file: File,
        id: FileId,
        geometry: Geometry,
    ) -> Result<Arc<Self>, Error> {
        let map = map(&like.place, &file, &geometry)?;
        let region = region(&map);
        let mapping = Mapping {
            region,
            geometry,
            own: region.line(geometry.seat(like.seat)),
            first: region.line(geometry.seat(0)),
            flags: like.flags,
            seat: like.seat,
            ops: like.ops,
            place: like.place.clone(),
            fork_id: like.fork_id,
            liveness: Arc::new(LivenessFile::new(file, id)),
            name: Keeping::default(),
        };
        let (announced, ended) = (Instant::now(), AtomicU32::new(0));
        Ok(Arc::new(ObserverMapping { mapping, announced, ended, map: ManuallyDrop::new(map) }))
    }

    /// Returns the longest time that a sleep in an event of this segment may take now.
    pub(crate) fn max_sleep(&self) -> Duration {
        wait::max_sleep_since(self.announced)
    }

    /// Records that the participant has left.
    pub(super) fn end(&self) {
        // Relaxed: an independent flag.
        self.ended.store(1, Ordering::Relaxed);
    }

    /// Returns `true` if the participant has left or attached to another segment.
    pub(crate) fn has_ended(&self) -> bool {
        // Relaxed: an independent flag.
        self.ended.load(Ordering::Relaxed) != 0
    }
}

impl Drop for ObserverMapping {
    fn drop(&mut self) {
        // SAFETY: `map` is not used after this, nor is `region`: every user of it has an `Arc` of this
        // observer.
        let map = unsafe { ManuallyDrop::take(&mut self.map) };
        if self.mapping.forked() {
            map.forget();
        }
    }
}
