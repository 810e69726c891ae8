//! Windows: the crate builds, and every channel refuses to open with [`REASON`].
//!
//! Owns the reason; calls [`super::unsupported`] for the rest.

pub(crate) use super::unsupported::*;

/// What a port would need: named sections that outlive their creator, and a wait on an address that
/// reaches beyond the process (`WaitOnAddress` does not).
pub(crate) const REASON: &str = "shmcomm needs Linux: on Windows a shared section dies with its last handle, so no channel \
     would survive a restart, and waiting on an address does not reach another process";
