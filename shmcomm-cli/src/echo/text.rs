//! Messages as a line of text.
//!
//! Owns the form: `name: value` with two spaces between, long lists and texts cut. Calls nothing. Never writes
//! control characters: messages are bytes of other processes.

use super::message::{Message, Part, time};
use shmcomm::schema::{Value, ValueRef};
use std::fmt::Write as _;

/// Items of a list that are shown if it is cut.
const ITEMS: usize = 8;
/// Characters of a text that are shown if it is cut.
const CHARACTERS: usize = 80;

/// Returns the message on one line. `full`: nothing is cut.
pub fn line(message: &Message<'_>, full: bool) -> String {
    if let Message::View { head: ValueRef::Encoded(encoded), tail: None } = message
        && let Ok(value) = encoded.decode()
    {
        return line(&Message::Tree(value), full);
    }
    let mut out = Text { text: String::new(), full };
    match message {
        Message::View { head, tail } => {
            match head {
                ValueRef::Struct(fields) => {
                    for (index, (name, part)) in fields.iter().enumerate() {
                        out.name(index, name, "  ");
                        out.view(&part);
                    }
                }
                other => out.view(other),
            }
            if let Some(tail) = tail {
                out.name(usize::from(!out.text.is_empty()), "tail", "  ");
                out.view(&ValueRef::List(*tail));
            }
        }
        Message::Tree(Value::Map(parts)) => {
            for (index, (name, part)) in parts.iter().enumerate() {
                out.name(index, name, "  ");
                out.tree(part);
            }
        }
        Message::Tree(value) => out.tree(value),
    }
    out.text
}

/// Returns a part of a message. A text is not quoted.
pub fn part(part: Option<Part<'_>>, full: bool) -> String {
    let mut out = Text { text: String::new(), full };
    match part {
        None => out.text.push('-'),
        Some(Part::View(ValueRef::Text(text))) => out.text += &bare(text),
        Some(Part::Tree(Value::Text(text))) => out.text += &bare(text),
        Some(Part::View(view)) => out.view(&view),
        Some(Part::Tree(value)) => out.tree(value),
    }
    out.text
}

