//! [`remove_stale`] and [`remove_stale_segment`]: remove segments that no process uses and that hold no accepted work.
//!
//! Owns the decision to remove a segment, repeated under the registration lock, and its report. Calls `list`
//! for the segments and `create` to take a name. Never removes a queue that holds work: that takes
//! `force_unlink`.

use super::backlog::scan;
use super::inspect::{self, Found};
use super::list;
use super::mapping::{map, region};
use super::registration::Turn;
use super::removal::{Cleanup, Outcome, SpareReason, Spared};
use super::{ChannelPath, SegmentInfo, create, system};
use super::{seats, series};
use crate::error::Error;
use crate::layout::Pattern;
use crate::plural::count;

/// Removes the segments of one namespace that no process uses, and returns what it removed and what it
/// spared.
///
/// The namespace is the part of the full name before a `/`, as for
/// [`list_segments_in`](crate::list_segments_in); the empty one contains every channel of this user, also
/// those of the user's groups and of the Python library.
///
/// **No accepted work is lost**: a push/pull queue with unfinished jobs stays, on native channels and on
/// channels of Python, whatever their sender and age. A file that cannot be read as a segment stays too.
/// [`force_unlink`](crate::force_unlink) removes these too. The messages of publish/subscribe and the
/// requests of request/reply are removed, because no process is left that waits for them.
///
/// May be called at any time, by any number of processes. The use of a segment is checked under its
/// registration lock: a process that opens the channel meanwhile either keeps the segment or creates a new
/// one. Channels of the Python library have no such lock. If a process attaches to such a channel in the
/// microseconds between the last check and the removal, it keeps a segment that later processes do not find.
/// Waits at most five seconds for each segment whose lock another process holds.
///
/// # Errors
///
/// See [`list_segments_in`](crate::list_segments_in). A segment that cannot be removed is not an error: it is
/// spared, with [`SpareReason::Failed`].
pub fn remove_stale(namespace: &str) -> Result<Cleanup, Error> {
    let mut done = Cleanup::default();
    for segment in list::list_segments_in(namespace)? {
        let outcome = remove_listed(&segment);
        match outcome {
            Outcome::Removed => {
                log::info!(
                    target: "shmcomm",
                    "channel `{}`: removed its stale segment of {}",
                    segment.channel,
                    count(segment.size, "byte"));
                done.removed.push(segment);
            }
            Outcome::Gone => {}
            Outcome::Spared(reason) => done.spared.push(Spared { segment, reason }),
        }
    }
    Ok(done)
}

/// Removes one listed segment like [`remove_stale`]. Returns `false` if it is no longer there.
///
/// # Errors
///
/// The reason why the segment was spared.
pub fn remove_stale_segment(segment: &SegmentInfo) -> Result<bool, SpareReason> {
    match remove_listed(segment) {
        Outcome::Removed => Ok(true),
        Outcome::Gone => Ok(false),
        Outcome::Spared(reason) => Err(reason),
    }
}

/// Removes a listed segment if no process uses it and it holds no accepted work.
fn remove_listed(segment: &SegmentInfo) -> Outcome {
    if !segment.stale {
        return Outcome::Spared(SpareReason::InUse);
    }
    if let Some(why) = &segment.problem {
        return Outcome::Spared(SpareReason::Unreadable(why.clone()));
    }
    if segment.version == 1 {
        return remove_version1(segment);
    }
    let place = ChannelPath::listed(&segment.channel, segment.group.as_deref());
    place.and_then(|place| remove(&place)).unwrap_or_else(|error| Outcome::Spared(SpareReason::Failed(error)))
}

#[cfg(feature = "python")]
fn remove_version1(segment: &SegmentInfo) -> Outcome {
    super::version1::remove_stale(&segment.path)
}

#[cfg(not(feature = "python"))]
fn remove_version1(_: &SegmentInfo) -> Outcome {
    Outcome::Gone
}

/// Removes the segment of the name if no process uses it and it holds no accepted work.
pub(super) fn remove(place: &ChannelPath) -> Result<Outcome, Error> {
    let mut found = match inspect::find(place)? {
        Found::Nothing => return Ok(Outcome::Gone),
        Found::HalfMade { len } => {
            let why = format!("it has {len}, fewer than the header of a segment", len = count(len, "byte"));
            return Ok(Outcome::Spared(SpareReason::Unreadable(why)));
        }
        Found::Damaged { why, .. } | Found::LeadsNowhere { why, .. } => {
            return Ok(Outcome::Spared(SpareReason::Unreadable(why)));
        }
        Found::Intact(found) => found,
    };
    let turn = Turn::sole(&mut found.file);
    let file = turn.file();
    let _registration = turn.register(place)?;
    if !inspect::names(place.path(), &found.stat) {
        return Ok(Outcome::Gone);
    }
    let alive = seats::any_alive(file).map_err(|error| system(place, "lock", error))?;
    // A subscriber of an earlier segment may have yet to follow.
    if alive || series::is_awaited(place, &found.geometry.growth) {
        return Ok(Outcome::Spared(SpareReason::InUse));
    }
    if found.pattern == Pattern::PushPull {
        let mapped = map(place, file, &found.geometry)?;
        let seen = scan(region(&mapped), &found.geometry);
        let unfinished = seen.ready.saturating_add(seen.claimed);
        if unfinished > 0 {
            return Ok(Outcome::Spared(SpareReason::HoldsWork(unfinished)));
        }
    }
    let removed = create::take_name(place, file, &found.stat)?;
    Ok(if removed { Outcome::Removed } else { Outcome::Gone })
}
