//! Macros of `shmcomm`; use them through that crate.
