//! The primitive messages: numbers, `bool`, `char`, arrays.

use super::describe::Layout;
use super::{Prim, Schema, ShmMessage};

macro_rules! numbers {
    ($($ty:ident $prim:ident),*) => {$(
        // SAFETY: a number has no padding, and every bit pattern is one.
        #[diagnostic::do_not_recommend]
        unsafe impl ShmMessage for $ty {
            const LAYOUT: Layout<Self> = Layout::new(Schema::number(stringify!($ty), Prim::$prim));
            #[inline(always)]
            fn is_valid(bytes: &[u8]) -> bool {
                bytes.len() == size_of::<Self>()
            }
        }
    )*};
}
numbers!(u8 U8, u16 U16, u32 U32, u64 U64, i8 I8, i16 I16, i32 I32, i64 I64, f32 F32, f64 F64);

// SAFETY: one byte, valid if 0 or 1.
#[diagnostic::do_not_recommend]
unsafe impl ShmMessage for bool {
    const LAYOUT: Layout<Self> = Layout::new(Schema::bool());
    #[inline(always)]
    fn is_valid(bytes: &[u8]) -> bool {
        matches!(bytes, [0 | 1])
    }
}

// SAFETY: four bytes without padding, valid if a Unicode scalar value; 0 is one.
#[diagnostic::do_not_recommend]
unsafe impl ShmMessage for char {
    const LAYOUT: Layout<Self> = Layout::new(Schema::char());
    #[inline(always)]
    fn is_valid(bytes: &[u8]) -> bool {
        bytes.try_into().is_ok_and(|raw| char::from_u32(u32::from_ne_bytes(raw)).is_some())
    }
}

// SAFETY: items follow each other without gaps; each is checked.
#[diagnostic::do_not_recommend]
unsafe impl<T: ShmMessage, const N: usize> ShmMessage for [T; N] {
    const LAYOUT: Layout<Self> = Layout::new(Schema::array(T::SCHEMA, N));
    #[inline]
    fn is_valid(bytes: &[u8]) -> bool {
        bytes.len() == size_of::<Self>() && items_valid::<T>(bytes)
    }
}

/// Returns `true` if each whole item in `bytes` is valid.
#[inline(always)]
pub(super) fn items_valid<T: ShmMessage>(bytes: &[u8]) -> bool {
    // A type without size has `any_bits`, so the chunks are never empty.
    T::SCHEMA.any_bits || bytes.chunks_exact(size_of::<T>()).all(T::is_valid)
}

// SAFETY: a type without bytes.
#[diagnostic::do_not_recommend]
unsafe impl<T: 'static> ShmMessage for core::marker::PhantomData<T> {
    const LAYOUT: Layout<Self> = Layout::new(Schema::pad(0));
    #[inline(always)]
    fn is_valid(bytes: &[u8]) -> bool {
        bytes.is_empty()
    }
}
