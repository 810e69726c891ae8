//! From the text of a segment to a [`Layout`]: the text may be hostile.
//!
//! Owns the checks that make every later step total: each part lies inside its whole, no size overflows, and
//! no message has many more values than bytes. Calls the parser of `message`, which bounds length and depth.

use super::error::SchemaErrorKind::{Inconsistent, Text, TooLong, Unknown};
use super::{Layout, SchemaError};
use super::{LayoutCase, LayoutField, LayoutKind, LayoutVariant};
use crate::message::parse::{Value as Json, parse};
use crate::message::{Prim, Std};
use crate::plural::count;

/// Largest size of a message in bytes: 2^46, more than any machine maps, or what 32 bits address.
const LARGEST: usize = match 1usize.checked_shl(46) {
    Some(size) => size,
    None => isize::MAX as usize,
};
/// Largest alignment in bytes: the largest that Rust has.
const STRICTEST: usize = 1 << 29;
/// Values that a message may have beyond [`DENSEST`] per byte.
const VALUES: u64 = 1 << 16;
/// Values that a message may have per byte of its size. A byte that lies in 30 nested structs has 31 values.
const DENSEST: u64 = 32;

impl Layout {
    /// Parses the layouts of a channel, as [`SegmentInfo::schema`](crate::SegmentInfo::schema) has them: an
    /// array of layouts, or one layout. A codec's channel has none.
    ///
    /// # Errors
    ///
    /// Returns an error if the text is not JSON, longer than 1 MiB, or nested deeper than 64 levels. Also
    /// returns an error if the layout is unknown, inconsistent, or was too long for the segment: see
    /// [`SchemaErrorKind`](super::SchemaErrorKind).
    pub fn parse(text: &str) -> Result<Vec<Layout>, SchemaError> {
        let Some(json) = parse(text) else {
            return Err(SchemaError::new(
                Text,
                format!(
                    "the text of {} is no layout: it is not JSON of integers and texts, or exceeds 1 MiB or 64 levels; \
                     take the text from `SegmentInfo::schema` or `ShmMessage::SCHEMA_JSON`",
                    count(text.len(), "byte")
                ),
            ));
        };
        match json.items() {
            None => layout(&json).map(|layout| vec![layout]),
            Some([one]) => layout(one).map(|layout| vec![layout]),
            Some(all) => {
                let numbered = |(i, json)| layout(json).map_err(|error| error.inside(&format!("[{i}]")));
                all.iter().enumerate().map(numbered).collect()
            }
        }
    }
}

fn wrong(problem: impl Into<String>) -> SchemaError {
    SchemaError::new(Inconsistent, problem)
}

fn layout(json: &Json<'_>) -> Result<Layout, SchemaError> {
    if json.entries().is_none() {
        return Err(SchemaError::new(Text, "a layout is a JSON object"));
    }
    if json.get("too_long").is_some() {
        return Err(SchemaError::new(
            TooLong,
            "the layout was longer than 64 KiB, so the segment carries its fingerprint only; \
             use the Rust type, or split the message",
        ));
    }
    let size = number(json, "size")?;
    if size > LARGEST {
        return Err(wrong(format!("its size is {}; {LARGEST} is the largest", count(size, "byte"))));
    }
    let (kind, align) = kind(json, size)?;
    if !align.is_power_of_two() || align > STRICTEST {
        return Err(wrong(format!("its alignment is {align}, which is no power of two up to {STRICTEST}")));
    }
    let layout = Layout::new(size, align, kind);
    let layout = match codec(json, &layout)? {
        Some(codec) => layout.encoded_by(codec),
        None => layout,
    };
    let most = VALUES.saturating_add(DENSEST.saturating_mul(size as u64));
    if layout.values() > most {
        let values = count(layout.values(), "value");
        return Err(wrong(format!("it has {values} in {}; {most} is the most", count(size, "byte"))));
    }
    Ok(layout)
}

/// Returns the name of the codec of an encoded value.
fn codec<'j>(json: &'j Json<'_>, layout: &Layout) -> Result<Option<&'j str>, SchemaError> {
    let (LayoutKind::List { item, .. }, Some(codec)) = (layout.kind(), json.get("codec")) else {
        return Ok(None);
    };
    if !matches!(item.kind(), LayoutKind::Prim(Prim::U8)) {
        return Err(wrong(format!("it has a codec, which encodes bytes, and its items are `{item}`")));
    }
    match codec {
        Json::Text(name) if !name.is_empty() => Ok(Some(name)),
        _ => Err(wrong("its codec has no name")),
    }
}

