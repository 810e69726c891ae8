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
pub use copies::Latest;
pub use error::{LoadError, StoreError, TableWaitError, TableWaitTimeoutError};
pub use key::{Key, TableKeys};
pub(crate) use mapped::Mapped;
pub use reader::TableReader;
pub use set::{AnyKey, ChangedKeys, KeySet};
pub use writer::TableWriter;

use crate::layout::{KeyPlace, places};
use crate::message::Schema;
#[cfg(doc)]
use crate::ring;

/// Returns the places of the keys of a table.
pub(crate) fn places_of(schema: &Schema) -> Vec<KeyPlace> {
    places(schema.fields().iter().map(|field| field.schema.size as u64))
}
