//! [`init_logger`]: a minimal logger that shows the library's records.

use log::{LevelFilter, Log, Metadata, Record};

struct Stderr;

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record) {
        if self.enabled(record.metadata()) {
            eprintln!("[{:5} {}] {}", record.level(), record.target(), record.args());
        }
    }

    fn flush(&self) {}
}

/// Writes log records to standard error, up to the level that the environment variable `RUST_LOG` names. The
/// level is `error`, `warn`, `info`, `debug` or `trace`, alone or as `shmcomm=debug`. Without it, only errors
/// are written.
///
/// In your project, use `env_logger` or a subscriber of `tracing`.
pub fn init_logger() {
    let level = std::env::var("RUST_LOG").unwrap_or_default();
    let level = level.rsplit('=').next().and_then(|level| level.parse().ok());
    if log::set_logger(&Stderr).is_ok() {
        log::set_max_level(level.unwrap_or(LevelFilter::Error));
    }
}
