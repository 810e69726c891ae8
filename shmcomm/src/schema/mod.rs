//! Layouts known at run time: for programs that do not have the Rust type of a message.
//!
//! Owns [`Layout`], the owned twin of [`Schema`](crate::message::Schema), which is parsed from the text in a
//! segment. Also owns [`Value`], a message as a tree, and [`ValueRef`], a message as a view of its bytes. Calls
//! `message` for the grammar of the text, and `codec` for the conversion of encoded values. Never touches a
//! segment, never panics on any text or bytes.
//!
//! ```
//! use shmcomm::schema::{Layout, Value};
//! use shmcomm::{ShmMessage, ShmString};
//!
//! #[derive(ShmMessage)]
//! #[repr(C)]
//! struct Pose {
//!     xyz: [f32; 3],
//!     frame: ShmString<16>,
//! }
//!
//! // A program that has only the text, as it is in the segment.
//! let layout = &Layout::parse(Pose::SCHEMA_JSON)?[0];
//! assert_eq!(layout.fingerprint(), Pose::SCHEMA.fingerprint);
//!
//! let pose = Value::from_iter([
//!     ("xyz", Value::from(vec![1.0, 2.0, 3.0])),
//!     ("frame", Value::from("map")),
//! ]);
//! let mut bytes = vec![0; layout.size()];
//! layout.encode(&pose, &mut bytes)?;
//! layout.check(&bytes)?;
//! let view = layout.view(&bytes);
//! assert_eq!(view.at("xyz[2]").and_then(|z| z.as_f64()), Some(3.0));
//! assert_eq!(view.to_string(), r#"{"xyz":[1.0,2.0,3.0],"frame":"map"}"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A text from a segment is not trusted. Parsing is bounded in length (1 MiB), in depth (64 levels of the
//! text), in sizes, and in the number of values that a message of the layout can have.

mod check;
#[cfg(any(feature = "msgpack", feature = "pickle"))]
mod coded;
mod decode;
mod encode;
mod encoded;
mod error;
#[cfg(feature = "json")]
mod json;
mod label;
mod layout;
mod parse;
pub(crate) mod resolve;
#[cfg(feature = "serde")]
mod serde;
mod shown;
#[cfg(test)]
mod tests;
mod text;
mod value;
mod view;

pub use crate::message::{Invalid, Prim};
pub(crate) use decode::{decode, encode};
pub use encoded::EncodedRef;
pub use error::{EncodeError, SchemaError, SchemaErrorKind};
pub use layout::{Layout, LayoutCase, LayoutField, LayoutKind, LayoutVariant};
pub use resolve::{Plan, Resolution, ResolveError};
pub use value::Value;
pub use view::{InvalidRef, ListRef, StructRef, ValueRef};
