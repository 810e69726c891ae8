//! Traits of zerocopy and bytemuck for the inline types.
//!
//! `Pad` and `Timestamp` accept any bytes. `ShmString`, `ShmVec` and `ShmOption` do not: zerocopy lets their bytes
//! out, and bytemuck checks them as a receive does. `TryFromBytes` of zerocopy has no implementation here: its check is
//! a hidden method whose name differs between releases, and a derived check knows no lengths. A list or an option has no
//! padding only if its item is aligned to at most 8, which no trait of these crates says. So their traits hold for
//! the items of [`Item`].

use super::{Pad, ShmOption, ShmString, ShmVec, Timestamp};
use crate::message::ShmMessage;

/// An item without padding that is aligned to at most 8, and has an all-zero value.
///
/// # Safety
///
/// All bytes of an item are initialised, and its alignment is at most 8.
pub unsafe trait Item: ShmMessage {}

macro_rules! items {
    ($($ty:ty),*) => {$(
        // SAFETY: a number without padding.
        unsafe impl Item for $ty {}
    )*};
}
items!(u8, u16, u32, u64, i8, i16, i32, i64, f32, f64, bool, char, Timestamp);

// SAFETY: the items follow each other without gaps.
unsafe impl<T: Item, const N: usize> Item for [T; N] {}
// SAFETY: bytes.
unsafe impl<const N: usize> Item for Pad<N> {}
// SAFETY: bytes.
unsafe impl<const N: usize> Item for ShmString<N> {}
// SAFETY: a prefix of 8 bytes and items aligned to at most 8.
unsafe impl<T: Item, const N: usize> Item for ShmVec<T, N> {}
// SAFETY: a prefix of 8 bytes and an item aligned to at most 8.
unsafe impl<T: Item> Item for ShmOption<T> {}

#[cfg(feature = "zerocopy")]
mod for_zerocopy {
    use super::{Item, ShmOption, ShmVec};
    use zerocopy::{Immutable, IntoBytes};

    macro_rules! without_padding {
        ($($Trait:ident [$($parameter:tt)*] $ty:ty),*) => {$(
            // SAFETY: `Item`: no padding, and no interior mutability.
            unsafe impl<$($parameter)*> $Trait for $ty {
                fn only_derive_is_allowed_to_implement_this_trait() {}
            }
        )*};
    }
    without_padding! {
        Immutable [T: Item, const N: usize] ShmVec<T, N>,
        IntoBytes [T: Item, const N: usize] ShmVec<T, N>,
        Immutable [T: Item] ShmOption<T>,
        IntoBytes [T: Item] ShmOption<T>
    }
}

#[cfg(feature = "bytemuck")]
mod for_bytemuck {
    use super::{Item, Pad, ShmMessage, ShmOption, ShmString, ShmVec, Timestamp};
    use bytemuck::{AnyBitPattern, CheckedBitPattern, NoUninit, Pod, Zeroable};
    use core::mem::MaybeUninit;

    // SAFETY: bytes, each pattern of which is a value.
    unsafe impl<const N: usize> Zeroable for Pad<N> {}
    // SAFETY: bytes, each pattern of which is a value.
    unsafe impl<const N: usize> Pod for Pad<N> {}
    // SAFETY: an `i64`.
    unsafe impl Zeroable for Timestamp {}
    // SAFETY: an `i64`.
    unsafe impl Pod for Timestamp {}

    /// Bytes that may be a `T`, which is an [`Item`].
    #[repr(transparent)]
    pub struct Unchecked<T>(MaybeUninit<T>);

    impl<T: Copy> Copy for Unchecked<T> {}

    impl<T: Copy> Clone for Unchecked<T> {
        fn clone(&self) -> Self {
            *self
        }
    }

    impl<T> core::fmt::Debug for Unchecked<T> {
        fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            write!(f, "Unchecked<{}>", core::any::type_name::<T>())
        }
    }

    // SAFETY: any bytes.
    unsafe impl<T: Item> Zeroable for Unchecked<T> {}
    // SAFETY: any bytes. Nothing makes a value of bytes that are not initialised.
    unsafe impl<T: Item + Copy> AnyBitPattern for Unchecked<T> {}

    macro_rules! checked {
        ($([$($parameter:tt)*] $ty:ty),*) => {$(
            // SAFETY: zeros are an empty text, an empty list, or no value.
            unsafe impl<$($parameter)*> Zeroable for $ty {}
            // SAFETY: `Item`: no padding, no pointer, and no interior mutability.
            unsafe impl<$($parameter)*> NoUninit for $ty {}
            // SAFETY: `is_valid` checks the bytes as a receive does.
            unsafe impl<$($parameter)*> CheckedBitPattern for $ty {
                type Bits = Unchecked<Self>;
                fn is_valid_bit_pattern(bits: &Unchecked<Self>) -> bool {
                    // SAFETY: all bytes of an `Unchecked` are initialised.
                    let bytes = unsafe {
                        core::slice::from_raw_parts(bits.0.as_ptr().cast(), size_of::<Self>())
                    };
                    Self::is_valid(bytes)
                }
            }
        )*};
    }
    checked!(
        [const N: usize] ShmString<N>,
        [T: Item + Copy, const N: usize] ShmVec<T, N>,
        [T: Item + Copy] ShmOption<T>
    );
}
