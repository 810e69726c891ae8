//! The errors of an opening: texts with the numbers, the name and the cure.
//!
//! Owns the texts. Calls `seats` for the entries of the publishers that they name. Decides nothing.

use super::retry::Retry;
use super::{ChannelPath, name, seats};
use crate::error::{Error, ErrorKind};
use crate::layout::{COPIED_MAX, Discipline, Geometry, Growth, PINNED_READERS, SMALL_MAX};
use crate::os::{self, CURES};
use crate::plural::count;
use std::time::Duration;

/// Returns the error for a segment without a free seat among the `seats` that the role may have.
pub(super) fn no_seat(place: &ChannelPath, geometry: &Geometry, seats: usize) -> Error {
    let text = match geometry.discipline {
        Discipline::Pinned | Discipline::MultiPinned if is_asked_in_place(geometry) => format!(
            "no seat is free: {} for subscribers, each taken by a live one. The channel has its messages in place \
             (`in_place: true`), and two of the {} must stay free: a channel seats two subscribers fewer than it has slots, \
             {PINNED_READERS} at most. Close some of them, or, where the segment is made, raise `slots` or leave out \
             `in_place`",
            count(seats, "seat"),
            count(geometry.slots, "slot")
        ),
        Discipline::MultiPinned => format!(
            "no seat is free: {} for subscribers, each taken by a live one. Messages this large are read \
                         in their slots, so a channel seats two subscribers fewer than it has slots, \
                         {PINNED_READERS} at most. Close some of them, or raise `slots` (and `seats`) where the \
                         segment is made",
            count(seats, "seat")
        ),
        Discipline::Pinned if geometry.slot_size <= COPIED_MAX => format!(
            "no seat is free: {} for subscribers, each taken by a live one. Messages of this size are read in their slots \
             as long as the channel declares no more seats than that. Close some of them, or declare more `seats`, without \
             `in_place: true`, where the segment is made: its messages are then copied",
            count(seats, "seat")
        ),
        Discipline::Pinned => format!(
            "no seat is free: {} for subscribers, each taken by a live one. Messages this large are read \
                         in their slots, and two of the {} must stay free: a channel seats two \
                         subscribers fewer than it has slots, {PINNED_READERS} at most. Close some of \
                         them, or raise `slots` (and `seats`) where the segment is made",
            count(seats, "seat"),
            count(geometry.slots, "slot")
        ),
        Discipline::Table => format!(
            "live writers have all {} of the table; close some of them, or let the processes share their writers",
            count(geometry.seats, "seat")
        ),
        _ => format!(
            "live participants have all {} of the segment; \
                         close some of them, or declare more `seats` where the segment is made",
            count(geometry.seats, "seat")
        ),
    };
    place.error(ErrorKind::NoSeat, text)
}

/// Returns `true` if the messages would be copied without the setting `in_place: true`, whatever the number of seats.
fn is_asked_in_place(geometry: &Geometry) -> bool {
    // For slots that grow, the limit decides.
    let longest = geometry.slot_size.max(geometry.growth.limit);
    longest <= if geometry.discipline.shared() { COPIED_MAX } else { SMALL_MAX }
}

pub(super) fn already_published(place: &ChannelPath, publishers: &[seats::Entry]) -> Error {
    let one = |entry: &seats::Entry| {
        let age = Duration::from_nanos(os::wall_clock().saturating_sub(entry.joined).max(0) as u64);
        let (pid, name) = (entry.pid, &entry.name);
        format!("process {pid} (`{name}`) has published it for {:.1} s", age.as_secs_f64())
    };
    let who = match publishers {
        [] => "another process publishes it".to_owned(),
        [entry] => one(entry),
        several => {
            let who = several.iter().map(one).collect::<Vec<_>>().join(", ");
            let all = format!(
                "{who}, and the channel has {} at a time; \
                 end one of them, or raise `publishers` where the segment is made",
                count(several.len(), "publisher")
            );
            return place.error(ErrorKind::AlreadyPublished, all);
        }
    };
    place.error(
        ErrorKind::AlreadyPublished,
        format!("{who}, and a channel has one publisher at a time; end that one first, or use another name"),
    )
}

/// Returns the error for a key whose writer lives.
pub(super) fn already_written(place: &ChannelPath, key: &str, writer: &seats::Entry) -> Error {
    let age = Duration::from_nanos(os::wall_clock().saturating_sub(writer.joined).max(0) as u64);
    let (pid, name, age) = (writer.pid, &writer.name, age.as_secs_f64());
    place.error(
        ErrorKind::AlreadyPublished,
        format!(
            "process {pid} (`{name}`) has written key `{key}` for {age:.1} s, and a key has one writer at a time; \
             end that one first, or write another key"
        ),
    )
}

pub(super) fn not_found(place: &ChannelPath, retry: &Retry) -> Error {
    place.error(
        ErrorKind::NotFound,
        format!(
            "no segment at {} {}; start its publisher, check the name and the namespace, \
             or allow more time with `connect_timeout`. {}: share it, or set {} to a directory that both see",
            place.path().display(),
            retry.tried(),
            CURES.two_directories,
            name::DIR_VARIABLE
        ),
    )
}

pub(super) fn leads_nowhere(why: &str) -> String {
    format!("{why}; send or receive through one of its ends, or start its publisher again")
}

pub(super) fn half_made(place: &ChannelPath, len: u64, retry: &Retry) -> Error {
    place.error(
        ErrorKind::NotASegment,
        format!(
            "{} has {len}, fewer than the header of a segment, {}; shmcomm leaves no such file: delete it",
            place.path().display(),
            retry.tried(),
            len = count(len, "byte")
        ),
    )
}

pub(super) fn other_sizes(theirs: &Geometry, ours: &Geometry) -> String {
    if theirs.discipline == Discipline::Table {
        return format!(
            "it has {} in {} for {}, and this program declares {} in {} for {}",
            count(theirs.slots, "key"),
            count(theirs.slot_size, "byte"),
            count(theirs.seats, "seat"),
            ours.slots,
            ours.slot_size,
            ours.seats
        );
    }
    let sizes = format!(
        "it has {} of {} for {}, and this program declares {} of {} for {}",
        count(theirs.slots, "slot"),
        count(theirs.slot_size, "byte"),
        count(theirs.seats, "participant"),
        ours.slots,
        ours.slot_size,
        ours.seats
    );
    if theirs.discipline.pins() != ours.discipline.pins() {
        let messages = |it: &Geometry| if it.discipline.pins() { "in place" } else { "copied" };
        return format!(
            "{sizes}; its messages are {}, and here they are {}",
            messages(theirs),
            messages(ours)
        );
    }
    if theirs.growth.limit != ours.growth.limit {
        let grow = |growth: Growth| match growth.limit {
            0 => "do not grow".to_owned(),
            limit => format!("grow up to {}", count(limit, "byte")),
        };
        return format!("{sizes}; its slots {}, and here they {}", grow(theirs.growth), grow(ours.growth));
    }
    if theirs.publishers == ours.publishers {
        return sizes;
    }
    format!(
        "{sizes}; it admits {}, and this program declares {}",
        count(theirs.publishers, "publisher"),
        ours.publishers
    )
}