/// Returns the kind and the alignment.
fn kind(json: &Json<'_>, size: usize) -> Result<(LayoutKind, usize), SchemaError> {
    if let Some(variants) = json.get("variants") {
        let align = number(json, "align")?;
        return Ok((choice(json, variants, size, align)?, align));
    }
    if let Some(is) = json.text("is").filter(|is| *is != "char") {
        return of_std(json, is, size);
    }
    if let Some(fields) = json.get("fields") {
        return Ok((structure(json, fields, size)?, number(json, "align")?));
    }
    if let Some(variants) = json.get("enum") {
        let prim = prim(json)?;
        sized(size, prim.size())?;
        return Ok((enumeration(json, variants, prim)?, prim.size()));
    }
    if json.get("len").is_some() {
        let (item, len) = (item(json)?, number(json, "len")?);
        sized(size, item.size().saturating_mul(len))?;
        let align = item.align();
        return Ok((LayoutKind::Array { item, len }, align));
    }
    if json.get("str").is_some() {
        let capacity = number(json, "str")?;
        sized(size, capacity.saturating_add(4))?;
        return Ok((LayoutKind::Str { capacity }, 1));
    }
    if json.get("list").is_some() {
        let (item, capacity, offset) = (item(json)?, number(json, "list")?, number(json, "offset")?);
        behind(size, offset, item.size().saturating_mul(capacity))?;
        let align = item.align();
        return Ok((LayoutKind::List { item, capacity, offset }, align));
    }
    if json.get("option").is_some() {
        let (item, offset) = (item(json)?, number(json, "offset")?);
        behind(size, offset, item.size())?;
        let align = item.align();
        return Ok((LayoutKind::Maybe { item, offset }, align));
    }
    leaf(json, size)
}

fn leaf(json: &Json<'_>, size: usize) -> Result<(LayoutKind, usize), SchemaError> {
    let code = json.text("type").unwrap_or("");
    if let Some(bytes) = code.strip_prefix("|V") {
        if bytes.parse() != Ok(size) {
            return Err(wrong(format!("type `|V{bytes}` has {}", count(size, "byte"))));
        }
        return match json.text("tag") {
            None => Ok((LayoutKind::Pad, 1)),
            Some(tag) => {
                let tag = tag.parse().map_err(|_| wrong("its tag is no number of 64 bits"))?;
                Ok((LayoutKind::Opaque { tag }, number(json, "align")?))
            }
        };
    }
    let (kind, bytes) = match (code, json.text("is")) {
        ("|b1", None) => (LayoutKind::Bool, 1),
        ("<M8[ns]", None) if cfg!(target_endian = "little") => (LayoutKind::Timestamp, 8),
        (">M8[ns]", None) if cfg!(target_endian = "big") => (LayoutKind::Timestamp, 8),
        (code, Some("char")) if code == Prim::U32.code() => (LayoutKind::Char, 4),
        (_, None) => {
            let prim = prim(json)?;
            (LayoutKind::Prim(prim), prim.size())
        }
        (_, Some(is)) => return Err(unknown(is)),
    };
    sized(size, bytes)?;
    Ok((kind, bytes))
}

/// Returns a type of the standard library.
fn of_std(json: &Json<'_>, is: &str, size: usize) -> Result<(LayoutKind, usize), SchemaError> {
    let (std, bytes) = match is {
        "nonzero" | "nonzero or none" => {
            let prim = prim(json)?;
            if prim.range().is_none() {
                return Err(wrong("a number that is not zero is an integer"));
            }
            let std = if is == "nonzero" { Std::NonZero(prim) } else { Std::OptionNonZero(prim) };
            (std, prim.size())
        }
        "u128" => (Std::U128, 16),
        "i128" => (Std::I128, 16),
        "duration" => (Std::Duration, 16),
        "ipv4" => (Std::Ipv4Addr, 4),
        "ipv6" => (Std::Ipv6Addr, 16),
        other => return Err(unknown(other)),
    };
    sized(size, bytes)?;
    Ok((LayoutKind::Std(std), number(json, "align")?))
}

fn choice(
    json: &Json<'_>,
    variants: &Json<'_>,
    size: usize,
    align: usize,
) -> Result<LayoutKind, SchemaError> {
    let name = json.text("name").ok_or_else(|| wrong("an enum without a name"))?.to_owned();
    let prim = prim(json.get("selector").ok_or_else(|| wrong("an enum without a selector"))?)?;
    let Some((least, most)) = prim.range() else {
        return Err(wrong("the values of an enum are integers"));
    };
    if prim.size() > size {
        return Err(wrong(format!("its selector takes {}", count(prim.size(), "byte"))));
    }
    let variants = variants.items().ok_or_else(|| wrong("`variants` is no list"))?;
    let variant = |json: &Json<'_>| {
        let name = json.text("name").ok_or_else(|| wrong("a variant without a name"))?.to_owned();
        let inside = |error: SchemaError| error.inside(&format!("::{name}"));
        let value = json.number("value").filter(|value| (least..=most).contains(value));
        let value = value.ok_or_else(|| inside(wrong(format!("its value is no `{}`", prim.rust()))))?;
        let fields = json.get("fields").ok_or_else(|| inside(wrong("a variant without fields")))?;
        let fields = fields_inside(fields, size).map_err(inside)?;
        if let Some(field) = fields.iter().find(|f| f.layout.size() > 0 && f.offset < prim.size()) {
            return Err(inside(wrong(format!("field `{}` is in the selector", field.name))));
        }
        Ok(LayoutCase::new(name, value, fields, size, align))
    };
    Ok(LayoutKind::Choice { name, prim, variants: variants.iter().map(variant).collect::<Result<_, _>>()? })
}

