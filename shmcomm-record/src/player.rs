//! [`Player`]: publishes the messages of a recording again.
//!
//! Owns the order of the files and the time of each message. Calls `reader` for the messages and `target` for the
//! channels. The recorded channel is created again; if the channel exists, its layout stays, and messages are converted
//! by the rules of evolution.

use crate::PlayError;
use crate::reader::{Index, Messages, RecordedChannel, RecordedMessage};
use crate::target::Target;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest wait before the caller may stop the replay.
const SLICE: Duration = Duration::from_millis(50);
/// Skipped messages after which the caller may stop the replay.
const SKIPPED: u32 = 1024;

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
    parts: Vec<(PathBuf, Index)>,
    options: PlayOptions,
    /// Numbers of the channels by their recorded names.
    targets: HashMap<String, usize>,
    open: Vec<Target>,
    reports: Vec<Played>,
    first: u64,
    /// Files of which all messages were read, and that have no complete end.
    cut: Vec<PathBuf>,
}

impl Player {
    /// Opens the files of a recording, in their order, and the publishers of their channels.
    ///
    /// # Errors
    /// [`PlayError::Read`] and [`PlayError::Damaged`] for any of the files; [`PlayError::Parts`] if they are not the
    /// consecutive files of one recording; [`PlayError::Nothing`] if there is nothing to replay, and
    /// [`PlayError::LateStart`] if nothing is left. [`PlayError::LivePublisher`], [`PlayError::TypeMismatch`] and
    /// [`PlayError::Channel`] if a channel cannot be published on.
    pub fn open<P: AsRef<Path>>(
        paths: impl IntoIterator<Item = P>,
        options: PlayOptions,
    ) -> Result<Self, PlayError> {
        let mut parts = Vec::new();
        for path in paths {
            let path = path.as_ref().to_owned();
            let index = Index::of(&path)?;
            parts.push((path, index));
        }
        check_parts(&parts)?;
        let first = parts.iter().filter_map(|(_, index)| index.first()).min().unwrap_or(0);
        let last = parts.iter().filter_map(|(_, index)| index.last()).max().unwrap_or(0);
        let channels: Vec<_> = parts.iter().flat_map(|(_, index)| index.channels.recorded()).collect();
        let mut player = Player {
            cut: parts.iter().filter(|(_, index)| index.cut).map(|(path, _)| path.clone()).collect(),
            parts,
            options,
            targets: HashMap::new(),
            open: Vec::new(),
            reports: Vec::new(),
            first,
        };
        let (start, length) = (player.options.start, Duration::from_nanos(last.saturating_sub(first)));
        if start > length {
            return Err(PlayError::LateStart { start, length });
        }
        for channel in &channels {
            // The first layout of a channel; messages change it to a later one.
            if player.is_chosen(&channel.facts.name) && !player.targets.contains_key(&channel.facts.name) {
                player.target(channel)?;
            }
        }
        if player.open.is_empty() {
            let chosen = player.options.channels.is_some();
            let path = player.parts.first().map(|(path, _)| path.clone()).unwrap_or_default();
            return Err(PlayError::Nothing { path, chosen });
        }
        Ok(player)
    }

    /// Returns the figures of all channels.
    pub fn report(&self) -> &[Played] {
        &self.reports
    }

    /// Returns the files that have no complete end: the recorder was killed, its disk was full, or the file was copied in
    /// part. Their messages are replayed up to the last complete chunk.
    pub fn cut_files(&self) -> &[PathBuf] {
        &self.cut
    }

    /// Returns the number of subscribers of all channels.
    pub fn subscribers(&self) -> usize {
        self.open.iter().map(Target::subscribers).sum()
    }

    fn is_chosen(&self, name: &str) -> bool {
        self.options.channels.as_ref().is_none_or(|chosen| chosen.iter().any(|one| one == name))
    }

