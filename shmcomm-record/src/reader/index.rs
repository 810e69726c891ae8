//! [`Index`]: the channels of a file, and the times of its chunks.
//!
//! Owns the choice of the source: the summary of a complete file, or the heads of its chunks. Calls `records`.
//! Decompresses a chunk only if no other record states its channels.

use super::records::{Chunk, Records, op, parse};
use super::{Channels, PlayError};
use crate::facts::{self, Part};
use mcap::records::Record;
use std::path::Path;

/// A chunk: its offset in the file, and the times of its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    at: u64,
    first: u64,
    last: u64,
}

/// Contents of a file, without its messages.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) channels: Channels,
    chunks: Vec<Span>,
    /// Place of the file in its recording.
    pub(crate) part: Option<Part>,
    /// `true` if the file has no complete end.
    pub(crate) cut: bool,
}

impl Index {
    /// Reads the index of a file.
    ///
    /// # Errors
    /// [`PlayError::Read`], [`PlayError::Damaged`].
    pub(crate) fn of(path: &Path) -> Result<Index, PlayError> {
        let mut records = Records::open(path)?;
        let mut index = Index { part: part(&mut records)?, ..Index::default() };
        match records.summary()? {
            Some(at) => index.summary(&mut records, at)?,
            None => index.cut = true,
        }
        if index.chunks.is_empty() {
            index.walk(&mut Records::open(path)?)?;
        }
        Ok(index)
    }

    /// Returns the time of the first message; `None` if there is none.
    pub(crate) fn first(&self) -> Option<u64> {
        self.chunks.iter().map(|chunk| chunk.first).min()
    }

    /// Returns the time of the last message; `None` if there is none.
    pub(crate) fn last(&self) -> Option<u64> {
        self.chunks.iter().map(|chunk| chunk.last).max()
    }

    /// Returns the offset of the first chunk that has a message at `time` or later; `None` to read the whole file.
    pub(crate) fn chunk_at(&self, time: u64) -> Option<u64> {
        let found = self.chunks.iter().position(|chunk| chunk.last >= time);
        found.filter(|at| *at > 0).map(|at| self.chunks[at].at)
    }

    /// Takes the summary of a complete file.
    fn summary(&mut self, records: &mut Records, at: u64) -> Result<(), PlayError> {
        records.seek(at)?;
        let mut body = Vec::new();
        while let Some(head) = records.head()? {
            match head.code {
                op::CHANNEL | op::CHUNK_INDEX => records.body(&head, &mut body)?,
                op::FOOTER => break,
                _ => {
                    records.skip(&head)?;
                    continue;
                }
            }
            match parse(head.code, &body).map_err(|why| records.damaged(why))? {
                Record::Channel(channel) => {
                    self.channels.add(&channel).map_err(|why| records.damaged(why))?;
                }
                Record::ChunkIndex(chunk) => self.chunks.push(Span {
                    at: chunk.chunk_start_offset,
                    first: chunk.message_start_time,
                    last: chunk.message_end_time,
                }),
                _ => {}
            }
        }
        self.chunks.sort_by_key(|chunk| chunk.at);
        Ok(())
    }

    /// Takes the heads of the chunks, and the indexes of their messages.
    fn walk(&mut self, records: &mut Records) -> Result<(), PlayError> {
        let (mut body, mut chunk) = (Vec::new(), Chunk::default());
        // Offset of the last chunk, and whether an index of its messages was there.
        let (mut place, mut stated) = (None, false);
        loop {
            let head = records.head()?;
            if head.is_none_or(|head| head.code != op::MESSAGE_INDEX)
                && let Some(at) = place.take_if(|_| !stated)
            {
                self.look_into(records, at, &mut body, &mut chunk)?;
                let Some(head) = head else { return Ok(()) };
                records.seek(head.at)?;
                continue;
            }
            let Some(head) = head else { return Ok(()) };
            match head.code {
                op::CHUNK => {
                    let times = records.start::<16>(&head)?;
                    let [first, last] =
                        [0, 8].map(|at| times[at..][..8].try_into().map_or(0, u64::from_le_bytes));
                    self.chunks.push(Span { at: head.at, first, last });
                    (place, stated) = (Some(head.at), false);
                }
                op::MESSAGE_INDEX => {
                    let id = u16::from_le_bytes(records.start::<2>(&head)?);
                    stated = true;
                    // The record of an unknown channel is in the chunk.
                    if let Some(at) = place.filter(|_| !self.channels.knows(id)) {
                        let next = records.offset();
                        self.look_into(records, at, &mut body, &mut chunk)?;
                        records.seek(next)?;
                    }
                }
                op::DATA_END => return Ok(()),
                _ => records.skip(&head)?,
            }
        }
    }

    /// Adds the channels of the chunk at an offset.
    fn look_into(
        &mut self,
        records: &mut Records,
        place: u64,
        body: &mut Vec<u8>,
        chunk: &mut Chunk,
    ) -> Result<(), PlayError> {
        records.seek(place)?;
        let Some(head) = records.head()? else { return Ok(()) };
        records.body(&head, body)?;
        chunk.fill(body).map_err(|why| records.damaged(why))?;
        while let Some((code, body)) = chunk.next().map_err(|why| records.damaged(why))? {
            if code == op::CHANNEL
                && let Record::Channel(channel) = parse(code, body).map_err(|why| records.damaged(why))?
            {
                self.channels.add(&channel).map_err(|why| records.damaged(why))?;
            }
        }
        Ok(())
    }
}

/// Returns the place of a file in its recording, which its first records state.
fn part(records: &mut Records) -> Result<Option<Part>, PlayError> {
    let mut body = Vec::new();
    while let Some(head) = records.head()? {
        match head.code {
            op::HEADER => records.skip(&head)?,
            op::METADATA => {
                records.body(&head, &mut body)?;
                let record = parse(head.code, &body).map_err(|why| records.damaged(why))?;
                let Record::Metadata(found) = record else { return Ok(None) };
                if found.name == facts::RECORDING {
                    return Ok(Part::parse(&found.metadata));
                }
            }
            _ => return Ok(None),
        }
    }
    Ok(None)
}
