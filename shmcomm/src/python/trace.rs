//! Log records of slots that are written and read, with the feature `trace-slots`; empty without it.
//!
//! Owns their texts. Called after a lock is released, never under it: a logger is user code.

use super::v1::name::SegmentPaths;

/// Reports a slot that this end has written.
#[inline(always)]
pub(super) fn wrote(_place: &SegmentPaths, _slot: u64, _len: usize) {
    #[cfg(feature = "trace-slots")]
    record(_place, format_args!("wrote {_len} to slot {_slot}", _len = crate::plural::count(_len, "byte")));
}

/// Reports a slot that this end has read.
#[inline(always)]
pub(super) fn read(_place: &SegmentPaths, _slot: u64, _len: usize) {
    #[cfg(feature = "trace-slots")]
    record(_place, format_args!("read {_len} from slot {_slot}", _len = crate::plural::count(_len, "byte")));
}

#[cfg(feature = "trace-slots")]
#[inline(never)]
fn record(place: &SegmentPaths, what: core::fmt::Arguments<'_>) {
    log::debug!(
        target: "shmcomm::slots",
        "channel `{}`: {what} of {}",
        place.name(),
        crate::escape::Shown::shown(place.path())
    );
}
