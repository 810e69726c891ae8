//! The bytes of a message and its value, in each format.
//!
//! Owns the choice of the format, and the place of the tail. Calls `schema` for fixed layouts, and the codecs.
//! Never touches a segment.

use super::content::Content;
use super::{Description, DynError, ValueError};
use crate::layout::Format;
use crate::plural::count;
use crate::schema::{self, Invalid, Layout, LayoutKind, ListRef, Prim, Value, ValueRef};

/// Format of the messages of one kind.
#[derive(Clone, Debug)]
pub(super) enum Payload {
    Fixed(Layout),
    Tail(Layout, Layout),
    Msgpack,
    Pickle,
    Bytes,
    /// A message of the Python wire: pickle, msgpack or bytes.
    Python,
    /// Messages that cannot be read or written.
    Unknown {
        channel: String,
        why: String,
    },
}

impl Payload {
    /// Returns the payload of part `index` of the layouts: 0 for messages and requests, 1 for replies.
    pub(super) fn of(what: &Description, index: usize) -> Payload {
        let layouts = match &what.layouts {
            Ok(layouts) => layouts,
            Err(why) => return Payload::Unknown { channel: what.name.clone(), why: why.to_string() },
        };
        let found = match what.codec {
            Some(Format::Msgpack) => Some(Payload::Msgpack),
            Some(Format::Pickle) => Some(Payload::Pickle),
            Some(Format::Bytes) => Some(Payload::Bytes),
            Some(Format::Fixed) => {
                let fingerprint = if index == 0 { what.fingerprint } else { what.fingerprint2 };
                layouts.get(index).filter(|l| l.fingerprint() == fingerprint).cloned().map(Payload::Fixed)
            }
            Some(Format::Tail) => match layouts.as_slice() {
                [header, item]
                    if (header.fingerprint(), item.fingerprint())
                        == (what.fingerprint, what.fingerprint2) =>
                {
                    Some(Payload::Tail(header.clone(), item.clone()))
                }
                _ => None,
            },
            None => Some(Payload::Python),
        };
        found.unwrap_or_else(|| Payload::Unknown {
            channel: what.name.clone(),
            why: "the layout in its segment does not have the fingerprint of the segment, so a process has damaged \
                  it; restart the publisher"
                .into(),
        })
    }

    /// Returns the contents as a declaration has them. Fails if the segment does not state them.
    pub(super) fn content(&self) -> Result<Content, ValueError> {
        match self {
            Payload::Fixed(layout) => Ok(Content::Fixed(layout.clone())),
            Payload::Tail(header, item) => Ok(Content::Tail { header: header.clone(), item: item.clone() }),
            Payload::Msgpack => Ok(Content::Msgpack),
            Payload::Pickle => Ok(Content::Pickle),
            Payload::Bytes => Ok(Content::Bytes),
            Payload::Python => {
                Err(ValueError::Unknown("a segment of shm-comm does not state its format".into()))
            }
            Payload::Unknown { .. } => Err(self.unknown()),
        }
    }

    fn unknown(&self) -> ValueError {
        match self {
            Payload::Unknown { channel, why } => ValueError::Unknown(format!("channel `{channel}`: {why}")),
            _ => ValueError::Unknown("messages of this format have no layout".into()),
        }
    }

    /// Returns the message, or its header, as a view of its bytes.
    pub(super) fn view<'m>(&'m self, bytes: &'m [u8]) -> Option<ValueRef<'m>> {
        match self {
            Payload::Fixed(layout) => Some(layout.view(bytes)),
            Payload::Tail(header, _) => Some(header.view(bytes.get(..header.size()).unwrap_or(bytes))),
            _ => None,
        }
    }

    /// Returns the items of the tail.
    pub(super) fn tail<'m>(&'m self, bytes: &'m [u8]) -> Option<ListRef<'m>> {
        let Payload::Tail(header, item) = self else { return None };
        Some(ListRef::of(item, bytes.get(items_at(header, item)..).unwrap_or(&[])))
    }

    /// Checks that the bytes are a message.
    pub(super) fn check(&self, bytes: &[u8]) -> Result<(), ValueError> {
        match self {
            Payload::Fixed(layout) => Ok(layout.check(bytes)?),
            Payload::Tail(header, item) => {
                header.check(bytes.get(..header.size()).unwrap_or(bytes))?;
                let items = bytes.get(items_at(header, item)..).unwrap_or(&[]);
                if item.size() > 0 && !items.len().is_multiple_of(item.size()) {
                    let (len, size) = (count(items.len(), "byte"), count(item.size(), "byte"));
                    let why = format!("{len}: no whole number of items of {size}");
                    return Err(Invalid::new(format!("[{item}]"), why).into());
                }
                let Some(tail) = self.tail(bytes).filter(|_| !item.any_bits()) else { return Ok(()) };
                for (i, bytes) in tail.parts().enumerate() {
                    item.check(bytes).map_err(|why| {
                        let inside = why.place().strip_prefix(&item.to_string()).unwrap_or(why.place());
                        Invalid::new(format!("[{i}]{inside}"), why.problem().to_owned())
                    })?;
                }
                Ok(())
            }
            Payload::Msgpack | Payload::Pickle => self.value(bytes).map(|_| ()),
            Payload::Bytes | Payload::Python => Ok(()),
            Payload::Unknown { .. } => Err(self.unknown()),
        }
    }

