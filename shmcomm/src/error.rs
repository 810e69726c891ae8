//! Errors of setting up a channel: one opaque [`Error`] that knows its kind, its channel and its cause.
//!
//! Owns that type, and what the errors of single operations (send, receive) share: those are small enums
//! beside the operation. Never formats on the path of a message.

use crate::escape::Escaped;
use crate::plural::count;
use std::borrow::Cow;
use std::fmt;

/// Kind of failure of an [`Error`]. Match on the kind; show the error itself to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No segment of that name appeared within the connect timeout.
    NotFound,
    /// The name of the channel, or the namespace, cannot be used.
    InvalidName,
    /// The requested number or size of slots, or of seats, cannot be used.
    InvalidGeometry,
    /// A file of that name exists, but it is not a segment, or it is damaged.
    NotASegment,
    /// The segment has another version of the format, such as version 1 of the Python library.
    Version,
    /// The segment carries messages of another layout.
    TypeMismatch,
    /// The segment belongs to another pattern, codec or setting of the channel.
    ChannelMismatch,
    /// Another live publisher has the channel, or another live writer has the key of a table.
    AlreadyPublished,
    /// All seats for participants are taken.
    NoSeat,
    /// The segment belongs to another user, other users may write to it, the system refused access, or the channel has a
    /// group or a mode that cannot be used.
    Permission,
    /// The file system for shared memory does not have enough free space.
    NoSpace,
    /// The [`StopHandle`](crate::StopHandle) was stopped while the end waited for its channel.
    Stopped,
    /// This operating system lacks a feature that the crate needs.
    Unsupported,
    /// Any other refusal of the operating system; see `source()`.
    Os,
}

/// Reason why a channel could not be set up, listed or removed.
///
/// `Display` says what happened, with the numbers, and how to fix it.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    channel: Cow<'static, str>,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(
        kind: ErrorKind,
        channel: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Error(Box::new(Inner { kind, channel: channel.into(), message: message.into(), source: None }))
    }

    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Returns the kind of failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the full name of the channel, namespace included, or of the segment if no channel is known. It
    /// is the name as it was given, so it can hold any character; the error's own text escapes control
    /// characters.
    pub fn channel(&self) -> &str {
        &self.0.channel
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The channel name and the message can both contain names and texts of other processes.
        write!(f, "channel `{}`: {}", Escaped(&self.0.channel), Escaped(&self.0.message))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("channel", &self.0.channel)
            .field("message", &self.0.message)
            .field("source", &self.0.source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|s| &**s as _)
    }
}
/// Reason why the slots of a channel could not grow: see [`Opener::grow`](crate::Opener::grow).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct NotGrown {
    kind: ErrorKind,
    text: String,
}

impl NotGrown {
    pub(crate) fn new(size: usize, before: u64, target: u64, why: &Error) -> Self {
        let (size, target) = (count(size, "byte"), count(target, "byte"));
        let text = format!(
            "the message takes {size}, and the slots of {before} could not grow to {target}, so it was not sent: {why}"
        );
        NotGrown { kind: why.kind(), text }
    }

    /// Returns the kind of failure: [`NoSpace`](ErrorKind::NoSpace) if the system has no room for the larger slots.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

/// Defines the errors of one operation in its blocking, non-blocking and timed form.
///
/// `common` lists the variants that all of them have. A unit variant before the `;` belongs to one error alone.
/// `<- Base { A => B }` defines the conversion from the error `Base`, whose own variant `A` becomes `B`.
/// A tuple variant names its field: `Lagged(lost: u64)`.
macro_rules! operation_errors {
    (common $common:tt $(
        $(#[$doc:meta])* $Name:ident $own:tt $(<- $Base:ident $map:tt)?
    )+) => {$(
        $crate::error::operation_errors!(@enum [$(#[$doc])*] $Name $own $common);
        $($crate::error::operation_errors!(@from $Name $Base $map $common);)?
    )+};
    (@enum [$(#[$doc:meta])*] $Name:ident { $($(#[$own_attr:meta])* $Own:ident,)* } {$(
        $(#[$attr:meta])*
        $Variant:ident $(($bind:ident: $Tuple:ty))?
        $({ $($(#[$field_attr:meta])* $field:ident: $Field:ty,)+ })?,
    )*}) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, ::thiserror::Error)]
        pub enum $Name {
            $($(#[$own_attr])* $Own,)*
            $($(#[$attr])* $Variant $(($Tuple))? $({ $($(#[$field_attr])* $field: $Field,)+ })?,)*
        }
    };
    (@from $Name:ident $Base:ident { $($from:ident => $to:ident),* } {$(
        $(#[$attr:meta])*
        $Variant:ident $(($bind:ident: $Tuple:ty))?
        $({ $($(#[$field_attr:meta])* $field:ident: $Field:ty,)+ })?,
    )*}) => {
        impl From<$Base> for $Name {
            fn from(error: $Base) -> Self {
                match error {
                    $($Base::$Variant $(($bind))? $({ $($field),+ })? => {
                        $Name::$Variant $(($bind))? $({ $($field),+ })?
                    })*
                    $($Base::$from => $Name::$to,)*
                }
            }
        }
    };
}
pub(crate) use operation_errors;

/// Writes the text of a receive that found `lost` messages overwritten.
pub(crate) fn lagged(lost: &u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let messages = count(*lost, "message");
    write!(f, "{messages} lost, overwritten before receipt; receive more often or raise `slots`")
}
