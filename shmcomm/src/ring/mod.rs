//! The lock-free protocols on a segment's slots.
//!
//! Owns the broadcast ring ([`Writer`], [`Reader`]). Works on a [`Region`](crate::layout::Region) that
//! somebody else made and keeps; never maps, allocates, blocks or calls the operating system.

mod broadcast;
#[cfg(not(loom))]
#[allow(unsafe_code)]
mod keep;
#[cfg(not(loom))]
#[allow(unsafe_code)]
mod receive;
#[allow(unsafe_code)]
mod slot;

#[cfg(not(loom))]
pub(crate) use broadcast::{
    Adopted, AllPinned, Claim, Corrupt, Missed, Pinned, Reader, Writer, sweep_reader,
};
#[cfg(not(loom))]
pub(crate) use keep::{Keep, KeepMut, Place, Staged};
