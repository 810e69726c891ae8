//! [`Recorder`]: writes the messages of channels to files.
//!
//! Owns the choice of the file, the pre-trigger buffer, and the figures of each channel. Calls `source` and `file`.
//! One thread does all: `poll` never waits, and `record_for` sleeps at most a millisecond.

use crate::RecordError;
use crate::encoding::{Encoder, Encoding, EncodingError};
use crate::facts::ChannelFacts;
use crate::file::McapFile;
use crate::source::{Event, Source};
use mcap::records::Metadata;
use shmcomm::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Messages of one channel that are taken before the next channel.
const BATCH: usize = 256;
/// Time between two complete chunks: at most this much is lost if the process is killed.
const FLUSH: Duration = Duration::from_millis(500);
/// Longest sleep between two polls.
const SLEEP: Duration = Duration::from_millis(1);
/// Most bytes of messages in the pre-trigger buffer.
const BUFFER: usize = 1 << 30;
/// Files into which `max_disk` is divided, if nothing else splits the recording.
const FILES: u64 = 8;

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
    /// Keeps the messages of this time in memory until [`Recorder::trigger`]; at most 1 GiB.
    pub pre_buffer: Option<Duration>,
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
        }
    }
}

/// Figures of a recorded channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelReport {
    /// Full name of the channel.
    pub name: String,
    /// Messages in the files.
    pub written: u64,
    /// Bytes of these messages in their encoding, before compression.
    pub bytes: u64,
    /// Messages that were overwritten before they were recorded.
    pub lost: u64,
    /// Messages that could not be encoded.
    pub refused: u64,
}

/// One schema of one channel.
struct Track {
    source: usize,
    facts: ChannelFacts,
    encoder: Encoder,
}

/// A message that waits for the trigger.
struct Kept {
    track: usize,
    sequence: u32,
    time: u64,
    data: Vec<u8>,
}

/// Records channels to MCAP files.
///
/// Every half second, the recorder completes a chunk: a process that is killed leaves all messages before. Messages
/// have the time at which the recorder saw them, because slots carry none; their sequence is their position in the
/// channel, so gaps show what was lost.
///
/// ```no_run
/// use shmcomm_record::{RecordOptions, Recorder};
/// use std::time::Duration;
///
/// let mut recorder = Recorder::create("drive.mcap", RecordOptions::default())?;
/// recorder.add("robot/imu")?;
/// recorder.add("robot/camera")?;
/// recorder.record_for(Duration::from_secs(10))?;
/// for channel in recorder.finish()? {
///     println!("{}: {} written, {} lost", channel.name, channel.written, channel.lost);
/// }
/// # Ok::<(), shmcomm_record::RecordError>(())
/// ```
pub struct Recorder {
    options: RecordOptions,
    path: PathBuf,
    sources: Vec<Source>,
    /// Track of each source.
    current: Vec<usize>,
    tracks: Vec<Track>,
    reports: Vec<ChannelReport>,
    file: Option<McapFile>,
    /// Complete files, with their sizes.
    files: VecDeque<(PathBuf, u64)>,
    /// Number of files that were started.
    started: usize,
    file_start: Instant,
    flushed: Instant,
    dirty: bool,
    kept: VecDeque<Kept>,
    kept_bytes: usize,
    waiting: bool,
    time: u64,
    encoded: Vec<u8>,
}

impl Recorder {
    /// Starts a recording. A recording that is split has the number of the file before the extension:
    /// `drive_000.mcap`. With a pre-trigger buffer, the file is created by the trigger.
    ///
    /// # Errors
    /// [`RecordError::Create`], also if the file exists.
    pub fn create(path: impl AsRef<Path>, options: RecordOptions) -> Result<Self, RecordError> {
        let now = Instant::now();
        let mut recorder = Recorder {
            path: path.as_ref().to_owned(),
            waiting: options.pre_buffer.is_some(),
            options,
            sources: Vec::new(),
            current: Vec::new(),
            tracks: Vec::new(),
            reports: Vec::new(),
            file: None,
            files: VecDeque::new(),
            started: 0,
            file_start: now,
            flushed: now,
            dirty: false,
            kept: VecDeque::new(),
            kept_bytes: 0,
            time: 0,
            encoded: Vec::new(),
        };
        if !recorder.waiting {
            recorder.start_file()?;
        }
        Ok(recorder)
    }

