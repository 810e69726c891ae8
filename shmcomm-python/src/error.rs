//! Errors of the library as Python exceptions.
//!
//! Owns the conversion. The classes are defined in `shmcomm/exceptions.py`, so that they have docstrings and bases as
//! any class of Python. Calls `shmcomm.exceptions`.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use shmcomm::ErrorKind;
use std::fmt::Display;

/// Returns the exception `name` of `shmcomm.exceptions` with this text.
pub fn exception(py: Python<'_>, name: &str, text: impl Display) -> PyErr {
    with_details(py, name, text, |_| Ok(()))
}

/// Returns the exception `name` with this text, and with attributes.
pub fn with_details(
    py: Python<'_>,
    name: &str,
    text: impl Display,
    details: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<()>,
) -> PyErr {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let make = || -> PyResult<PyErr> {
        let module = MODULE.get_or_try_init(py, || py.import("shmcomm.exceptions").map(Bound::unbind))?;
        let error = module.bind(py).getattr(name)?.call1((text.to_string(),))?;
        details(&error)?;
        Ok(PyErr::from_value(error))
    };
    make().unwrap_or_else(|error| error)
}

/// Returns the exception of a failure to set up a channel.
pub fn set_up(py: Python<'_>, error: &shmcomm::Error) -> PyErr {
    let name = match error.kind() {
        ErrorKind::NotFound => "NotFoundError",
        ErrorKind::InvalidName => "InvalidNameError",
        ErrorKind::InvalidGeometry => "InvalidGeometryError",
        ErrorKind::NotASegment => "NotASegmentError",
        ErrorKind::Version => "VersionError",
        ErrorKind::TypeMismatch => "TypeMismatchError",
        ErrorKind::ChannelMismatch => "ChannelMismatchError",
        ErrorKind::AlreadyPublished => "AlreadyPublishedError",
        ErrorKind::NoSeat => "NoSeatError",
        ErrorKind::Permission => "AccessError",
        ErrorKind::NoSpace => "NoSpaceError",
        ErrorKind::Stopped => "StoppedError",
        ErrorKind::Unsupported => "UnsupportedError",
        _ => "OperatingSystemError",
    };
    with_details(py, name, error, |object| object.setattr("channel", error.channel()))
}
