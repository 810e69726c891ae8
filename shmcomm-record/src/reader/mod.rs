//! [`read`]: the messages of a file, in its order.
//!
//! Owns the step from records to messages of recorded channels. Calls `records` for the bytes. Allocates no more than
//! the file and its decompressed chunks hold, whatever the lengths in the file say.

mod index;
mod records;

use crate::PlayError;
use crate::encoding::{Encoder, EncodingError};
use crate::facts::{self, ChannelFacts};
pub(crate) use index::Index;
use mcap::records::{Channel, Record};
pub(crate) use records::count;
use records::{Chunk, Records, op};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

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
    /// Position of the message in its segment, modulo 2^32.
    pub sequence: u32,
    /// The message in the encoding of the file.
    pub data: Vec<u8>,
}

impl RecordedMessage {
    /// Returns the bytes of the message as they were in the slot; padding and unused capacity are zeros.
    ///
    /// # Errors
    /// [`EncodingError::Message`] if the data is damaged.
    pub fn decode(&self) -> Result<Vec<u8>, EncodingError> {
        self.channel.encoder.decode(&self.data)
    }
}

/// Reads the messages of a recording in the order of the file. Channels that `shmcomm` did not record are left out. A
/// file without its end, of a process that was killed, is read up to its last complete chunk, and
/// [`Messages::is_cut`] then returns `true`.
///
/// # Errors
/// [`PlayError::Read`] if the file cannot be opened. [`PlayError::Damaged`] if it is no MCAP file; the iterator returns
/// that error too, and ends there.
pub fn read(path: impl AsRef<Path>) -> Result<Messages, PlayError> {
    Ok(Messages::on(Records::open(path.as_ref())?, Channels::default()))
}

/// The messages of a file: see [`read`].
pub struct Messages {
    records: Records,
    channels: Channels,
    body: Vec<u8>,
    chunk: Chunk,
    ended: bool,
    cut: bool,
}

impl Messages {
    fn on(records: Records, channels: Channels) -> Self {
        let (body, chunk) = (Vec::new(), Chunk::default());
        Messages { records, channels, body, chunk, ended: false, cut: false }
    }

    /// Reads from the first chunk that has a message at `time` or later.
    pub(crate) fn from(path: &Path, index: &Index, time: u64) -> Result<Self, PlayError> {
        let mut records = Records::open(path)?;
        if let Some(at) = index.chunk_at(time) {
            records.seek(at)?;
        }
        Ok(Self::on(records, index.channels.clone()))
    }

    /// Returns `true` if the iterator came to the end of a file that is not complete: the recorder was killed, its
    /// disk was full, or the file was copied in part. Messages of the last half second may be missing.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// Returns the next message.
    fn step(&mut self) -> Result<Option<RecordedMessage>, PlayError> {
        loop {
            let damaged = |why: String| self.records.damaged(why);
            while let Some((code, body)) = self.chunk.next().map_err(damaged)? {
                if let Some(message) = self.channels.take(code, body).map_err(damaged)? {
                    return Ok(Some(message));
                }
            }
            let Some(head) = self.records.head()? else {
                self.cut = true;
                return Ok(None);
            };
            match head.code {
                op::DATA_END => {
                    self.cut = self.records.summary()?.is_none();
                    return Ok(None);
                }
                op::CHUNK => {
                    self.records.body(&head, &mut self.body)?;
                    self.chunk.fill(&self.body).map_err(|why| self.records.damaged(why))?;
                }
                op::CHANNEL | op::MESSAGE => {
                    self.records.body(&head, &mut self.body)?;
                    let message = self.channels.take(head.code, &self.body);
                    if let Some(message) = message.map_err(|why| self.records.damaged(why))? {
                        return Ok(Some(message));
                    }
                }
                _ => self.records.skip(&head)?,
            }
        }
    }
}

impl Iterator for Messages {
    type Item = Result<RecordedMessage, PlayError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.step().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

/// Channels of a file by their ids; `None` for a channel that `shmcomm` did not record.
#[derive(Clone, Debug, Default)]
pub(crate) struct Channels(HashMap<u16, Option<Arc<RecordedChannel>>>);

impl Channels {
    /// Adds the channel of a record. A channel may have several equal records.
    fn add(&mut self, channel: &Channel) -> Result<(), String> {
        if self.0.contains_key(&channel.id) {
            return Ok(());
        }
        let facts = channel.metadata.get(facts::KEY).map(|text| ChannelFacts::parse(text)).transpose();
        let facts = facts
            .map_err(|why| format!("the metadata of channel `{}`: {why}", channel.topic.escape_debug()))?;
        let recorded = facts.map(|facts| Arc::new(RecordedChannel { encoder: facts.encoder(), facts }));
        self.0.insert(channel.id, recorded);
        Ok(())
    }

    fn knows(&self, id: u16) -> bool {
        self.0.contains_key(&id)
    }

    /// Returns the recorded channels in the order of their ids, which is that of their first messages.
    pub(crate) fn recorded(&self) -> Vec<Arc<RecordedChannel>> {
        let mut all: Vec<_> = self.0.iter().filter_map(|(id, one)| Some((*id, one.clone()?))).collect();
        all.sort_by_key(|(id, _)| *id);
        all.into_iter().map(|(_, one)| one).collect()
    }

    /// Takes a record: adds a channel, or returns a message of a recorded channel.
    fn take(&mut self, code: u8, body: &[u8]) -> Result<Option<RecordedMessage>, String> {
        match records::parse(code, body)? {
            Record::Channel(channel) => self.add(&channel).map(|()| None),
            Record::Message { header, data } => {
                let known = self.0.get(&header.channel_id).ok_or_else(|| {
                    format!("message {} has the unknown channel {}", header.sequence, header.channel_id)
                })?;
                let (time, sequence) = (header.log_time, header.sequence);
                Ok(known.clone().map(|channel| RecordedMessage {
                    channel,
                    time,
                    sequence,
                    data: data.into_owned(),
                }))
            }
            _ => Ok(None),
        }
    }
}
