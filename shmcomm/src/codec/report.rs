//! How codecs make their errors: wording, and the path to the value.
//!
//! Owns the constructors of [`EncodeError`] and [`DecodeError`] and what serde needs of them.
//! Calls nothing.

use std::fmt;

use super::error::Inner;
use super::{DecodeError, DecodeErrorKind, EncodeError};

impl EncodeError {
    #[cold]
    pub(crate) fn refused(reason: impl Into<String>) -> Self {
        Self::Refused { path: String::new(), reason: reason.into() }
    }

    #[cfg(feature = "pickle")]
    #[cold]
    pub(crate) fn under(mut self, step: Step<'_>) -> Self {
        if let Self::Refused { path, .. } = &mut self {
            step.prepend(path);
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
        Self(Box::new(Inner { kind, path: String::new(), reason: reason.into(), offset: None }))
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

/// What serde found, in Python's words.
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
            U::Bytes(b) => write!(f, "{} bytes", b.len()),
            U::Unit | U::Option => f.write_str("None"),
            U::Seq => f.write_str("a list or tuple"),
            U::Map => f.write_str("a dict"),
            other => other.fmt(f),
        }
    }
}

/// The front of a text that may be long, for an error message.
pub(crate) fn excerpt(text: &str) -> String {
    const LONG: usize = 40;
    match text.char_indices().nth(LONG) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// One step of the way to a value.
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