fn structure(json: &Json<'_>, fields: &Json<'_>, size: usize) -> Result<LayoutKind, SchemaError> {
    let name = json.text("name").ok_or_else(|| wrong("a struct without a name"))?.to_owned();
    Ok(LayoutKind::Struct { name, fields: fields_inside(fields, size)? })
}

fn fields_inside(fields: &Json<'_>, size: usize) -> Result<Vec<LayoutField>, SchemaError> {
    let fields = fields.items().ok_or_else(|| wrong("`fields` is no list"))?;
    let fields = fields.iter().map(|json| field(json, size)).collect::<Result<Vec<_>, _>>()?;
    let mut places: Vec<_> =
        fields.iter().filter(|f| f.layout.size() > 0).map(|f| (f.offset, f.layout.size(), &f.name)).collect();
    places.sort_unstable();
    for pair in places.windows(2) {
        if let [(offset, len, first), (next, _, second)] = pair
            && offset + len > *next
        {
            return Err(
                wrong(format!("two fields share byte {next}")).inside(&format!(".{first}, .{second}"))
            );
        }
    }
    Ok(fields)
}

fn field(json: &Json<'_>, whole: usize) -> Result<LayoutField, SchemaError> {
    let name = json.text("name").ok_or_else(|| wrong("a field without a name"))?.to_owned();
    let inside = |error: SchemaError| error.inside(&format!(".{name}"));
    let offset = number(json, "offset").map_err(inside)?;
    let of = json.get("of").ok_or_else(|| wrong("a field without a type")).map_err(inside)?;
    let layout = layout(of).map_err(inside)?;
    if offset.saturating_add(layout.size()) > whole {
        let (size, whole) = (count(layout.size(), "byte"), count(whole, "byte"));
        return Err(inside(wrong(format!(
            "its {size} at offset {offset} end outside the {whole} of the struct"
        ))));
    }
    Ok(LayoutField { name, offset, layout })
}

fn enumeration(json: &Json<'_>, variants: &Json<'_>, prim: Prim) -> Result<LayoutKind, SchemaError> {
    let name = json.text("name").ok_or_else(|| wrong("an enum without a name"))?.to_owned();
    let Some((least, most)) = prim.range() else {
        return Err(wrong("the values of an enum are integers"));
    };
    let variants = variants.entries().ok_or_else(|| wrong("`enum` is no object"))?;
    let variant = |(name, value): &(std::borrow::Cow<'_, str>, Json<'_>)| match value {
        Json::Number(value) if (least..=most).contains(value) => {
            Ok(LayoutVariant { name: name.clone().into_owned(), value: *value })
        }
        _ => Err(wrong(format!("its value is no `{}`", prim.rust())).inside(&format!("::{name}"))),
    };
    Ok(LayoutKind::Enum { name, prim, variants: variants.iter().map(variant).collect::<Result<_, _>>()? })
}

fn item(json: &Json<'_>) -> Result<Box<Layout>, SchemaError> {
    let item = json.get("item").ok_or_else(|| wrong("items without a type"))?;
    layout(item).map(Box::new).map_err(|error| error.inside("[]"))
}

fn prim(json: &Json<'_>) -> Result<Prim, SchemaError> {
    let code = json.text("type").unwrap_or("");
    Prim::ALL.into_iter().find(|prim| prim.code() == code).ok_or_else(|| unknown(code))
}

#[cold]
fn unknown(what: &str) -> SchemaError {
    let what: String = what.chars().take(40).collect();
    SchemaError::new(
        Unknown,
        format!(
            "this program does not know the type `{}`: it comes from a newer version of shmcomm, or from a machine \
             of another byte order; update this program",
            crate::escape::escape(what)
        ),
    )
}

fn number(json: &Json<'_>, key: &str) -> Result<usize, SchemaError> {
    let number = json.number(key).and_then(|n| usize::try_from(n).ok());
    number.ok_or_else(|| wrong(format!("`{key}` is no count or size")))
}

fn sized(size: usize, parts: usize) -> Result<(), SchemaError> {
    if size == parts {
        return Ok(());
    }
    Err(wrong(format!("it has {}, and its parts take {parts}", count(size, "byte"))))
}

/// Checks that `len` bytes behind a `u32` and from `offset` lie inside.
fn behind(size: usize, offset: usize, len: usize) -> Result<(), SchemaError> {
    if offset >= 4 && offset.saturating_add(len) <= size {
        return Ok(());
    }
    let (len, size) = (count(len, "byte"), count(size, "byte"));
    Err(wrong(format!("its {len} from offset {offset} do not lie behind the count, inside {size}")))
}
