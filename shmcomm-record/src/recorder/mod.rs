//! [`Recorder`]: writes the messages of channels to files.
//!
//! Owns the order of the work: sources, pre-trigger buffer, files, and the figures of each channel. Calls `source`,
//! `buffer` and `files`. One thread does all: `poll` never waits for a message, and `record_for` sleeps at most a
//! millisecond.

mod buffer;
mod file;
mod files;
mod options;
mod report;
mod source;

use crate::RecordError;
use crate::encoding::Encoder;
use crate::facts::ChannelFacts;
use buffer::{Buffer, Kept, Left};
use files::Files;
pub use options::{Compression, RecordOptions};
pub use report::{ChannelReport, Notice};
use shmcomm::Timestamp;
use source::{Event, Source, Start};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Events of one channel that are taken before the next channel.
const BATCH: usize = 256;
/// Time between two complete chunks: at most this much is lost if the process is killed.
const FLUSH: Duration = Duration::from_millis(500);
/// Longest sleep between two polls.
const SLEEP: Duration = Duration::from_millis(1);

/// One schema of one channel, with one set of settings.
struct Track {
    source: usize,
    facts: ChannelFacts,
    encoder: Encoder,
}

/// State of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Messages stay in the buffer until the trigger.
    Waiting,
    /// Messages are written.
    Writing,
    /// The file is closed, in order or after an error.
    Closed,
}

