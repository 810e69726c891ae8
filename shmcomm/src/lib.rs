//! Typed shared-memory channels between processes.

#![deny(unsafe_code)]

#[cfg(not(loom))]
mod error;
#[allow(unsafe_code)]
mod layout;
#[cfg(not(loom))]
mod segment;
mod sync;

#[cfg(not(loom))]
pub use error::{Error, ErrorKind};
