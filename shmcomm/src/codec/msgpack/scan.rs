//! Scan of a message before it is decoded.
//!
//! Owns the proof that `rmp-serde` may trust every length it reads. Calls nothing. Iterates over the tokens
//! with a stack of fixed size, and allocates only for an error.

use crate::codec::{DecodeError, DecodeErrorKind as Kind};
use crate::plural::count;

/// Maximum nesting depth of containers.
const MAX_DEPTH: usize = 128;

type Result<T> = std::result::Result<T, DecodeError>;

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Checks that `bytes` are exactly one message.
pub(super) fn scan(bytes: &[u8]) -> Result<()> {
    let mut scan = Scan { bytes, at: 0 };
    // Number of values still expected at each level.
    let mut left = [0u64; MAX_DEPTH + 1];
    left[0] = 1;
    let mut depth = 0;
    loop {
        while left[depth] == 0 {
            if depth == 0 {
                return match bytes.len() - scan.at {
                    0 => Ok(()),
                    extra => {
                        let reason =
                            format!("{extra} after the end of the message", extra = count(extra, "byte"));
                        Err(DecodeError::new(Kind::Trailing, reason).at(scan.at))
                    }
                };
            }
            depth -= 1;
        }
        left[depth] -= 1;
        let start = scan.at;
        let inside = scan.token().map_err(|error| error.at(start))?;
        if inside > 0 {
            depth += 1;
            if depth > MAX_DEPTH {
                return Err(
                    DecodeError::new(Kind::Limit, format!("nested deeper than {MAX_DEPTH} levels")).at(start)
                );
            }
            left[depth] = inside;
        }
    }
}

impl Scan<'_> {
    /// Skips one value, or the head of a container. Returns the number of values in it.
    fn token(&mut self) -> Result<u64> {
        let marker = self.take(1)?[0];
        match marker {
            0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => {}
            0x80..=0x8f => return self.inside(u64::from(marker & 0x0f) * 2),
            0x90..=0x9f => return self.inside(u64::from(marker & 0x0f)),
            0xa0..=0xbf => self.text(usize::from(marker & 0x1f))?,
            0xcc | 0xd0 => self.skip(1)?,
            0xcd | 0xd1 => self.skip(2)?,
            0xca | 0xce | 0xd2 => self.skip(4)?,
            0xcb | 0xcf | 0xd3 => self.skip(8)?,
            0xc4..=0xc6 => {
                let len = self.len(1 << (marker - 0xc4))?;
                self.skip(len)?;
            }
            0xd9..=0xdb => {
                let len = self.len(1 << (marker - 0xd9))?;
                self.text(len)?;
            }
            0xdc | 0xdd => {
                let len = self.len(2 << (marker - 0xdc))?;
                return self.inside(len as u64);
            }
            0xde | 0xdf => {
                let len = self.len(2 << (marker - 0xde))?;
                return self.inside(len as u64 * 2);
            }
            // An extension: its type number, and bytes.
            0xc7..=0xc9 => {
                let len = self.len(1 << (marker - 0xc7))?;
                self.skip(1)?;
                self.skip(len)?;
            }
            0xd4..=0xd8 => self.skip(1 + (1 << (marker - 0xd4)))?,
            0xc1 => return Err(DecodeError::new(Kind::Malformed, "0xc1 is never used in msgpack")),
        }
        Ok(0)
    }

    fn take(&mut self, len: usize) -> Result<&[u8]> {
        let left = self.bytes.len() - self.at;
        if len > left {
            let reason = format!("{len} more bytes are needed, with {left} left");
            return Err(DecodeError::new(Kind::Truncated, reason));
        }
        self.at += len;
        Ok(&self.bytes[self.at - len..self.at])
    }

    fn skip(&mut self, len: usize) -> Result<()> {
        self.take(len).map(drop)
    }

    fn len(&mut self, width: usize) -> Result<usize> {
        Ok(self.take(width)?.iter().fold(0, |len, &byte| (len << 8) | usize::from(byte)))
    }

    fn text(&mut self, len: usize) -> Result<()> {
        match std::str::from_utf8(self.take(len)?) {
            Ok(_) => Ok(()),
            Err(_) => Err(DecodeError::new(Kind::Malformed, "a str is not UTF-8")),
        }
    }

    /// Checks that the values of a container can fit: each takes at least one byte.
    fn inside(&self, values: u64) -> Result<u64> {
        let left = (self.bytes.len() - self.at) as u64;
        if values > left {
            let reason = format!(
                "a container claims {values} keys and values, with {left} left",
                left = count(left, "byte")
            );
            return Err(DecodeError::new(Kind::Truncated, reason));
        }
        Ok(values)
    }
}

/// Returns Python's name for the kind of value that a marker begins.
pub(super) fn kind(marker: u8) -> &'static str {
    match marker {
        0x00..=0x7f | 0xe0..=0xff | 0xcc..=0xcf | 0xd0..=0xd3 => "int",
        0x80..=0x8f | 0xde | 0xdf => "a dict",
        0x90..=0x9f | 0xdc | 0xdd => "a list",
        0xa0..=0xbf | 0xd9..=0xdb => "str",
        0xc0 => "None",
        0xc2 | 0xc3 => "bool",
        0xca | 0xcb => "float",
        0xc4..=0xc6 => "bytes",
        _ => "an extension type",
    }
}
