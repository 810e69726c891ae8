//! Receiving by value, in terms of initialised memory.
//!
//! Owns the step from "the reader wrote these bytes" to bytes that safe code may read. Calls [`Reader`].
//! Never adds to the protocol.

use super::{FastPath, NoMessage, Reader};
use core::mem::MaybeUninit;

impl Reader {
    /// Receives on the fast path: returns a message that fills `bytes` and the position after it, nothing, or a
    /// request for the slow path.
    #[inline(always)]
    pub(crate) fn receive_fast<'b>(
        &mut self,
        bytes: &'b mut [MaybeUninit<u8>],
    ) -> FastPath<(&'b mut [u8], u64)> {
        match self.read_fast(bytes) {
            // SAFETY: `read_fast` wrote all of them.
            FastPath::Ready(position) => FastPath::Ready((unsafe { written(bytes) }, position)),
            FastPath::Empty => FastPath::Empty,
            FastPath::Slow => FastPath::Slow,
        }
    }

    /// Copies the next message to `bytes`, and returns them with the length of the message. A writer that
    /// violates the type of the channel may have sent another length.
    #[inline]
    pub(crate) fn receive<'b>(
        &mut self,
        bytes: &'b mut [MaybeUninit<u8>],
    ) -> Result<(&'b mut [u8], usize), NoMessage> {
        let len = self.read_exact(bytes)?;
        // SAFETY: `read_exact` wrote all of them.
        Ok((unsafe { written(bytes) }, len))
    }

    /// Copies the next message to the front of `bytes`, and returns its length.
    pub(crate) fn receive_into(&mut self, bytes: &mut [u8]) -> Result<usize, NoMessage> {
        // SAFETY: the reader only writes bytes that are initialised.
        self.read_into(unsafe { writable(bytes) })
    }

    /// Copies the newest message to `bytes`, like [`Reader::receive`] and [`Reader::latest_into`].
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
/// No uninitialised byte is written to the bytes.
unsafe fn writable(bytes: &mut [u8]) -> &mut [MaybeUninit<u8>] {
    // SAFETY: the caller's promise; the layout is the same.
    unsafe { &mut *(core::ptr::from_mut(bytes) as *mut [MaybeUninit<u8>]) }
}
