//! Creates segments, and gives them their names.
//!
//! Owns the only code that writes a header, and the two ways to get a name. `link` makes a new name, and
//! fails if the name exists; `rename` takes over the name of another segment. With both, a named segment is
//! always complete.

use super::attachment::{Arrival, Attachment, MappedFile};
use super::forward;
use super::mapping::{map, region};
use super::registration::Turn;
use super::{ChannelPath, PatternOps, Requested, Role, Spec, memory, name, seats, series, system};
use crate::error::{Error, ErrorKind};
use crate::escape::Shown as _;
use crate::fault::fault_point;
use crate::layout::{
    Discipline, Geometry, Growth, Identity, MAGIC, PAGE, Shape, VERSION, VERSION_EXTENDED, control, seat,
};
use crate::os::{self, CURES, File, Stat};
use crate::plural::count;
use std::io;

/// Returns the sizes of the segment that `spec` asks for.
pub(super) fn geometry(place: &ChannelPath, spec: &Spec) -> Result<Geometry, Error> {
    let shape = Shape {
        pattern: spec.pattern,
        slots: spec.slots,
        slot_size: spec.slot_size,
        request_size: spec.request_size,
        align: spec.align,
        seats: spec.seats,
        publishers: spec.publishers,
        schema_len: spec.schema.len() as u64,
    };
    // Slots that grow keep the discipline and the seats of the largest ones: subscribers then have their seats in each
    // segment of the series.
    let largest = Shape { slot_size: spec.slot_size.max(spec.grow), ..shape };
    let largest = if spec.asked.has(Requested::SEATS) || spec.in_place == Some(false) {
        largest
    } else {
        largest.with_default_seats()
    };
    let first = match spec.in_place {
        Some(pins) => Geometry::with(Discipline::broadcast(spec.publishers > 1, pins), largest),
        None => Geometry::new(largest),
    };
    let made = first.and_then(|made| {
        Geometry::with(made.discipline, Shape { slot_size: spec.slot_size, ..largest })?
            .streaming(spec.window)?
            .growing(Growth { limit: spec.grow, ..Growth::NONE })
            .map(Geometry::packed)
    });
    made.map_err(|error| {
        place.error(ErrorKind::InvalidGeometry, format!("a segment cannot be made with {error}"))
    })
}

