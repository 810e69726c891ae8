//! Records of an MCAP file, and the records of its chunks.
//!
//! Owns the bounds: a record has at most the bytes that the file has. A chunk is decompressed piece by piece, so that
//! memory grows with the data and not with a length in the file. Calls the crate `mcap` to parse a record. Never
//! writes. Source: the specification of MCAP, version 0.

use crate::PlayError;
use mcap::records::Record;
pub(crate) use mcap::records::op;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// First and last bytes of a file.
const MAGIC: [u8; 8] = *b"\x89MCAP0\r\n";
/// Bytes of the code and the length in front of a record.
const HEAD: u64 = 9;
/// Bytes of the footer with its head, and the last bytes of a file.
const END: u64 = HEAD + 20 + MAGIC.len() as u64;
/// Largest size of a decompressed chunk in bytes.
const LONGEST: u64 = 1 << 31;
/// Bytes of the buffer of a file. Longer records are read past it.
const BUFFER: usize = 1 << 14;

/// Code, place and length of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) code: u8,
    /// Offset of the record in the file.
    pub(crate) at: u64,
    /// Length of the body in bytes, all of which the file has.
    len: u64,
}

/// The records of a file.
pub(crate) struct Records {
    path: PathBuf,
    file: BufReader<File>,
    size: u64,
    /// Offset of the next record, or of the body of the last head.
    at: u64,
}

impl Records {
    /// Opens a file at its first record.
    pub(crate) fn open(path: &Path) -> Result<Self, PlayError> {
        let failed = |source| PlayError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let mut records = Records {
            path: path.to_owned(),
            file: BufReader::with_capacity(BUFFER, file),
            size: metadata.len(),
            at: MAGIC.len() as u64,
        };
        let mut magic = [0; MAGIC.len()];
        match records.file.read_exact(&mut magic) {
            Ok(()) if magic == MAGIC => Ok(records),
            Err(source) if source.kind() != io::ErrorKind::UnexpectedEof => Err(failed(source)),
            _ => Err(records.damaged("its first bytes are not those of MCAP".to_owned())),
        }
    }

    pub(crate) fn damaged(&self, why: String) -> PlayError {
        PlayError::Damaged { path: self.path.clone(), why }
    }

    fn failed(&self, source: io::Error) -> PlayError {
        PlayError::Read { path: self.path.clone(), source }
    }

    /// Returns the offset of the next record.
    pub(crate) fn offset(&self) -> u64 {
        self.at
    }

    /// Continues with the record at an offset.
    pub(crate) fn seek(&mut self, at: u64) -> Result<(), PlayError> {
        // A record nearby is in the buffer.
        let by = i64::try_from(i128::from(at) - i128::from(self.at));
        let done = match by {
            Ok(by) => self.file.seek_relative(by),
            Err(_) => self.file.seek(SeekFrom::Start(at)).map(|_| ()),
        };
        done.map_err(|source| self.failed(source))?;
        self.at = at;
        Ok(())
    }

    /// Returns the next record; `None` if the file ends before the end of the record.
    pub(crate) fn head(&mut self) -> Result<Option<Head>, PlayError> {
        let at = self.at;
        let mut head = [0; HEAD as usize];
        if self.size.saturating_sub(at) < HEAD || !self.fill(&mut head)? {
            return Ok(None);
        }
        let len = head[1..].try_into().map_or(u64::MAX, u64::from_le_bytes);
        Ok((len <= self.size - self.at).then_some(Head { code: head[0], at, len }))
    }

