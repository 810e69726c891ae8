//! [`LentPin`]: a message that a reader pins, without a borrow of the reader.
//!
//! Owns the way back of the pin bit. Calls `slot` to unpin. Never reads the message.
//!
//! # Protocol
//!
//! A reader has one pin bit, and at most one slot may have it (invariant 9 of the broadcast ring). A reader that
//! lends its pin therefore acts as an [observer](super::broadcast) until the pin is back: it copies messages, and
//! sets no bit. The holder may be another thread.
//!
//! ```text
//!     holder:   read the payload ── clear the bit ── returned = 1      [return], release
//!     reader:   returned? ── set the bit in another slot, or in this one again      [take back], acquire
//! ```
//!
//! * The payload does not change while the holder reads it: the bit stays until the holder clears it, and the
//!   reader sets and clears no bit meanwhile (invariant 7 of the broadcast ring).
//! * The bit is cleared before `returned` is stored, and the reader sets it again only after it has loaded that.
//!   Otherwise a reader that pins the same message a second time would lose its bit to the holder.
//! * If the holder leaks the pin, the reader remains an observer, and its bit costs the writer one slot until the
//!   seat of the reader is recovered.

use super::slot::Pin;
use crate::fault::mutant;
use crate::sync::AtomicU32;
use crate::sync::Ordering::{Acquire, Release};
#[cfg(loom)]
use core::mem::MaybeUninit;
#[cfg(not(loom))]
use core::ptr::NonNull;
use std::sync::Arc;

/// A pinned message. Its payload does not change until this is dropped, whatever its reader does.
#[must_use = "dropping it releases the message"]
#[derive(Debug)]
pub(crate) struct LentPin {
    /// The pin, until this is dropped.
    pin: Option<Pin>,
    len: usize,
    /// 1 after the pin was dropped.
    returned: Arc<AtomicU32>,
}

/// The reader's part of a pin that it has lent: the bit, until the pin is returned.
#[derive(Debug)]
pub(in crate::ring) struct Lending {
    pub(in crate::ring) bit: u64,
    returned: Arc<AtomicU32>,
}

impl Lending {
    /// Lends the pin of a message of `len` bytes, whose reader has `bit`.
    pub(in crate::ring) fn new(pin: Pin, len: usize, bit: u64) -> (LentPin, Lending) {
        let returned = Arc::new(AtomicU32::new(0));
        (LentPin { pin: Some(pin), len, returned: returned.clone() }, Lending { bit, returned })
    }

    /// Returns `true` if the bit is cleared, so that the reader may set it.
    pub(in crate::ring) fn is_returned(&self) -> bool {
        // [take back] pairs with [return].
        self.returned.load(Acquire) != 0
    }
}

impl LentPin {
    /// Returns the length of the message in bytes. It never exceeds the slot size.
    #[cfg(not(loom))]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns the payload: [`len`](LentPin::len) bytes that no writer writes while this lives.
    #[cfg(not(loom))]
    pub(crate) fn payload(&self) -> NonNull<u8> {
        self.pin.as_ref().expect("there is a pin until the drop").payload()
    }

    /// Copies the first bytes of the message out, for the models.
    #[cfg(loom)]
    pub(crate) fn copy_to(&self, bytes: &mut [MaybeUninit<u8>]) {
        let len = self.len.min(bytes.len());
        self.pin.as_ref().expect("there is a pin until the drop").copy_to(&mut bytes[..len]);
    }
}

impl Drop for LentPin {
    fn drop(&mut self) {
        let early = mutant("lent pin returned before it is cleared");
        if early {
            self.returned.store(1, Release);
        }
        // [unpin] pairs with [claim].
        drop(self.pin.take());
        if !early && !crate::fault::dying() {
            // [return] pairs with [take back].
            self.returned.store(1, Release);
        }
    }
}
