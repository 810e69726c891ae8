//! Bytes of the types of the standard library.
//!
//! Owns the conversion of a [`Value`], and the texts for values that do not fit. Never panics.

use crate::message::{Prim, Std};
use crate::schema::Value;

/// Returns the bytes of a value of the standard library; `None` if `value` is none, or has another form.
pub(super) fn encode_std(std: Std, value: &Value) -> Option<Vec<u8>> {
    let integer = |prim: Prim| {
        let n = value.as_int().filter(|n| prim.range().is_some_and(|(a, b)| (a..=b).contains(n)))?;
        let (size, bytes) = (prim.size(), n.to_ne_bytes());
        let bytes = if cfg!(target_endian = "little") { &bytes[..size] } else { &bytes[16 - size..] };
        Some(bytes.to_vec())
    };
    let raw = |size| match value {
        Value::Bytes(bytes) if bytes.len() == size => Some(bytes.clone()),
        Value::List(items) if items.len() == size => {
            items.iter().map(|n| n.as_int().and_then(|n| u8::try_from(n).ok())).collect()
        }
        _ => None,
    };
    match std {
        Std::NonZero(prim) => integer(prim).filter(|bytes| bytes.iter().any(|b| *b != 0)),
        Std::OptionNonZero(prim) if value.is_null() => Some(vec![0; prim.size()]),
        Std::OptionNonZero(prim) => integer(prim),
        Std::U128 => match value.as_int().and_then(|n| u128::try_from(n).ok()) {
            Some(n) => Some(n.to_ne_bytes().to_vec()),
            None => raw(16),
        },
        Std::I128 => value.as_int().map(|n| n.to_ne_bytes().to_vec()),
        Std::Duration => {
            let total = value.as_int().and_then(|n| u128::try_from(n).ok())?;
            let seconds = u64::try_from(total / 1_000_000_000).ok()?;
            let nanoseconds = (total % 1_000_000_000) as u32;
            Some([&seconds.to_ne_bytes()[..], &nanoseconds.to_ne_bytes(), &[0; 4]].concat())
        }
        Std::Ipv4Addr => raw(4),
        Std::Ipv6Addr => raw(16),
    }
}

/// Returns what a value of the standard library is, and the form to give it.
pub(super) fn form(std: Std) -> (&'static str, &'static str) {
    match std {
        Std::NonZero(_) => ("is zero or no integer of its size", "give an integer that is not zero"),
        Std::OptionNonZero(_) => ("is no integer of its size", "give an integer, or null"),
        Std::U128 | Std::I128 => ("is no integer of 128 bits", "give an integer in its range"),
        Std::Duration => ("is no `Duration`", "give nanoseconds, from 0"),
        Std::Ipv4Addr => ("is no `Ipv4Addr`", "give 4 bytes"),
        Std::Ipv6Addr => ("is no `Ipv6Addr`", "give 16 bytes"),
    }
}
