//! The reply status word of a request, which tells the requester of an answer.
//!
//! Owns its values, and its two accesses. Calls only atomics. Never checks the permission to store: the
//! caller does.

use crate::fault::weak;
use crate::layout::Words;
use crate::sync::Ordering;

/// The decoded status of a request, for its requester.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReplyStatus {
    /// No answer yet.
    Pending,
    /// A reply of this length in bytes, which belongs to the requester from now on.
    Reply(usize),
    /// An answer without a reply exists or will exist: the slot's word has it.
    NoReply,
}

/// The words of a [`ReplyStatus`]. Any other value is the length of a reply + 1.
const PENDING: u64 = 0;
const NO_REPLY: u64 = u64::MAX;

/// The location of the reply to a request. Only `QueueSlots::reply_area` makes it, so it is in bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReplyArea {
    pub(super) status: Words<8>,
    /// Offset of the reply in the payload, in bytes.
    pub(super) from: usize,
    /// Capacity for the reply, in bytes.
    pub(super) room: usize,
}

impl ReplyArea {
    /// Loads the status. A length is at most the capacity.
    #[inline(always)]
    pub(super) fn status(&self) -> ReplyStatus {
        // [reply seen] pairs with [replied]: a requester that sees the length sees the reply.
        match self.status.u64(0).load(weak("queue relaxed status load", Ordering::Acquire)) {
            PENDING => ReplyStatus::Pending,
            NO_REPLY => ReplyStatus::NoReply,
            reply => ReplyStatus::Reply((reply - 1).min(self.room as u64) as usize),
        }
    }

    /// Stores the status. Only the participant to which the word gives the slot may call it.
    #[inline(always)]
    pub(super) fn set_status(&self, status: ReplyStatus) {
        let value = match status {
            ReplyStatus::Pending => PENDING,
            ReplyStatus::Reply(len) => len as u64 + 1,
            ReplyStatus::NoReply => NO_REPLY,
        };
        // [replied] pairs with [reply seen].
        self.status.u64(0).store(value, weak("queue relaxed status", Ordering::Release));
    }
}
