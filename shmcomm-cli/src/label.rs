//! Names of message types, from the schema text of a segment.
//!
//! Owns the short form that tables show: `Imu`, `FrameHeader+[u8]`, `Trip -> Way`. Calls nothing. Trusts no
//! text: every process of the user can write a schema.

use serde_json::Value;
use shmcomm::SegmentInfo;

/// Largest number of characters of a label.
const LONGEST: usize = 60;
/// Largest number of nested types that a label names.
const DEPTH: usize = 8;

/// Returns the short name of the messages of a segment.
pub fn of(segment: &SegmentInfo) -> String {
    if segment.version == 1 {
        return "(python)".to_owned();
    }
    let codec = match segment.codec {
        "raw bytes" => "bytes",
        codec => codec,
    };
    let Ok(Value::Array(types)) = serde_json::from_str(&segment.schema) else { return codec.to_owned() };
    let names: Vec<String> = types.iter().map(|of| name(of, DEPTH)).collect();
    let label = match (&names[..], codec) {
        ([header, item], "header and tail") => format!("{header}+[{item}]"),
        ([request, reply], _) => format!("{request} -> {reply}"),
        ([one], _) => one.clone(),
        _ => codec.to_owned(),
    };
    shorten(&label)
}

fn shorten(text: &str) -> String {
    let clean: String = text
        .chars()
        .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
        .collect();
    crate::table::cut(&clean, LONGEST)
}

/// Returns the name of a type: its own, or that of the Rust type of its form.
fn name(of: &Value, depth: usize) -> String {
    let Some(depth) = depth.checked_sub(1) else { return "…".to_owned() };
    if let Some(name) = of.get("name").and_then(Value::as_str) {
        return name.to_owned();
    }
    let number = |key: &str| of.get(key).and_then(Value::as_u64);
    let item = || of.get("item").map_or_else(|| "?".to_owned(), |item| name(item, depth));
    if let Some(len) = number("len") {
        return format!("[{}; {len}]", item());
    }
    if let Some(capacity) = number("str") {
        return format!("ShmString<{capacity}>");
    }
    if let Some(capacity) = number("list") {
        return format!("ShmVec<{}, {capacity}>", item());
    }
    if of.get("option").is_some() {
        return format!("ShmOption<{}>", item());
    }
    if of.get("too_long").is_some() {
        return "(schema too long)".to_owned();
    }
    if of.get("is").and_then(Value::as_str) == Some("char") {
        return "char".to_owned();
    }
    let code = of.get("type").and_then(Value::as_str).unwrap_or("?");
    match code.trim_start_matches(['<', '>', '|']) {
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
        other => other,
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_the_names_of_rust() {
        let name = |text: &str| name(&serde_json::from_str(text).unwrap(), DEPTH);
        assert_eq!(name(r#"{"size":12,"len":3,"item":{"size":4,"type":"<f4"}}"#), "[f32; 3]");
        assert_eq!(name(r#"{"size":24,"str":20}"#), "ShmString<20>");
        assert_eq!(name(r#"{"size":1,"name":"Imu","align":8,"fields":[]}"#), "Imu");
        assert_eq!(name(r#"{"size":4,"type":"<u4","is":"char"}"#), "char");
        assert_eq!(name("7"), "?");
        assert_eq!(shorten("a\u{1b}[31m"), "a\\u{1b}[31m");
    }
}
