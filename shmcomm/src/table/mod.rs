//! Tables: the latest value of each of several keys. One writer for each key, any number of readers.
//!
//! Owns both ends, their results, and the typed keys. Calls `segment`, `ring` and `message`. Never touches a mapping or a
//! slot itself. The protocol is in [`ring::table`].
//!
//! A writer takes the seat of its key, so the kernel lock of that seat is the ownership of the key. A reader maps the
//! segment for loads only, as an observer does, and takes no seat. A reader that waits also maps the page of the events.

mod changes;
mod copies;
#[cfg(all(test, feature = "derive", feature = "msgpack"))]
mod encoded_tests;
mod error;
#[cfg(feature = "async")]
mod future;
mod key;
mod mapped;
mod raw;
mod raw_writer;
mod reader;
mod seen;
mod set;
#[cfg(all(test, feature = "derive"))]
mod shared_tests;
#[cfg(all(test, feature = "derive"))]
mod tests;
mod turn;
#[cfg(all(test, feature = "derive"))]
mod wait_tests;
mod writer;

pub use changes::KeyChanges;
pub(crate) use copies::Copies;
pub use copies::Latest;
pub use error::{LoadError, StoreError, TableWaitError, TableWaitTimeoutError};
pub use key::{Key, TableKeys};
pub(crate) use mapped::Mapped;
pub(crate) use raw::RawReader;
pub(crate) use raw_writer::RawWriter;
pub use reader::TableReader;
pub(crate) use seen::KeyIndices;
pub use set::{AnyKey, ChangedKeys, KeySet};
pub use writer::TableWriter;

use crate::layout::{KeyPlace, places};
use crate::message::Schema;
#[cfg(doc)]
use crate::ring;

/// Number of seats of a table beside those of its keys.
const MORE_SEATS: usize = 64;

/// Returns the number of keys, the size of all keys in bytes, and the number of seats of a table. They follow from its
/// keys alone.
pub(crate) fn sizes(places: &[KeyPlace]) -> (usize, usize, usize) {
    let size = places.last().map_or(0, |last| last.offset.saturating_add(last.span()));
    (places.len(), usize::try_from(size).unwrap_or(usize::MAX), places.len() + MORE_SEATS)
}

/// Returns the places of the keys of a table.
pub(crate) fn places_of(schema: &Schema) -> Vec<KeyPlace> {
    places(schema.fields().iter().map(|field| field.schema.size as u64))
}
