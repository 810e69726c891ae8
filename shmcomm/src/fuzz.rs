//! Private functions for fuzz targets. Compiled under `cfg(fuzzing)` only, which `cargo fuzz`
//! sets.
//!
//! Owns nothing; hands on the two ways between the names of channels and the names of files.

use crate::layout::v1::Kind;
use crate::segment;

/// The file of a native channel.
pub fn file_of(channel: &str) -> Option<String> {
    segment::encode(channel).ok()
}

/// The native channel of a file.
pub fn channel_of(file: &str) -> Option<String> {
    segment::decode(file)
}

/// The files of a channel with Python, Python's and the hidden one, for each kind.
pub fn python_files_of(channel: &str) -> Vec<(String, String)> {
    Kind::ALL.iter().map(|kind| (kind.file(channel), kind.hidden(channel))).collect()
}

/// The channel with Python of a file.
pub fn python_channel_of(file: &str) -> Option<&str> {
    Kind::of_file(file).map(|(_, channel)| channel)
}
