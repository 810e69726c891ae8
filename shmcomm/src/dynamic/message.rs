//! [`DynMessage`]: a received message, with the layout that its segment states.
//!
//! Owns its bytes. Calls `payload`.

use super::ValueError;
use super::payload::Payload;
use crate::schema::{ListRef, Value, ValueRef};
use core::fmt;
use std::sync::Arc;

/// A message that a dynamic end received.
#[derive(Clone)]
pub struct DynMessage {
    bytes: Vec<u8>,
    payload: Arc<Payload>,
}

impl DynMessage {
    pub(super) fn new(bytes: Vec<u8>, payload: &Arc<Payload>) -> Self {
        DynMessage { bytes, payload: payload.clone() }
    }

    /// Returns the bytes of the message.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the bytes of the message.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Returns the message as a tree. A message with a tail is a map of `header` and `tail`. A message of the
    /// Python wire is read as pickle or msgpack if it is one, else as bytes.
    ///
    /// # Errors
    /// [`ValueError`] if the bytes are not a message of the channel's format, or if the segment does not say
    /// its layout.
    pub fn value(&self) -> Result<Value, ValueError> {
        self.payload.value(&self.bytes)
    }

    /// Returns the message, or its header, as a view of the bytes; `None` if a codec defines the message.
    pub fn view(&self) -> Option<ValueRef<'_>> {
        self.payload.view(&self.bytes)
    }

    /// Returns the items of the tail; `None` if messages have no tail.
    pub fn tail(&self) -> Option<ListRef<'_>> {
        self.payload.tail(&self.bytes)
    }
}

impl fmt::Debug for DynMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynMessage").field("len", &self.bytes.len()).finish_non_exhaustive()
    }
}
