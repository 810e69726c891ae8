//! [`EncodedRef`]: a value that a codec encoded inside a message, as a view of its bytes.
//!
//! Owns which codecs this build decodes. Calls the names in `codec`. Never decodes: `decode` does.

use super::layout::Layout;
use crate::layout::Format;

/// The bytes of an [`Encoded`](crate::Encoded) value. This program was built with the codec.
#[derive(Clone, Copy, Debug)]
pub struct EncodedRef<'b> {
    pub(super) layout: &'b Layout,
    pub(super) format: Format,
    bytes: &'b [u8],
}

impl<'b> EncodedRef<'b> {
    /// Returns the view of an encoded value; `None` if the layout names no codec that this program decodes.
    pub(super) fn of(layout: &'b Layout, bytes: &'b [u8]) -> Option<Self> {
        Some(EncodedRef { layout, format: format_of(layout)?, bytes })
    }

    /// Returns the name of the codec: `msgpack`.
    pub fn codec(&self) -> &'b str {
        self.layout.codec().unwrap_or_default()
    }

    /// Returns the encoded bytes.
    pub fn bytes(&self) -> &'b [u8] {
        self.bytes
    }
}

/// Returns the format of an encoded value, if this program has its codec.
pub(super) fn format_of(layout: &Layout) -> Option<Format> {
    match layout.codec()? {
        #[cfg(feature = "msgpack")]
        <crate::codec::Msgpack as crate::codec::Codec>::NAME => Some(Format::Msgpack),
        #[cfg(feature = "pickle")]
        <crate::codec::Pickle as crate::codec::Codec>::NAME => Some(Format::Pickle),
        _ => None,
    }
}