/// Returns a complete segment without a name, with this process on seat `index`.
pub(super) fn unnamed(
    place: &ChannelPath,
    spec: &Spec,
    mut geometry: Geometry,
    (index, role): (u32, Role),
    ops: PatternOps,
) -> Result<Attachment, Error> {
    if let Some(sharing) = place.sharing() {
        sharing.make_dir(place.name(), place.dir(), name::temporary_in)?;
    }
    let mut file = forward::new_file(place).map_err(|error| {
        let kind = error.kind();
        if os::refusal(&error).is_none()
            && matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::Unsupported)
        {
            let why = format!(
                "cannot make a file without a name in {} ({error}); {}",
                place.dir().display(),
                CURES.no_unnamed_files
            );
            return place.error(ErrorKind::Unsupported, why).with_source(error);
        }
        system(place, "create", error)
    })?;
    reserve(place, &file, &geometry)?;
    fault_point!("segment.reserved");
    let mut identity = Identity::from_bytes(&[0; Identity::SIZE]);
    identity.magic = MAGIC;
    identity.segment_size = geometry.segment_size;
    identity.fingerprint = spec.fingerprint;
    identity.fingerprint2 = spec.fingerprint2;
    identity.pattern = spec.pattern as u32;
    identity.codec = spec.format as u32;
    identity.discipline = geometry.discipline as u32;
    identity.flags = spec.flags;
    identity.slots = geometry.slots;
    identity.slot_size = geometry.slot_size;
    identity.stride = geometry.stride;
    identity.payload_offset = geometry.payload_offset;
    identity.slots_offset = geometry.slots_offset;
    identity.align = geometry.align;
    identity.seats = geometry.seats;
    identity.seat_size = seat::SIZE as u32;
    identity.seats_offset = geometry.seats_offset;
    identity.schema_offset = geometry.schema_offset;
    identity.schema_len = geometry.schema_len;
    identity.created = os::wall_clock();
    identity.grow = geometry.growth.limit;
    if geometry.growth.is_some() && !geometry.grows_each_slot() {
        // The first segment of a series gives it its number.
        if geometry.growth.steps == 0 {
            // No two processes have the same time and process id.
            geometry.growth.series = (identity.created as u64 ^ u64::from(os::pid()).rotate_right(24)).max(1);
        }
        let Growth { series, steps, .. } = geometry.growth;
        (identity.series, identity.steps) = (series, steps);
    }
    identity.creator = os::pid();
    identity.publishers = geometry.publishers_field();
    identity.request_size = geometry.request_size;
    identity.window = geometry.stream.window;
    identity.version = if identity.extension().is_some() { VERSION_EXTENDED } else { VERSION };
    os::write_at(&file, &identity.to_bytes(), 0).map_err(|error| system(place, "write", error))?;
    os::write_at(&file, place.name().as_bytes(), control::CHANNEL as u64)
        .map_err(|error| system(place, "write", error))?;
    os::write_at(&file, spec.schema.as_bytes(), geometry.schema_offset)
        .map_err(|error| system(place, "write", error))?;

    fault_point!("segment.written");
    let stat = os::stat(&file).map_err(|error| system(place, "examine", error))?;
    let map = map(place, &file, &geometry)?;
    // No other process knows the file, so no other participant has the seat.
    let turn = Turn::sole(&mut file);
    turn.take_seat(index).map_err(|error| system(place, "lock", error))?;
    turn.check_seat_shows(place, index)?;
    drop(turn);
    fault_point!("segment.locked");
    seats::write(&region(&map), &geometry, index, role);
    fault_point!("segment.made");
    let held = MappedFile { place: place.clone(), file, map, id: stat.id, geometry, flags: spec.flags };
    Attachment::new(held, index, role, ops)
}

fn reserve(place: &ChannelPath, file: &File, geometry: &Geometry) -> Result<(), Error> {
    let size = geometry.segment_size;
    let error = match memory::allocate(file, geometry) {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    let dir = place.dir().display();
    let mut made_of = format!(
        "{size} ({} of {})",
        count(geometry.slots, "slot"),
        count(geometry.slot_size, "byte"),
        size = count(size, "byte")
    );
    if geometry.grows_each_slot() {
        made_of = format!("{made_of}, whose slots grow to {}", geometry.growth.limit);
    }
    let (kind, why) = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => (
            ErrorKind::NoSpace,
            format!(
                "the segment takes {made_of}, and {dir} has {} free; \
                 use fewer or smaller slots, remove segments that no process uses (`shmcomm::remove_stale`), \
                 or {}",
                os::free_bytes(place.dir()).map_or("too few".to_owned(), |free| free.to_string()),
                CURES.full,
            ),
        ),
        io::ErrorKind::FileTooLarge => (
            ErrorKind::NoSpace,
            format!(
                "the segment takes {made_of}, and this process may make files of {}; \
                 {}",
                os::file_size_limit()
                    .map_or("fewer".to_owned(), |limit| format!("{limit}", limit = count(limit, "byte"))),
                CURES.too_large,
            ),
        ),
        io::ErrorKind::OutOfMemory => (
            ErrorKind::NoSpace,
            format!(
                "the segment takes {made_of}, and the system has no memory for them ({error}); \
                 use fewer or smaller slots, or {}",
                CURES.no_memory
            ),
        ),
        io::ErrorKind::Unsupported if os::refusal(&error).is_none() => (
            ErrorKind::Unsupported,
            format!(
                "the file system of {dir} cannot reserve room ({error}); \
                 {}",
                CURES.no_reservation
            ),
        ),
        _ => return Err(system(place, "reserve room for", error)),
    };
    Err(place.error(kind, why).with_source(error))
}

