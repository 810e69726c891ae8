//! Views of enums with data, and of the types of the standard library.
//!
//! Owns the choice of the variant from its tag. A variant without data is its name, as in an enum without data.
//! Every conversion is total. Allocates nothing.

use super::{ValueRef, integer};
use crate::message::{Prim, Std};
use crate::schema::LayoutCase;

/// Returns the variant that the tag of `bytes` selects, and its value.
pub(super) fn variant<'l>(
    prim: Prim,
    variants: &'l [LayoutCase],
    bytes: &[u8],
) -> (Option<&'l LayoutCase>, i128) {
    let value = bytes.get(..prim.size()).and_then(|tag| integer(prim, tag)).unwrap_or(0);
    (variants.iter().find(|variant| variant.value == value), value)
}

/// Returns a value of the standard library; `None` if the bytes are none.
pub(super) fn view_std(std: Std, bytes: &[u8]) -> Option<ValueRef<'_>> {
    Some(match std {
        Std::NonZero(prim) => ValueRef::Int(integer(prim, bytes).filter(|n| *n != 0)?),
        Std::OptionNonZero(prim) => match integer(prim, bytes)? {
            0 => ValueRef::Null,
            n => ValueRef::Int(n),
        },
        Std::U128 => match u128::from_ne_bytes(bytes.try_into().ok()?).try_into() {
            Ok(n) => ValueRef::Int(n),
            Err(_) => ValueRef::Bytes(bytes),
        },
        Std::I128 => ValueRef::Int(i128::from_ne_bytes(bytes.try_into().ok()?)),
        Std::Duration => {
            let nanoseconds = u32::from_ne_bytes(bytes.get(8..12)?.try_into().ok()?);
            let seconds = u64::from_ne_bytes(bytes.get(..8)?.try_into().ok()?);
            let total = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
            ValueRef::Int((nanoseconds < 1_000_000_000).then_some(total)?)
        }
        Std::Ipv4Addr | Std::Ipv6Addr => ValueRef::Bytes(bytes),
    })
}
