//! [`Attachment`]: one participant's attachment to a segment.
//!
//! Owns the mapping with the seat's lock ([`Seat`]), and leaving. The queries of a mapped segment, by its
//! participant or by an [`ObserverMapping`], are in `mapping`. Calls `seats` and `os`. Never waits for a
//! message, and never reads one.
//!
//! A message that is read in place may outlive its subscriber. It owns the seat together with the subscriber
//! then, and the last owner leaves the channel: until then no participant reclaims the pin of the message.

use super::forward;
use super::liveness::LivenessFile;
use super::mapping::{Keeping, Mapping, ObserverMapping, region};
use super::seats;
use super::series;
use super::{ChannelPath, PatternOps, Role, system};
use crate::error::Error;
use crate::fault::fault_point;
use crate::layout::{Discipline, Geometry, control};
use crate::os::{self, File, FileId, ForkId};
use crate::records::LogRecords;
use crate::sync::Ordering;
use crate::wait::Seated;
use std::any::Any;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// Way in which a participant reached its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The participant created the segment.
    Created,
    /// The segment existed, created by another participant, alive or dead.
    Joined,
    /// The participant created the segment in place of an unusable one.
    Replaced,
}

/// A mapped segment, and a file for querying locks.
pub(super) struct MappedFile {
    pub(super) place: ChannelPath,
    pub(super) file: File,
    pub(super) map: os::Map,
    pub(super) id: FileId,
    pub(super) geometry: Geometry,
    /// Flags of the segment: `layout::FLAG_*`.
    pub(super) flags: u32,
}

/// A participant of a segment, from its registration until it is dropped or dies.
///
/// `mapping` describes the mapping of `seat`, so that an access takes no step through the shared pointer.
pub(crate) struct Attachment {
    mapping: Mapping,
    arrival: Arrival,
    observer: OnceLock<Arc<ObserverMapping>>,
    /// Conversion of the messages, if the segment has another layout than this participant's. `schema` makes it.
    pub(super) resolved: Option<Arc<dyn Any + Send + Sync>>,
    seat: Arc<Seat>,
}

/// The seat of a participant, with the mapping whose lock it is.
///
/// Invariants:
/// 1. `map` is the whole segment, `geometry` has been checked against its length, and `region` is
///    a view of it.
/// 2. While `map` lives, byte `seat` of the file is locked for it; no other participant writes the entry of
///    that seat, or reclaims what the seat has in the ring.
/// 3. In the child of a fork the memory is not mapped. Every access to the region checks
///    [`Mapping::forked`] before.
///
/// Dropping it leaves the channel: the entry is cleared, the lock is released, and the last participant
/// removes the name. A killed process only loses the lock, and the other participants do the rest.
pub(crate) struct Seat {
    mapping: Mapping,
    role: Role,
    map: ManuallyDrop<os::Map>,
    /// Set if the memory stays mapped when the seat is left.
    kept_mapped: OnceLock<()>,
}

impl Deref for Attachment {
    type Target = Mapping;

    #[inline]
    fn deref(&self) -> &Mapping {
        &self.mapping
    }
}

impl Seated for Attachment {
    fn enable_notify(&self) {
        self.announce_sleeper();
    }

    fn channel(&self) -> &str {
        Mapping::channel(self)
    }

    #[inline]
    fn forked(&self) -> bool {
        Mapping::forked(self)
    }
}

impl Attachment {
    /// Makes the attachment of a participant whose seat is locked for the map's open file description.
    pub(super) fn new(held: MappedFile, seat: u32, role: Role, ops: PatternOps) -> Result<Self, Error> {
        let MappedFile { place, file, map, id, geometry, flags } = held;
        let fork_id = ForkId::here().map_err(|error| system(&place, "map", error))?;
        let region = region(&map);
        let (liveness, name) = (Arc::new(LivenessFile::new(file, id)), Keeping::default());
        let (own, first) = (region.line(geometry.seat(seat)), region.line(geometry.seat(0)));
        let mapping =
            Mapping { region, geometry, own, first, flags, seat, ops, place, fork_id, liveness, name };
        let held = Seat {
            mapping: mapping.of_region(region),
            role,
            map: ManuallyDrop::new(map),
            kept_mapped: OnceLock::new(),
        };
        Ok(Attachment {
            mapping,
            arrival: Arrival::Joined,
            observer: OnceLock::new(),
            resolved: None,
            seat: Arc::new(held),
        })
    }

    /// Returns the seat, for a message that may outlive this participant. The seat is left when its last owner
    /// is dropped.
    pub(crate) fn shared_seat(&self) -> Arc<Seat> {
        self.seat.clone()
    }

    pub(super) fn arrived(&mut self, arrival: Arrival) {
        self.arrival = arrival;
    }

    /// Takes the resolution of another layout: how this participant reads the messages of the segment.
    pub(crate) fn take_resolved<T: Any + Send + Sync>(&mut self) -> Option<Arc<T>> {
        self.resolved.take().and_then(|resolved| resolved.downcast().ok())
    }

    pub(crate) fn role(&self) -> Role {
        self.seat.role
    }

    pub(crate) fn arrival(&self) -> Arrival {
        self.arrival
    }

