//! Differences between the settings of a program and those of the segment that it uses.
//!
//! Owns the comparison, its texts, and the memory of reported differences, so that a process reports each
//! once. Calls no function that waits.
//! Never refuses a segment: `inspect` does.

use super::{Attachment, Requested, Role, Spec};
use crate::layout::{FLAG_WAIT, Geometry, Pattern, Shape};
use crate::os::FileId;
use std::sync::{Mutex, PoisonError};

/// Number of remembered differences, so that each is reported once.
const REMEMBERED: usize = 256;

/// Reports the settings of `spec` that the segment does not have, once for each segment and text.
pub(super) fn report(attachment: &Attachment, spec: &Spec) {
    let differ = differences(attachment.geometry(), attachment.publisher_waits(), spec, attachment.role());
    let cure = match spec.pattern {
        Pattern::PubSub => "the publisher that creates the segment decides",
        Pattern::Table => "the writer that creates the segment decides",
        Pattern::PushPull | Pattern::ReqRep => {
            "the end that creates the segment decides, or the next one to find it without ends and without jobs"
        }
    };
    report_differences(attachment.channel(), attachment.id(), &differ, cure);
}

/// Reports differences between the settings of this program and a segment, once for each channel, segment and text. Some
/// file systems give the number of a removed file to the next one.
pub(crate) fn report_differences(channel: &str, id: FileId, differ: &[String], cure: &str) {
    if differ.is_empty() {
        return;
    }
    static REPORTED: Mutex<Vec<(FileId, String)>> = Mutex::new(Vec::new());
    let text = format!("channel `{channel}`: the existing segment has {}", differ.join(", "));
    {
        let mut reported = REPORTED.lock().unwrap_or_else(PoisonError::into_inner);
        if reported.iter().any(|(segment, said)| *segment == id && *said == text) {
            return;
        }
        if reported.len() == REMEMBERED {
            reported.remove(0);
        }
        reported.push((id, text.clone()));
    }
    log::warn!(
        target: "shmcomm",
        "{text} as requested by this program, and is used unchanged; {cure}: give all programs the same settings"
    );
}

/// Returns the settings that differ, with both values.
fn differences(there: &Geometry, waits: bool, spec: &Spec, role: Role) -> Vec<String> {
    let mut differ = Vec::new();
    let mut compare = |asked: Requested, name: &str, there: u64, here: u64| {
        if spec.asked.has(asked) && there != here {
            differ.push(format!("`{name}` {there} instead of {here}"));
        }
    };
    compare(Requested::SLOTS, "slots", there.slots, spec.slots);
    // With a codec, a request may take the specified size; its slot holds the reply too.
    let sizes = if there.request_size == spec.request_size {
        (there.slot_size, spec.slot_size)
    } else {
        (there.request_size, spec.request_size)
    };
    // The slots of a stream follow its window.
    // Slots that have grown are larger than declared.
    let grown = there.growth.is_some() && !there.grows_each_slot() && sizes.0 > sizes.1;
    if spec.window == 0 && !grown {
        compare(Requested::SLOT_SIZE, "slot_size", sizes.0, sizes.1);
    }
    compare(Requested::GROW, "grow", there.growth.limit, spec.grow);
    compare(Requested::WINDOW, "window", there.stream.window, spec.window);
    compare(Requested::SEATS, "seats", there.seats.into(), seats(there, spec).into());
    compare(Requested::PUBLISHERS, "publishers", there.publishers.into(), spec.publishers.into());
    let wanted = spec.flags & FLAG_WAIT != 0;
    if role == Role::Subscriber && spec.asked.has(Requested::OVERFLOW) && waits != wanted {
        let word = |waits| if waits { "Wait" } else { "Overwrite" };
        differ.push(format!("`overflow` {} instead of {}", word(waits), word(wanted)));
    } else if role == Role::Subscriber && spec.asked.has(Requested::PATIENCE) && !waits {
        differ.push("`overflow` Overwrite, without `patience`, instead of Wait".to_owned());
    }
    differ
}

/// Returns the number of seats that the existing segment would have with the seats of `spec`. Rings whose
/// readers pin a slot have fewer.
fn seats(there: &Geometry, spec: &Spec) -> u32 {
    let shape = Shape {
        pattern: spec.pattern,
        slots: there.slots,
        slot_size: there.slot_size,
        request_size: there.request_size,
        align: there.align,
        seats: spec.seats,
        publishers: there.publishers,
        schema_len: 0,
    };
    let made = if there.growth.is_some() || spec.in_place.is_some() {
        Geometry::with(there.discipline, shape)
    } else {
        Geometry::new(shape)
    };
    made.map_or(spec.seats, |made| made.seats)
}
