//! macOS: the crate builds, and every channel refuses to open with [`REASON`].
//!
//! Owns the reason; calls [`super::unsupported`] for the rest.

pub(crate) use super::unsupported::*;

/// A port would need a file that gets its name when it is complete (`O_TMPFILE`), byte locks that end with a
/// mapping, and a documented wait on an address shared between processes.
pub(crate) const REASON: &str = "shmcomm needs Linux: macOS has no unnamed files that can be linked, no lock that the kernel \
     drops with a mapping, and no documented futex between processes";
