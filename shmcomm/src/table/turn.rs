//! The turn of a writer on a key that several writers store.
//!
//! Owns the wait for it, with the check for a writer that died. Calls `ring` for the lock, `segment` for the recovery. Never
//! takes the key from a live writer.

use super::StoreError;
use crate::ring::table::{Locked, SharedKeyWriter};
use crate::segment::Attachment;
use crate::sync::spin_loop;
use crate::wait::SPINS;
use std::time::{Duration, Instant};

/// Time after which a writer checks whether the writer that has the key is alive, and time between two checks. A store
/// takes less, unless its thread does not run.
const CHECK: Duration = Duration::from_millis(1);
/// Longest wait for a writer that is alive.
const STALL: Duration = Duration::from_secs(1);

/// Locks the key of a writer.
#[inline]
pub(super) fn lock(writer: &SharedKeyWriter, attachment: &Attachment) -> Result<Locked, StoreError> {
    match writer.try_lock() {
        Ok(locked) => Ok(locked),
        Err(_) => wait(writer, attachment),
    }
}

#[cold]
fn wait(writer: &SharedKeyWriter, attachment: &Attachment) -> Result<Locked, StoreError> {
    let start = Instant::now();
    let mut checked = start;
    loop {
        let mut owner = 0;
        for _ in 0..SPINS {
            match writer.try_lock() {
                Ok(locked) => return Ok(locked),
                Err(found) => owner = found,
            }
            spin_loop();
        }
        let now = Instant::now();
        if now - checked < CHECK {
            std::thread::yield_now();
            continue;
        }
        checked = now;
        // A number that is no seat, in a damaged segment, is the seat of no live writer, and is never cleared.
        let alive = owner < attachment.geometry().seats && attachment.peer_alive(owner);
        if !alive {
            // Unlocks the key. Does nothing while another process joins, leaves or recovers.
            attachment.recover_peers();
        }
        let waited = now - start;
        if waited >= STALL {
            let owner = attachment.participants().into_iter().find(|participant| participant.seat == owner);
            return Err(StoreError::Busy {
                pid: owner.map_or(0, |owner| owner.pid),
                seconds: waited.as_secs(),
            });
        }
        std::thread::sleep(CHECK / 10);
    }
}
