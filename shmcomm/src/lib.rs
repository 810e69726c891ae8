//! Typed shared-memory channels between processes.
