//! Checks that the name of a channel still refers to its segment.
//!
//! Owns the time of the next check, and the decision to restore a removed name. Calls `forward` to restore it. Ends that
//! may never wait ask for a check at the pace of `check_pace`.
//! Never changes a name without the registration lock.

use super::Mapping;
use crate::layout::{control, seat};
use crate::os::{self, CURES, File};
use crate::records::LogRecords;
use crate::segment::forward::{Standing, rescue, restore, standing};
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use std::io;

/// Nanoseconds between two checks of a name.
pub(crate) const NAME_PERIOD: u64 = 40_000_000;

/// Time of a participant's last check of its channel name, and a flag that is set once it has reported that
/// the name is lost.
#[derive(Debug, Default)]
pub(in crate::segment) struct Keeping {
    checked: AtomicU64,
    reported: AtomicU32,
}

impl Mapping {
    /// Checks that the channel name refers to this segment, and restores the name if the file was removed.
    /// Makes the check at most every 40 ms; a call in between takes about 5 ns.
    #[inline]
    pub(crate) fn keep_name(&self) {
        let now = os::monotonic_coarse();
        // Relaxed: it orders no other access. Two threads may both check.
        if now.saturating_sub(self.name.checked.load(Ordering::Relaxed)) >= NAME_PERIOD {
            self.name.checked.store(now, Ordering::Relaxed);
            self.check_name();
        }
    }

    #[cold]
    fn check_name(&self) {
        if self.forked()
            || standing(self.place.path(), self.liveness.id()) == Standing::Here
            || !self.may_have_name()
        {
            return;
        }
        let mut records = LogRecords::new();
        let Ok(Some(turn)) = self.liveness.try_turn() else { return };
        let Ok(Ok(registration)) = turn.try_register() else { return };
        let file = registration.file();
        // Checked again under the lock: the participant may have left, and its name may be gone.
        if !self.may_have_name() {
            return;
        }
        let channel = self.channel();
        match restore(&self.place, file, self.liveness.id(), (os::pid(), os::descriptor(file))) {
            Ok(false) => {}
            Ok(true) => records.warn(format!(
                "channel `{channel}`: its file was removed while it is in use (by {}); new participants find it again \
                 through this process",
                CURES.removes
            )),
            // Relaxed: an independent flag.
            Err(_) if self.name.reported.swap(1, Ordering::Relaxed) != 0 => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => records.warn(format!(
                "channel `{channel}`: its file was removed while it is in use, and {} is another file now; new \
                 participants do not find this one: restart the processes that were attached before",
                self.place.path().display()
            )),
            Err(error) => records.warn(format!(
                "channel `{channel}`: its file was removed while it is in use, and {} cannot be made again: {error}; \
                 restart the processes of this channel",
                self.place.path().display()
            )),
        }
    }

    /// Returns `true` if the segment is in use by name: not superseded, and this participant has not left it.
    fn may_have_name(&self) -> bool {
        // Relaxed, both: checked again under the registration lock, which orders them.
        self.region.u64(control::STATE).load(Ordering::Relaxed) == control::LIVE
            && self.region.u32(self.seat_offset() + seat::ROLE).load(Ordering::Relaxed) != 0
    }

    /// Gives the file of a queue a name, if its last participant leaves with messages in it. The caller holds
    /// the registration lock of `file`.
    pub(in crate::segment) fn leave_behind(&self, file: &File, records: &mut LogRecords) {
        let path = self.place.path();
        let has_name = matches!(os::id_of_path(path), Ok(Some(id)) if id == self.liveness.id());
        // Relaxed: the registration lock is held.
        if has_name || self.region.u64(control::STATE).load(Ordering::Relaxed) != control::LIVE {
            return;
        }
        let channel = self.channel();
        match rescue(&self.place, file, &self.geometry) {
            Ok(()) => records.warn(format!(
                "channel `{channel}`: its file was removed while it was in use; its queued messages are in a new file under \
                 its name"
            )),
            Err(error) => records.error(format!(
                "channel `{channel}`: its file was removed while it was in use, and its queued messages are lost with its \
                 last participant: {error}"
            )),
        }
    }
}