    /// Returns the message as a tree. A message with a tail is a map of `header` and `tail`.
    pub(super) fn value(&self, bytes: &[u8]) -> Result<Value, ValueError> {
        match self {
            Payload::Fixed(layout) => Ok(layout.value(bytes)?),
            Payload::Tail(..) => {
                self.check(bytes)?;
                let (Some(header), Some(tail)) = (self.view(bytes), self.tail(bytes)) else {
                    return Err(self.unknown());
                };
                Ok(Value::from_iter([
                    ("header", header.decoded("header".into())?),
                    ("tail", ValueRef::List(tail).decoded("tail".into())?),
                ]))
            }
            Payload::Bytes => Ok(Value::Bytes(bytes.to_vec())),
            Payload::Msgpack => decode(Format::Msgpack, bytes),
            Payload::Pickle => decode(Format::Pickle, bytes),
            Payload::Python => Ok(python(bytes)),
            Payload::Unknown { .. } => Err(self.unknown()),
        }
    }
}

impl Payload {
    /// Returns the bytes of a message with this value.
    pub(super) fn encode(&self, value: &Value) -> Result<Vec<u8>, DynError> {
        match self {
            Payload::Fixed(layout) => {
                let mut out = vec![0; layout.size()];
                layout.encode(value, &mut out)?;
                Ok(out)
            }
            Payload::Tail(header, item) => with_tail(header, item, value),
            Payload::Msgpack => encode_by(Format::Msgpack, value),
            Payload::Pickle | Payload::Python => encode_by(Format::Pickle, value),
            Payload::Bytes => match value {
                Value::Bytes(bytes) => Ok(bytes.clone()),
                Value::Text(text) => Ok(text.clone().into_bytes()),
                Value::List(list) => {
                    let byte = |item: &Value| item.as_int().and_then(|n| u8::try_from(n).ok());
                    list.iter().map(byte).collect::<Option<_>>().ok_or_else(|| no_bytes(value))
                }
                _ => Err(no_bytes(value)),
            },
            Payload::Unknown { .. } => Err(self.unknown().into()),
        }
    }
}

fn no_bytes(value: &Value) -> DynError {
    let why =
        format!("{} is no message of bytes; give bytes, a text, or numbers from 0 to 255", value.kind());
    let why: String = why.chars().take(200).collect();
    DynError::Value(ValueError::Unknown(why))
}

/// Encodes a map of `header` and `tail`.
fn with_tail(header: &Layout, item: &Layout, value: &Value) -> Result<Vec<u8>, DynError> {
    let odd = |why: &str| {
        DynError::Value(ValueError::Unknown(format!("{why}; give an object of `header` and `tail`")))
    };
    let parts = value.as_map().ok_or_else(|| odd("a message with a tail is an object"))?;
    if let Some((name, _)) = parts.iter().find(|(name, _)| name != "header" && name != "tail") {
        return Err(odd(&format!("a message with a tail has no part `{}`", crate::escape::Escaped(name))));
    }
    let (head, tail) = (value.get("header"), value.get("tail"));
    let (Some(head), Some(tail)) = (head, tail) else { return Err(odd("a part of the message is missing")) };
    let at = items_at(header, item);
    let byte = matches!(item.kind(), LayoutKind::Prim(Prim::U8));
    let len = match tail {
        Value::List(items) => items.len(),
        Value::Bytes(bytes) if byte => bytes.len(),
        _ => return Err(odd("the tail is a list")),
    };
    let mut out = vec![0; at + len * item.size()];
    header.encode(head, &mut out[..header.size()])?;
    match tail {
        Value::Bytes(bytes) => out[at..].copy_from_slice(bytes),
        _ => {
            for (i, value) in tail.as_slice().unwrap_or_default().iter().enumerate() {
                let out = &mut out[at + i * item.size()..][..item.size()];
                item.encode(value, out)
                    .map_err(|error| error.under(&item.to_string(), &format!("tail[{i}]")))?;
            }
        }
    }
    Ok(out)
}

/// Encodes a value by a codec.
fn encode_by(format: Format, value: &Value) -> Result<Vec<u8>, DynError> {
    match schema::encode(format, value) {
        Some(encoded) => Ok(encoded?),
        None => Err(missing(format).into()),
    }
}

/// Reads a message whose format the segment does not say. A pickle starts with its protocol and ends with a
/// period; text and other bytes are rarely whole messages of msgpack.
fn python(bytes: &[u8]) -> Value {
    let value = match bytes {
        [0x80, 2..=5, .., b'.'] => decode(Format::Pickle, bytes),
        [_, _, ..] => decode(Format::Msgpack, bytes),
        _ => return Value::Bytes(bytes.to_vec()),
    };
    value.unwrap_or_else(|_| Value::Bytes(bytes.to_vec()))
}

/// Returns the offset of the items in a message, in bytes.
fn items_at(header: &Layout, item: &Layout) -> usize {
    header.size().next_multiple_of(item.align())
}

/// Decodes a value of a codec.
fn decode(format: Format, bytes: &[u8]) -> Result<Value, ValueError> {
    match schema::decode(format, bytes) {
        Some(value) => value.map_err(ValueError::Decode),
        None => Err(missing(format)),
    }
}

fn missing(codec: Format) -> ValueError {
    let feature = codec.name();
    ValueError::Unknown(format!(
        "this program was built without the feature `{feature}` of shmcomm: build it with the feature to read these messages"
    ))
}
