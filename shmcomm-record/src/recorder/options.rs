//! [`RecordOptions`]: the settings of a recording.
//!
//! Owns their defaults. Calls nothing.

use crate::encoding::Encoding;
use std::time::Duration;

/// Most bytes of the pre-trigger buffer, if nothing else is set.
const BUFFER: usize = 1 << 30;

/// Compression of the chunks of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// No compression.
    None,
    /// LZ4: fast.
    #[default]
    Lz4,
    /// Zstandard: small.
    Zstd,
}

/// Settings of a recording.
#[derive(Clone, Debug)]
pub struct RecordOptions {
    /// Encoding of messages with a layout.
    pub encoding: Encoding,
    /// Compression of the files.
    pub compression: Compression,
    /// Takes a seat in each channel, so that a publisher that waits for its subscribers waits for the recorder.
    pub lossless: bool,
    /// Records the messages too that are in the segments at the start.
    pub oldest: bool,
    /// Starts another file after this number of bytes, up to one chunk more.
    pub split_size: Option<u64>,
    /// Starts another file after this time.
    pub split_duration: Option<Duration>,
    /// Most bytes of all files. The oldest files of the recording are removed.
    pub max_disk: Option<u64>,
    /// Keeps the messages of this time in memory until [`Recorder::trigger`](crate::Recorder::trigger).
    pub pre_buffer: Option<Duration>,
    /// Most bytes of memory for the messages before the trigger, 1 GiB by default. The oldest messages are dropped, and
    /// counted.
    pub pre_buffer_bytes: usize,
}

impl Default for RecordOptions {
    fn default() -> Self {
        RecordOptions {
            encoding: Encoding::Ros2,
            compression: Compression::default(),
            lossless: false,
            oldest: false,
            split_size: None,
            split_duration: None,
            max_disk: None,
            pre_buffer: None,
            pre_buffer_bytes: BUFFER,
        }
    }
}