    /// Adds a channel by its full name, from its next message on. A channel that is recorded already stays as it is.
    ///
    /// # Errors
    /// [`RecordError::Channel`] if there is no such channel; [`RecordError::Pattern`] if it is no publish/subscribe
    /// channel; [`RecordError::Encoding`] if its messages cannot be encoded.
    pub fn add(&mut self, channel: &str) -> Result<(), RecordError> {
        if self.sources.iter().any(|source| source.name == channel) {
            return Ok(());
        }
        let options = &self.options;
        let source = Source::open(channel, options.encoding, options.lossless, options.oldest)?;
        self.reports.push(ChannelReport { name: source.name.clone(), ..ChannelReport::default() });
        self.current.push(self.tracks.len());
        let (facts, encoder) = (source.facts(), source.encoder.clone());
        self.tracks.push(Track { source: self.sources.len(), facts, encoder });
        self.sources.push(source);
        Ok(())
    }

    /// Returns the names of the recorded channels.
    pub fn channels(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().map(|source| source.name.as_str())
    }

    /// Returns the figures of all channels.
    pub fn report(&self) -> &[ChannelReport] {
        &self.reports
    }

    /// Returns the number of bytes of all files that are kept.
    pub fn size(&self) -> u64 {
        let complete: u64 = self.files.iter().map(|(_, size)| size).sum();
        complete + self.file.as_ref().map_or(0, McapFile::len)
    }

    /// Returns the files that are kept, the oldest first.
    pub fn files(&self) -> Vec<PathBuf> {
        let complete = self.files.iter().map(|(path, _)| path.clone());
        complete.chain(self.file.as_ref().map(|file| file.path().to_owned())).collect()
    }

    /// Returns `true` until [`trigger`](Recorder::trigger) is called, if there is a pre-trigger buffer.
    pub fn is_waiting(&self) -> bool {
        self.waiting
    }

    /// Writes the pre-trigger buffer, and all messages from now on.
    ///
    /// # Errors
    /// [`RecordError::Create`], [`RecordError::Write`].
    pub fn trigger(&mut self) -> Result<(), RecordError> {
        if !std::mem::take(&mut self.waiting) {
            return Ok(());
        }
        self.start_file()?;
        self.kept_bytes = 0;
        while let Some(kept) = self.kept.pop_front() {
            self.write(kept.track, kept.sequence, kept.time, &kept.data)?;
        }
        Ok(())
    }

    /// Takes the messages that are there, at most 256 of each channel, and returns their number. Never waits for a
    /// message.
    ///
    /// # Errors
    /// [`RecordError::Write`], if the disk is full or the file cannot be written; the file is closed and readable.
    pub fn poll(&mut self) -> Result<usize, RecordError> {
        let mut taken = 0;
        for index in 0..self.sources.len() {
            for _ in 0..BATCH {
                match self.step(index)? {
                    true => taken += 1,
                    false => break,
                }
            }
        }
        if self.flushed.elapsed() >= FLUSH {
            self.flush()?;
        }
        Ok(taken)
    }

