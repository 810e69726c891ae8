//! [`Content`]: what the messages of a channel are.
//!
//! Owns the names of the formats. Calls the layouts of `schema`. Never touches a segment.

use crate::schema::Layout;

/// Contents of the messages of a channel.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Content {
    /// One fixed layout.
    Fixed(Layout),
    /// A header, then items of another layout up to the end. The size of the header must be a multiple of the alignment
    /// of an item, and an item must take at least one byte. Otherwise opening the end fails with
    /// [`InvalidGeometry`](crate::ErrorKind::InvalidGeometry).
    Tail {
        /// Layout of the header.
        header: Layout,
        /// Layout of an item.
        item: Layout,
    },
    /// A MessagePack document.
    Msgpack,
    /// A pickle.
    Pickle,
    /// Bytes.
    Bytes,
}
