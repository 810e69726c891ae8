//! What `docs/format.md` says of schema and fingerprint suffices to compute a fingerprint from the text in a segment.

use crate::format::Reading;
use serde_json::Value;
use shmcomm::codec::Bytes;
use shmcomm::{Encoded, Pad, ShmMessage, ShmOption, ShmString, ShmVec};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::num::{NonZeroU16, NonZeroU64};
use std::time::Duration;

/// FNV-1a over numbers and texts.
struct Hash(u64);

impl Hash {
    fn bytes(self, bytes: &[u8]) -> Self {
        bytes
            .iter()
            .fold(self, |Hash(h), &byte| Hash((h ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)))
    }

    fn number(self, number: u64) -> Self {
        self.bytes(&number.to_le_bytes())
    }

    fn text(self, text: &str) -> Self {
        self.number(text.len() as u64).bytes(text.as_bytes())
    }
}

/// Returns the fingerprint of a layout and its alignment, from its text only.
fn fingerprint(layout: &Value) -> (u64, u64) {
    let integer = |key: &str| layout[key].as_u64().unwrap_or_else(|| panic!("no {key} in {layout}"));
    let size = integer("size");
    let has = |key: &str| layout.get(key).is_some();
    let code = layout["type"].as_str().unwrap_or("");
    let item = has("item").then(|| fingerprint(&layout["item"]));
    let (_, inner) = item.unwrap_or((0, 1));
    let align = match code {
        _ if has("align") => integer("align"),
        _ if item.is_some() => inner,
        _ if has("str") || code.starts_with("|V") => 1,
        _ => size,
    };
    let start = Hash(0xcbf2_9ce4_8422_2325).number(1).number(size).number(align);
    let hash = if has("fields") {
        fields(start.text("struct"), layout)
    } else if has("variants") {
        let variants = layout["variants"].as_array().unwrap();
        let selector = layout["selector"]["type"].as_str().unwrap();
        let start = start.text("choice").text(selector).number(variants.len() as u64);
        variants.iter().fold(start, |hash, variant| {
            let count = variant["fields"].as_array().unwrap().len() as u64;
            let hash = hash.text(variant["name"].as_str().unwrap()).number(integer_of(&variant["value"]));
            fields(hash.number(count), variant)
        })
    } else if has("enum") {
        let variants = layout["enum"].as_object().unwrap();
        let start = start.text("enum").text(code).number(variants.len() as u64);
        variants.iter().fold(start, |hash, (name, value)| hash.text(name).number(integer_of(value)))
    } else if let Some((print, _)) = item {
        if has("len") {
            start.text("array").number(integer("len")).number(print)
        } else if has("list") {
            start.text("list").number(integer("list")).number(integer("offset")).number(print)
        } else {
            start.text("option").number(integer("offset")).number(print)
        }
    } else if has("str") {
        start.text("str").number(integer("str"))
    } else if has("tag") {
        start.text("opaque").number(layout["tag"].as_str().unwrap().parse().unwrap())
    } else if has("is") {
        match layout["is"].as_str().unwrap() {
            "char" => start.text("char"),
            word => start.text(word).text(if code.starts_with("|V") { "" } else { code }),
        }
    } else {
        match code {
            "|b1" => start.text("bool"),
            code if code.ends_with("M8[ns]") => start.text("ns"),
            code if code.starts_with("|V") => start.text("pad"),
            code => start.text(code),
        }
    };
    (hash.0, align)
}

/// Adds the fields of a struct or of a variant.
fn fields(start: Hash, layout: &Value) -> Hash {
    layout["fields"].as_array().unwrap().iter().fold(start, |hash, field| {
        let (print, _) = fingerprint(&field["of"]);
        hash.text(field["name"].as_str().unwrap()).number(field["offset"].as_u64().unwrap()).number(print)
    })
}

/// Returns an integer in two's complement.
fn integer_of(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| value.as_i64().unwrap() as u64)
}

/// One of each kind, except foreign types.
#[derive(ShmMessage)]
#[repr(C)]
struct Everything {
    wide: u128,
    long: i128,
    period: Duration,
    command: Command,
    v4: Ipv4Addr,
    v6: Ipv6Addr,
    count: NonZeroU64,
    id: Option<NonZeroU16>,
    _pad: Pad<6>,
    readings: [Reading; 2],
    list: ShmVec<[u16; 3], 4>,
    best: ShmOption<f64>,
    pads: [Pad<2>; 2],
    letter: char,
    sign: Sign,
    small: i8,
    #[shm(rename = "größe \"x\"")]
    large: u8,
    name: ShmString<16>,
}

#[derive(ShmMessage)]
#[repr(i16)]
enum Sign {
    Plus = 1,
    Minus = -1,
}

#[derive(ShmMessage)]
#[allow(dead_code, reason = "only its layout is used")]
#[repr(i32)]
enum Command {
    Stop = -1,
    Move { speed: f32, way: [i16; 2] } = 1,
}

#[derive(ShmMessage)]
#[repr(transparent)]
struct Nothing;

#[test]
fn fingerprint_of_the_page_is_that_of_the_library() {
    fn check<M: ShmMessage>() {
        let layout: Value = serde_json::from_str(M::SCHEMA_JSON).unwrap();
        let schema = M::SCHEMA;
        let expected = (schema.fingerprint, schema.align as u64);
        assert_eq!(fingerprint(&layout), expected, "{}: {}", schema.name, M::SCHEMA_JSON);
    }
    check::<Reading>();
    check::<Everything>();
    check::<[u64; 1024]>();
    check::<bool>();
    // The codec of a value is in the text, and no input of the fingerprint.
    assert!(Encoded::<[u8], Bytes, 16>::SCHEMA_JSON.ends_with(r#","codec":"bytes"}"#));
    check::<Encoded<[u8], Bytes, 16>>();
    check::<Nothing>();
}
