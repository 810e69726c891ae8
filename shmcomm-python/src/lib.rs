//! `shmcomm._native`: the library for the Python package, without its Python side.
//!
//! Owns the module. Calls the public API of the library only. Never runs Python code while it holds a lock.

mod error;
mod held;
mod line;
mod logging;
mod native;
mod segments;
mod wait;
mod wire;

use pyo3::prelude::*;

/// The library for the Python package. Import `shmcomm` instead.
#[pymodule]
mod _native {
    use super::*;

    #[pymodule_export]
    use super::logging::{log_file, set_log_level, take_records};
    #[pymodule_export]
    use super::native::{
        NativeJob, NativeLoan, NativePlan, NativePublisher, NativePuller, NativePusher, NativeReplier,
        NativeReplies, NativeRequester, NativeSample, NativeSubscriber, NativeTableReader, NativeTableWriter,
        NativeWaitSet, describe, fingerprints,
    };
    #[pymodule_export]
    use super::segments::{clean, force_unlink, list_segments};
    #[pymodule_export]
    use super::wire::{
        WirePublisher, WirePuller, WirePusher, WireReplier, WireRequester, WireSubscriber, force_unlink_wire,
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::logging::install();
        module.add("VERSION", env!("CARGO_PKG_VERSION"))
    }
}
