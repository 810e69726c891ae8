//! [`LogRecords`]: log records that wait until locks are released.
//!
//! Owns what is written when it is dropped. Calls the logger of the program, which is code of the user: it may
//! block, and it may call this library. This module therefore calls it without a lock: no lock that other processes
//! share is held, and no mutex of this process. Never called in the loop that sends or receives.

use crate::escape::Escaped;
use log::Level;

/// Log records in their order, written when this is dropped.
///
/// Variables are dropped in the reverse order of their declarations. So a function declares its records first, and
/// takes its locks after that.
pub(crate) struct LogRecords(Vec<(Level, String)>);

impl LogRecords {
    pub(crate) const fn new() -> Self {
        LogRecords(Vec::new())
    }

    pub(crate) fn error(&mut self, text: String) {
        self.0.push((Level::Error, text));
    }

    pub(crate) fn warn(&mut self, text: String) {
        self.0.push((Level::Warn, text));
    }

    pub(crate) fn info(&mut self, text: String) {
        self.0.push((Level::Info, text));
    }

    #[cfg_attr(not(feature = "python"), allow(dead_code, reason = "records of the Python wire"))]
    pub(crate) fn trace(&mut self, text: String) {
        self.0.push((Level::Trace, text));
    }
}

impl Drop for LogRecords {
    fn drop(&mut self) {
        for (level, text) in self.0.drain(..) {
            // Names of processes and files are in it.
            log::log!(target: "shmcomm", level, "{}", Escaped(&text));
        }
    }
}
