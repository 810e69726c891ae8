//! Messages for the page: JSON that is cut to what a person can read.
//!
//! Owns that form. Calls the library's views of bytes. Never copies a whole message.
//!
//! JSON has no long integers, no infinite numbers and no times, and a script reads integers as `f64`. An object
//! with one key that starts with `$` holds what it cannot express: `{"$int":"18446744073709551615"}`,
//! `{"$number":"NaN"}`, `{"$time":"1764000000000000000"}`, `{"$bad":"why"}`, and a list that is cut:
//! `{"$list":[…],"$len":6220800}`. A key of a message that starts with `$` has a second `$` before it.

use serde_json::Value as Json;
use shmcomm::ObservedMessage;
use shmcomm::schema::{ListRef, Value, ValueRef};
use std::fmt::Write as _;

/// Items of a list that are shown.
const ITEMS: usize = 32;
/// Characters of a text that are shown.
const CHARACTERS: usize = 500;
/// Values of a message that are shown.
const VALUES: usize = 2000;
/// Largest integer up to which `f64` has all integers.
const EXACT: u128 = 1 << 53;

/// Replaces the contents of `out` by a message and its position, as JSON.
pub fn write(message: &ObservedMessage<'_>, out: &mut Vec<u8>) {
    out.clear();
    // No bytes are text, so this keeps the memory only.
    let text = String::from_utf8(std::mem::take(out)).unwrap_or_default();
    let mut to = Shown { text, left: VALUES };
    let _ = write!(to.text, "{{\"position\":{},\"value\":", message.position());
    match (message.view(), message.tail()) {
        (Some(header), Some(tail)) => {
            to.text.push_str("{\"header\":");
            to.view(&header);
            to.text.push_str(",\"tail\":");
            to.list(&tail);
            to.text.push('}');
        }
        (Some(view), None) => to.view(&view),
        (None, _) => match message.value() {
            Ok(value) => to.tree(&value),
            Err(error) => to.special("bad", &error.to_string()),
        },
    }
    to.text.push('}');
    *out = to.text.into_bytes();
}

struct Shown {
    text: String,
    /// Values that may still be written.
    left: usize,
}

impl Shown {
    fn quoted(&mut self, text: &str) {
        let cut = text.char_indices().nth(CHARACTERS).map(|(at, _)| at);
        let shown = match cut {
            Some(at) => Json::String(format!("{}… ({} bytes)", &text[..at], text.len())),
            None => Json::from(text),
        };
        let _ = write!(self.text, "{shown}");
    }

    fn special(&mut self, kind: &str, text: &str) {
        let _ = write!(self.text, "{{\"${kind}\":");
        self.quoted(text);
        self.text.push('}');
    }

    fn int(&mut self, n: i128) {
        if n.unsigned_abs() <= EXACT {
            let _ = write!(self.text, "{n}");
        } else {
            self.special("int", &n.to_string());
        }
    }

    fn float(&mut self, x: f64, text: &str) {
        if x.is_finite() {
            self.text.push_str(text);
        } else {
            self.special("number", text);
        }
    }

    /// Writes the items that fit, and the length of the list if they are not all.
    fn items<T>(&mut self, len: usize, items: impl Iterator<Item = T>, mut write: impl FnMut(&mut Self, T)) {
        let shown = len.min(ITEMS).min(self.left);
        let cut = shown < len;
        self.text.push_str(if cut { "{\"$list\":[" } else { "[" });
        for (index, item) in items.take(shown).enumerate() {
            if index > 0 {
                self.text.push(',');
            }
            write(self, item);
        }
        self.text.push(']');
        if cut {
            let _ = write!(self.text, ",\"$len\":{len}}}");
        }
    }

