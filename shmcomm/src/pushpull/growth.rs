//! Growth: a pusher whose message is longer than its slot gives the slot more memory.
//!
//! Owns the order of the steps. Calls `segment` for the memory, and `ring` for the slot that the
//! pusher has claimed. Never waits, and never touches another slot.
//!
//! ```text
//!   step of the pusher                          a death after this step
//!   ────────────────────────────────────────────────────────────────────────────────────────────────────
//!   the slot is claimed: WRITING                recovery frees the slot, as always; no job was sent
//!   its memory is allocated up to the size      the same; the next long job in this slot allocates it again
//!   EXTRA records the size                      the same; the next long job in this slot finds the memory
//!   GROWN is raised: a statistic                the same
//!   the message is written, and published       the job is delivered
//!   the step is logged                          the same
//! ```
//!
//! 1. A slot has memory for the bytes that its EXTRA records, or for `slot_size` if that is more. Only the owner of the slot
//!    raises EXTRA, after the allocation. Memory below EXTRA is never taken back.
//! 2. A pusher writes, and publishes, at most that many bytes.
//!
//! The slot belongs to the pusher alone from the claim on, so no two pushers grow one slot at a time. Two that grow
//! different slots need no order. A job keeps its slot and its position. So everything that the queue promises holds: the
//! order of a pusher, the one receiver, redelivery, and the counts. A puller reads no byte beyond the length of a job,
//! so it finds memory behind each (2).

use super::PushError;
use crate::codec::EncodeError;
use crate::error::NotGrown;
use crate::fault::fault_point;
use crate::layout::{Grown, control};
use crate::plural::count;
use crate::ring::queue::Loan;
use crate::segment::{self, Attachment};
use crate::sync::Ordering;

/// Number of attempts to raise a statistic that other processes raise at the same time.
const TRIES: u32 = 64;

/// A step to a larger size than any slot of the queue had before.
pub(super) struct Step {
    before: u64,
    target: u64,
    needed: usize,
}

impl Step {
    /// Logs the step. Not called while the pusher owns a slot: the logger of the user may block, and pullers wait for
    /// that slot.
    #[cold]
    pub(super) fn log(&self, attachment: &Attachment) {
        log::info!(
            target: "shmcomm",
            "channel `{}`: its slots grow from {} to {}, for a message of {}",
            attachment.channel(),
            self.before,
            count(self.target, "byte"),
            count(self.needed, "byte")
        );
    }
}

/// Gives the slot of `loan` memory for a message of `needed` bytes. Returns the step to log, if there is one.
#[cold]
pub(super) fn fit(
    attachment: &Attachment,
    loan: &mut Loan<'_>,
    needed: usize,
) -> Result<Option<Step>, PushError> {
    let geometry = attachment.geometry();
    let region = attachment.region();
    let word = region.u64(control::GROWN);
    let Some(target) = geometry.growth.size_for(needed as u64) else {
        let capacity = geometry.longest() as usize;
        return Err(PushError::Unencodable(EncodeError::TooLong { needed, capacity }));
    };
    let before = loan.capacity() as u64;
    segment::grow_slot(attachment, loan.index(), (before, target))
        .map_err(|why| PushError::NotGrown(NotGrown::new(needed, before, target, &why)))?;
    fault_point!("grow.backed");
    loan.grow(target as usize);
    fault_point!("grow.recorded");
    // Relaxed, here and below: a statistic.
    let mut seen = word.load(Ordering::Relaxed);
    for _ in 0..TRIES {
        let Some(raised) = Grown::of(seen).raised(target) else { break };
        match word.compare_exchange(seen, raised, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => {
                fault_point!("grow.counted");
                return Ok(Some(Step { before: geometry.grown(seen).0, target, needed }));
            }
            Err(now) => seen = now,
        }
    }
    Ok(None)
}