    /// Returns the number of the channel, with the layout of this recorded channel.
    fn target(&mut self, channel: &Arc<RecordedChannel>) -> Result<usize, PlayError> {
        let facts = &channel.facts;
        if let Some(index) = self.targets.get(&facts.name) {
            self.open[*index].follow(channel)?;
            return Ok(*index);
        }
        let renamed = self.options.remap.iter().find(|(from, _)| *from == facts.name);
        let name = match (renamed, &self.options.namespace) {
            (Some((_, to)), _) => to.clone(),
            (None, Some(namespace)) => format!("{namespace}/{}", facts.name),
            (None, None) => facts.name.clone(),
        };
        let target = Target::open(&name, channel, self.options.force)?;
        let index = self.open.len();
        self.open.push(target);
        self.reports.push(Played { recorded: facts.name.clone(), name, ..Played::default() });
        self.targets.insert(facts.name.clone(), index);
        Ok(index)
    }

    /// Sends all messages, each at its time. If the layout or the settings of a channel change in the recording, the
    /// replayed channel changes too.
    ///
    /// Calls `go_on` at least every 50 ms, before each message, and while messages are skipped, with the time of the
    /// recording since its first message. If it returns `false`, the replay ends. A publisher of a channel that waits for
    /// its subscribers waits here too.
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
        let (mut any, mut skipped) = (false, 0_u32);
        let start =
            self.first.saturating_add(u64::try_from(self.options.start.as_nanos()).unwrap_or(u64::MAX));
        for part in 0..self.parts.len() {
            let (path, index) = &self.parts[part];
            if index.last().is_some_and(|last| last < start) {
                continue;
            }
            for message in Messages::from(path, index, start)? {
                let message = message?;
                let at = Duration::from_nanos(message.time.saturating_sub(self.first));
                if message.time < start || !self.is_chosen(&message.channel.facts.name) {
                    skipped += 1;
                    if skipped.is_multiple_of(SKIPPED) && !go_on(at) {
                        return Ok(false);
                    }
                    continue;
                }
                if self.options.end.is_some_and(|end| at > end) {
                    return Ok(any);
                }
                any = true;
                let due = at.saturating_sub(self.options.start).as_secs_f64() / self.options.speed;
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
                if !self.send(&message, at, go_on)? {
                    return Ok(false);
                }
            }
        }
        Ok(any)
    }

    /// Sends a message. Returns `false` if the replay was stopped, or has sent enough messages.
    fn send(
        &mut self,
        message: &RecordedMessage,
        at: Duration,
        go_on: &mut impl FnMut(Duration) -> bool,
    ) -> Result<bool, PlayError> {
        let index = self.target(&message.channel)?;
        let Ok(bytes) = message.decode() else {
            self.reports[index].refused += 1;
            return Ok(true);
        };
        while !self.open[index].send(&bytes, SLICE)? {
            if !go_on(at) {
                return Ok(false);
            }
        }
        self.reports[index].sent += 1;
        let sent: u64 = self.reports.iter().map(|report| report.sent).sum();
        Ok(self.options.count.is_none_or(|count| sent < count))
    }
}

/// Checks that the files are the consecutive files of one recording.
fn check_parts(parts: &[(PathBuf, Index)]) -> Result<(), PlayError> {
    for pair in parts.windows(2) {
        let [(before, one), (path, other)] = pair else { continue };
        let (before, path) = (before.display(), path.display());
        let why = match (&one.part, &other.part) {
            (Some(one), Some(other)) if one.recording != other.recording => {
                format!("{path} belongs to another recording than {before}; replay one recording at a time")
            }
            (Some(one), Some(other)) if other.number > one.number + 1 => format!(
                "{before} is file {} of its recording, and {path} is file {}; give the files between them too, or replay \
                 the parts one by one",
                one.number, other.number
            ),
            (Some(one), Some(other)) if other.number <= one.number => format!(
                "{before} is file {} of its recording, and {path} is file {}; give each file once, in their order",
                one.number, other.number
            ),
            (None, Some(_)) | (Some(_), None) => {
                format!("one of {before} and {path} does not state its recording; replay them one by one")
            }
            _ => continue,
        };
        return Err(PlayError::Parts { why });
    }
    Ok(())
}