/// Returns a text without control characters.
pub fn bare(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

struct Text {
    text: String,
    full: bool,
}

impl Text {
    fn name(&mut self, index: usize, name: &str, gap: &str) {
        if index > 0 {
            self.text += gap;
        }
        self.text += &bare(name);
        self.text += ": ";
    }

    fn quoted(&mut self, text: &str) {
        let number = if self.full { usize::MAX } else { CHARACTERS };
        match text.char_indices().nth(number) {
            None => {
                let _ = write!(self.text, "{text:?}");
            }
            Some((at, _)) => {
                let _ = write!(self.text, "{:?}… {} bytes", &text[..at], text.len());
            }
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let shown = if self.full { bytes.len() } else { bytes.len().min(ITEMS * 2) };
        self.text += "0x";
        for byte in &bytes[..shown] {
            let _ = write!(self.text, "{byte:02x}");
        }
        if shown < bytes.len() {
            let _ = write!(self.text, "… {} bytes", bytes.len());
        }
    }

    /// Writes items between brackets. A list that is cut ends with its number of items.
    fn items<T>(&mut self, len: usize, items: impl Iterator<Item = T>, mut write: impl FnMut(&mut Self, T)) {
        let shown = if self.full || len <= 2 * ITEMS { len } else { ITEMS };
        self.text.push('[');
        for (index, item) in items.take(shown).enumerate() {
            self.text += if index > 0 { ", " } else { "" };
            write(self, item);
        }
        if shown < len {
            let _ = write!(self.text, ", … {} more", len - shown);
        }
        self.text.push(']');
    }

    fn view(&mut self, view: &ValueRef<'_>) {
        match view {
            ValueRef::Null => self.text += "none",
            ValueRef::Text(text) => self.quoted(text),
            ValueRef::Enum { name, .. } => self.text += &bare(name),
            ValueRef::Char(c) => {
                let _ = write!(self.text, "{c:?}");
            }
            ValueRef::Timestamp(at) => self.text += &time(*at),
            ValueRef::Bytes(bytes) => self.bytes(bytes),
            ValueRef::List(list) => self.items(list.len(), list.iter(), |out, item| out.view(&item)),
            ValueRef::Struct(fields) => {
                self.text.push('{');
                for (index, (name, part)) in fields.iter().enumerate() {
                    self.name(index, name, ", ");
                    self.view(&part);
                }
                self.text.push('}');
            }
            ValueRef::Encoded(encoded) => match encoded.decode() {
                Ok(value) => self.tree(&value),
                Err(why) => {
                    let _ = write!(self.text, "<{}>", bare(why.problem()));
                }
            },
            ValueRef::Invalid(invalid) => {
                let _ = write!(self.text, "<{}>", bare(&invalid.problem()));
            }
            // Numbers and truth values.
            other => {
                let _ = write!(self.text, "{other}");
            }
        }
    }

    fn tree(&mut self, value: &Value) {
        match value {
            Value::Null => self.text += "none",
            Value::Text(text) => self.quoted(text),
            Value::Bytes(bytes) => self.bytes(bytes),
            Value::List(list) => self.items(list.len(), list.iter(), |out, item| out.tree(item)),
            Value::Map(parts) => {
                self.text.push('{');
                for (index, (name, part)) in parts.iter().enumerate() {
                    self.name(index, name, ", ");
                    self.tree(part);
                }
                self.text.push('}');
            }
            other => {
                let _ = write!(self.text, "{other}");
            }
        }
    }
}

/// Returns bytes as lines of 16, with offsets and characters.
pub fn hex(bytes: &[u8], full: bool) -> String {
    const LINE: usize = 16;
    let shown = if full { bytes.len() } else { bytes.len().min(16 * LINE) };
    let mut text = String::new();
    for (index, line) in bytes[..shown].chunks(LINE).enumerate() {
        let _ = write!(text, "{:06x} ", index * LINE);
        for at in 0..LINE {
            let gap = if at == LINE / 2 { "  " } else { " " };
            match line.get(at) {
                Some(byte) => {
                    let _ = write!(text, "{gap}{byte:02x}");
                }
                None => text += &format!("{gap}  "),
            }
        }
        let characters: String = line
            .iter()
            .map(|&byte| if byte.is_ascii_graphic() || byte == b' ' { char::from(byte) } else { '.' })
            .collect();
        let _ = writeln!(text, "  |{characters}|");
    }
    if shown < bytes.len() {
        let _ = writeln!(text, "… {} bytes in all", bytes.len());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_and_texts_are_cut() {
        let long = Value::from_iter([
            ("items", Value::from((0..100).collect::<Vec<i32>>())),
            ("text", Value::from("é".repeat(90))),
            ("bytes", Value::Bytes(vec![7; 100])),
            ("\u{1b}odd", Value::from("a\u{1b}b")),
        ]);
        let text = line(&Message::Tree(long), false);
        assert!(text.starts_with("items: [0, 1, 2, 3, 4, 5, 6, 7, … 92 more]  text: \"éé"), "{text}");
        assert!(
            text.contains("é\"… 180 bytes  bytes: 0x07070707070707070707070707070707… 100 bytes"),
            "{text}"
        );
        assert!(text.ends_with("\\u{1b}odd: \"a\\u{1b}b\""), "{text}");
    }

    #[test]
    fn bytes_have_offsets_and_characters() {
        let text = hex(b"0123456789abcdefg\n", true);
        assert_eq!(
            text,
            "000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|\n\
             000010  67 0a                                             |g.|\n"
        );
        assert!(hex(&[0; 1000], false).ends_with("… 1000 bytes in all\n"));
    }
}