    /// Returns the observer, which checks this segment for its participant. The first call makes it, and
    /// announces that the participant may sleep.
    pub(crate) fn observer(&self) -> Result<&Arc<ObserverMapping>, Error> {
        if let Some(observer) = self.observer.get() {
            return Ok(observer);
        }
        let made = ObserverMapping::new(&self.mapping)?;
        Ok(self.observer.get_or_init(|| made))
    }

    /// Leaves the segment as a killed participant does: only the lock is released.
    #[cfg(test)]
    pub(crate) fn abandon(self) {
        let seat = self.seat.clone();
        drop(self);
        let mut seat = ManuallyDrop::new(Arc::into_inner(seat).expect("no message in place owns the seat"));
        // SAFETY: `map` is not used after this: `seat` is never dropped.
        unsafe { ManuallyDrop::drop(&mut seat.map) };
        let _ = seat.mapping.liveness.turn().map(|turn| turn.give_seat_back(seat.mapping.seat));
        // SAFETY: as for `map`.
        unsafe { std::ptr::drop_in_place(&raw mut seat.mapping) };
    }
}

impl Seat {
    /// Lets the memory stay mapped until the process ends, also after the seat is left. For references to messages that
    /// the end of an interpreter does not end.
    pub(crate) fn keep_mapped(&self) {
        self.kept_mapped.get_or_init(|| ());
    }

    fn leave(&mut self) {
        let mapping = &self.mapping;
        let mut records = LogRecords::new();
        // An observer in another thread may be recovering participants through the same open file.
        let turn = mapping.liveness.turn().map_err(|error| system(&mapping.place, "lock", error));
        let registration = turn.and_then(|turn| turn.register(&mapping.place));
        let (mut last, mut left) = (false, false);
        if let Ok(registration) = &registration {
            let liveness = registration.file();
            (mapping.ops.recover)(&mapping.region, &mapping.geometry, mapping.seat);
            fault_point!("segment.leaving");
            seats::clear(&mapping.region, &mapping.geometry, mapping.seat);
            fault_point!("segment.left");
            seats::update_modes(&mapping.region, &mapping.geometry, liveness, (mapping.seat, false));
            // Participants that waited for this one wake and find that it has left.
            if !matches!(self.role, Role::Subscriber | Role::Puller) {
                seats::wake_all(&mapping.region, Some(&mapping.geometry));
            }
            let alone = !seats::any_seated(&mapping.region, &mapping.geometry, liveness);
            last = alone && (mapping.ops.drained)(&mapping.region, &mapping.geometry);
            if last && mapping.geometry.discipline == Discipline::Table {
                // The readers of a table have no seat. Relaxed: it is set once and never cleared.
                mapping.region.u64(control::STATE).store(control::SUPERSEDED, Ordering::Relaxed);
                fault_point!("segment.marked");
                // They wake and wait for another segment.
                seats::wake_all(&mapping.region, None);
            }
            left = alone;
            if alone {
                series::forget(&mapping.place, &mapping.geometry.growth, mapping.liveness.id());
            }
            // A subscriber in an earlier segment has yet to follow.
            let awaited = last && series::is_awaited(&mapping.place, &mapping.geometry.growth);
            last = last && !awaited;
            if alone && !last && !awaited {
                mapping.leave_behind(liveness, &mut records);
            }
        }
        // SAFETY: `map` is not used after this, nor is `region`: `drop` ends with this function.
        let map = unsafe { ManuallyDrop::take(&mut self.map) };
        if self.kept_mapped.get().is_some() {
            map.forget()
        } else {
            drop(map)
        }
        fault_point!("segment.unmapped");
        // Not left to the last descriptor: an observer has one too, and a child of this process may have a
        // copy until it execs.
        let _ = match &registration {
            Ok(registration) => registration.turn().give_seat_back(mapping.seat),
            Err(_) => mapping.liveness.turn().and_then(|turn| turn.give_seat_back(mapping.seat)),
        };
        let registration = match registration {
            Ok(registration) => registration,
            Err(error) => {
                records
                    .warn(format!("{error}; left without clean-up; the other participants recover its seat"));
                return;
            }
        };
        // No participant has joined meanwhile, as the registration lock is held.
        if !last || !mapping.name_refers_here() {
            drop(registration);
            if left {
                series::finish(&mapping.place, &mapping.geometry);
            }
            return;
        }
        fault_point!("segment.last");
        let path = mapping.place.path();
        match forward::change_name(path, mapping.liveness.id(), || os::unlink(path)) {
            Ok(Some(())) => {
                records
                    .info(format!("channel `{}`: destroyed, its last participant left", mapping.channel()));
            }
            Ok(None) => {}
            Err(error) => {
                records.warn(format!("channel `{}`: cannot remove its segment: {error}", mapping.channel()));
            }
        }
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        // The seat follows, unless a message in place owns it too.
        if let Some(observer) = self.observer.get() {
            observer.end();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.mapping.forked() {
            // SAFETY: `map` is not used after this.
            let map = unsafe { ManuallyDrop::take(&mut self.map) };
            map.forget();
        } else {
            self.leave();
            log::debug!(
                target: "shmcomm",
                "channel `{}`: lock of seat {} released",
                self.mapping.channel(),
                self.mapping.seat
            );
        }
    }
}
