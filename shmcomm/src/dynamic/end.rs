//! Parts that all dynamic ends share. They find the channel and check each message before it is sent.
//!
//! Owns [`Found`] and the macros for both wires. Calls `description` and `declaration`.

use super::declaration::Declaration;
use super::payload::Payload;
use super::{Description, DynError, describe};
use crate::error::{Error, ErrorKind};
use crate::layout::Pattern;
use crate::schema::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Typed ends send and receive these bytes.
pub(super) type Bytes = crate::codec::Bytes;

/// A channel to open an end of.
pub(super) struct Found {
    pub(super) name: String,
    pub(super) declaration: Declaration,
    pub(super) first: Arc<Payload>,
    pub(super) second: Arc<Payload>,
}

impl Found {
    /// Finds the channel with this full name.
    pub(super) fn existing(name: &str, pattern: Pattern) -> Result<Found, Error> {
        let what = describe(name)?.ok_or_else(|| not_found(name))?;
        Self::described(&what, pattern)
    }

    /// Finds the channel like [`Found::existing`], after waiting for at most `timeout`.
    pub(super) fn within(name: &str, pattern: Pattern, timeout: Duration) -> Result<Found, Error> {
        let start = Instant::now();
        loop {
            match Self::existing(name, pattern) {
                Err(error) if error.kind() == ErrorKind::NotFound && start.elapsed() < timeout => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                result => return result,
            }
        }
    }

    pub(super) fn described(what: &Description, pattern: Pattern) -> Result<Found, Error> {
        let declaration = Declaration::from(what);
        declaration.check(&what.name, pattern)?;
        let (first, second) = (Payload::of(what, 0), Payload::of(what, 1));
        Ok(Found { name: what.name.clone(), declaration, first: Arc::new(first), second: Arc::new(second) })
    }

    /// Returns the channel of a declaration, which may not exist.
    pub(super) fn declared(name: &str, declaration: &Declaration, pattern: Pattern) -> Result<Found, Error> {
        declaration.check(name, pattern)?;
        let (first, second) = declaration.payloads(name);
        Ok(Found {
            name: name.to_owned(),
            declaration: declaration.clone(),
            first: Arc::new(first),
            second: Arc::new(second),
        })
    }

    /// Fails if the segment does not say how its messages are written, so that none can be sent.
    pub(super) fn writable(self) -> Result<Found, Error> {
        match &*self.first {
            Payload::Unknown { why, .. } => Err(Error::new(ErrorKind::TypeMismatch, self.name, why.clone())),
            _ => Ok(self),
        }
    }

    #[cfg(feature = "python")]
    pub(super) fn options(&self) -> crate::python::Options {
        self.declaration.options(&self.name)
    }

    /// Fails if this build has no Python wire.
    #[cfg(not(feature = "python"))]
    pub(super) fn no_python<T>(&self) -> Result<T, Error> {
        let why =
            "it is a channel of the Python library; build this program with the feature `python` of shmcomm";
        Err(Error::new(ErrorKind::Unsupported, self.name.clone(), why))
    }
}

fn not_found(name: &str) -> Error {
    let why = "there is no such channel; `list_segments` returns all, with their namespaces";
    Error::new(ErrorKind::NotFound, name.to_owned(), why)
}

/// Returns the bytes of a value.
pub(super) fn encoded(payload: &Payload, value: &Value) -> Result<Vec<u8>, DynError> {
    payload.encode(value)
}

/// Checks bytes before they are sent.
pub(super) fn checked<'b>(payload: &Payload, bytes: &'b [u8]) -> Result<&'b [u8], DynError> {
    payload.check(bytes)?;
    Ok(bytes)
}

/// Returns the error of a set to which an end of the Python wire is added: nothing wakes it.
#[cfg(feature = "python")]
pub(super) fn no_watch(name: &str) -> Error {
    let why = "ends of the Python wire cannot be in a `WaitSet`, because Python wakes no sleeper; poll the end, or use \
               its calls with a timeout";
    Error::new(ErrorKind::Unsupported, name.to_owned(), why)
}

/// Calls a method of the end on its wire.
macro_rules! on_wire {
    ($end:expr, $wire:ident.$($call:tt)+) => {
        match $end {
            $wire::Native(end) => end.$($call)+,
            #[cfg(feature = "python")]
            $wire::Python(end) => end.$($call)+,
        }
    };
}

/// Opens the end on the wire of a channel.
macro_rules! open_on_wire {
    ($found:ident, $wire:ident, $end:ident, $history:expr, $patience:expr) => {
        open_on_wire!($found, $wire, $end, $end, $history, $patience)
    };
    ($found:ident, $wire:ident, $end:ident, $python:ident, $history:expr, $patience:expr) => {
        if $found.declaration.is_native() {
            let spec = $found.declaration.spec(&$found.name, Duration::ZERO, $history, $patience)?;
            $wire::Native(Box::new($end::open(spec)?))
        } else {
            #[cfg(feature = "python")]
            let end = $wire::Python(Box::new(crate::python::$python::open($found.options())?));
            #[cfg(not(feature = "python"))]
            let end = $found.no_python()?;
            end
        }
    };
}

/// Implements the methods and traits that all dynamic ends have. The documentation says when the end is ready.
macro_rules! dynamic_end {
    ($(#[$ready:meta])* $name:ident, $wire:ident) => {
        impl $name {
            /// Returns the full name of the channel.
            pub fn name(&self) -> &str {
                &self.name
            }

            /// Returns the handle that stops the blocking calls of this end.
            pub fn stop_handle(&self) -> crate::StopHandle {
                on_wire!(&self.end, $wire.stop_handle())
            }
        }

        $(#[$ready])*
        impl crate::waitset::Waitable for $name {}

        impl crate::waitset::Watchable for $name {
            fn watch(&self) -> Result<crate::waitset::Watched, Error> {
                match &self.end {
                    $wire::Native(end) => end.watch(),
                    #[cfg(feature = "python")]
                    $wire::Python(_) => Err(crate::dynamic::end::no_watch(&self.name)),
                }
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.debug_struct(stringify!($name)).field("name", &self.name).finish_non_exhaustive()
            }
        }
    };
}

pub(super) use {dynamic_end, on_wire, open_on_wire};