/// Gives a new segment its own name. Returns `None` if the name exists by now.
pub(super) fn publish_name(mut fresh: Attachment) -> Result<Option<Attachment>, Error> {
    match os::link(fresh.liveness_file()?, fresh.place().path()) {
        Ok(()) => {
            fault_point!("segment.linked");
            fresh.arrived(Arrival::Created);
            Ok(Some(fresh))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(system(fresh.place(), "name", error)),
    }
}

/// Gives a new segment the name of an old one, whose registration lock is held and whose inode had the name.
/// Returns `false` if it has lost the name.
///
/// The old segment is marked before, or, if the new one continues it, after. A death in between then never makes the next
/// publisher begin anew, which would lose the messages in the old segment for subscribers that have yet to reach it.
pub(super) fn take_over_name(
    fresh: &mut Attachment,
    old: &File,
    old_stat: &Stat,
    continues: bool,
) -> Result<bool, Error> {
    let place = fresh.place();
    let temporary = place.temporary();
    let file = fresh.liveness_file()?;
    os::link(file, &temporary).map_err(|error| system(place, "name", error))?;
    fault_point!("segment.temporary");
    if !continues {
        mark_superseded(old, old_stat);
        fault_point!("segment.marked");
    }
    let path = place.path();
    let renamed = forward::change_name(path, old_stat.id, || {
        os::replace_name(file, &temporary, path, &place.temporary())
    });
    if !matches!(renamed, Ok(Some(()))) {
        let _ = os::unlink(&temporary);
    }
    match renamed {
        Ok(Some(())) => {}
        // Where a replacement takes two steps, another process has taken the name in between.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(system(place, "name", error));
        }
        Ok(None) | Err(_) => return Ok(false),
    }
    fault_point!("segment.renamed");
    if continues {
        mark_superseded(old, old_stat);
    }
    wake_sleepers(old, old_stat);
    fresh.arrived(Arrival::Replaced);
    Ok(true)
}

/// Removes a segment's name, under its registration lock. Returns `false` if it has none.
///
/// The mark comes first: if this process dies in between, the next process that finds a marked segment under
/// a name removes the name.
pub(super) fn take_name(place: &ChannelPath, file: &File, stat: &Stat) -> Result<bool, Error> {
    mark_superseded(file, stat);
    fault_point!("segment.unlinking");
    let path = place.path();
    let taken = forward::change_name(path, stat.id, || os::take_name(file, path, &place.temporary()));
    let taken = taken.map_err(|error| system(place, "remove", error))?.unwrap_or(false);
    if taken {
        fault_point!("segment.unlinked");
        wake_sleepers(file, stat);
    }
    Ok(taken)
}

/// Returns `true` if a file is long enough to have the control words, even if the rest of it is damaged.
fn has_control_words(stat: &Stat) -> bool {
    stat.len >= PAGE as u64
}

fn mark_superseded(file: &File, stat: &Stat) {
    if has_control_words(stat) {
        // By a write rather than through a mapping: if the file is truncated meanwhile, an access to a
        // mapping kills the process.
        let _ = os::write_at(file, &control::SUPERSEDED.to_ne_bytes(), control::STATE as u64);
    }
}

fn wake_sleepers(file: &File, stat: &Stat) {
    if has_control_words(stat)
        && let Ok(map) = os::map(file.clone(), PAGE, false)
    {
        seats::wake_all(&region(&map), None);
    }
}

/// Removes segments whose creators died before they had their names.
pub(super) fn clean_temporaries(place: &ChannelPath) {
    let dir = place.dir();
    for file in os::list(dir).unwrap_or_default() {
        if !file.starts_with(name::TEMPORARY) {
            continue;
        }
        let path = dir.join(file);
        let Ok(file) = os::open(&path) else {
            // The directory of a group that never got its name. If its maker lives, it makes another one.
            let own = os::stat_path(&path).is_ok_and(|stat| os::is_own(&stat).is_ok());
            let _ = own.then(|| os::remove_empty_dir(&path));
            continue;
        };
        // The creator holds seat 0 from a time before it links the file.
        if series::is_ours(place, &file)
            && matches!(seats::any_alive(&file), Ok(false))
            && os::unlink(&path).is_ok()
        {
            log::info!(target: "shmcomm", "removed {}: its creator died", path.shown());
        }
    }
}
