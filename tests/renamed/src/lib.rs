//! A facade: passes the macros of a renamed `shmcomm` on.

pub use renamed as shm;
