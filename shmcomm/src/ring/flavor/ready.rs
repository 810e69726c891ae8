//! [`ReadyCheck`]: a check for a message, in either flavor.
//!
//! Owns the choice, made once. Calls `broadcast` and `multi`, which do the work. Never takes a message.

use crate::layout::{Geometry, Region};
use crate::ring::{broadcast, multi};

/// Checks for a message on behalf of a reader, without being the reader (an observer).
#[derive(Clone, Copy, Debug)]
pub(crate) enum ReadyCheck {
    Broadcast(broadcast::ReadyCheck),
    Multi(multi::ReadyCheck),
}

impl ReadyCheck {
    pub(crate) fn new(region: Region, geometry: &Geometry) -> Self {
        if geometry.discipline.shared() {
            ReadyCheck::Multi(multi::ReadyCheck::new(region, geometry))
        } else {
            ReadyCheck::Broadcast(broadcast::ReadyCheck::new(region, geometry))
        }
    }

    /// Returns `true` if a reader at `position` would find anything, or if no reader has reached
    /// `position`.
    pub(crate) fn ready_at(&self, position: u64) -> bool {
        match self {
            ReadyCheck::Broadcast(check) => check.ready_at(position),
            ReadyCheck::Multi(check) => check.ready_at(position),
        }
    }
}