    /// Fills `out` from the file. Returns `false` if the file is shorter than it was.
    fn fill(&mut self, out: &mut [u8]) -> Result<bool, PlayError> {
        match self.file.read_exact(out) {
            Ok(()) => {
                self.at += out.len() as u64;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(source) => Err(self.failed(source)),
        }
    }

    /// Reads the body of the record.
    pub(crate) fn body(&mut self, head: &Head, out: &mut Vec<u8>) -> Result<(), PlayError> {
        let len = usize::try_from(head.len)
            .map_err(|_| self.damaged(format!("a record of {} bytes exceeds the memory", head.len)))?;
        out.clear();
        out.resize(len, 0);
        match self.fill(out)? {
            true => Ok(()),
            false => Err(self.damaged("it became shorter while it was read".to_owned())),
        }
    }

    /// Reads the first bytes of the body of the record, and continues with the next record. Missing bytes are zeros.
    pub(crate) fn start<const N: usize>(&mut self, head: &Head) -> Result<[u8; N], PlayError> {
        let mut start = [0; N];
        let len = N.min(usize::try_from(head.len).unwrap_or(N));
        self.fill(&mut start[..len])?;
        self.seek(head.at + HEAD + head.len)?;
        Ok(start)
    }

    /// Continues with the record behind this one.
    pub(crate) fn skip(&mut self, head: &Head) -> Result<(), PlayError> {
        self.seek(head.at + HEAD + head.len)
    }

    /// Returns the offset of the summary; `None` if the file has no complete end with a summary.
    pub(crate) fn summary(&mut self) -> Result<Option<u64>, PlayError> {
        let before = self.at;
        let Some(at) = self.size.checked_sub(END) else { return Ok(None) };
        self.seek(at)?;
        let mut end = [0; END as usize];
        let whole = self.fill(&mut end)?;
        self.seek(before)?;
        let start = end[HEAD as usize..][..8].try_into().map_or(0, u64::from_le_bytes);
        let whole = whole && end[0] == op::FOOTER && end.ends_with(&MAGIC);
        Ok(Some(start).filter(|start| whole && (MAGIC.len() as u64..at).contains(start)))
    }
}

/// The decompressed records of a chunk.
#[derive(Default)]
pub(crate) struct Chunk {
    bytes: Vec<u8>,
    at: usize,
}

impl Chunk {
    /// Takes the body of a chunk.
    pub(crate) fn fill(&mut self, body: &[u8]) -> Result<(), String> {
        self.at = 0;
        self.bytes.clear();
        let Record::Chunk { header, data } = parse(op::CHUNK, body)? else {
            return Err("a chunk is expected".to_owned());
        };
        let size = header.uncompressed_size;
        if size > LONGEST {
            return Err(format!("a chunk of {size} bytes exceeds the limit of {LONGEST} bytes"));
        }
        // One byte more shows a chunk that is too long.
        let out = &mut self.bytes;
        let done = match header.compression.as_str() {
            "" => (&*data).take(size + 1).read_to_end(out),
            "lz4" => lz4::Decoder::new(&*data).and_then(|decoder| decoder.take(size + 1).read_to_end(out)),
            "zstd" => zstd::stream::read::Decoder::with_buffer(&*data)
                .and_then(|decoder| decoder.take(size + 1).read_to_end(out)),
            other => return Err(format!("the compression `{}` is unknown", other.escape_debug())),
        };
        done.map_err(|error| format!("a chunk cannot be decompressed: {error}"))?;
        if out.len() as u64 != size {
            return Err(format!("a chunk has {} bytes instead of {size}", out.len()));
        }
        match crc32fast::hash(out) {
            found if header.uncompressed_crc == 0 || found == header.uncompressed_crc => Ok(()),
            found => Err(format!("a chunk has the checksum {found} instead of {}", header.uncompressed_crc)),
        }
    }

    /// Returns the next record: its code and its body.
    pub(crate) fn next(&mut self) -> Result<Option<(u8, &[u8])>, String> {
        let rest = self.bytes.get(self.at..).unwrap_or(&[]);
        if rest.is_empty() {
            return Ok(None);
        }
        let short = || "a record exceeds its chunk".to_owned();
        let (head, rest) = rest.split_first_chunk::<{ HEAD as usize }>().ok_or_else(short)?;
        let len = head[1..].try_into().map_or(u64::MAX, u64::from_le_bytes);
        let body = usize::try_from(len).ok().and_then(|len| rest.get(..len)).ok_or_else(short)?;
        self.at += HEAD as usize + body.len();
        Ok(Some((head[0], body)))
    }
}

/// Parses a record.
pub(crate) fn parse(code: u8, body: &[u8]) -> Result<Record<'_>, String> {
    mcap::parse_record(code, body).map_err(|error| error.to_string())
}

/// Returns messages and bytes of each channel, by its id, in the complete chunks of a file from an offset on.
pub(crate) fn count(path: &Path, from: u64) -> Result<HashMap<u16, (u64, u64)>, PlayError> {
    let mut records = Records::open(path)?;
    records.seek(from)?;
    let (mut counts, mut body, mut chunk) = (HashMap::<u16, (u64, u64)>::new(), Vec::new(), Chunk::default());
    while let Some(head) = records.head()? {
        match head.code {
            op::CHUNK => {
                records.body(&head, &mut body)?;
                chunk.fill(&body).map_err(|why| records.damaged(why))?;
                while let Some((code, body)) = chunk.next().map_err(|why| records.damaged(why))? {
                    let record = parse(code, body).map_err(|why| records.damaged(why))?;
                    if let Record::Message { header, data } = record {
                        let count = counts.entry(header.channel_id).or_default();
                        *count = (count.0 + 1, count.1 + data.len() as u64);
                    }
                }
            }
            op::DATA_END => break,
            _ => records.skip(&head)?,
        }
    }
    Ok(counts)
}
