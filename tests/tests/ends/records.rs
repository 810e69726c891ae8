//! The logger of this program. The logger keeps all records at debug level and above, and a test reads the records that
//! name its channels.

use log::{Level, LevelFilter, Log, Metadata, Record};
use std::sync::{Mutex, Once};

/// Level and text of a record.
pub type Entry = (Level, String);

struct Recorder(Mutex<Vec<Entry>>);

static RECORDER: Recorder = Recorder(Mutex::new(Vec::new()));

impl Log for Recorder {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        self.0.lock().unwrap().push((record.level(), record.args().to_string()));
    }

    fn flush(&self) {}
}

/// Starts recording, or does nothing if an earlier test has started it.
pub fn start() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&RECORDER).unwrap();
        log::set_max_level(LevelFilter::Debug);
    });
}

/// Removes the records that `wanted` accepts, and returns them.
pub fn take(wanted: impl Fn(&Entry) -> bool) -> Vec<Entry> {
    RECORDER.0.lock().unwrap().extract_if(.., |entry| wanted(entry)).collect()
}

/// Returns the records that `wanted` accepts.
pub fn find(wanted: impl Fn(&Entry) -> bool) -> Vec<Entry> {
    RECORDER.0.lock().unwrap().iter().filter(|entry| wanted(entry)).cloned().collect()
}
