//! Messages in a format other than the declared one.
//!
//! Owns the guess of the actual format, and the text of the error. Calls the readers of both formats to check
//! a guess. Never runs for a message that decodes, and never changes an error about the type.

use super::{Codec, DecodeError, DecodeErrorKind as Kind};
use crate::plural::count;

/// Apparent format of bytes that are not of the declared format.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Guess {
    /// A pickle of protocol 2 or later, which starts with the protocol number.
    Pickle,
    OldPickle,
    Msgpack,
    Json,
    Text,
}

/// Replaces the error of a decoder by an error that names the format of `bytes`, if that is not `C`.
#[cold]
pub(crate) fn named<C: Codec>(error: DecodeError, bytes: &[u8]) -> DecodeError {
    if matches!(error.kind(), Kind::Type | Kind::Limit | Kind::Cyclic) {
        return error;
    }
    // The markers `Pickle` and `Msgpack` are the names of their codecs with a capital letter.
    let mut declared = C::NAME.to_owned();
    declared[..1].make_ascii_uppercase();
    let found = match guess(bytes) {
        Some(Guess::Pickle | Guess::OldPickle) if C::NAME == "pickle" => return error,
        Some(Guess::Msgpack) if C::NAME == "msgpack" => return error,
        Some(Guess::Pickle) => format!("this is a pickle of protocol {}", bytes[1]),
        Some(Guess::OldPickle) => "this is a pickle of protocol 0 or 1".to_owned(),
        Some(Guess::Msgpack) => "this looks like msgpack".to_owned(),
        Some(Guess::Json) => "this looks like JSON".to_owned(),
        Some(Guess::Text) => "this looks like plain text".to_owned(),
        // One complete message with a short remainder does not indicate raw bytes.
        None if error.kind() == Kind::Trailing && error.offset().is_none_or(|at| at * 2 > bytes.len()) => {
            return error;
        }
        None => return raw(error, &declared),
    };
    DecodeError::new(
        Kind::Mismatch,
        format!("{found}; this channel is declared `{declared}`: use one serialization at both ends"),
    )
}

/// Adds that the bytes may be raw bytes, which carry no mark of their own.
fn raw(mut error: DecodeError, declared: &str) -> DecodeError {
    let hint = "if the message was sent with `send_bytes`, receive it with `recv_bytes`";
    error.0.reason = format!("{}; this channel is declared `{declared}`: {hint}", error.0.reason);
    error
}

/// Returns the format that a message of fixed layout has instead, if its bytes say so without doubt.
#[cfg(feature = "python")]
#[cold]
pub(crate) fn foreign(bytes: &[u8]) -> Option<&'static str> {
    match guess(bytes)? {
        Guess::Pickle if bytes.ends_with(b".") => Some("a pickle"),
        Guess::Json => Some("JSON"),
        _ => None,
    }
}

/// Returns the error for a message of another format on a channel that declares a fixed layout.
#[cfg(feature = "python")]
#[cold]
pub(crate) fn not_fixed(found: &str, len: usize, size: usize) -> DecodeError {
    let reason = format!(
        "this is {found} of {len}; this channel is declared `Fixed` with messages of {size}: \
         use one serialization at both ends",
        size = count(size, "byte"),
        len = count(len, "byte")
    );
    DecodeError::new(Kind::Mismatch, reason)
}

fn guess(bytes: &[u8]) -> Option<Guess> {
    match bytes {
        [0x80, 2..=5, ..] => return Some(Guess::Pickle),
        [] => return None,
        _ => {}
    }
    let text = std::str::from_utf8(bytes).ok();
    let text = text.filter(|text| !text.contains(|c: char| c.is_control() && !c.is_whitespace()));
    let trimmed = text.map_or(&[][..], |text| text.trim().as_bytes());
    match trimmed {
        [b'{', .., b'}'] | [b'[', .., b']'] | [b'"', .., b'"'] => return Some(Guess::Json),
        _ => {}
    }
    if old_pickle(bytes) {
        return Some(Guess::OldPickle);
    }
    match trimmed.len() {
        0 | 1 => {}
        _ => return Some(Guess::Text),
    }
    msgpack(bytes).then_some(Guess::Msgpack)
}

#[cfg(feature = "pickle")]
fn old_pickle(bytes: &[u8]) -> bool {
    bytes.ends_with(b".") && super::pickle::from_slice::<serde::de::IgnoredAny>(bytes).is_ok()
}

#[cfg(not(feature = "pickle"))]
fn old_pickle(_: &[u8]) -> bool {
    false
}

#[cfg(feature = "msgpack")]
fn msgpack(bytes: &[u8]) -> bool {
    super::msgpack::is_whole(bytes)
}

#[cfg(not(feature = "msgpack"))]
fn msgpack(_: &[u8]) -> bool {
    false
}
