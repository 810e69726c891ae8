//! [`McapFile`]: one file of a recording.
//!
//! Owns the bytes on disk: complete chunks, so that a process that is killed leaves a readable file. If the disk is
//! full, the file is cut behind its last complete record and closed, and the messages that are not in it are counted.
//! Calls the crate `mcap`, and `reader` for that count. Never overwrites a file.

use super::options::Compression;
use crate::encoding::Encoder;
use crate::facts::{self, ChannelFacts, Part};
use crate::{RecordError, reader};
use mcap::records::{MessageHeader, Metadata};
use mcap::{McapError, WriteOptions, Writer};
use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read as _, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Size of a chunk in bytes, before compression.
const CHUNK: u64 = 1 << 20;
/// First and last bytes of a file.
const MAGIC: [u8; 8] = [0x89, b'M', b'C', b'A', b'P', b'0', b'\r', b'\n'];
/// A data end record without a checksum, a footer without a summary, and the last bytes of a file.
const END: [u8; 50] = {
    let mut end = [0; 50];
    end[0] = 0x0f;
    end[1] = 4;
    end[13] = 0x02;
    end[14] = 20;
    let mut at = 0;
    while at < 8 {
        end[42 + at] = MAGIC[at];
        at += 1;
    }
    end
};

/// A file that counts its bytes.
struct Counted {
    file: BufWriter<File>,
    /// Bytes that were given to the file. One thread writes it; others may only load it.
    len: Arc<AtomicU64>,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.len.fetch_add(written as u64, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Counted {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match to {
            // The position is asked for often, and is known.
            SeekFrom::Current(0) => Ok(self.len.load(Ordering::Relaxed)),
            _ => Err(io::Error::new(io::ErrorKind::Unsupported, "the recording is written in one pass")),
        }
    }
}

/// A file of a recording that is being written.
pub(crate) struct McapFile {
    writer: Option<Writer<Counted>>,
    path: PathBuf,
    len: Arc<AtomicU64>,
    /// Channels of the file by the number of the track.
    ids: HashMap<usize, u16>,
    /// Messages and bytes of each track since the last complete chunk that `flush` wrote.
    pending: HashMap<usize, (u64, u64)>,
    /// Size of the file in bytes after that chunk.
    flushed: u64,
}

impl McapFile {
    /// Creates the file.
    pub(crate) fn create(
        path: &Path,
        compression: Compression,
        ros: bool,
        part: &Part,
    ) -> Result<Self, RecordError> {
        let failed = |source| RecordError::Create { path: path.to_owned(), source };
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path).map_err(failed)?;
        let len = Arc::new(AtomicU64::new(0));
        let counted = Counted { file: BufWriter::with_capacity(1 << 16, file), len: len.clone() };
        let compression = match compression {
            Compression::None => None,
            Compression::Lz4 => Some(mcap::Compression::Lz4),
            Compression::Zstd => Some(mcap::Compression::Zstd),
        };
        let options = WriteOptions::new()
            .compression(compression)
            .compression_threads(0)
            .chunk_size(Some(CHUNK))
            .disable_seeking(true)
            .library(concat!("shmcomm-record ", env!("CARGO_PKG_VERSION")))
            .profile(if ros { "ros2" } else { "" });
        let (ids, pending) = (HashMap::new(), HashMap::new());
        let mut this = McapFile { writer: None, path: path.to_owned(), len, ids, pending, flushed: 0 };
        match options.create(counted) {
            Ok(writer) => this.writer = Some(writer),
            Err(error) => return Err(this.failed(error)),
        }
        let place = Metadata { name: facts::RECORDING.to_owned(), metadata: part.to_metadata() };
        let result = this.writer().and_then(|writer| writer.write_metadata(&place));
        result.map_err(|error| this.failed(error))?;
        this.flush().map(|()| this)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the number of bytes that were written. A chunk is written when it is complete.
    pub(crate) fn len(&self) -> u64 {
        self.len.load(Ordering::Relaxed)
    }

