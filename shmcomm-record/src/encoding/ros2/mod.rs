//! Messages of ROS 2: definitions as `ros2msg` text, values as CDR.
//!
//! Owns the mapping. A `Timestamp` is `builtin_interfaces/Time`, a `ShmString` a bounded string, a `ShmVec` a
//! bounded sequence, a `ShmOption` a sequence of at most one. Nested arrays are one array. An enum is its
//! integer, with constants before it. An enum with data is a message: its integer `kind`, and a sequence of at
//! most one for each variant with data. Lists of lists have a helper message `Item`.
//!
//! The seconds of `Time` have 32 bits. A message with a time outside, before 1901 or after 2038, is refused as
//! out of range; the *wide* mapping has `int64` nanoseconds instead. Calls `shape`; never touches a file.

mod read;
mod text;
mod write;

pub(super) use read::read;
pub use text::definitions;
pub(super) use text::schema;
pub(super) use write::{OutOfRange, write};
