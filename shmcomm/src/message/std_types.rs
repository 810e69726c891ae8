//! Types of the standard library that are messages.
//!
//! Each has one layout in all programs. The layouts that std does not promise are checked when a program uses
//! the type.

use super::describe::Layout;
use super::schema::Std;
use super::{Prim, Schema, ShmMessage};
use core::mem::{align_of, size_of};
use core::net::{Ipv4Addr, Ipv6Addr};
use core::num::{NonZero, Saturating, Wrapping};
use core::time::Duration;

macro_rules! transparent {
    ($($Wrapper:ident),*) => {$(
        // SAFETY: `repr(transparent)`: everything that holds of a `T`.
        #[diagnostic::do_not_recommend]
        unsafe impl<T: ShmMessage> ShmMessage for $Wrapper<T> {
            const LAYOUT: Layout<Self> = Layout::new(T::SCHEMA.copied());
            #[inline(always)]
            fn is_valid(bytes: &[u8]) -> bool {
                T::is_valid(bytes)
            }
        }
    )*};
}
transparent!(Wrapping, Saturating);

macro_rules! non_zero {
    ($($ty:ident $prim:ident),*) => {$(
        // SAFETY: std promises the layout of the integer; any value except zero is valid.
        #[diagnostic::do_not_recommend]
        unsafe impl ShmMessage for NonZero<$ty> {
            const LAYOUT: Layout<Self> = Layout::new(Schema::std(
                concat!("NonZero<", stringify!($ty), ">"), size_of::<$ty>(), align_of::<$ty>(), Std::NonZero(Prim::$prim),
            ));
            #[inline(always)]
            fn is_valid(bytes: &[u8]) -> bool {
                bytes.len() == size_of::<Self>() && bytes != [0; size_of::<Self>()]
            }
        }
        // SAFETY: std promises the layout of the integer; zero is `None`, so any value is valid.
        #[diagnostic::do_not_recommend]
        unsafe impl ShmMessage for Option<NonZero<$ty>> {
            const LAYOUT: Layout<Self> = Layout::new(Schema::std(
                concat!("Option<NonZero<", stringify!($ty), ">>"), size_of::<$ty>(), align_of::<$ty>(),
                Std::OptionNonZero(Prim::$prim),
            ));
            #[inline(always)]
            fn is_valid(bytes: &[u8]) -> bool {
                bytes.len() == size_of::<Self>()
            }
        }
    )*};
}
non_zero!(u8 U8, u16 U16, u32 U32, u64 U64, i8 I8, i16 I16, i32 I32, i64 I64);

macro_rules! any_bits {
    ($($ty:ident $kind:ident $name:literal),*) => {$(
        // SAFETY: bytes without padding, each pattern of which is a value.
        #[diagnostic::do_not_recommend]
        unsafe impl ShmMessage for $ty {
            const LAYOUT: Layout<Self> = {
                assert!(known_layout(), "this compiler lays this type out in another way");
                Layout::new(Schema::std($name, size_of::<$ty>(), align_of::<$ty>(), Std::$kind))
            };
            #[inline(always)]
            fn is_valid(bytes: &[u8]) -> bool {
                bytes.len() == size_of::<Self>()
            }
        }
    )*};
}
any_bits!(u128 U128 "u128", i128 I128 "i128", Ipv4Addr Ipv4Addr "Ipv4Addr", Ipv6Addr Ipv6Addr "Ipv6Addr");

// SAFETY: `known_layout` shows that the seconds are at 0 and the nanoseconds at 8; the bytes after them are
// padding, which a sender clears.
#[diagnostic::do_not_recommend]
unsafe impl ShmMessage for Duration {
    const LAYOUT: Layout<Self> = {
        assert!(known_layout(), "this compiler lays `Duration` out in another way");
        Layout::new(Schema::std("Duration", size_of::<Self>(), align_of::<Self>(), Std::Duration))
    };
    #[inline]
    fn is_valid(bytes: &[u8]) -> bool {
        match bytes.get(8..12) {
            Some(&[a, b, c, d]) => {
                bytes.len() == size_of::<Self>() && u32::from_ne_bytes([a, b, c, d]) < 1_000_000_000
            }
            _ => false,
        }
    }
}

/// Returns `true` if the types whose layout std does not promise are laid out as described.
const fn known_layout() -> bool {
    const SECONDS: u64 = 0x0102_0304_0506_0708;
    const NANOSECONDS: u32 = 0x0304_0506;
    if size_of::<Duration>() != 16 || align_of::<Duration>() != 8 {
        return false;
    }
    let duration = Duration::new(SECONDS, NANOSECONDS);
    let at = &raw const duration;
    // SAFETY: inside the value. A compiler that puts padding there refuses to evaluate the read.
    let seconds = unsafe { at.cast::<u64>().read() };
    // SAFETY: inside the value, because its size is 16.
    let nanoseconds = unsafe { at.cast::<u32>().add(2) };
    // SAFETY: as for the seconds.
    let nanoseconds = unsafe { nanoseconds.read() };
    seconds == SECONDS
        && nanoseconds == NANOSECONDS
        && size_of::<u128>() == 16
        && align_of::<u128>() == 16
        && size_of::<Ipv4Addr>() == 4
        && align_of::<Ipv4Addr>() == 1
        && size_of::<Ipv6Addr>() == 16
        && align_of::<Ipv6Addr>() == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{as_bytes, read, to_bytes};

    #[test]
    fn values_are_read_back() {
        let numbers = [NonZero::new(7_i32).unwrap(); 2];
        assert_eq!(read::<[NonZero<i32>; 2]>(as_bytes(&numbers)).unwrap(), numbers);
        assert_eq!(read::<Option<NonZero<u8>>>(&[0]).unwrap(), None);
        assert_eq!(read::<Option<NonZero<u8>>>(&[9]).unwrap(), NonZero::new(9));
        assert_eq!(read::<u128>(&u128::MAX.to_ne_bytes()).unwrap(), u128::MAX);
        assert_eq!(read::<Wrapping<i16>>(&(-2_i16).to_ne_bytes()).unwrap(), Wrapping(-2));
        let (v4, v6) = (Ipv4Addr::new(127, 0, 0, 1), Ipv6Addr::LOCALHOST);
        assert_eq!(as_bytes(&v4), v4.octets());
        assert_eq!(as_bytes(&v6), v6.octets());
        let time = Duration::new(u64::MAX, 999_999_999);
        assert_eq!(read::<Duration>(&to_bytes(&time)).unwrap(), time);
    }

    #[test]
    fn invalid_values_are_refused() {
        let refused = |error: crate::message::Invalid| error.to_string();
        assert_eq!(
            refused(read::<NonZero<u16>>(&[0, 0]).unwrap_err()),
            "`NonZero<u16>`: 0 is not a `NonZero`"
        );
        let mut bytes = [0; 16];
        bytes[8..12].copy_from_slice(&1_000_000_000_u32.to_ne_bytes());
        let error = refused(read::<Duration>(&bytes).unwrap_err());
        assert_eq!(error, "`Duration`: 1000000000 ns are not part of a second");
    }

    #[test]
    fn wrapping_number_has_the_fingerprint_of_the_number() {
        assert_eq!(Wrapping::<u32>::SCHEMA.fingerprint, u32::SCHEMA.fingerprint);
        assert_ne!(NonZero::<u32>::SCHEMA.fingerprint, u32::SCHEMA.fingerprint);
        assert_ne!(Option::<NonZero<u32>>::SCHEMA.fingerprint, NonZero::<u32>::SCHEMA.fingerprint);
    }
}
