//! Parser of the JSON of schemas, from a source that may be hostile.
//!
//! Owns a tree of borrowed values, as deep as [`DEPTH`] and no larger than the text. Numbers are integers,
//! because a schema has no other numbers. Never panics, and never recurses deeper than [`DEPTH`].

use core::fmt;
use std::borrow::Cow;

/// Maximum nesting depth in levels; no real message nests that deep.
const DEPTH: usize = 64;
/// Maximum length of the text in bytes.
const LONGEST: usize = 1 << 20;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Bool(bool),
    Number(i128),
    Text(Cow<'a, str>),
    List(Vec<Value<'a>>),
    Map(Vec<(Cow<'a, str>, Value<'a>)>),
}

impl<'a> Value<'a> {
    pub(crate) fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.entries()?.iter().find(|(k, _)| k == key).map(|(_, value)| value)
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn number(&self, key: &str) -> Option<i128> {
        match self.get(key) {
            Some(Value::Number(n)) => Some(*n),
            _ => None,
        }
    }

    pub(crate) fn items(&self) -> Option<&[Value<'a>]> {
        match self {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn entries(&self) -> Option<&[(Cow<'a, str>, Value<'a>)]> {
        match self {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }
}

/// Shows a number; any other value is not a number of a schema.
impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(n) => n.fmt(f),
            _ => f.write_str("no number"),
        }
    }
}

/// Parses `text`. Returns `None` if it is not JSON, has numbers with fractions, or exceeds the limits.
pub(crate) fn parse(text: &str) -> Option<Value<'_>> {
    if text.len() > LONGEST {
        return None;
    }
    let mut parser = Parser { rest: text };
    let value = parser.value(DEPTH)?;
    parser.space();
    parser.rest.is_empty().then_some(value)
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    /// Consumes `token` if it is next.
    fn take(&mut self, token: &str) -> Option<()> {
        self.space();
        self.rest = self.rest.strip_prefix(token)?;
        Some(())
    }

    fn value(&mut self, depth: usize) -> Option<Value<'a>> {
        let depth = depth.checked_sub(1)?;
        self.space();
        match self.rest.as_bytes().first()? {
            b'{' => {
                let entry = |p: &mut Self| {
                    p.space();
                    let key = p.string()?;
                    p.take(":")?;
                    Some((key, p.value(depth)?))
                };
                self.sequence("{", "}", entry).map(Value::Map)
            }
            b'[' => self.sequence("[", "]", |p| p.value(depth)).map(Value::List),
            b'"' => self.string().map(Value::Text),
            b't' => self.take("true").map(|()| Value::Bool(true)),
            b'f' => self.take("false").map(|()| Value::Bool(false)),
            _ => self.number().map(Value::Number),
        }
    }

    fn sequence<T>(
        &mut self,
        open: &str,
        close: &str,
        mut item: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let mut items = Vec::new();
        self.take(open)?;
        if self.take(close).is_some() {
            return Some(items);
        }
        loop {
            items.push(item(self)?);
            if self.take(close).is_some() {
                return Some(items);
            }
            self.take(",")?;
        }
    }

    fn number(&mut self) -> Option<i128> {
        let end = self.rest.find(|c: char| !(c.is_ascii_digit() || c == '-')).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        digits.parse().ok()
    }

    fn string(&mut self) -> Option<Cow<'a, str>> {
        let rest = self.rest.strip_prefix('"')?;
        let end = rest.find(['"', '\\'])?;
        if rest.as_bytes()[end] == b'"' {
            self.rest = &rest[end + 1..];
            return Some(rest[..end].into());
        }
        self.rest = rest;
        self.escaped().map(Cow::Owned)
    }

    /// Parses a string with escapes, after its opening quote.
    fn escaped(&mut self) -> Option<String> {
        let mut text = String::new();
        loop {
            let end = self.rest.find(['"', '\\'])?;
            let (plain, rest) = self.rest.split_at(end);
            text.push_str(plain);
            let mut rest = rest.chars();
            if rest.next() == Some('"') {
                self.rest = rest.as_str();
                return Some(text);
            }
            let escape = rest.next()?;
            self.rest = rest.as_str();
            text.push(match escape {
                '"' | '\\' | '/' => escape,
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => self.hex()?,
                _ => return None,
            });
        }
    }

    /// Parses four hex digits. Half of a surrogate pair becomes the replacement character; a schema never
    /// contains such an escape.
    fn hex(&mut self) -> Option<char> {
        let digits = self.rest.get(..4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
        self.rest = &self.rest[4..];
        let code = u32::from_str_radix(digits, 16).ok()?;
        Some(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_json() {
        let value = parse(r#" {"a": [1, -2, true], "b\n\u00e9": {"c": "x\"y"}, "d": []} "#).unwrap();
        assert_eq!(value.get("a").unwrap().items().unwrap()[1], Value::Number(-2));
        assert_eq!(value.get("b\n\u{e9}").unwrap().text("c"), Some("x\"y"));
        assert_eq!(value.get("d").unwrap().items(), Some(&[][..]));
    }

    #[test]
    fn refuses_what_is_no_schema() {
        for text in ["", "{", "[1,]", "1.5", "nul", r#""\x""#, r#""\u12"#, "[1] 2", "--1", r#"{"a" 1}"#] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert!(parse(&"[".repeat(DEPTH + 1)).is_none());
        assert!(parse(&format!("{}{}", "[".repeat(DEPTH), "]".repeat(DEPTH))).is_some());
    }
}
