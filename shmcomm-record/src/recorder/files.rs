//! [`Files`]: the files of a recording.
//!
//! Owns their names, and when the next one starts and the oldest one is removed. Calls `file`. Never removes a file that
//! this recording did not write.

use super::file::McapFile;
use super::options::RecordOptions;
use crate::RecordError;
use crate::encoding::{Encoder, Encoding};
use crate::facts::{ChannelFacts, Part};
use mcap::records::Metadata;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Files into which `max_disk` is divided, if nothing else splits the recording.
const FILES: u64 = 8;

/// The files of a recording.
pub(super) struct Files {
    path: PathBuf,
    options: RecordOptions,
    /// Identifier of the recording.
    recording: String,
    file: Option<McapFile>,
    /// Complete files, with their sizes.
    complete: VecDeque<(PathBuf, u64)>,
    /// Number of files that were started.
    started: u64,
    start: Instant,
    dirty: bool,
}

impl Files {
    pub(super) fn new(path: &Path, options: &RecordOptions) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Files {
            path: path.to_owned(),
            options: options.clone(),
            recording: format!("{:x}-{:x}", now.as_nanos(), std::process::id()),
            file: None,
            complete: VecDeque::new(),
            started: 0,
            start: Instant::now(),
            dirty: false,
        }
    }

    /// Returns the number of bytes of all files that are kept.
    pub(super) fn size(&self) -> u64 {
        let complete: u64 = self.complete.iter().map(|(_, size)| size).sum();
        complete + self.file.as_ref().map_or(0, McapFile::len)
    }

    /// Returns the files that are kept, the oldest first.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let complete = self.complete.iter().map(|(path, _)| path.clone());
        complete.chain(self.file.as_ref().map(|file| file.path().to_owned())).collect()
    }

    /// Returns `true` if the next message belongs into another file.
    pub(super) fn is_full(&self) -> bool {
        let full = self.file.as_ref().is_none_or(|file| file.len() >= self.split_size());
        full || self.options.split_duration.is_some_and(|most| self.start.elapsed() >= most)
    }

    fn split_size(&self) -> u64 {
        let part = self.options.max_disk.map(|most| (most / FILES).max(1));
        match (self.options.split_size, part) {
            (Some(size), Some(part)) => size.min(part),
            (size, part) => size.or(part).unwrap_or(u64::MAX),
        }
    }

    fn is_split(&self) -> bool {
        let options = &self.options;
        options.split_size.is_some() || options.split_duration.is_some() || options.max_disk.is_some()
    }

    /// Starts the next file.
    pub(super) fn start(&mut self) -> Result<(), RecordError> {
        let path = if self.is_split() {
            let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
            let extension = self.path.extension().map_or("mcap".into(), |text| text.to_string_lossy());
            self.path.with_file_name(format!("{stem}_{:03}.{extension}", self.started))
        } else {
            self.path.clone()
        };
        let ros = self.options.encoding == Encoding::Ros2;
        let part = Part { recording: self.recording.clone(), number: self.started };
        self.file = Some(McapFile::create(&path, self.options.compression, ros, &part)?);
        self.started += 1;
        self.start = Instant::now();
        Ok(())
    }

    /// Writes a message to the file.
    pub(super) fn write(
        &mut self,
        track: (usize, &ChannelFacts, &Encoder),
        sequence: u32,
        time: u64,
        data: &[u8],
    ) -> Result<(), RecordError> {
        self.dirty = true;
        match &mut self.file {
            Some(file) => file.write(track, sequence, time, data),
            None => Ok(()),
        }
    }

    /// Completes a chunk, and removes old files if the recording is too large.
    pub(super) fn flush(&mut self) -> Result<(), RecordError> {
        if std::mem::take(&mut self.dirty) {
            self.file.as_mut().map_or(Ok(()), McapFile::flush)?;
        }
        while self.options.max_disk.is_some_and(|most| self.size() > most) {
            let Some((path, _)) = self.complete.pop_front() else { break };
            // A file that is gone already needs no room.
            let _ = std::fs::remove_file(path);
        }
        Ok(())
    }

    /// Ends the file with the figures.
    pub(super) fn close(&mut self, figures: &[Metadata]) -> Result<(), RecordError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.finish(figures)?;
        self.complete.extend(self.file.take().map(|file| (file.path().to_owned(), file.len())));
        self.flush()
    }

    /// Gives up the file, which an error closed. Returns messages and bytes of each track that are not in it.
    pub(super) fn give_up(&mut self) -> Vec<(usize, u64, u64)> {
        let Some(file) = self.file.take() else { return Vec::new() };
        self.complete.push_back((file.path().to_owned(), file.len()));
        file.cut_off()
    }
}
