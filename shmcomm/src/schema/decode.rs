//! Encoded values as trees, and back.
//!
//! Owns the errors of bytes that are no value of their codec: they have the codec and the number of bytes. Calls `codec`, which
//! bounds the time and the memory of hostile bytes. Never panics on any bytes.

use super::encoded::EncodedRef;
use super::layout::Layout;
use super::value::Value;
use super::view::ValueRef;
use crate::codec::{DecodeError, EncodeError};
use crate::layout::Format;
use crate::message::Invalid;
use crate::plural::count;
use core::fmt::Write;

impl EncodedRef<'_> {
    /// Decodes the value.
    ///
    /// # Errors
    /// Returns an error with the codec and the number of bytes if the bytes are not exactly one value of the codec.
    pub fn decode(&self) -> Result<Value, Invalid> {
        match decode(self.format, self.bytes()) {
            Some(Ok(value)) => Ok(value),
            Some(Err(why)) => Err(self.invalid(&why.to_string())),
            None => Err(self.invalid("this program was built without the codec")),
        }
    }

    #[cold]
    fn invalid(&self, why: &str) -> Invalid {
        let (codec, size) = (crate::escape::Escaped(self.codec()), count(self.bytes().len(), "byte"));
        Invalid::new(self.layout.to_string(), format!("no value of codec `{codec}` in {size}: {why}"))
    }

    /// Decodes the value. Bytes that are no value become a text that says what is wrong, between angle brackets.
    pub(super) fn to_value(self) -> Value {
        self.decode().unwrap_or_else(|why| Value::Text(format!("<{}>", why.problem())))
    }
}

impl Layout {
    /// Returns a message as a tree. Values of an [`Encoded`](crate::Encoded) type are decoded if the layout names a codec with
    /// which this program was built; otherwise they are lists of bytes.
    ///
    /// # Errors
    /// Returns an error that names the first part that is wrong, as [`check`](Self::check) does. For an encoded value that
    /// is not decoded it has the codec and the number of bytes.
    pub fn value(&self, bytes: &[u8]) -> Result<Value, Invalid> {
        self.check(bytes)?;
        let view = self.view(bytes);
        if self.has_codec() { view.decoded(self.to_string()) } else { Ok(view.to_value()) }
    }
}

impl ValueRef<'_> {
    /// Returns the tree of a checked value at `place`, or an error about an encoded value that is not decoded.
    pub(crate) fn decoded(&self, mut place: String) -> Result<Value, Invalid> {
        tree(*self, &mut place)
    }
}

/// Returns the tree of a checked value. `place` leads to it.
fn tree(view: ValueRef<'_>, place: &mut String) -> Result<Value, Invalid> {
    let len = place.len();
    match view {
        ValueRef::Encoded(encoded) => {
            encoded.decode().map_err(|why| Invalid::new(place.clone(), why.problem().to_owned()))
        }
        ValueRef::List(items) if items.item().has_codec() => {
            let item = |(index, item): (usize, ValueRef<'_>)| {
                place.truncate(len);
                let _ = write!(place, "[{index}]");
                tree(item, place)
            };
            items.iter().enumerate().map(item).collect::<Result<_, _>>().map(Value::List)
        }
        ValueRef::Struct(fields) => {
            let part = |(name, part): (&str, ValueRef<'_>)| {
                place.truncate(len);
                let _ = write!(place, ".{name}");
                tree(part, place).map(|part| (name.to_owned(), part))
            };
            fields.iter().map(part).collect::<Result<_, _>>().map(Value::Map)
        }
        leaf => Ok(leaf.to_value()),
    }
}

/// Decodes a value. Returns `None` if this program was built without the codec.
pub(crate) fn decode(format: Format, bytes: &[u8]) -> Option<Result<Value, DecodeError>> {
    #[cfg(any(feature = "msgpack", feature = "pickle"))]
    let value = |decoded: Result<crate::codec::Value, DecodeError>| decoded.map(|value| Value::from(&value));
    match format {
        #[cfg(feature = "msgpack")]
        Format::Msgpack => Some(value(crate::codec::msgpack::from_slice(bytes))),
        #[cfg(feature = "pickle")]
        Format::Pickle => {
            let options = crate::codec::pickle::DecodeOptions::new().opaque(true);
            Some(value(options.decode(bytes)))
        }
        _ => {
            let _ = bytes;
            None
        }
    }
}

/// Encodes a value. Returns `None` if this program was built without the codec.
pub(crate) fn encode(format: Format, value: &Value) -> Option<Result<Vec<u8>, EncodeError>> {
    match format {
        #[cfg(feature = "msgpack")]
        Format::Msgpack => Some(crate::codec::msgpack::to_vec(&crate::codec::Value::from(value))),
        #[cfg(feature = "pickle")]
        Format::Pickle => Some(crate::codec::pickle::to_vec(&crate::codec::Value::from(value))),
        _ => {
            let _ = value;
            None
        }
    }
}
