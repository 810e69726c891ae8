//! Log records of the library for Python's `logging`.
//!
//! Owns the queue of records. Any thread may write a record, also a thread of the library, for which a thread with the
//! GIL may wait. So no record waits for the GIL. It goes into the queue, and a byte in a pipe wakes the thread of
//! `shmcomm/_logging.py`, which gives the records to `logging`.

use log::{Level, LevelFilter, Log, Metadata, Record};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use std::collections::VecDeque;
use std::io::{PipeReader, PipeWriter, Write as _};
use std::os::fd::AsRawFd as _;
use std::sync::{Mutex, OnceLock, PoisonError};

/// Most records that wait. Beyond, the newest are dropped and counted.
const MOST: usize = 4096;

struct Bridge {
    queue: Mutex<Queue>,
    pipe: OnceLock<(PipeReader, PipeWriter)>,
}

#[derive(Default)]
struct Queue {
    records: VecDeque<(u8, String)>,
    dropped: u64,
}

static BRIDGE: Bridge =
    Bridge { queue: Mutex::new(Queue { records: VecDeque::new(), dropped: 0 }), pipe: OnceLock::new() };

impl Log for Bridge {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level() && metadata.target().starts_with("shmcomm")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let text = record.args().to_string();
        let first = {
            let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            if queue.records.len() >= MOST {
                queue.dropped += 1;
                return;
            }
            queue.records.push_back((python_level(record.level()), text));
            queue.records.len() == 1
        };
        if first && let Some((_, writer)) = self.pipe.get() {
            // Full only if nothing reads; then the thread that reads is awake anyway.
            let _ = (&*writer).write_all(&[1]);
        }
    }

    fn flush(&self) {}
}

/// Returns the level of Python's `logging`. It has no `TRACE`: 5 is below `DEBUG`.
fn python_level(level: Level) -> u8 {
    match level {
        Level::Error => 40,
        Level::Warn => 30,
        Level::Info => 20,
        Level::Debug => 10,
        Level::Trace => 5,
    }
}

/// Makes the bridge the logger of this process.
pub fn install() {
    // Fails only if the module is initialised a second time.
    if log::set_logger(&BRIDGE).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}

/// Returns the file descriptor that gets a byte when records wait.
#[pyfunction]
pub fn log_file() -> PyResult<i32> {
    if let Some((reader, _)) = BRIDGE.pipe.get() {
        return Ok(reader.as_raw_fd());
    }
    let pipe = std::io::pipe().map_err(PyOSError::new_err)?;
    Ok(BRIDGE.pipe.get_or_init(|| pipe).0.as_raw_fd())
}

/// Sets the level below which no records are made, as a number of Python's `logging`.
#[pyfunction]
pub fn set_log_level(level: u32) {
    log::set_max_level(match level {
        0..=5 => LevelFilter::Trace,
        6..=10 => LevelFilter::Debug,
        11..=20 => LevelFilter::Info,
        21..=30 => LevelFilter::Warn,
        31..=40 => LevelFilter::Error,
        _ => LevelFilter::Off,
    });
}

/// Takes the records that wait, as pairs of level and text, and the number of records that were dropped.
#[pyfunction]
pub fn take_records() -> (Vec<(u8, String)>, u64) {
    let mut queue = BRIDGE.queue.lock().unwrap_or_else(PoisonError::into_inner);
    (queue.records.drain(..).collect(), std::mem::take(&mut queue.dropped))
}