    /// Writes a message. `track` is the number of its channel and schema in the recording.
    pub(crate) fn write(
        &mut self,
        track: (usize, &ChannelFacts, &Encoder),
        sequence: u32,
        time: u64,
        data: &[u8],
    ) -> Result<(), RecordError> {
        let pending = self.pending.entry(track.0).or_default();
        *pending = (pending.0 + 1, pending.1 + data.len() as u64);
        let result = match self.ids.get(&track.0) {
            Some(id) => Ok(*id),
            None => self.add(track.1, track.2),
        };
        let result = result.and_then(|channel_id| {
            self.ids.insert(track.0, channel_id);
            let header = MessageHeader { channel_id, sequence, log_time: time, publish_time: time };
            self.writer()?.write_to_known_channel(&header, data)
        });
        result.map_err(|error| self.failed(error))
    }

    fn writer(&mut self) -> Result<&mut Writer<Counted>, McapError> {
        self.writer.as_mut().ok_or(McapError::AttemptedWriteAfterFailure)
    }

    fn add(&mut self, facts: &ChannelFacts, encoder: &Encoder) -> Result<u16, McapError> {
        let schema = encoder.schema();
        let writer = self.writer()?;
        let id = match schema.encoding {
            "" => 0,
            encoding => writer.add_schema(&schema.name, encoding, &schema.data)?,
        };
        let metadata = BTreeMap::from([(facts::KEY.to_owned(), facts.to_json())]);
        writer.add_channel(id, &facts.name, encoder.message_encoding(), &metadata)
    }

    /// Completes the chunk, so that a process that is killed leaves its messages.
    pub(crate) fn flush(&mut self) -> Result<(), RecordError> {
        self.writer().and_then(Writer::flush).map_err(|error| self.failed(error))?;
        self.flushed = self.len();
        self.pending.clear();
        Ok(())
    }

    /// Writes the figures and the index, and closes the file.
    pub(crate) fn finish(&mut self, figures: &[Metadata]) -> Result<(), RecordError> {
        let result = self.writer().and_then(|writer| {
            figures.iter().try_for_each(|figures| writer.write_metadata(figures))?;
            writer.finish().map(|_| ())
        });
        match result {
            Ok(()) => {
                self.writer = None;
                self.pending.clear();
                Ok(())
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Returns messages and bytes of each track that were given to the file and are not in it, after an error.
    pub(crate) fn cut_off(mut self) -> Vec<(usize, u64, u64)> {
        // A file that cannot be read back has none of them, as far as is known.
        let found = reader::count(&self.path, self.flushed).unwrap_or_default();
        let mut missing: Vec<_> = self.pending.drain().map(|(track, (n, bytes))| (track, n, bytes)).collect();
        for (track, number, bytes) in &mut missing {
            if let Some((there, size)) = self.ids.get(track).and_then(|id| found.get(id)) {
                (*number, *bytes) = (number.saturating_sub(*there), bytes.saturating_sub(*size));
            }
        }
        missing
    }

    /// Closes the file after an error, and returns the error.
    fn failed(&mut self, error: McapError) -> RecordError {
        if let Some(writer) = self.writer.take() {
            // Buffered bytes are given up: they did not fit.
            let (file, _) = writer.into_inner().file.into_parts();
            if let Ok(end) = cut(file) {
                self.len.store(end, Ordering::Relaxed);
            }
        }
        let source = match error {
            McapError::Io(source) => source,
            other => io::Error::other(other.to_string()),
        };
        RecordError::Write { path: self.path.clone(), kept: self.len(), source }
    }
}

/// Cuts a file behind its last complete record, and ends it in order if there is room. Returns its size.
fn cut(mut file: File) -> io::Result<u64> {
    let size = file.metadata()?.len();
    let mut at = MAGIC.len() as u64;
    let mut head = [0; 9];
    loop {
        file.seek(SeekFrom::Start(at))?;
        if at + 9 > size || file.read_exact(&mut head).is_err() {
            break;
        }
        let len = head[1..].try_into().map_or(u64::MAX, u64::from_le_bytes);
        // A record of the summary has no use without the footer.
        let next = at.saturating_add(9).saturating_add(len);
        if next > size || head[0] == 0x0f {
            break;
        }
        at = next;
    }
    if size < at {
        return Ok(size);
    }
    file.set_len(at)?;
    file.seek(SeekFrom::Start(at))?;
    // The part of a record that was cut off usually leaves room. If not, the file ends behind its last record.
    match file.write_all(&END) {
        Ok(()) => Ok(at + END.len() as u64),
        Err(_) => {
            file.set_len(at)?;
            Ok(at)
        }
    }
}
