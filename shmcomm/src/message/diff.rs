//! Description of the first difference between two layouts, in words.
//!
//! One of the two texts comes from a segment, so any process can have written it. It is parsed with limits,
//! and names from it are shown escaped and cut. Never panics.

use super::codecs::{marker, of_value};
use super::parse::{Value, parse};
use super::shown::shown;
use crate::plural::count;

/// Names the first difference between the layouts of a segment and of this program. Each layout is given as
/// the JSON text of [`SCHEMA_JSON`](super::ShmMessage::SCHEMA_JSON), or as an array of such texts.
///
/// ```
/// # use shmcomm::{ShmMessage, message::schema::first_difference};
/// # mod old {
/// #     #[derive(shmcomm::ShmMessage)]
/// #     #[repr(C)]
/// #     pub struct Imu { stamp: u64, acc: [f64; 3] }
/// # }
/// # #[derive(ShmMessage)]
/// # #[repr(C)]
/// # struct Imu { stamp: u64, acc: [f32; 4] }
/// assert_eq!(
///     first_difference(old::Imu::SCHEMA_JSON, Imu::SCHEMA_JSON),
///     "field `acc`: there `[f64; 3]` at byte 8, here `[f32; 4]` at byte 8",
/// );
/// ```
pub fn first_difference(theirs: &str, ours: &str) -> String {
    let (there, here) = match (parse(theirs), parse(ours)) {
        (Some(there), Some(here)) => (there, here),
        (None, _) => return "the layout there is no text this program can read".into(),
        (_, None) => return "the layout here is no text this program can read".into(),
    };
    let difference = match (there.items(), here.items()) {
        (Some(there), Some(here)) => messages(there, here),
        _ => message(&there, &here),
    };
    difference.unwrap_or_else(|| "the layouts differ in a detail that their texts do not show".into())
}

/// Difference between two layouts.
enum Difference {
    /// The types differ; the caller, which knows their place, names both.
    Type,
    /// A detail within the types differs, in words.
    Inside(String),
}

use Difference::{Inside, Type};

/// Compares the layouts of a channel: of its one message, or of both of its messages.
fn messages(there: &[Value<'_>], here: &[Value<'_>]) -> Option<String> {
    if there.len() != here.len() {
        return Some(format!("there {} message types, here {}", there.len(), here.len()));
    }
    there.iter().zip(here).enumerate().find_map(|(i, (there, here))| {
        let difference = message(there, here)?;
        Some(if i == 0 { difference } else { format!("in the second type, {difference}") })
    })
}

fn message(there: &Value<'_>, here: &Value<'_>) -> Option<String> {
    match layouts("", there, here)? {
        Type => Some(format!("there `{}`, here `{}`", name(there), name(here))),
        Inside(difference) => Some(difference),
    }
}

/// Returns the first difference between two layouts at `place`, which is empty at the top.
fn layouts(place: &str, there: &Value<'_>, here: &Value<'_>) -> Option<Difference> {
    let both = |key| match (there.get(key), here.get(key)) {
        (None, None) => Ok(None),
        (Some(a), Some(b)) => Ok(Some((a, b))),
        _ => Err(Type),
    };
    let compare = || -> Result<Option<Difference>, Difference> {
        // Keys that tell one kind of type from another, and are part of its name.
        for key in ["type", "is", "len", "str", "list", "option", "tag"] {
            if both(key)?.is_some_and(|(a, b)| a != b) {
                return Err(Type);
            }
        }
        if let Some(difference) = of_value(there, here) {
            return Ok(Some(within(place, difference)));
        }
        if let Some((a, b)) = both("enum")? {
            return Ok(variants(a, b).map(|difference| within(place, difference)));
        }
        if let Some((a, b)) = both("variants")? {
            let (a, b) = (a.items().unwrap_or(&[]), b.items().unwrap_or(&[]));
            if let Some(difference) = cases(place, a, b) {
                return Ok(Some(difference));
            }
        }
        if let Some((a, b)) = both("selector")?
            && let Some(difference) = layouts(place, a, b)
        {
            return Ok(Some(match difference {
                Type => within(place, format!("there the tag is `{}`, here `{}`", name(a), name(b))),
                inside => inside,
            }));
        }
        if let Some((a, b)) = both("item")?
            && let Some(difference) = layouts(&format!("{place}[]"), a, b)
        {
            return Ok(Some(difference));
        }
        if let Some((a, b)) = both("fields")?
            && let Some(difference) = fields(place, a.items().unwrap_or(&[]), b.items().unwrap_or(&[]))
        {
            return Ok(Some(Inside(difference)));
        }
        Ok(numbers(there, here).map(|difference| within(place, difference)))
    };
    compare().unwrap_or_else(Some)
}

