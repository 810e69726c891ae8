//! Resolution: how a reader of one layout reads the messages of a writer of another layout.
//!
//! Owns [`Plan`], the steps that convert bytes of the writer to bytes of the reader, and [`Resolution`], the
//! record of each field. `build` makes the steps, once for each pair of layouts; `run` executes them; `rules`
//! has what a reader declares about its own fields. Calls the layouts of `schema`. Never touches a segment.
//!
//! The scheme is that of Avro: the schemas of writer and reader are resolved by the names of their fields.
//!
//! Invariants:
//!
//! 1. A plan reads inside the `size` bytes of its writer's layout and writes inside those of its reader's, whatever
//!    the layouts say and whatever the bytes are: every access is checked.
//! 2. The number of steps is bounded by the number of parts of the reader's layout. The number of executed steps is
//!    bounded by the number of values that a message of the reader's layout can have.
//! 3. Every byte that no step writes is zero.

mod build;
mod channel;
mod rules;
mod run;
#[cfg(test)]
mod tests;

use super::{Invalid, Layout};
use crate::escape::escape;
use crate::message::ShmMessage;
pub(crate) use channel::{ChannelTypes, Resolved};
use core::fmt;
pub(crate) use rules::Rules;

/// Conversion of messages of a writer's layout to messages of a reader's layout.
///
/// Fields are found by name. A subscriber, puller, replier or requester makes a plan when it attaches to a segment
/// of another layout. A program that stored messages with their schema can make one itself:
///
/// ```
/// use shmcomm::schema::{Layout, Plan};
/// use shmcomm::{ShmMessage, message};
///
/// mod old {
///     #[derive(shmcomm::ShmMessage)]
///     #[repr(C)]
///     pub struct Pose { pub x: f32, pub y: f32 }
/// }
///
/// #[derive(Debug, PartialEq, ShmMessage)]
/// #[repr(C)]
/// struct Pose { y: f64, x: f64 }
///
/// let stored = message::as_bytes(&old::Pose { x: 1.0, y: 2.0 }).to_vec();
/// let writer = &Layout::parse(old::Pose::SCHEMA_JSON)?[0];
/// let plan = Plan::of::<Pose>(writer)?;
/// assert_eq!(plan.resolution().widened, ["y", "x"]);
/// let bytes = plan.convert(&stored)?;
/// assert_eq!(message::read::<Pose>(&bytes)?, Pose { y: 2.0, x: 1.0 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Plan {
    writer: Layout,
    reader: Layout,
    steps: Vec<run::Step>,
    resolution: Resolution,
    in_place: bool,
}

impl Plan {
    /// Makes the plan by which an `M` is read from messages of the layout `writer`, with the attributes
    /// `#[shm(default)]`, `#[shm(alias = "…")]` and `#[shm(other)]` of `M`.
    ///
    /// # Errors
    ///
    /// Returns an error that names the first part of `M` that cannot be read from such messages.
    pub fn of<M: ShmMessage>(writer: &Layout) -> Result<Plan, ResolveError> {
        Plan::with(writer, Layout::of::<M>(), &Rules::of(M::SCHEMA))
    }

    /// Makes the plan between two layouts. Neither has attributes, so each field of `reader` must be in `writer`.
    ///
    /// # Errors
    ///
    /// Returns an error that names the first part of `reader` that cannot be read from messages of `writer`.
    pub fn between(writer: &Layout, reader: &Layout) -> Result<Plan, ResolveError> {
        Plan::with(writer, reader.clone(), &Rules::default())
    }

    pub(crate) fn with(writer: &Layout, reader: Layout, rules: &Rules) -> Result<Plan, ResolveError> {
        let (steps, resolution) = build::steps(writer, &reader, rules)?;
        let in_place = build::is_prefix(writer, &reader);
        Ok(Plan { writer: writer.clone(), reader, steps, resolution, in_place })
    }

    /// Returns the layout of the messages that the plan converts.
    pub fn writer(&self) -> &Layout {
        &self.writer
    }

    /// Returns the layout of the converted messages.
    pub fn reader(&self) -> &Layout {
        &self.reader
    }

    /// Returns what the plan does with the fields.
    pub fn resolution(&self) -> &Resolution {
        &self.resolution
    }

    /// Returns `true` if the first bytes of a message of the writer are a message of the reader: each field of the
    /// reader has the same place and type in the writer's layout. Such a message is also received in place.
    pub fn is_in_place(&self) -> bool {
        self.in_place
    }

    /// Converts a message. The result has the size of the reader's layout and was checked.
    ///
    /// # Errors
    ///
    /// Returns an error if `bytes` do not have the size of the writer's layout, or if a part that the reader reads is
    /// not a value of its type.
    pub fn convert(&self, bytes: &[u8]) -> Result<Vec<u8>, Invalid> {
        let mut converted = vec![0; self.reader.size()];
        self.convert_into(bytes, &mut converted)?;
        self.reader.check(&converted)?;
        Ok(converted)
    }