    /// Records for a time.
    ///
    /// # Errors
    /// See [`poll`](Recorder::poll).
    pub fn record_for(&mut self, time: Duration) -> Result<(), RecordError> {
        let start = Instant::now();
        let mut sleep = Duration::ZERO;
        loop {
            let taken = self.poll()?;
            let left = time.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Ok(());
            }
            if taken > 0 {
                sleep = Duration::ZERO;
                continue;
            }
            sleep = (sleep * 2).clamp(Duration::from_micros(50), SLEEP);
            std::thread::sleep(sleep.min(left));
        }
    }

    /// Takes one event of a source. Returns `false` if there is none.
    fn step(&mut self, index: usize) -> Result<bool, RecordError> {
        let Recorder { sources, encoded, reports, .. } = self;
        let (Some(source), Some(report)) = (sources.get_mut(index), reports.get_mut(index)) else {
            return Ok(false);
        };
        let track = self.current[index];
        let sequence = match source.next() {
            Event::Empty => return Ok(false),
            Event::Lost(lost) => {
                report.lost += lost;
                return Ok(true);
            }
            Event::Changed => {
                // A channel that cannot be followed now is tried again with its next event.
                if source.follow(self.options.encoding).unwrap_or(false) {
                    self.new_track(index);
                }
                return Ok(true);
            }
            Event::Message(number, message) => {
                let result = self.tracks[track].encoder.encode_into(message.bytes(), encoded);
                match result {
                    Ok(()) => {}
                    Err(EncodingError::TimeOutOfRange) => {
                        let wide = self.tracks[track].encoder.widened();
                        if wide.encode_into(message.bytes(), encoded).is_err() {
                            report.refused += 1;
                            return Ok(true);
                        }
                        source.encoder = wide;
                        self.new_track(index);
                    }
                    Err(_) => {
                        report.refused += 1;
                        return Ok(true);
                    }
                }
                number as u32
            }
        };
        // Times never decrease in a file, although the clock of the machine may be set back.
        self.time = self.time.max(Timestamp::now().as_nanos().max(0) as u64);
        let (track, time) = (self.current[index], self.time);
        let data = std::mem::take(&mut self.encoded);
        let result = if self.waiting {
            self.keep(Kept { track, sequence, time, data: data.clone() });
            Ok(())
        } else {
            self.write(track, sequence, time, &data)
        };
        self.encoded = data;
        result.map(|()| true)
    }

    fn new_track(&mut self, index: usize) {
        let source = &self.sources[index];
        self.current[index] = self.tracks.len();
        self.tracks.push(Track { source: index, facts: source.facts(), encoder: source.encoder.clone() });
    }

    /// Puts a message into the pre-trigger buffer, and removes messages that are too old.
    fn keep(&mut self, kept: Kept) {
        let span = self.options.pre_buffer.unwrap_or_default().as_nanos().min(u64::MAX.into()) as u64;
        let oldest = kept.time.saturating_sub(span);
        self.kept_bytes += kept.data.len();
        self.kept.push_back(kept);
        while self.kept.front().is_some_and(|kept| kept.time < oldest || self.kept_bytes > BUFFER) {
            self.kept_bytes -= self.kept.pop_front().map_or(0, |kept| kept.data.len());
        }
    }

    fn write(&mut self, track: usize, sequence: u32, time: u64, data: &[u8]) -> Result<(), RecordError> {
        let full = self.file.as_ref().is_none_or(|file| file.len() >= self.split_size());
        let old = self.options.split_duration.is_some_and(|most| self.file_start.elapsed() >= most);
        if full || old {
            self.close_file()?;
            self.start_file()?;
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        let Track { source, facts, encoder } = &self.tracks[track];
        let result = file.write((track, facts, encoder), sequence, time, data);
        if let Some(report) = self.reports.get_mut(*source).filter(|_| result.is_ok()) {
            report.written += 1;
            report.bytes += data.len() as u64;
        }
        self.dirty = true;
        self.close_after(result)
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

    /// Completes a chunk, and removes old files if the recording is too large.
    fn flush(&mut self) -> Result<(), RecordError> {
        self.flushed = Instant::now();
        if std::mem::take(&mut self.dirty) {
            let result = self.file.as_mut().map_or(Ok(()), McapFile::flush);
            self.close_after(result)?;
        }
        while self.options.max_disk.is_some_and(|most| self.size() > most) {
            let Some((path, _)) = self.files.pop_front() else { break };
            // A file that is gone already needs no room.
            let _ = std::fs::remove_file(path);
        }
        Ok(())
    }

    /// Forgets the file after an error, which closed it.
    fn close_after(&mut self, result: Result<(), RecordError>) -> Result<(), RecordError> {
        if result.is_err()
            && let Some(file) = self.file.take()
        {
            self.files.push_back((file.path().to_owned(), file.len()));
        }
        result
    }

    fn start_file(&mut self) -> Result<(), RecordError> {
        let path = if self.is_split() {
            let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
            let extension = self.path.extension().map_or("mcap".into(), |text| text.to_string_lossy());
            self.path.with_file_name(format!("{stem}_{:03}.{extension}", self.started))
        } else {
            self.path.clone()
        };
        let ros = self.options.encoding == Encoding::Ros2;
        self.file = Some(McapFile::create(&path, self.options.compression, ros)?);
        self.started += 1;
        self.file_start = Instant::now();
        Ok(())
    }

    fn close_file(&mut self) -> Result<(), RecordError> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let path = file.path().to_owned();
        let figures = |name: &str, figure: fn(&ChannelReport) -> u64| Metadata {
            name: name.to_owned(),
            metadata: BTreeMap::from_iter(
                self.reports.iter().map(|report| (report.name.clone(), figure(report).to_string())),
            ),
        };
        let figures = [
            figures("shmcomm.written", |report| report.written),
            figures("shmcomm.losses", |report| report.lost),
        ];
        let size = file.finish(&figures)?;
        self.files.push_back((path, size));
        self.flush()
    }

    /// Ends the recording, and returns the figures of all channels. A recorder that is dropped ends in the same way,
    /// without a report of errors.
    ///
    /// # Errors
    /// [`RecordError::Write`] if the end of the file cannot be written.
    pub fn finish(mut self) -> Result<Vec<ChannelReport>, RecordError> {
        self.close_file()?;
        Ok(std::mem::take(&mut self.reports))
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ = self.close_file();
    }
}
