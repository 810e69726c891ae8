//! Makes segments, and puts them under their names.
//!
//! Owns the only code that writes a header, and the two ways of getting a name: a new one (`link`,
//! which fails if there is one already) and another segment's (`rename`, which takes it over).
//! Neither ever shows a segment that is not complete.

use super::attachment::{Arrival, Attachment, Held};
use super::{Keeper, Place, Role, Spec, name, seats, system};
use crate::fault::fault_point;
use crate::layout::{Geometry, Identity, MAGIC, PAGE, Region, Shape, VERSION, control, seat};
use crate::os::{self, FileKind, Stat};
use crate::{Error, ErrorKind};
use std::fs::File;
use std::io;
use std::path::Path;
use zerocopy::{FromZeros as _, IntoBytes as _};

/// Segments up to this size get their page tables filled when they are mapped, so that the first lap
/// costs no page faults (0.5 µs each). That takes a subscriber about 0.13 ms for each MiB, and the
/// maker, whose pages are zeroed then, 0.4 ms. Larger segments are mapped at once.
const POPULATE_MAX: u64 = 64 << 20;

/// The sizes of the segment that `spec` asks for.
pub(super) fn geometry(place: &Place, spec: &Spec) -> Result<Geometry, Error> {
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
    Geometry::new(shape).map_err(|error| {
        place.error(ErrorKind::InvalidGeometry, format!("a segment cannot be made with {error}"))
    })
}

/// Maps a whole segment; the caller has checked that the file is as long as that.
pub(super) fn map(place: &Place, file: &File, geometry: &Geometry) -> Result<os::Map, Error> {
    let populate = geometry.segment_size <= POPULATE_MAX;
    let len = usize::try_from(geometry.segment_size).map_err(|_| {
        let size = geometry.segment_size;
        place.error(
            ErrorKind::InvalidGeometry,
            format!(
                "the segment has {size} bytes, more than this process can address; use fewer or smaller slots"
            ),
        )
    })?;
    os::map(file, len, populate).map_err(|error| system(place, "map", error))
}

/// The bytes of a mapped segment.
///
/// The value may be used for as long as the mapping lives.
pub(super) fn region(map: &os::Map) -> Region {
    // SAFETY: invariant 1 of `Region`: a mapping starts at a page, and its users keep it
    // (`Attachment` owns both); invariant 2: only rings and this module go through it.
    unsafe { Region::new(map.base(), map.len()) }
}

/// A complete segment without a name, with this process on its seat 0.
pub(super) fn unnamed(
    place: &Place,
    spec: &Spec,
    geometry: Geometry,
    role: Role,
    keeper: Keeper,
) -> Result<Attachment, Error> {
    let file = os::create_unnamed(place.dir()).map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound || error.kind() == io::ErrorKind::Unsupported {
            let why = format!(
                "cannot make a file without a name in {} ({error}); \
                 it takes a directory of a file system that can do that, such as tmpfs: \
                 mount one there, or set {} in all processes",
                place.dir().display(),
                name::DIR_VARIABLE
            );
            return place.error(ErrorKind::Unsupported, why).with_source(error);
        }
        system(place, "create", error)
    })?;
    reserve(place, &file, &geometry)?;
    fault_point!("segment.reserved");
    let mut identity = Identity::new_zeroed();
    identity.magic = MAGIC;
    identity.version = VERSION;
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
    identity.creator = os::pid();
    identity.publishers = geometry.publishers_field();
    identity.request_size = geometry.request_size;
    os::write_at(&file, identity.as_bytes(), 0).map_err(|error| system(place, "write", error))?;
    os::write_at(&file, spec.schema.as_bytes(), geometry.schema_offset)
        .map_err(|error| system(place, "write", error))?;

    fault_point!("segment.written");
    let stat = os::stat(&file).map_err(|error| system(place, "examine", error))?;
    let probe = os::reopen(&file).map_err(|error| system(place, "open", error))?;
    let map = map(place, &file, &geometry)?;
    // Nobody else knows the file, so nobody else has the seat.
    seats::take(&file, 0).map_err(|error| system(place, "lock", error))?;
    fault_point!("segment.locked");
    seats::write(&region(&map), &geometry, 0, role);
    fault_point!("segment.made");
    // `file` is closed here; the mapping keeps its lock.
    let held = Held { place: place.clone(), probe, map, id: stat.id, geometry, flags: spec.flags };
    Attachment::new(held, 0, role, keeper)
}

