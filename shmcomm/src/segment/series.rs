//! The earlier segments of a series whose slots grew, while participants are still in them.
//!
//! Owns their hidden names: `shmcomm2~`, the number of the series, and the step. Calls `seats` for their liveness. Never
//! decides which participants follow.
//!
//! The segment that has the name of the channel must not go while a subscriber of an earlier one has yet to follow. Its last
//! participant cannot see the earlier segments except by these names. They are removed by the last participant of each
//! segment, or, after a kill, like other temporary names: when no participant is alive.

use super::inspect::{self, Found};
use super::registration::Turn;
use super::{ChannelPath, Mapping, ObserverMapping, forward, seats};
use crate::layout::{Geometry, Growth};
use crate::os::{self, File, FileId, FileKind};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

fn hidden(place: &ChannelPath, series: u64, step: u64) -> PathBuf {
    place.dir().join(format!("{}{series:016x}-{step}", super::name::TEMPORARY))
}

/// Gives a segment that another one is about to continue its hidden name. Without one, the series may end before all of
/// its subscribers have followed, and the next publisher does not wait for them.
pub(super) fn hide(place: &ChannelPath, growth: &Growth, file: &File, id: FileId) -> io::Result<()> {
    let path = hidden(place, growth.series, growth.steps);
    match os::link(file, &path) {
        // A predecessor that died in the same step has made it.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match os::id_of_path(&path) {
            Ok(Some(there)) if there == id => Ok(()),
            _ => Err(error),
        },
        made => made,
    }
}

/// Maps the earlier segments of the series of a segment, in which participants are alive. Oldest first.
pub(crate) fn earlier(mapping: &Mapping) -> Vec<Arc<ObserverMapping>> {
    let growth = mapping.geometry().growth;
    let steps = 0..growth.steps.min(MOST);
    let map = |step| {
        let place = mapping.place();
        let path = hidden(place, growth.series, step);
        let found = inspect::find(&place.at(path)).ok()?;
        let Found::Intact(found) = found else { return None };
        let of_series = mapping.geometry().continues(&found.geometry) && found.geometry.growth.steps == step;
        if !of_series || !seats::any_alive(&found.file).unwrap_or(true) {
            return None;
        }
        ObserverMapping::of_file(mapping, found.file, found.stat.id, found.geometry).ok()
    };
    steps.filter_map(map).collect()
}

/// Removes the hidden name of a segment, if it has one.
pub(super) fn forget(place: &ChannelPath, growth: &Growth, id: FileId) {
    let path = hidden(place, growth.series, growth.steps);
    if growth.is_some() && matches!(os::id_of_path(&path), Ok(Some(there)) if there == id) {
        let _ = os::unlink(&path);
    }
}

/// Removes the segment that has the name of the channel, if it is of the same series and no participant uses it. It was
/// left for the participants of the segment with this layout. The last of these has left now.
pub(super) fn finish(place: &ChannelPath, geometry: &Geometry) {
    if geometry.growth.is_some()
        && let Ok(Found::Intact(found)) = inspect::find(place)
        && found.geometry.continues(geometry)
    {
        let (stat, growth) = (found.stat, found.geometry.growth);
        let mut file = found.file;
        let turn = Turn::sole(&mut file);
        let Ok(registration) = turn.register(place) else { return };
        let unused = matches!(seats::any_alive(registration.file()), Ok(false));
        if unused && inspect::names(place.path(), &stat) && !is_awaited(place, &growth) {
            let _ = forward::change_name(place.path(), stat.id, || os::unlink(place.path()));
        }
    }
}

/// Returns `true` for a regular file of this user, or of the group that shares the channel.
pub(super) fn is_ours(place: &ChannelPath, file: &File) -> bool {
    let Ok(stat) = os::stat(file) else { return false };
    let ours = match place.sharing() {
        None => os::is_own(&stat),
        Some(sharing) => sharing.check(&stat),
    };
    stat.kind == FileKind::Regular && ours.is_ok()
}

/// Returns `true` if a participant is alive in an earlier segment of the series. Removes the hidden names of the others.
pub(super) fn is_awaited(place: &ChannelPath, growth: &Growth) -> bool {
    // Each step doubles the slots at least, so there are few. A header may say any number.
    let steps = 0..growth.steps.min(MOST);
    steps.fold(false, |awaited, step| {
        let path = hidden(place, growth.series, step);
        // A file of another user is none of the channel's.
        let Some(file) = os::open(&path).ok().filter(|file| is_ours(place, file)) else { return awaited };
        if seats::any_alive(&file).unwrap_or(true) {
            return true;
        }
        let _ = os::unlink(&path);
        awaited
    })
}

/// Largest number of steps: from 1 byte to 2 GiB, and one to a limit that is no power of two.
const MOST: u64 = 32;
