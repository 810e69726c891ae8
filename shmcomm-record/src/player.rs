//! [`Player`]: publishes the messages of a recording again.
//!
//! Owns the reader of a file and the time of each message. Calls `target` for the channels. The recorded channel is
//! created again; if the channel exists, its layout stays, and messages are converted by the rules of evolution.

use crate::PlayError;
use crate::encoding::Encoder;
use crate::facts::{self, ChannelFacts};
use crate::target::Target;
use mcap::McapError;
use mcap::io::MessageReader;
use mcap::sans_io::LinearReaderOptions;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest wait before the caller may stop the replay.
const SLICE: Duration = Duration::from_millis(50);
/// Messages that are read ahead to find the channels of a file.
const SURVEY: usize = 10_000;
/// Largest record that is read, in bytes.
const LONGEST: usize = 1 << 31;

/// Settings of a replay.
#[derive(Clone, Debug)]
pub struct PlayOptions {
    /// Speed: 1.0 is that of the recording; infinite sends without waiting.
    pub speed: f64,
    /// Starts again at the end, until it is stopped.
    pub repeat: bool,
    /// Time from the first message of the recording from which messages are sent.
    pub start: Duration,
    /// Time from the first message of the recording after which no message is sent.
    pub end: Option<Duration>,
    /// Channels to replay, by full name; `None` for all.
    pub channels: Option<Vec<String>>,
    /// Other names: the recorded name, and the name to replay on.
    pub remap: Vec<(String, String)>,
    /// Namespace to put before all names that `remap` does not give.
    pub namespace: Option<String>,
    /// Replaces live publishers, and channels with other messages.
    pub force: bool,
    /// Most messages to send; `None` for all.
    pub count: Option<u64>,
}

impl Default for PlayOptions {
    fn default() -> Self {
        PlayOptions {
            speed: 1.0,
            repeat: false,
            start: Duration::ZERO,
            end: None,
            channels: None,
            remap: Vec::new(),
            namespace: None,
            force: false,
            count: None,
        }
    }
}

/// Figures of a replayed channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Played {
    /// Full name of the channel in the recording.
    pub recorded: String,
    /// Full name of the channel that the messages were sent on.
    pub name: String,
    /// Messages sent.
    pub sent: u64,
    /// Messages whose bytes in the file are not valid.
    pub refused: u64,
}

/// A channel in a file.
#[derive(Debug)]
pub struct RecordedChannel {
    /// The metadata of the channel in the recording.
    pub facts: ChannelFacts,
    encoder: Encoder,
}

/// A message in a file.
#[derive(Clone, Debug)]
pub struct RecordedMessage {
    /// The channel.
    pub channel: Arc<RecordedChannel>,
    /// Time at which the recorder saw the message, in nanoseconds since the Unix epoch.
    pub time: u64,
    /// Position of the message in its channel, modulo 2^32.
    pub sequence: u32,
    /// The message in the encoding of the file.
    pub data: Vec<u8>,
}

impl RecordedMessage {
    /// Returns the bytes of the message as they were in the slot; padding and unused capacity are zeros.
    ///
    /// # Errors
    /// [`EncodingError::Message`](crate::encoding::EncodingError::Message) if the data is damaged.
    pub fn decode(&self) -> Result<Vec<u8>, crate::encoding::EncodingError> {
        self.channel.encoder.decode(&self.data)
    }
}

/// Reads the messages of a recording in the order of the file. Channels that `shmcomm` did not record are left out. A
/// file without its end, of a process that was killed, is read up to its last complete chunk.
///
/// # Errors
/// [`PlayError::Read`] if the file cannot be opened. The iterator returns [`PlayError::Damaged`] if the bytes are no MCAP
/// file, and ends there.
pub fn read(
    path: impl AsRef<Path>,
) -> Result<impl Iterator<Item = Result<RecordedMessage, PlayError>>, PlayError> {
    let path = path.as_ref().to_owned();
    let file = File::open(&path).map_err(|source| PlayError::Read { path: path.clone(), source })?;
    let options = LinearReaderOptions::default()
        .with_skip_end_magic(true)
        .with_validate_chunk_crcs(true)
        .with_record_length_limit(LONGEST);
    let messages = MessageReader::new_with_options(BufReader::with_capacity(1 << 20, file), options);
    let mut known = HashMap::<u16, Option<Arc<RecordedChannel>>>::new();
    Ok(messages.filter_map(move |message| {
        let message = match message {
            Ok(message) => message,
            // A chunk that was not completed.
            Err(McapError::UnexpectedEof | McapError::UnexpectedEoc) => return None,
            Err(McapError::Io(source)) if source.kind() == std::io::ErrorKind::UnexpectedEof => return None,
            Err(McapError::Io(source)) => return Some(Err(PlayError::Read { path: path.clone(), source })),
            Err(error) => {
                return Some(Err(PlayError::Damaged { path: path.clone(), why: error.to_string() }));
            }
        };
        let id = message.channel.id;
        if let Entry::Vacant(place) = known.entry(id) {
            let channel = match message.channel.metadata.get(facts::KEY).map(|text| ChannelFacts::parse(text))
            {
                None => None,
                Some(Ok(facts)) => Some(Arc::new(RecordedChannel { encoder: facts.encoder(), facts })),
                Some(Err(why)) => {
                    let why =
                        format!("the metadata of channel `{}`: {why}", message.channel.topic.escape_debug());
                    return Some(Err(PlayError::Damaged { path: path.clone(), why }));
                }
            };
            place.insert(channel);
        }
        let channel = known.get(&id)?.clone()?;
        let (time, sequence) = (message.log_time, message.sequence);
        Some(Ok(RecordedMessage { channel, time, sequence, data: message.data.into_owned() }))
    }))
}