fn within(place: &str, difference: String) -> Difference {
    Inside(if place.is_empty() { difference } else { format!("field `{place}`: {difference}") })
}

/// Compares sizes and similar numbers, which can differ under the same type name.
fn numbers(there: &Value<'_>, here: &Value<'_>) -> Option<String> {
    let differs =
        |key| (there.number(key) != here.number(key)).then(|| (number(there, key), number(here, key)));
    if let Some((a, b)) = differs("size") {
        return Some(format!("there {a} in all, here {b}", a = count(a, "byte")));
    }
    if let Some((a, b)) = differs("align") {
        return Some(format!("there aligned to {a}, here to {b}", a = count(a, "byte")));
    }
    differs("offset").map(|(a, b)| format!("there the items start at byte {a}, here at byte {b}"))
}

fn fields(place: &str, there: &[Value<'_>], here: &[Value<'_>]) -> Option<String> {
    let word = |field: &Value<'_>| shown(field.text("name").unwrap_or("?")).into_owned();
    let path = |field| if place.is_empty() { word(field) } else { format!("{place}.{}", word(field)) };
    let type_of = |field: &Value<'_>| field.get("of").map_or_else(|| "?".into(), name);
    let find =
        |all: &[Value<'_>], field: &Value<'_>| all.iter().position(|f| f.text("name") == field.text("name"));
    for ours in here {
        let (path, byte) = (path(ours), number(ours, "offset"));
        let Some(theirs) = find(there, ours).map(|i| &there[i]) else {
            let mut others = there.iter().filter(|f| find(here, f).is_none());
            return Some(match others.find(|f| number(f, "offset") == byte) {
                Some(f) => {
                    format!("field `{path}` is missing there; byte {byte} has `{}: {}`", word(f), type_of(f))
                }
                None => format!("field `{path}` is missing there"),
            });
        };
        let byte_there = number(theirs, "offset");
        let difference = match (theirs.get("of"), ours.get("of")) {
            (Some(a), Some(b)) if byte_there == byte => layouts(&path, a, b),
            _ => Some(Type),
        };
        match difference {
            None => {}
            Some(Inside(difference)) => return Some(difference),
            Some(Type) => {
                let (a, b) = (type_of(theirs), type_of(ours));
                return Some(format!(
                    "field `{path}`: there `{a}` at byte {byte_there}, here `{b}` at byte {byte}"
                ));
            }
        }
    }
    let extra = there.iter().find(|f| find(here, f).is_none())?;
    Some(format!("field `{}` is missing here", path(extra)))
}

/// Compares the variants of an enum with data.
fn cases(place: &str, there: &[Value<'_>], here: &[Value<'_>]) -> Option<Difference> {
    let word = |case: &Value<'_>| shown(case.text("name").unwrap_or("?")).into_owned();
    let find = |all: &[Value<'_>], case: &Value<'_>| {
        all.iter().position(|other| other.text("name") == case.text("name"))
    };
    for ours in here {
        let Some(theirs) = find(there, ours).map(|i| &there[i]) else {
            return Some(within(place, format!("variant `{}` is missing there", word(ours))));
        };
        let (a, b) = (number(theirs, "value"), number(ours, "value"));
        if a != b {
            return Some(within(place, format!("variant `{}` is {a} there and {b} here", word(ours))));
        }
        let a = theirs.get("fields").and_then(Value::items).unwrap_or(&[]);
        let b = ours.get("fields").and_then(Value::items).unwrap_or(&[]);
        let place = if place.is_empty() { word(ours) } else { format!("{place}::{}", word(ours)) };
        if let Some(difference) = fields(&place, a, b) {
            return Some(Inside(difference));
        }
    }
    let extra = there.iter().find(|case| find(here, case).is_none())?;
    Some(within(place, format!("variant `{}` is missing here", word(extra))))
}

fn variants(there: &Value<'_>, here: &Value<'_>) -> Option<String> {
    let (there, here) = (there.entries()?, here.entries()?);
    for (name, ours) in here {
        match there.iter().find(|(n, _)| n == name) {
            None => return Some(format!("variant `{}` is missing there", shown(name))),
            Some((_, theirs)) if theirs != ours => {
                return Some(format!("variant `{}` is {theirs} there and {ours} here", shown(name)));
            }
            Some(_) => {}
        }
    }
    let (name, _) = there.iter().find(|(name, _)| !here.iter().any(|(n, _)| n == name))?;
    Some(format!("variant `{}` is missing here", shown(name)))
}

fn number(value: &Value<'_>, key: &str) -> i128 {
    value.number(key).unwrap_or(0)
}

/// Returns the name of a layout in Rust terms.
fn name(layout: &Value<'_>) -> String {
    let number = |key| number(layout, key);
    let item = || layout.get("item").map_or_else(|| "?".into(), name);
    let own_name = || shown(layout.text("name").unwrap_or("?"));
    if layout.get("fields").is_some() {
        return own_name().into_owned();
    }
    if layout.get("enum").is_some() || layout.get("variants").is_some() {
        return format!("{} (enum, {})", own_name(), count(number("size"), "byte"));
    }
    if let Some(tag) = layout.text("tag") {
        return format!("Foreign<_, {}>", shown(tag));
    }
    if layout.get("len").is_some() {
        return format!("[{}; {}]", item(), number("len"));
    }
    if layout.get("str").is_some() {
        return format!("ShmString<{}>", number("str"));
    }
    if let (Some(codec), true) = (layout.text("codec"), layout.get("list").is_some()) {
        return format!("Encoded<_, {}, {}>", shown(&marker(codec)), number("list"));
    }
    if layout.get("list").is_some() {
        return format!("ShmVec<{}, {}>", item(), number("list"));
    }
    if layout.get("option").is_some() {
        return format!("ShmOption<{}>", item());
    }
    if layout.text("is") == Some("char") {
        return "char".into();
    }
    let code = layout.text("type").unwrap_or("?");
    if let Some(is) = layout.text("is") {
        return match is {
            "duration" => "Duration".into(),
            "ipv4" => "Ipv4Addr".into(),
            "ipv6" => "Ipv6Addr".into(),
            "nonzero" => format!("NonZero, type {}", shown(code)),
            "nonzero or none" => format!("Option<NonZero>, type {}", shown(code)),
            other => shown(other).into_owned(),
        };
    }
    let little = cfg!(target_endian = "little");
    let (order, kind) = code.split_at_checked(1).unwrap_or(("", code));
    let kind = match kind {
        "u1" => "u8",
        "u2" => "u16",
        "u4" => "u32",
        "u8" => "u64",
        "i1" => "i8",
        "i2" => "i16",
        "i4" => "i32",
        "i8" => "i64",
        "f4" => "f32",
        "f8" => "f64",
        "b1" => "bool",
        "M8[ns]" => "Timestamp",
        _ if kind.starts_with('V') => return format!("{} opaque bytes", number("size")),
        _ => return shown(code).into_owned(),
    };
    match order {
        "<" if !little => format!("{kind} (little-endian)"),
        ">" if little => format!("{kind} (big-endian)"),
        _ => kind.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ShmMessage;

    /// Asserts the first difference, with `struct` or `enum` written out for both sides.
    macro_rules! differ {
        ($(#[$m:meta])* $kind:ident { $($theirs:tt)* } { $($ours:tt)* }) => {{
            mod there {
                #[allow(unused_imports)]
                use crate::*;
                #[derive(ShmMessage)]
                #[allow(dead_code)]
                $(#[$m])* pub(super) $kind M { $($theirs)* }
            }
            mod here {
                #[allow(unused_imports)]
                use crate::*;
                #[derive(ShmMessage)]
                #[allow(dead_code)]
                $(#[$m])* pub(super) $kind M { $($ours)* }
            }
            first_difference(there::M::SCHEMA_JSON, here::M::SCHEMA_JSON)
        }};
    }

    #[test]
    fn names_the_field_on_both_sides() {
        assert_eq!(
            differ!(#[repr(C)] struct { acc: [f64; 3] } { acc: [f32; 3] }),
            "field `acc`: there `[f64; 3]` at byte 0, here `[f32; 3]` at byte 0"
        );
        assert_eq!(
            differ!(#[repr(C)] struct { x: f32, y: f32 } { y: f32, x: f32 }),
            "field `y`: there `f32` at byte 4, here `f32` at byte 0"
        );
        assert_eq!(
            differ!(#[repr(C)] struct { a: u64, z: u64 } { a: u64, b: i64 }),
            "field `b` is missing there; byte 8 has `z: u64`"
        );
        assert_eq!(differ!(#[repr(C)] struct { a: u64, b: u64 } { a: u64 }), "field `b` is missing here");
        assert_eq!(
            differ!(#[repr(C)] struct { a: u64, p: Pad<8> } { a: u64, p: Pad<16> }),
            "there 16 bytes in all, here 24"
        );
        assert_eq!(
            differ!(#[repr(C)] struct { s: [u32; 3], o: ShmOption<char> } { s: [u32; 3], o: ShmOption<u32> }),
            "field `o`: there `ShmOption<char>` at byte 12, here `ShmOption<u32>` at byte 12"
        );
    }

    #[test]
    fn names_the_variant_on_both_sides() {
        assert_eq!(differ!(#[repr(u8)] enum { A, B } { A, B = 5 }), "variant `B` is 1 there and 5 here");
        assert_eq!(differ!(#[repr(u8)] enum { A } { A, B }), "variant `B` is missing there");
        assert_eq!(differ!(#[repr(u8)] enum { A, B } { A }), "variant `B` is missing here");
    }

    #[test]
    fn difference_is_found_in_nested_types() {
        mod there {
            #[derive(crate::ShmMessage)]
            #[repr(C)]
            pub(super) struct Point3(i32, i32);
            #[derive(crate::ShmMessage)]
            #[repr(C)]
            pub(super) struct Path {
                pub(super) points: crate::ShmVec<Point3, 4>,
            }
        }
        #[derive(crate::ShmMessage)]
        #[repr(C)]
        struct Vec2(i32, #[shm(rename = "y")] i32);
        #[derive(crate::ShmMessage)]
        #[repr(C)]
        struct Route {
            points: crate::ShmVec<Vec2, 4>,
        }
        assert_eq!(
            first_difference(there::Path::SCHEMA_JSON, Route::SCHEMA_JSON),
            "field `points[].y` is missing there; byte 4 has `f1: i32`"
        );
    }

    #[test]
    fn compares_lists_of_types() {
        let list = |types: &[&str]| format!("[{}]", types.join(","));
        let (a, b) = (u32::SCHEMA_JSON, <[u8; 4]>::SCHEMA_JSON);
        assert_eq!(first_difference(&list(&[a]), &list(&[b])), "there `u32`, here `[u8; 4]`");
        assert_eq!(
            first_difference(&list(&[a, a]), &list(&[a, b])),
            "in the second type, there `u32`, here `[u8; 4]`"
        );
        assert_eq!(first_difference("[]", &list(&[a])), "there 0 message types, here 1");
    }

    #[test]
    fn hostile_text_is_shown_escaped_and_cut() {
        let theirs = format!(r#"{{"type":"\u001b[2J`{}"}}"#, "x".repeat(500));
        let shown = first_difference(&theirs, u8::SCHEMA_JSON);
        assert!(shown.len() < 200 && !shown.contains('\u{1b}'), "{shown}");
    }

    /// Tries any text at all, and texts one byte away from a valid text.
    #[test]
    fn never_panics() {
        #[derive(crate::ShmMessage)]
        #[repr(C)]
        struct M {
            a: [[u16; 2]; 2],
            b: crate::ShmVec<bool, 4>,
            c: crate::ShmOption<u8>,
            #[shm(rename = "d\"\\\n€")]
            d: crate::ShmString<7>,
        }
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below as u64) as usize
        };
        for _ in 0..if cfg!(miri) { 8 } else { 5_000 } {
            let mut text = M::SCHEMA_JSON.as_bytes().to_vec();
            for _ in 0..1 + random(4) {
                let at = random(text.len().max(2) - 1);
                match random(3) {
                    0 => text[at] = b"{}[]\",:0-9\\u"[random(12)],
                    1 if text.len() > 1 => drop(text.remove(at)),
                    _ => text.truncate(at + 1),
                }
            }
            let text = String::from_utf8_lossy(&text);
            assert!(!first_difference(&text, M::SCHEMA_JSON).is_empty());
            assert!(!first_difference(M::SCHEMA_JSON, &text).is_empty());
        }
        let nested = "[".repeat(if cfg!(miri) { 1_000 } else { 100_000 });
        assert!(first_difference(&nested, "[]").contains("no text this program can read"));
    }
}
