//! Log records of slots that are written and read, with the feature `trace-slots`; nothing without it.
//!
//! Owns the wording of the records. Calls `log` only. Never writes a record while it holds a lock that
//! other processes share.

use super::Queue;
use super::slots::QueueSlot;

impl Queue {
    /// Sets the name of the channel for the records.
    #[inline]
    pub(crate) fn trace_as(&mut self, _channel: &str) {
        #[cfg(feature = "trace-slots")]
        {
            self.channel = Some(_channel.into());
        }
    }

    /// Reports the access to `len` bytes of a slot: for example `wrote` with `to`.
    #[inline(always)]
    pub(super) fn trace(&self, _what: &str, _len: usize, _slot: QueueSlot) {
        #[cfg(feature = "trace-slots")]
        if let Some(channel) = &self.channel {
            let slot = self.slots.index(_slot);
            log::debug!(target: "shmcomm::slots", "channel `{channel}`: {_what} slot {slot}: {_len}", _len = crate::plural::count(_len, "byte"));
        }
    }
}