fn reserve(place: &Place, file: &File, geometry: &Geometry) -> Result<(), Error> {
    let size = geometry.segment_size;
    let error = match os::reserve(file, size) {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    let dir = place.dir().display();
    let made_of = format!("{size} bytes ({} slots of {} bytes)", geometry.slots, geometry.slot_size);
    let (kind, why) = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => (
            ErrorKind::NoSpace,
            format!(
                "the segment takes {made_of}, and {dir} has {} free; \
                 use fewer or smaller slots, remove segments that nobody uses (`shmcomm::list_segments`), \
                 or give the file system more (`mount -o remount,size=…`, in a container `--shm-size`)",
                os::free_bytes(place.dir()).map_or("too few".to_owned(), |free| free.to_string()),
            ),
        ),
        io::ErrorKind::FileTooLarge => (
            ErrorKind::NoSpace,
            format!(
                "the segment takes {made_of}, and this process may make files of {}; \
                 raise the limit (`ulimit -f`), or use fewer or smaller slots",
                os::file_size_limit().map_or("fewer".to_owned(), |limit| format!("{limit} bytes")),
            ),
        ),
        io::ErrorKind::OutOfMemory => (
            ErrorKind::NoSpace,
            format!(
                "the segment takes {made_of}, and the system has no memory for them ({error}); \
                 use fewer or smaller slots, or raise the memory limit of the control group"
            ),
        ),
        io::ErrorKind::Unsupported => (
            ErrorKind::Unsupported,
            format!(
                "the file system of {dir} cannot reserve room ({error}); \
                 use tmpfs, or another directory in {}",
                name::DIR_VARIABLE
            ),
        ),
        _ => return Err(system(place, "reserve room for", error)),
    };
    Err(place.error(kind, why).with_source(error))
}

/// Gives a new segment its own name; nothing if there is something of that name by now.
pub(super) fn publish_name(mut fresh: Attachment) -> Result<Option<Attachment>, Error> {
    match os::link(fresh.probe()?, fresh.place().path()) {
        Ok(()) => {
            fault_point!("segment.linked");
            fresh.arrived(Arrival::Created);
            Ok(Some(fresh))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(system(fresh.place(), "name", error)),
    }
}

/// Puts a new segment under the name of an old one, whose registration lock is held and whose
/// inode the name has been seen to stand for.
pub(super) fn take_over_name(
    mut fresh: Attachment,
    old: &File,
    old_stat: &Stat,
    why: &str,
) -> Result<Attachment, Error> {
    let place = fresh.place().clone();
    let temporary = place.temporary();
    os::link(fresh.probe()?, &temporary).map_err(|error| system(&place, "name", error))?;
    fault_point!("segment.temporary");
    mark_superseded(old, old_stat);
    fault_point!("segment.marked");
    if let Err(error) = os::rename(&temporary, place.path()) {
        let _ = os::unlink(&temporary);
        return Err(system(&place, "name", error));
    }
    fault_point!("segment.renamed");
    wake_sleepers(old, old_stat);
    log::warn!(
        target: "shmcomm",
        "channel `{}`: replaced its segment, as {why}; whoever is attached to the old one is told",
        place.name()
    );
    fresh.arrived(Arrival::Replaced);
    Ok(fresh)
}

/// Takes a segment's name from it, under its registration lock; false if it has none.
///
/// The mark comes first: if this process dies in between, whoever finds a marked segment under a
/// name finishes the job.
pub(super) fn take_name(place: &Place, file: &File, stat: &Stat) -> Result<bool, Error> {
    mark_superseded(file, stat);
    fault_point!("segment.unlinking");
    match os::unlink(place.path()) {
        Ok(()) => {
            fault_point!("segment.unlinked");
            wake_sleepers(file, stat);
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(system(place, "remove", error)),
    }
}

/// Whether a file is long enough to have the control words, be the rest of it damaged.
fn has_control_words(stat: &Stat) -> bool {
    stat.len >= PAGE as u64
}

fn mark_superseded(file: &File, stat: &Stat) {
    if has_control_words(stat) {
        // By a write rather than through a map: a map of a file that is cut short meanwhile kills.
        let _ = os::write_at(file, &control::SUPERSEDED.to_ne_bytes(), control::STATE as u64);
    }
}

fn wake_sleepers(file: &File, stat: &Stat) {
    if has_control_words(stat)
        && let Ok(map) = os::map(file, PAGE, false)
    {
        seats::wake_all(&region(&map), None);
    }
}

/// Removes segments that lost their makers on the way to their names.
pub(super) fn clean_temporaries(dir: &Path) {
    for file in os::list(dir).unwrap_or_default() {
        if !file.starts_with(name::TEMPORARY) {
            continue;
        }
        let path = dir.join(file);
        let Ok(file) = os::open(&path) else { continue };
        let Ok(stat) = os::stat(&file) else { continue };
        // A maker holds seat 0 from before it links.
        if stat.kind == FileKind::Regular
            && stat.owner == os::user()
            && matches!(seats::any_alive(&file), Ok(false))
            && os::unlink(&path).is_ok()
        {
            log::info!(target: "shmcomm", "removed {}: its maker died", path.display());
        }
    }
}
