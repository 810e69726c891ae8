//! Receiving by value, in terms of memory that is initialised.
//!
//! Owns the step from "the reader wrote these bytes" to bytes that safe code may look at. Calls
//! [`Reader`]; adds nothing to the protocol.

use super::broadcast::Glance;
use super::{Missed, Reader};
use core::mem::MaybeUninit;

/// What a reader sees at first sight.
pub(crate) enum Seen<'b> {
    /// The next message.
    Message(&'b mut [u8]),
    /// Nothing new.
    Nothing,
    /// Something that takes a closer look: [`Reader::receive`].
    Otherwise,
}

impl Reader {
    /// What there is at the first look: a message that fills `bytes`, nothing, or something else.
    #[inline(always)]
    pub(crate) fn glance<'b>(&mut self, bytes: &'b mut [MaybeUninit<u8>]) -> Seen<'b> {
        match self.glance_exact(bytes) {
            // SAFETY: `glance_exact` wrote all of them.
            Glance::Message => Seen::Message(unsafe { written(bytes) }),
            Glance::Nothing => Seen::Nothing,
            Glance::Otherwise => Seen::Otherwise,
        }
    }

    /// Copies the next message to `bytes`, and returns them with the length of the message, which
    /// a writer that does not keep to the type of the channel may have made another one.
    #[inline]
    pub(crate) fn receive<'b>(
        &mut self,
        bytes: &'b mut [MaybeUninit<u8>],
    ) -> Result<(&'b mut [u8], usize), Missed> {
        let len = self.read_exact(bytes)?;
        // SAFETY: `read_exact` wrote all of them.
        Ok((unsafe { written(bytes) }, len))
    }

    /// Copies the next message to the front of `bytes`, and returns its length.
    pub(crate) fn receive_into(&mut self, bytes: &mut [u8]) -> Result<usize, Missed> {
        // SAFETY: the reader only writes bytes that are initialised.
        self.read_into(unsafe { writable(bytes) })
    }

    /// Copies the newest message to `bytes`: like [`Reader::receive`], from [`Reader::latest_into`].
    pub(crate) fn receive_latest(&mut self, bytes: &mut [u8]) -> Option<usize> {
        // SAFETY: the reader only writes bytes that are initialised.
        self.latest_into(unsafe { writable(bytes) })
    }
}

/// # Safety
/// All of the bytes were written.
unsafe fn written(bytes: &mut [MaybeUninit<u8>]) -> &mut [u8] {
    // SAFETY: the caller's promise; the layout is the same.
    unsafe { &mut *(core::ptr::from_mut(bytes) as *mut [u8]) }
}

/// # Safety
/// Nothing uninitialised is written to the bytes.
unsafe fn writable(bytes: &mut [u8]) -> &mut [MaybeUninit<u8>] {
    // SAFETY: the caller's promise; the layout is the same.
    unsafe { &mut *(core::ptr::from_mut(bytes) as *mut [MaybeUninit<u8>]) }
}
