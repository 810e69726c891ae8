//! Types of other crates that keep the contract of zerocopy or bytemuck instead of ours.

use super::describe::Layout;
use super::schema::Fnv;
use super::{Schema, ShmMessage};

/// A type of another crate, admitted by its traits of [zerocopy](https://docs.rs/zerocopy) or
/// [bytemuck](https://docs.rs/bytemuck).
///
/// | feature of shmcomm | `T` implements |
/// |---|---|
/// | `zerocopy` | `TryFromBytes`, `IntoBytes`, `Immutable`, `KnownLayout` |
/// | `bytemuck` | `CheckedBitPattern`, `NoUninit`; each `Pod` type does |
///
/// If both features are on, `T` needs the traits of zerocopy, and a type with the traits of bytemuck is
/// `Foreign<`[`Bytemuck<T>`](Bytemuck)`>`. A library writes `Bytemuck`, which is right in both cases.
///
/// The schema knows only the size and the alignment of the type, not its fields. To tell two types of the same
/// size apart, give the type a tag that all programs agree on. A struct with `#[shm(remote = "…")]` gives the
/// fields names instead.
///
#[cfg_attr(feature = "zerocopy", doc = "```")]
#[cfg_attr(not(feature = "zerocopy"), doc = "```ignore")]
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

/// Returns the tag of a [`Foreign`] type, from words that name its layout.
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

/// A type inside [`Foreign`]. Implemented for all types with the traits of zerocopy or bytemuck.
///
/// # Safety
///
/// All bytes of a value are initialised. It holds no pointer and no interior mutability. Bytes for which
/// `is_valid` returns `true` are a value.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say that its bytes can be shared",
    label = "needs the traits of zerocopy or bytemuck",
    note = "zerocopy: `TryFromBytes`, `IntoBytes`, `Immutable` and `KnownLayout`; feature `zerocopy` of shmcomm",
    note = "bytemuck: `CheckedBitPattern` and `NoUninit`, or `Pod`; feature `bytemuck` of shmcomm",
    note = "any other type: a struct with its fields and `#[shm(remote = \"path::to::Type\")]`"
)]
pub unsafe trait ForeignType: Sized + 'static {
    #[doc(hidden)]
    fn is_valid(bytes: &[u8]) -> bool;
}

#[cfg(feature = "zerocopy")]
// SAFETY: `IntoBytes`: no padding and no pointer; `Immutable`; `TryFromBytes` checks each value.
#[diagnostic::do_not_recommend]
unsafe impl<T> ForeignType for T
where
    T: zerocopy::TryFromBytes + zerocopy::IntoBytes + zerocopy::Immutable + zerocopy::KnownLayout + 'static,
{
    fn is_valid(bytes: &[u8]) -> bool {
        T::try_read_from_bytes(bytes).is_ok()
    }
}

#[cfg(all(feature = "bytemuck", not(feature = "zerocopy")))]
// SAFETY: `NoUninit`: no padding, no pointer, no interior mutability; `CheckedBitPattern` checks each value.
#[diagnostic::do_not_recommend]
unsafe impl<T: bytemuck::CheckedBitPattern + bytemuck::NoUninit> ForeignType for T {
    fn is_valid(bytes: &[u8]) -> bool {
        bytemuck::checked::try_pod_read_unaligned::<T>(bytes).is_ok()
    }
}

/// A type with the traits of bytemuck inside [`Foreign`], whichever features are on.
#[cfg(feature = "bytemuck")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Bytemuck<T>(pub T);

#[cfg(feature = "bytemuck")]
// SAFETY: as for a type with the traits of bytemuck.
#[diagnostic::do_not_recommend]
unsafe impl<T: bytemuck::CheckedBitPattern + bytemuck::NoUninit> ForeignType for Bytemuck<T> {
    fn is_valid(bytes: &[u8]) -> bool {
        bytemuck::checked::try_pod_read_unaligned::<T>(bytes).is_ok()
    }
}

#[cfg(feature = "bytemuck")]
impl<T> core::ops::Deref for Bytemuck<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

#[cfg(feature = "bytemuck")]
impl<T> core::ops::DerefMut for Bytemuck<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

#[cfg(feature = "bytemuck")]
impl<T> From<T> for Bytemuck<T> {
    fn from(value: T) -> Self {
        Bytemuck(value)
    }
}

// SAFETY: 1, 2 and 3 are the contract of `ForeignType`, and the schema is sound only without drop glue; 4 is
// measured.
#[diagnostic::do_not_recommend]
unsafe impl<T: ForeignType, const TAG: u64> ShmMessage for Foreign<T, TAG> {
    const LAYOUT: Layout<Self> = Layout::new(Schema::opaque(
        size_of::<Self>(),
        align_of::<Self>(),
        TAG,
        core::mem::needs_drop::<Self>(),
    ));
    fn is_valid(bytes: &[u8]) -> bool {
        T::is_valid(bytes)
    }
}