/// Records channels to MCAP files.
///
/// Every half second, the recorder completes a chunk: a process that is killed leaves all messages before. Messages
/// have the time at which the recorder saw them, because slots carry none. Their sequence is their position in the
/// segment, so gaps show what was lost. A new segment of a channel begins with position 0.
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
    sources: Vec<Source>,
    /// Track of each source.
    current: Vec<usize>,
    tracks: Vec<Track>,
    reports: Vec<ChannelReport>,
    notices: Vec<Notice>,
    files: Files,
    buffer: Buffer,
    state: State,
    flushed: Instant,
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
        let span = options.pre_buffer.unwrap_or_default().as_nanos().min(u64::MAX.into()) as u64;
        let mut recorder = Recorder {
            sources: Vec::new(),
            current: Vec::new(),
            tracks: Vec::new(),
            reports: Vec::new(),
            notices: Vec::new(),
            files: Files::new(path.as_ref(), &options),
            buffer: Buffer::new(span, options.pre_buffer_bytes),
            state: if options.pre_buffer.is_some() { State::Waiting } else { State::Writing },
            flushed: Instant::now(),
            time: 0,
            encoded: Vec::new(),
            options,
        };
        if recorder.state == State::Writing {
            recorder.files.start()?;
        }
        Ok(recorder)
    }

    /// Adds a channel by its full name, from its next message on. A channel that is recorded already stays as it is.
    ///
    /// # Errors
    /// [`RecordError::Channel`] if there is no such channel; [`RecordError::Pattern`] if it is no publish/subscribe
    /// channel; [`RecordError::Encoding`] if its messages cannot be encoded.
    pub fn add(&mut self, channel: &str) -> Result<(), RecordError> {
        let start = if self.options.oldest { Start::Oldest } else { Start::Next };
        self.add_from(channel, start)
    }

    /// Adds a channel like [`add`](Recorder::add), from the first message of its segment on, for a channel that appeared
    /// after the start of the recording. Messages that are overwritten already are counted as lost.
    ///
    /// # Errors
    /// See [`add`](Recorder::add).
    pub fn add_from_start(&mut self, channel: &str) -> Result<(), RecordError> {
        self.add_from(channel, Start::First)
    }

    fn add_from(&mut self, channel: &str, start: Start) -> Result<(), RecordError> {
        if self.sources.iter().any(|source| source.name == channel) {
            return Ok(());
        }
        let source = Source::open(channel, self.options.encoding, self.options.lossless, start)?;
        self.reports.push(ChannelReport { name: source.name.clone(), ..ChannelReport::default() });
        self.sources.push(source);
        self.current.push(usize::MAX);
        self.track(self.sources.len() - 1);
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

    /// Returns what happened to the channels since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Returns the number of bytes of all files that are kept.
    pub fn size(&self) -> u64 {
        self.files.size()
    }

    /// Returns the files that are kept, the oldest first.
    pub fn files(&self) -> Vec<PathBuf> {
        self.files.paths()
    }

    /// Returns `true` until [`trigger`](Recorder::trigger) is called, if there is a pre-trigger buffer.
    pub fn is_waiting(&self) -> bool {
        self.state == State::Waiting
    }

    /// Writes the messages in the pre-trigger buffer whose time is not over, and all messages from now on.
    ///
    /// # Errors
    /// [`RecordError::Create`], [`RecordError::Write`].
    pub fn trigger(&mut self) -> Result<(), RecordError> {
        if self.state != State::Waiting {
            return Ok(());
        }
        self.leave();
        self.state = State::Writing;
        let started = self.files.start();
        let mut result = self.closed_by(started);
        while let Some(kept) = self.buffer.pop() {
            match result {
                Ok(()) => result = self.write(kept.track, kept.sequence, kept.time, &kept.data),
                Err(_) => self.reports[self.tracks[kept.track].source].cut_off += 1,
            }
        }
        result
    }

    /// Takes the messages that are there, at most 256 of each channel, and returns their number. Never waits for a
    /// message. Takes nothing after an error of the file.
    ///
    /// # Errors
    /// [`RecordError::Write`], if the disk is full or the file cannot be written; the file is closed and readable, and
    /// the [report](Recorder::report) says what is in it. [`RecordError::Create`] if the next file cannot be created.
    pub fn poll(&mut self) -> Result<usize, RecordError> {
        let mut taken = 0;
        for index in 0..self.sources.len() {
            for _ in 0..BATCH {
                if self.state == State::Closed || !self.step(index)? {
                    break;
                }
                taken += 1;
            }
        }
        if self.flushed.elapsed() >= FLUSH {
            self.flushed = Instant::now();
            // Messages leave the buffer in a silence too.
            self.leave();
            let result = self.files.flush();
            self.closed_by(result)?;
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
        let (source, report) = (&mut self.sources[index], &mut self.reports[index]);
        let channel = || report.name.clone();
        let position = match source.next(&mut self.encoded) {
            Event::Message(position) => position,
            Event::Widened(position) => {
                self.track(index);
                position
            }
            Event::Empty => return Ok(false),
            Event::Refused => {
                report.refused += 1;
                return Ok(true);
            }
            Event::Lost(lost) => {
                report.lost += lost;
                return Ok(true);
            }
            Event::Changed => {
                let channel = channel();
                if self.track(index) {
                    self.notices.push(Notice::Changed { channel });
                }
                return Ok(true);
            }
            Event::Interrupted(why) => {
                self.notices.push(Notice::Interrupted { channel: channel(), why });
                return Ok(true);
            }
        };
        let (track, sequence, time) = (self.current[index], position as u32, self.now());
        if self.state == State::Waiting {
            self.buffer.push(Kept { track, sequence, time, data: self.encoded.clone() });
            self.leave();
            return Ok(true);
        }
        let data = std::mem::take(&mut self.encoded);
        let result = self.write(track, sequence, time, &data);
        self.encoded = data;
        result.map(|()| true)
    }

    /// Returns the time. Times never decrease in a file, although the clock of the machine may be set back.
    fn now(&mut self) -> u64 {
        self.time = self.time.max(Timestamp::now().as_nanos().max(0) as u64);
        self.time
    }

    /// Starts a track for a source whose layout or settings changed. Returns `false` if neither did.
    fn track(&mut self, index: usize) -> bool {
        let source = &self.sources[index];
        let (Some(facts), Some(encoder)) = (source.facts(), source.encoder.clone()) else { return false };
        if self.tracks.get(self.current[index]).is_some_and(|track| track.facts == facts) {
            return false;
        }
        self.current[index] = self.tracks.len();
        self.tracks.push(Track { source: index, facts, encoder });
        true
    }

    /// Removes the messages from the pre-trigger buffer that are too old or too many, and counts them.
    fn leave(&mut self) {
        let now = self.now();
        while let Some((kept, why)) = self.buffer.leave(now) {
            let report = &mut self.reports[self.tracks[kept.track].source];
            match why {
                Left::Expired => report.expired += 1,
                Left::Dropped => report.dropped += 1,
            }
        }
    }

    fn write(&mut self, track: usize, sequence: u32, time: u64, data: &[u8]) -> Result<(), RecordError> {
        if self.files.is_full() {
            let result = self.next_file();
            if result.is_err() {
                self.reports[self.tracks[track].source].cut_off += 1;
                return result;
            }
        }
        let Track { source, facts, encoder } = &self.tracks[track];
        let report = &mut self.reports[*source];
        (report.written, report.bytes) = (report.written + 1, report.bytes + data.len() as u64);
        let result = self.files.write((track, facts, encoder), sequence, time, data);
        self.closed_by(result)
    }

    fn next_file(&mut self) -> Result<(), RecordError> {
        let result = self.files.close(&report::metadata(&self.reports)).and_then(|()| self.files.start());
        self.closed_by(result)
    }

    /// Ends the recording after an error, and counts what is not in the file.
    fn closed_by(&mut self, result: Result<(), RecordError>) -> Result<(), RecordError> {
        if result.is_err() {
            self.state = State::Closed;
            for (track, messages, bytes) in self.files.give_up() {
                let report = &mut self.reports[self.tracks[track].source];
                report.written -= messages;
                report.bytes -= bytes;
                report.cut_off += messages;
            }
        }
        result
    }

    /// Completes the file. The [report](Recorder::report) stays, also after an error.
    ///
    /// # Errors
    /// [`RecordError::Write`] if the end of the file cannot be written.
    pub fn close(&mut self) -> Result<(), RecordError> {
        if self.state == State::Closed {
            return Ok(());
        }
        self.state = State::Closed;
        let result = self.files.close(&report::metadata(&self.reports));
        self.closed_by(result)
    }

    /// Ends the recording, and returns the figures of all channels. A recorder that is dropped ends in the same way,
    /// without a report of errors.
    ///
    /// # Errors
    /// See [`close`](Recorder::close).
    pub fn finish(mut self) -> Result<Vec<ChannelReport>, RecordError> {
        self.close()?;
        Ok(std::mem::take(&mut self.reports))
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ = self.close();
    }
}