    fn fields<'t, T>(
        &mut self,
        fields: impl Iterator<Item = (&'t str, T)>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        self.text.push('{');
        for (index, (name, part)) in fields.enumerate() {
            if index > 0 {
                self.text.push(',');
            }
            if self.left == 0 {
                self.text.push_str("\"$cut\":true");
                break;
            }
            let name = if name.starts_with('$') { format!("${name}") } else { name.to_owned() };
            self.quoted(&name);
            self.text.push(':');
            write(self, part);
        }
        self.text.push('}');
    }

    fn list(&mut self, list: &ListRef<'_>) {
        self.items(list.len(), list.iter(), |to, item| to.view(&item));
    }

    fn view(&mut self, view: &ValueRef<'_>) {
        self.left = self.left.saturating_sub(1);
        match view {
            ValueRef::Null => self.text.push_str("null"),
            ValueRef::Bool(truth) => self.text.push_str(if *truth { "true" } else { "false" }),
            ValueRef::Int(n) => self.int(*n),
            ValueRef::F32(x) => self.float((*x).into(), &x.to_string()),
            ValueRef::F64(x) => self.float(*x, &x.to_string()),
            ValueRef::Char(c) => self.quoted(c.encode_utf8(&mut [0; 4])),
            ValueRef::Timestamp(time) => self.special("time", &time.as_nanos().to_string()),
            ValueRef::Text(text) | ValueRef::Enum { name: text, .. } => self.quoted(text),
            ValueRef::Bytes(bytes) => self.bytes(bytes),
            ValueRef::List(list) => self.list(list),
            ValueRef::Struct(fields) => self.fields(fields.iter(), |to, part| to.view(&part)),
            ValueRef::Encoded(encoded) => match encoded.decode() {
                Ok(value) => self.tree(&value),
                Err(why) => self.special("bad", why.problem()),
            },
            ValueRef::Invalid(invalid) => self.special("bad", &invalid.problem()),
            other => self.special("bad", &other.to_string()),
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.items(bytes.len(), bytes.iter(), |to, byte| to.int((*byte).into()));
    }

    fn tree(&mut self, value: &Value) {
        self.left = self.left.saturating_sub(1);
        match value {
            Value::Null => self.text.push_str("null"),
            Value::Bool(truth) => self.text.push_str(if *truth { "true" } else { "false" }),
            Value::Int(n) => self.int(*n),
            Value::F32(x) => self.float((*x).into(), &x.to_string()),
            Value::F64(x) => self.float(*x, &x.to_string()),
            Value::Text(text) => self.quoted(text),
            Value::Bytes(bytes) => self.bytes(bytes),
            Value::List(list) => self.items(list.len(), list.iter(), |to, item| to.tree(item)),
            Value::Map(parts) => {
                let parts = parts.iter().map(|(name, part)| (name.as_str(), part));
                self.fields(parts, |to, part| to.tree(part));
            }
            other => self.special("bad", &other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: &Value) -> String {
        let mut to = Shown { text: String::new(), left: VALUES };
        to.tree(value);
        let parsed: Result<Json, _> = serde_json::from_str(&to.text);
        assert!(parsed.is_ok(), "{}", to.text);
        to.text
    }

    #[test]
    fn numbers_that_json_lacks_are_marked() {
        let value = Value::from(vec![
            Value::from(u64::MAX),
            Value::from(f64::NAN),
            Value::from(f32::NEG_INFINITY),
            Value::from(0.1f32),
            Value::from(1e300),
            Value::from(-5),
        ]);
        let text = shown(&value);
        assert!(
            text.starts_with(
                r#"[{"$int":"18446744073709551615"},{"$number":"NaN"},{"$number":"-inf"},0.1,1"#
            )
        );
        assert!(text.ends_with("0,-5]"), "{text}");
    }

    #[test]
    fn long_lists_and_deep_trees_are_cut() {
        assert!(shown(&Value::Bytes(vec![7; 1000])).ends_with(r#"7],"$len":1000}"#));
        let wide = |item: Value| Value::from(vec![item; 32]);
        let text = shown(&wide(wide(wide(wide(Value::from(1))))));
        assert!(text.len() < 64 * VALUES, "{}", text.len());
        let fields = (0..5000).map(|number| (number.to_string(), Value::from(1)));
        assert!(shown(&Value::from_iter(fields)).ends_with(r#","$cut":true}"#));
        assert!(shown(&Value::from("x".repeat(600))).contains("… (600 bytes)"));
    }

    #[test]
    fn keys_with_a_mark_are_told_apart() {
        assert_eq!(shown(&Value::from_iter([("$int", "7")])), r#"{"$$int":"7"}"#);
    }
}
