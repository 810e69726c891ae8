//! Explanation of why bytes are not a message: the slow path behind a failed check.
//!
//! Walks the schema over bytes whose length is right and whose content is arbitrary.

use super::ShmMessage;
use super::parts::tag_at;
use super::schema::{Kind, Schema, Std};
use crate::plural::count;

/// Error for bytes that are not a value of the expected type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(
    // Boxed: it is part of the result of every receive, and a small result passes through registers.
    Box<Said>,
);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    place: String,
    problem: String,
}

impl Invalid {
    pub(crate) fn new(place: String, problem: String) -> Self {
        Invalid(Box::new(Said { place, problem }))
    }

    /// Returns the path of the wrong part: `Imu.mode`, `Path.points[3].x`.
    pub fn place(&self) -> &str {
        &self.0.place
    }

    /// Returns what is wrong with that part: ``9 is no variant of `Mode` ``.
    pub fn problem(&self) -> &str {
        &self.0.problem
    }

    /// Makes the error of an `M` that a codec read: `path` leads to the wrong part.
    #[cold]
    pub(crate) fn decoded<M: ?Sized>(path: &str, reason: &str) -> Self {
        let name = core::any::type_name::<M>();
        // The author knows `a::b::Job<c::D>` as `Job<c::D>`.
        let generics = name.find('<').unwrap_or(name.len());
        let short = name[..generics].rfind("::").map_or(name, |at| &name[at + 2..]);
        Invalid::new(format!("{short}{path}"), reason.to_owned())
    }

    #[cold]
    pub(super) fn of<T: ShmMessage>(bytes: &[u8]) -> Self {
        Self::inside(T::SCHEMA.name.into(), T::SCHEMA, bytes)
    }

    /// Makes the error of `len` bytes when a `T` is expected.
    #[cold]
    pub(crate) fn length<T: ShmMessage>(len: usize) -> Self {
        let problem = format!("a value has {}, there are {len}", count(size_of::<T>(), "byte"));
        Invalid::new(T::SCHEMA.name.into(), problem)
    }

    #[cold]
    pub(super) fn item<T: ShmMessage>(i: usize, bytes: &[u8]) -> Self {
        Self::inside(format!("[{i}]"), T::SCHEMA, bytes)
    }

    #[cold]
    pub(super) fn ragged<T: ShmMessage>(len: usize) -> Self {
        let problem = format!(
            "{len}: no whole number of items of {}",
            count(size_of::<T>(), "byte"),
            len = count(len, "byte")
        );
        Invalid::new(format!("[{}]", T::SCHEMA.name), problem)
    }

    #[cold]
    pub(super) fn misaligned<T: ShmMessage>(bytes: &[u8]) -> Self {
        let problem =
            format!("the bytes start at {:p}, which is no multiple of {}", bytes.as_ptr(), align_of::<T>());
        Invalid::new(T::SCHEMA.name.into(), problem)
    }

    fn inside(mut place: String, schema: &Schema, bytes: &[u8]) -> Self {
        if bytes.len() != schema.size {
            let problem = format!("a value has {}, there are {}", count(schema.size, "byte"), bytes.len());
            return Invalid::new(place, problem);
        }
        let problem = fault(schema, bytes, &mut place).unwrap_or_else(|| "not a valid value".into());
        Invalid::new(place, problem)
    }
}

impl core::fmt::Display for Invalid {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "`{}`: {}", self.0.place, self.0.problem)
    }
}

impl core::error::Error for Invalid {}

/// Returns the first fault in `b`; `place` then leads to it.
fn fault(schema: &Schema, b: &[u8], place: &mut String) -> Option<String> {
    match &schema.kind {
        Kind::Prim(_) | Kind::Timestamp | Kind::Pad => None,
        Kind::Opaque { .. } => Some("not a value of the foreign type".into()),
        Kind::Bool => (b[0] > 1).then(|| format!("{} is not a bool (0 or 1)", b[0])),
        Kind::Char => {
            let raw = length(b) as u32;
            char::from_u32(raw).is_none().then(|| format!("{raw:#x} is not a char"))
        }
        Kind::Enum { prim, variants } => {
            let raw = tag_at(b, *prim);
            (!variants.iter().any(|v| v.value == raw))
                .then(|| format!("{raw} is no variant of `{}`", schema.name))
        }
        Kind::Choice { prim, variants } => {
            let raw = tag_at(b, *prim);
            match variants.iter().find(|v| v.value == raw) {
                None => Some(format!("{raw} is no variant of `{}`", schema.name)),
                Some(v) => v.fields.iter().find_map(|f| {
                    below(f.schema, f.offset, b, place, format_args!("::{}.{}", v.name, f.name))
                }),
            }
        }
        Kind::Std(std) => match std {
            Std::NonZero(_) => b.iter().all(|b| *b == 0).then(|| "0 is not a `NonZero`".into()),
            Std::Duration => {
                let nanos = length(&b[8..]);
                (nanos >= 1_000_000_000).then(|| format!("{nanos} ns are not part of a second"))
            }
            _ => None,
        },
        Kind::Array { item, len } => items(item, *len, b, place),
        Kind::Struct { fields } => {
            fields.iter().find_map(|f| below(f.schema, f.offset, b, place, format_args!(".{}", f.name)))
        }
        Kind::Str { capacity } => {
            let len = length(b);
            if len > *capacity {
                return Some(format!("length {len} exceeds capacity {capacity}"));
            }
            core::str::from_utf8(&b[4..4 + len]).err().map(|e| e.to_string())
        }
        Kind::List { item, capacity, offset } => {
            let len = length(b);
            if len > *capacity {
                return Some(format!("length {len} exceeds capacity {capacity}"));
            }
            items(item, len, &b[*offset..], place)
        }
        Kind::Maybe { item, offset } => match length(b) {
            0 => None,
            1 => below(item, *offset, b, place, format_args!("?")),
            tag => Some(format!("{tag} is not an option tag (0 or 1)")),
        },
    }
}

fn items(item: &Schema, count: usize, b: &[u8], place: &mut String) -> Option<String> {
    if item.any_bits {
        return None;
    }
    (0..count).find_map(|i| below(item, i * item.size, b, place, format_args!("[{i}]")))
}

fn below(
    part: &Schema,
    offset: usize,
    b: &[u8],
    place: &mut String,
    step: core::fmt::Arguments<'_>,
) -> Option<String> {
    let len = place.len();
    let _ = core::fmt::Write::write_fmt(place, step);
    let fault = fault(part, &b[offset..offset + part.size], place);
    if fault.is_none() {
        place.truncate(len);
    }
    fault
}

/// Reads the `u32` of a length prefix, an option tag or a char.
fn length(b: &[u8]) -> usize {
    u32::from_ne_bytes([b[0], b[1], b[2], b[3]]) as usize
}
