//! Any other system: the crate builds, and every channel refuses to open with [`REASON`].
//!
//! Owns the reason; calls [`super::unsupported`] for the rest.

pub(crate) use super::unsupported::*;

pub(crate) const REASON: &str =
    "shmcomm needs Linux: it is built on O_TMPFILE, open-file-description locks and shared futexes";
