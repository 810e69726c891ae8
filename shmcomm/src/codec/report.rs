//! Construction of the errors of codecs: text, and path to the value.
//!
//! Owns the constructors of [`EncodeError`] and [`DecodeError`] and what serde needs of them.
//! Calls nothing.

use std::fmt;

use super::error::Inner;
use super::{DecodeError, DecodeErrorKind, EncodeError};
use crate::escape::escape;
use crate::plural::count;

impl EncodeError {
    #[cold]
    pub(crate) fn refused(reason: impl Into<String>) -> Self {
        Self::Refused { path: String::new(), reason: escape(reason.into()) }
    }

    #[cfg(feature = "pickle")]
    #[cold]
    pub(crate) fn under(mut self, step: Step<'_>) -> Self {
        if let Self::Refused { path, .. } = &mut self {
            step.prepend(path);
        }
        self
    }

    /// Shortens a long path to its two ends.
    #[cold]
    pub(crate) fn shortened(mut self) -> Self {
        if let Self::Refused { path, .. } = &mut self {
            shorten(path);
        }
        self
    }
}

impl serde::ser::Error for EncodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::refused(message.to_string())
    }
}

impl DecodeError {
    #[cold]
    pub(crate) fn new(kind: DecodeErrorKind, reason: impl Into<String>) -> Self {
        // The reason can quote names and keys of the message.
        Self(Box::new(Inner { kind, path: String::new(), reason: escape(reason.into()), offset: None }))
    }

    #[cold]
    pub(crate) fn at(mut self, offset: usize) -> Self {
        self.0.offset.get_or_insert(offset);
        self
    }

    #[cold]
    pub(crate) fn under(mut self, step: Step<'_>) -> Self {
        step.prepend(&mut self.0.path);
        self
    }

    /// Shortens a long path to its two ends.
    #[cold]
    pub(crate) fn shortened(mut self) -> Self {
        shorten(&mut self.0.path);
        self
    }

    #[cold]
    pub(crate) fn expected(expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self::new(DecodeErrorKind::Type, format!("expected {expected}, found {found}"))
    }
}

impl serde::de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(DecodeErrorKind::Type, message.to_string())
    }

    fn invalid_type(found: serde::de::Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        Self::expected(expected, Found(found))
    }

    fn invalid_value(found: serde::de::Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        Self::expected(expected, Found(found))
    }
}

/// A value that serde found, in Python's terms.
struct Found<'a>(serde::de::Unexpected<'a>);

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use serde::de::Unexpected as U;
        match self.0 {
            U::Bool(true) => f.write_str("bool True"),
            U::Bool(false) => f.write_str("bool False"),
            U::Unsigned(n) => write!(f, "int {n}"),
            U::Signed(n) => write!(f, "int {n}"),
            U::Float(x) => write!(f, "float {x}"),
            U::Char(c) => write!(f, "str {:?}", c.to_string()),
            U::Str(s) => write!(f, "str {:?}", excerpt(s)),
            U::Bytes(b) => write!(f, "{}", count(b.len(), "byte")),
            U::Unit | U::Option => f.write_str("None"),
            U::Seq => f.write_str("a list or tuple"),
            U::Map => f.write_str("a dict"),
            other => other.fmt(f),
        }
    }
}

/// Returns the beginning of a text that may be long, for an error message.
pub(crate) fn excerpt(text: &str) -> String {
    const LONG: usize = 40;
    match text.char_indices().nth(LONG) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// One step of the path to a value.
pub(crate) enum Step<'a> {
    Index(usize),
    Key(&'a str),
}

impl Step<'_> {
    pub(crate) fn prepend(&self, path: &mut String) {
        let step = match *self {
            Self::Index(i) => format!("[{i}]"),
            Self::Key(key) if key.is_empty() || key.contains(|c: char| !c.is_alphanumeric() && c != '_') => {
                format!("[{:?}]", excerpt(key))
            }
            Self::Key(key) => format!(".{}", excerpt(key)),
        };
        path.insert_str(0, &step);
    }
}

/// Replaces the middle of a path of more than 100 bytes by `…`, between whole steps if there are any.
fn shorten(path: &mut String) {
    const MOST: usize = 100;
    const END: usize = 40;
    if path.len() <= MOST {
        return;
    }
    let steps = |from: usize, to: usize| {
        path.char_indices().filter(move |&(at, c)| matches!(c, '[' | '.') && (from..=to).contains(&at))
    };
    let len = path.len();
    let boundary = |from: usize| (from..len).find(|&at| path.is_char_boundary(at)).unwrap_or(len);
    let head = steps(END / 2, END).next_back().map_or_else(|| boundary(END), |(at, _)| at);
    let tail = steps(len - END, len - END / 2).next().map_or_else(|| boundary(len - END), |(at, _)| at);
    path.replace_range(head..tail, "…");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_keeps_its_two_ends() {
        let mut path = "[0]".repeat(128) + ".deepest";
        shorten(&mut path);
        assert_eq!(path, format!("{}…{}.deepest", "[0]".repeat(13), "[0]".repeat(10)));
        for (long, most) in [(".a".repeat(200), 83), ("[\"grün\"]".repeat(40), 90), ("ü".repeat(300), 90)] {
            let mut path = long.clone();
            shorten(&mut path);
            assert!(path.len() <= most && long.starts_with(path.split('…').next().unwrap()), "{path}");
        }
        let mut short = ".poses[3].x".to_owned();
        shorten(&mut short);
        assert_eq!(short, ".poses[3].x");
    }
}
