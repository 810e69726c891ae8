//! [`Buffer`]: the messages before the trigger.
//!
//! Owns the bounds of time and memory. Calls nothing. Never drops a message without returning it.

use std::collections::VecDeque;
use std::mem::size_of;

/// A message that waits for the trigger.
pub(super) struct Kept {
    pub(super) track: usize,
    pub(super) sequence: u32,
    pub(super) time: u64,
    pub(super) data: Vec<u8>,
}

impl Kept {
    /// Returns the bytes of memory that the message takes.
    fn size(&self) -> usize {
        self.data.capacity() + size_of::<Kept>()
    }
}

/// Reason why a message left the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Its time is over.
    Expired,
    /// The buffer is full.
    Dropped,
}

/// Messages of a span of time, the oldest first.
pub(super) struct Buffer {
    kept: VecDeque<Kept>,
    bytes: usize,
    /// Nanoseconds that a message stays.
    span: u64,
    /// Most bytes of memory.
    most: usize,
}

impl Buffer {
    pub(super) fn new(span: u64, most: usize) -> Self {
        Buffer { kept: VecDeque::new(), bytes: 0, span, most }
    }

    pub(super) fn push(&mut self, kept: Kept) {
        self.bytes += kept.size();
        self.kept.push_back(kept);
    }

    /// Removes the oldest message if it has to leave.
    pub(super) fn leave(&mut self, now: u64) -> Option<(Kept, Left)> {
        let front = self.kept.front()?;
        let left = match front.time {
            time if time < now.saturating_sub(self.span) => Left::Expired,
            _ if self.bytes > self.most => Left::Dropped,
            _ => return None,
        };
        self.pop().map(|kept| (kept, left))
    }

    /// Removes the oldest message.
    pub(super) fn pop(&mut self) -> Option<Kept> {
        let kept = self.kept.pop_front()?;
        self.bytes -= kept.size();
        Some(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(time: u64, len: usize) -> Kept {
        Kept { track: 0, sequence: 0, time, data: vec![0; len] }
    }

    #[test]
    fn messages_leave_by_age_and_by_size() {
        let entry = kept(0, 0).size();
        let mut buffer = Buffer::new(100, 10 * entry);
        for time in 0..20 {
            buffer.push(kept(time, 0));
        }
        let mut left = Vec::new();
        while let Some((kept, why)) = buffer.leave(105) {
            left.push((kept.time, why));
        }
        // Empty messages take memory too.
        assert_eq!(left[..5], [0, 1, 2, 3, 4].map(|time| (time, Left::Expired)));
        assert_eq!(left[5..], [5, 6, 7, 8, 9].map(|time| (time, Left::Dropped)));
        assert!(buffer.leave(1000).is_some_and(|(_, why)| why == Left::Expired));
    }
}