/// Publishes the messages of recordings again, at their times.
///
/// ```no_run
/// use shmcomm_record::{PlayOptions, Player};
///
/// let mut player = Player::open(["drive.mcap"], PlayOptions { speed: 2.0, ..PlayOptions::default() })?;
/// player.run(|_| true)?;
/// for channel in player.report() {
///     println!("{}: {} sent", channel.name, channel.sent);
/// }
/// # Ok::<(), shmcomm_record::PlayError>(())
/// ```
pub struct Player {
    paths: Vec<PathBuf>,
    options: PlayOptions,
    targets: HashMap<String, usize>,
    open: Vec<Target>,
    reports: Vec<Played>,
    first: u64,
}

impl Player {
    /// Opens the files of a recording, in their order, and the publishers of the channels in their first 10,000
    /// messages. Other channels are opened with their first message.
    ///
    /// # Errors
    /// [`PlayError::Read`], [`PlayError::Damaged`], [`PlayError::Nothing`] if there is nothing to replay;
    /// [`PlayError::LivePublisher`], [`PlayError::TypeMismatch`] and [`PlayError::Channel`] if a channel cannot be
    /// published on.
    pub fn open<P: AsRef<Path>>(
        paths: impl IntoIterator<Item = P>,
        options: PlayOptions,
    ) -> Result<Self, PlayError> {
        let paths: Vec<PathBuf> = paths.into_iter().map(|path| path.as_ref().to_owned()).collect();
        let mut player = Player {
            paths,
            options,
            targets: HashMap::new(),
            open: Vec::new(),
            reports: Vec::new(),
            first: u64::MAX,
        };
        for path in player.paths.clone() {
            for message in read(&path)?.take(SURVEY) {
                let message = message?;
                player.first = player.first.min(message.time);
                if player.is_chosen(&message.channel.facts.name) {
                    player.target(&message.channel.facts)?;
                }
            }
        }
        if player.open.is_empty() {
            let chosen = player.options.channels.is_some();
            let path = player.paths.first().cloned().unwrap_or_default();
            return Err(PlayError::Nothing { path, chosen });
        }
        Ok(player)
    }

    /// Returns the figures of all channels.
    pub fn report(&self) -> &[Played] {
        &self.reports
    }

    /// Returns the number of subscribers of all channels.
    pub fn subscribers(&self) -> usize {
        self.open.iter().map(Target::subscribers).sum()
    }

    fn is_chosen(&self, name: &str) -> bool {
        self.options.channels.as_ref().is_none_or(|chosen| chosen.iter().any(|one| one == name))
    }

    /// Returns the number of the channel, which is opened with its first message.
    fn target(&mut self, facts: &ChannelFacts) -> Result<usize, PlayError> {
        if let Some(index) = self.targets.get(&facts.name) {
            return Ok(*index);
        }
        let renamed = self.options.remap.iter().find(|(from, _)| *from == facts.name);
        let name = match (renamed, &self.options.namespace) {
            (Some((_, to)), _) => to.clone(),
            (None, Some(namespace)) => format!("{namespace}/{}", facts.name),
            (None, None) => facts.name.clone(),
        };
        let target = Target::open(&name, facts, self.options.force)?;
        let index = self.open.len();
        self.open.push(target);
        self.reports.push(Played { recorded: facts.name.clone(), name, ..Played::default() });
        self.targets.insert(facts.name.clone(), index);
        Ok(index)
    }

    /// Sends all messages, each at its time. Calls `go_on` at least every 50 ms with the time of the recording since
    /// its first message, and before each message; if that returns `false`, the replay ends. A publisher of a channel that waits for its
    /// subscribers waits here too.
    ///
    /// # Errors
    /// The errors of [`open`](Player::open); [`PlayError::Send`] if a message cannot be sent.
    pub fn run(&mut self, mut go_on: impl FnMut(Duration) -> bool) -> Result<(), PlayError> {
        while self.pass(&mut go_on)? && self.options.repeat {}
        Ok(())
    }

    /// Replays the recording once. Returns `false` if it was stopped, or has nothing to repeat.
    fn pass(&mut self, go_on: &mut impl FnMut(Duration) -> bool) -> Result<bool, PlayError> {
        let began = Instant::now();
        let mut any = false;
        for path in self.paths.clone() {
            for message in read(&path)? {
                let message = message?;
                let at = Duration::from_nanos(message.time.saturating_sub(self.first));
                if at < self.options.start || !self.is_chosen(&message.channel.facts.name) {
                    continue;
                }
                if self.options.end.is_some_and(|end| at > end) {
                    break;
                }
                let index = self.target(&message.channel.facts)?;
                any = true;
                let due = (at - self.options.start).as_secs_f64() / self.options.speed;
                let due = Duration::try_from_secs_f64(due).unwrap_or_default();
                loop {
                    if !go_on(at) {
                        return Ok(false);
                    }
                    let left = due.saturating_sub(began.elapsed());
                    if left.is_zero() {
                        break;
                    }
                    std::thread::sleep(left.min(SLICE));
                }
                let Ok(bytes) = message.decode() else {
                    self.reports[index].refused += 1;
                    continue;
                };
                while !self.open[index].send(&bytes, SLICE)? {
                    if !go_on(at) {
                        return Ok(false);
                    }
                }
                self.reports[index].sent += 1;
                let sent: u64 = self.reports.iter().map(|report| report.sent).sum();
                if self.options.count.is_some_and(|count| sent >= count) {
                    return Ok(false);
                }
            }
        }
        Ok(any)
    }
}
