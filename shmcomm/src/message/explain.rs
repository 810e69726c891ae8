//! Why bytes are no message: the slow path behind a failed check.
//!
//! Walks the schema over bytes whose length is right and whose content may be anything.

use super::ShmMessage;
use super::schema::{Kind, Schema};

/// Bytes that are no value of the type they should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(
    // Boxed: it is part of the results of all who receive, and those pass through registers then.
    Box<Said>,
);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    place: String,
    problem: String,
}

impl Invalid {
    fn new(place: String, problem: String) -> Self {
        Invalid(Box::new(Said { place, problem }))
    }

    /// Which part is wrong: `Imu.mode`, `Path.points[3].x`.
    pub fn place(&self) -> &str {
        &self.0.place
    }

    /// What is wrong with it: ``9 is no variant of `Mode` ``.
    pub fn problem(&self) -> &str {
        &self.0.problem
    }

    /// Of an `M` that a codec read: `path` leads to what is wrong.
    #[cold]
    pub(crate) fn decoded<M>(path: &str, reason: &str) -> Self {
        let name = core::any::type_name::<M>();
        // `a::b::Job<c::D>` is `Job<c::D>` to its author.
        let generics = name.find('<').unwrap_or(name.len());
        let short = name[..generics].rfind("::").map_or(name, |at| &name[at + 2..]);
        Invalid::new(format!("{short}{path}"), reason.to_owned())
    }

    #[cold]
    pub(super) fn of<T: ShmMessage>(bytes: &[u8]) -> Self {
        Self::inside(T::SCHEMA.name.into(), T::SCHEMA, bytes)
    }

    /// Of `len` bytes where a `T` should be.
    #[cold]
    pub(crate) fn length<T: ShmMessage>(len: usize) -> Self {
        let problem = format!("a value has {} bytes, there are {len}", size_of::<T>());
        Invalid::new(T::SCHEMA.name.into(), problem)
    }

    #[cold]
    pub(super) fn item<T: ShmMessage>(i: usize, bytes: &[u8]) -> Self {
        Self::inside(format!("[{i}]"), T::SCHEMA, bytes)
    }

    #[cold]
    pub(super) fn ragged<T: ShmMessage>(len: usize) -> Self {
        let problem = format!("{len} bytes are no whole number of items of {} bytes", size_of::<T>());
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
            let problem = format!("a value has {} bytes, there are {}", schema.size, bytes.len());
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

/// The first fault in `b`; `place` then leads to it.
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
            let raw = discriminant(b, prim.is_signed());
            (!variants.iter().any(|v| v.value == raw))
                .then(|| format!("{raw} is no variant of `{}`", schema.name))
        }
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

/// The `u32` that length prefixes, option tags and chars are.
fn length(b: &[u8]) -> usize {
    u32::from_ne_bytes([b[0], b[1], b[2], b[3]]) as usize
}

fn discriminant(b: &[u8], signed: bool) -> i128 {
    let unsigned = match *b {
        [a] => u64::from(a),
        [a, b] => u64::from(u16::from_ne_bytes([a, b])),
        [a, b, c, d] => u64::from(u32::from_ne_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => u64::from_ne_bytes([a, b, c, d, e, f, g, h]),
        _ => 0,
    };
    let unused = 64 - 8 * b.len().clamp(1, 8) as u32;
    if signed { i128::from((unsigned << unused).cast_signed() >> unused) } else { i128::from(unsigned) }
}