    /// Converts a message to `out`, which has the size of the reader's layout. The caller checks the result, as it
    /// checks bytes from a segment.
    pub(crate) fn convert_into(&self, bytes: &[u8], out: &mut [u8]) -> Result<(), Invalid> {
        out.fill(0);
        let fits = bytes.len() == self.writer.size() && out.len() == self.reader.size();
        match fits.then(|| run::all(&self.steps, bytes, out)).flatten() {
            Some(()) => Ok(()),
            None => Err(self.invalid(bytes)),
        }
    }

    /// Returns the reason why `bytes` were refused.
    #[cold]
    fn invalid(&self, bytes: &[u8]) -> Invalid {
        let named = self.writer.check(bytes).err();
        named.unwrap_or_else(|| {
            Invalid::new(self.writer.to_string(), "a part is not a value of its type".into())
        })
    }
}

/// Record of the fields of a writer whose layout is not the reader's own.
///
/// Each entry is the path of a field, such as `pose.x`; `[]` stands for the items of an array or of a `ShmVec`, and
/// `?` for the value of a `ShmOption`. All lists are empty if the layouts are equal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resolution {
    /// Fields of the reader that the writer lacks: they have their default value.
    pub defaulted: Vec<String>,
    /// Fields of the writer that the reader lacks: they are not read.
    pub ignored: Vec<String>,
    /// Fields of the reader whose type holds more values than the writer's.
    pub widened: Vec<String>,
    /// Fields and variants of the reader that have an earlier name in the writer's layout.
    pub renamed: Vec<String>,
    /// Variants of the writer that the reader does not know: they become its `#[shm(other)]` variant.
    pub other: Vec<String>,
}

impl Resolution {
    /// The resolution of equal layouts.
    pub(crate) const EXACT: Resolution = Resolution {
        defaulted: Vec::new(),
        ignored: Vec::new(),
        widened: Vec::new(),
        renamed: Vec::new(),
        other: Vec::new(),
    };

    /// Returns `true` if all lists are empty. The fields of the two layouts may still have different offsets.
    pub fn is_exact(&self) -> bool {
        self.lists().iter().all(|(_, list)| list.is_empty())
    }

    /// Adds the resolution of the second type of a channel: the reply, or the items of a tail.
    pub(crate) fn append(&mut self, other: &Resolution) {
        self.defaulted.extend_from_slice(&other.defaulted);
        self.ignored.extend_from_slice(&other.ignored);
        self.widened.extend_from_slice(&other.widened);
        self.renamed.extend_from_slice(&other.renamed);
        self.other.extend_from_slice(&other.other);
    }

    fn lists(&self) -> [(&'static str, &[String]); 5] {
        [
            ("defaulted", &self.defaulted),
            ("ignored", &self.ignored),
            ("widened", &self.widened),
            ("renamed", &self.renamed),
            ("read as another variant", &self.other),
        ]
    }
}

/// Writes what happens to which field: ``defaulted `temperature`; ignored `crc` ``.
impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for (what, list) in self.lists() {
            for (i, place) in list.iter().enumerate() {
                match (i, first) {
                    (0, true) => write!(f, "{what} ")?,
                    (0, false) => write!(f, "; {what} ")?,
                    _ => f.write_str(", ")?,
                }
                first = false;
                write!(f, "`{}`", escape(place))?;
            }
        }
        if first { f.write_str("fields moved") } else { Ok(()) }
    }
}

/// Error for a part of a reader's layout that cannot be read from a writer's layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolveError {
    cause: Cause,
    place: String,
    problem: String,
    cure: String,
}

/// Cause of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// The reader's type does not hold every value of the writer's.
    Narrower,
    /// The types have nothing in common.
    Type,
    /// The writer or the reader lacks a field or variant.
    Missing,
    /// The two sides encode the value with different codecs.
    Codec,
}

impl ResolveError {
    #[cold]
    fn new(cause: Cause, place: &str, problem: impl Into<String>, cure: impl Into<String>) -> Self {
        ResolveError { cause, place: place.into(), problem: problem.into(), cure: cure.into() }
    }

    /// Returns the path of the part in the reader's layout, such as `pose.x`; empty for the whole message.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Returns the difference: ``there `u32` at byte 4, here `u8` at byte 4, which does not hold every value``.
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// Returns place and problem in one text.
    pub(crate) fn difference(&self) -> String {
        let ResolveError { place, problem, .. } = self;
        if place.is_empty() { problem.clone() } else { format!("field `{}`: {problem}", escape(place)) }
    }

    /// Returns what to do.
    pub fn cure(&self) -> &str {
        &self.cure
    }
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.difference(), self.cure)
    }
}

impl std::error::Error for ResolveError {}
