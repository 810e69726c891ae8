//! Types from elsewhere that keep zerocopy's contract instead of ours.

use super::schema::Fnv;
use super::{Schema, ShmMessage};
use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// A type from another crate, admitted by what it implements of [zerocopy](https://docs.rs/zerocopy).
///
/// Only its size and alignment are known, not its fields. So that two types of the same size are told
/// apart, give the type a tag that all programs agree on:
///
/// ```
/// # use shmcomm::{ShmMessage, message::{self, Foreign, foreign_tag}};
/// # mod geo {
/// #     #[derive(Clone, Copy, Debug, PartialEq, zerocopy::TryFromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)]
/// #     #[repr(C)]
/// #     pub struct Point { pub x: f64, pub y: f64 }
/// # }
/// #[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
/// #[repr(C)]
/// struct Pose {
///     stamp: u64,
///     position: Foreign<geo::Point, { foreign_tag("geo::Point 1.0") }>,
/// }
///
/// let pose = Pose { stamp: 7, position: Foreign(geo::Point { x: 1.0, y: 2.0 }) };
/// assert_eq!(message::read::<Pose>(message::as_bytes(&pose))?, pose);
/// # Ok::<(), message::Invalid>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Foreign<T, const TAG: u64 = 0>(pub T);

/// The tag of a [`Foreign`] type, from words that name its layout.
pub const fn foreign_tag(words: &str) -> u64 {
    Fnv::new().str(words).0
}

impl<T, const TAG: u64> From<T> for Foreign<T, TAG> {
    fn from(value: T) -> Self {
        Foreign(value)
    }
}

impl<T, const TAG: u64> core::ops::Deref for Foreign<T, TAG> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T, const TAG: u64> core::ops::DerefMut for Foreign<T, TAG> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

// SAFETY: 1 is `IntoBytes`; 2 is `Immutable`, `'static`, that `IntoBytes` holds for no pointer, and the
// schema, sound only without drop glue; 3 is `TryFromBytes`, asked each time; 4 is measured.
#[diagnostic::do_not_recommend]
unsafe impl<T, const TAG: u64> ShmMessage for Foreign<T, TAG>
where
    T: TryFromBytes + IntoBytes + Immutable + KnownLayout + 'static,
{
    const SCHEMA: &'static Schema =
        &Schema::opaque(size_of::<Self>(), align_of::<Self>(), TAG, core::mem::needs_drop::<Self>());
    fn is_valid(bytes: &[u8]) -> bool {
        T::try_read_from_bytes(bytes).is_ok()
    }
}
