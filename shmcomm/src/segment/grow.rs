//! Larger slots: a segment is continued in a new one, or a slot of a queue gets more memory ([`grow_slot`]).
//!
//! Owns the order of the steps. Calls `create` for the new segment and its name, and a function of the pattern that fills
//! it. Never sends a message, and never changes a slot of the old segment.
//!
//! ```text
//!   old segment has the name           new segment                     a death after this step
//!   ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
//!                                      made, seat 0 locked, no name    the kernel frees it; the successor takes the old one
//!                                      filled by the pattern           the same
//!   registration lock; still named?                                    the same
//!   linked to its hidden name                                          the same; the hidden name is removed later
//!                                      linked to a temporary name      the same; the temporary name is removed later
//!                                      renamed over the old name       the successor takes over the new segment
//!   marked as superseded                                               the same
//!   sleepers woken, lock released                                      the same
//!   left by its publisher                                              the same
//! ```
//!
//! The new segment is complete before it has the name. No process sends to the old one any more, because its only sender
//! runs these steps. So no participant can find two segments that both receive messages.

use super::attachment::Attachment;
use super::{ChannelPath, Spec, create, inspect, series, system};
use crate::error::{Error, ErrorKind};
use crate::fault::fault_point;
use crate::layout::{Geometry, Growth, Shape};
use crate::os::{self, CURES};
use crate::plural::count;
use std::io;

/// Returns the attachment to a segment with slots of `slot_size` bytes that continues `old`, of which the caller is the
/// only sender. `fill` writes the messages of the old segment into the new one, before the new one has a name. The caller
/// leaves the old segment.
///
/// After an error the old segment is as before.
pub(crate) fn grow<T>(
    old: &Attachment,
    spec: &Spec,
    slot_size: u64,
    fill: impl FnOnce(&Attachment) -> Result<T, Error>,
) -> Result<(Attachment, T), Error> {
    let place = old.place();
    if !os::HAS_LINKS {
        let why = "on this system slots cannot grow, because a file has no second name; set `slot_size` to the longest message";
        return Err(place.error(ErrorKind::Unsupported, why));
    }
    let geometry = larger(place, old.geometry(), spec, slot_size)?;
    let mut fresh = create::unnamed(place, spec, geometry, (old.seat(), old.role()), old.ops)?;
    fault_point!("grow.made");
    let filled = fill(&fresh)?;
    fault_point!("grow.filled");
    let stat = os::stat(old.liveness_file()?).map_err(|error| system(place, "examine", error))?;
    {
        let turn = old.liveness.turn().map_err(|error| system(place, "lock", error))?;
        let registration = turn.register(place)?;
        let named = inspect::names(place.path(), &stat);
        let hidden = series::hide(place, &old.geometry().growth, registration.file(), stat.id);
        if let (Err(error), true) = (hidden, old.publisher_waits()) {
            return Err(system(place, "name", error));
        }
        fault_point!("grow.hidden");
        if !named || !create::take_over_name(&mut fresh, registration.file(), &stat, true)? {
            let why = "its name belongs to another file, or to none, so its subscribers could not follow; \
                       restart the processes of the channel";
            return Err(place.error(ErrorKind::NotFound, why));
        }
    }
    fault_point!("grow.named");
    create::clean_temporaries(place);
    Ok((fresh, filled))
}

/// Returns the layout of the segment that continues one with the layout `old`.
fn larger(place: &ChannelPath, old: &Geometry, spec: &Spec, slot_size: u64) -> Result<Geometry, Error> {
    let shape = Shape {
        pattern: spec.pattern,
        slots: old.slots,
        slot_size,
        request_size: 0,
        align: old.align,
        seats: old.seats,
        publishers: old.publishers,
        schema_len: spec.schema.len() as u64,
    };
    let growth = Growth { steps: old.growth.steps.saturating_add(1), ..old.growth };
    Geometry::with(old.discipline, shape).and_then(|geometry| geometry.growing(growth)).map_err(|error| {
        place.error(ErrorKind::InvalidGeometry, format!("a segment cannot be made with {error}"))
    })
}

/// Allocates the memory of a payload of `size` bytes in a slot of a queue whose slots grow. The caller owns the slot, which
/// has memory for `before` bytes. After an error it has that.
pub(crate) fn grow_slot(
    attachment: &Attachment,
    index: u64,
    (before, size): (u64, u64),
) -> Result<(), Error> {
    let place = attachment.place();
    let geometry = attachment.geometry();
    let part = geometry.part_of_slot(index, before).end..geometry.part_of_slot(index, size).end;
    let error = match os::extend(attachment.liveness_file()?, part) {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    let why = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => format!(
            "the slot takes {}, and {} has {} free; pull the jobs of other queues, remove segments that no process uses \
             (`shmcomm::remove_stale`), or {}",
            count(size, "byte"),
            place.dir().display(),
            os::free_bytes(place.dir()).map_or("too few".to_owned(), |free| free.to_string()),
            CURES.full
        ),
        io::ErrorKind::OutOfMemory => format!(
            "the slot takes {}, and the system has no memory for them ({error}); {}",
            count(size, "byte"),
            CURES.no_memory
        ),
        _ => return Err(system(place, "reserve room for", error)),
    };
    Err(place.error(ErrorKind::NoSpace, why).with_source(error))
}
