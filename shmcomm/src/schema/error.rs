//! Errors of layouts and values.
//!
//! Owns their texts: what happened, the numbers, the name, the cure. Calls `escape`, because names come from
//! other processes.

use crate::escape::escape;
use core::fmt;

/// Error for a text that is not the layout of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaError {
    kind: SchemaErrorKind,
    place: String,
    problem: String,
}

/// Kind of a [`SchemaError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SchemaErrorKind {
    /// The text is not the JSON of a layout, or exceeds the limits of length and depth.
    Text,
    /// The layout was too long for the segment, which carries its fingerprint only.
    TooLong,
    /// The layout has a kind of type that this version does not know, or the byte order of another machine.
    Unknown,
    /// The sizes, offsets or counts of the layout contradict each other, or are too large.
    Inconsistent,
}

impl SchemaError {
    pub(super) fn new(kind: SchemaErrorKind, problem: impl Into<String>) -> Self {
        SchemaError { kind, place: String::new(), problem: problem.into() }
    }

    /// Returns the error one level higher.
    pub(super) fn inside(mut self, step: &str) -> Self {
        self.place.insert_str(0, &escape(step));
        self
    }

    /// Returns the kind of the error.
    pub fn kind(&self) -> SchemaErrorKind {
        self.kind
    }

    /// Returns the path of the wrong part, such as `.pose.x`; empty for the whole text.
    pub fn place(&self) -> &str {
        &self.place
    }
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SchemaError { place, problem, .. } = self;
        if place.is_empty() { f.write_str(problem) } else { write!(f, "`{place}`: {problem}") }
    }
}

impl std::error::Error for SchemaError {}

/// Error for a value that does not fit its field.
///
/// ```
/// use shmcomm::ShmMessage;
/// use shmcomm::schema::{Layout, Value};
///
/// #[derive(ShmMessage)]
/// #[repr(C)]
/// struct Color { rgb: [u8; 3] }
///
/// let color = Value::from_iter([("rgb", Value::from(vec![0, 300, 0]))]);
/// let error = Layout::of::<Color>().encode(&color, &mut [0; 3]).unwrap_err();
/// assert_eq!(error.path(), "Color.rgb[1]");
/// assert_eq!(
///     error.to_string(),
///     "`Color.rgb[1]`: 300 is no `u8`, which holds integers from 0 to 255; give a number in this range",
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodeError(Box<Parts>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    path: String,
    value: String,
    range: String,
    cure: String,
}

impl EncodeError {
    #[cold]
    pub(super) fn new(value: impl fmt::Display, range: impl Into<String>, cure: impl Into<String>) -> Self {
        EncodeError(Box::new(Parts {
            path: String::new(),
            value: value.to_string(),
            range: range.into(),
            cure: cure.into(),
        }))
    }

    /// Returns the error one level higher.
    pub(super) fn inside(mut self, step: &str) -> Self {
        self.0.path.insert_str(0, step);
        self
    }

    /// Returns the error with `root` at the start of its path instead of the type `name`.
    pub(crate) fn under(mut self, name: &str, root: &str) -> Self {
        let rest = self.0.path.strip_prefix(name).unwrap_or(&self.0.path);
        self.0.path = format!("{root}{rest}");
        self
    }

    /// Returns the path of the field, from the type: `Imu.acceleration[1]`.
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// Returns the value, shortened: `300`, `a list of 5 items`.
    pub fn value(&self) -> &str {
        &self.0.value
    }

    /// Returns what the field holds instead: ``is no `u8`, which holds integers from 0 to 255``.
    pub fn range(&self) -> &str {
        &self.0.range
    }

    /// Returns what to do: `give a number in this range`.
    pub fn cure(&self) -> &str {
        &self.0.cure
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { path, value, range, cure } = &*self.0;
        write!(f, "`{path}`: {value} {range}; {cure}")
    }
}

impl std::error::Error for EncodeError {}
