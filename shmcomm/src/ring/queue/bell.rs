//! The bell of a request: the word that tells its requester of an answer.
//!
//! Owns its values, and its two accesses. Never asks whether it may ring: that is for who calls it.

use crate::fault::weak;
use crate::layout::Words;
use crate::sync::Ordering;

/// What the bell of a request says to its requester.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bell {
    /// There is no answer yet.
    Silent,
    /// There is a reply of so many bytes, which is the requester's from now on.
    Reply(usize),
    /// There is or will be an answer without a reply: the word has it.
    NoReply,
}

/// The word of a [`Bell`]; other values are the length of a reply + 1.
const SILENT: u64 = 0;
const NO_REPLY: u64 = u64::MAX;

/// Where a request has its reply: made by `Slots::back` alone, and so in bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Back {
    pub(super) bell: Words<8>,
    /// Where the reply starts in the payload.
    pub(super) from: usize,
    /// Bytes that it may have.
    pub(super) room: usize,
}

impl Back {
    /// What the bell says; a length is at most the room.
    #[inline(always)]
    pub(super) fn bell(&self) -> Bell {
        // [heard] pairs with [rung]: whoever sees the length sees the reply.
        match self.bell.u64(0).load(weak("queue relaxed heard", Ordering::Acquire)) {
            SILENT => Bell::Silent,
            NO_REPLY => Bell::NoReply,
            rung => Bell::Reply((rung - 1).min(self.room as u64) as usize),
        }
    }

    /// Rings the bell, or silences it. Only for whom the word gives the slot to, and who reaps them.
    #[inline(always)]
    pub(super) fn ring(&self, bell: Bell) {
        let value = match bell {
            Bell::Silent => SILENT,
            Bell::Reply(len) => len as u64 + 1,
            Bell::NoReply => NO_REPLY,
        };
        // [rung] pairs with [heard].
        self.bell.u64(0).store(value, weak("queue relaxed bell", Ordering::Release));
    }
}
