//! From the bytes of a slot to CDR: XCDR version 1, in the byte order of the machine.
//!
//! Owns the bytes. The caller checked the message, so that its counts and tags are in range. Calls `shape`.
//! Never panics, whatever the bytes are.

use super::super::{Form, shape};
use shmcomm::message::{Prim, Std};
use shmcomm::schema::{Layout, LayoutField, LayoutKind};

/// Header of the encapsulation: plain CDR, in the byte order of the machine.
pub(super) const HEADER: [u8; 4] = [0, cfg!(target_endian = "little") as u8, 0, 0];

/// A time or a duration whose seconds exceed 32 bits.
pub(in crate::encoding) struct OutOfRange;

struct Writer<'o> {
    out: &'o mut Vec<u8>,
    /// Offset from which values are aligned.
    base: usize,
    wide: bool,
}

/// Appends a message as CDR.
pub(in crate::encoding) fn write(
    form: &Form,
    bytes: &[u8],
    wide: bool,
    out: &mut Vec<u8>,
) -> Result<(), OutOfRange> {
    out.extend_from_slice(&HEADER);
    let base = out.len();
    let mut writer = Writer { out, base, wide };
    match form {
        Form::Fixed(layout) => writer.field(layout, bytes)?,
        Form::Tail { header, item } => {
            writer.field(header, shape::part(bytes, 0, header.size()))?;
            if !shape::is_void(item) {
                let items = bytes.get(Form::items_at(header, item)..).unwrap_or(&[]);
                let number = items.len().checked_div(item.size()).unwrap_or(0);
                writer.list(item, items, number)?;
            }
        }
        _ => {}
    }
    if writer.out.len() == base {
        writer.out.push(0);
    }
    Ok(())
}

impl Writer<'_> {
    fn align(&mut self, to: usize) {
        let at = (self.out.len() - self.base).next_multiple_of(to) + self.base;
        self.out.resize(at, 0);
    }

    fn put(&mut self, bytes: &[u8]) {
        self.align(bytes.len().max(1));
        self.out.extend_from_slice(bytes);
    }

    fn field(&mut self, layout: &Layout, b: &[u8]) -> Result<(), OutOfRange> {
        if shape::is_void(layout) { Ok(()) } else { self.value(layout, b) }
    }

    fn value(&mut self, layout: &Layout, b: &[u8]) -> Result<(), OutOfRange> {
        match layout.kind() {
            LayoutKind::Prim(prim) | LayoutKind::Enum { prim, .. } | LayoutKind::Std(Std::NonZero(prim)) => {
                self.put(shape::part(b, 0, prim.size()))
            }
            LayoutKind::Bool => self.out.extend_from_slice(shape::part(b, 0, 1)),
            LayoutKind::Char => self.put(shape::part(b, 0, 4)),
            LayoutKind::Timestamp => {
                let nanoseconds = b.first_chunk().map_or(0, |n| i64::from_ne_bytes(*n));
                if self.wide {
                    self.put(&nanoseconds.to_ne_bytes());
                } else {
                    let seconds = nanoseconds.div_euclid(1_000_000_000);
                    self.put(&i32::try_from(seconds).map_err(|_| OutOfRange)?.to_ne_bytes());
                    self.put(&(nanoseconds.rem_euclid(1_000_000_000) as u32).to_ne_bytes());
                }
            }
            LayoutKind::Std(Std::Duration) => {
                let seconds = b.first_chunk().map_or(0, |n| u64::from_ne_bytes(*n));
                if self.wide {
                    self.put(&seconds.to_ne_bytes());
                } else {
                    self.put(&i32::try_from(seconds).map_err(|_| OutOfRange)?.to_ne_bytes());
                }
                self.put(shape::part(b, 8, 4));
            }
            LayoutKind::Std(Std::OptionNonZero(prim)) => {
                let number = shape::part(b, 0, prim.size());
                let some = number.iter().any(|byte| *byte != 0);
                self.put(&u32::from(some).to_ne_bytes());
                if some {
                    self.put(number);
                }
            }
            LayoutKind::Pad | LayoutKind::Opaque { .. } | LayoutKind::Std(_) => self.bytes(layout, b),
            LayoutKind::Array { .. } => {
                let (number, item) = shape::flat(layout);
                self.items(item, b, number)?;
            }
            LayoutKind::Str { capacity } => {
                let text = shape::part(b, 4, (shape::word(b) as usize).min(*capacity));
                self.put(&(text.len() as u32 + 1).to_ne_bytes());
                self.out.extend_from_slice(text);
                self.out.push(0);
            }
            LayoutKind::List { item, capacity, offset } => {
                let number = (shape::word(b) as usize).min(*capacity);
                self.list(item, b.get(*offset..).unwrap_or(&[]), number)?;
            }
            LayoutKind::Maybe { item, offset } => {
                let number = usize::from(shape::word(b) == 1);
                self.list(item, b.get(*offset..).unwrap_or(&[]), number)?;
            }
            LayoutKind::Struct { fields, .. } => self.fields(fields, b)?,
            LayoutKind::Choice { prim, variants, .. } => {
                let tag = shape::tag(*prim, b);
                self.put(shape::part(b, 0, prim.size()));
                for variant in variants {
                    if shape::visible(variant.fields()).next().is_some() {
                        let chosen = variant.value == tag;
                        self.put(&u32::from(chosen).to_ne_bytes());
                        if chosen {
                            self.fields(variant.fields(), b)?;
                        }
                    }
                }
            }
            _ => self.bytes(layout, b),
        }
        Ok(())
    }

    fn bytes(&mut self, layout: &Layout, b: &[u8]) {
        match layout.size() {
            0 => self.out.push(0),
            size => self.out.extend_from_slice(shape::part(b, 0, size)),
        }
    }

    fn fields(&mut self, fields: &[LayoutField], b: &[u8]) -> Result<(), OutOfRange> {
        let before = self.out.len();
        for field in shape::visible(fields) {
            self.value(&field.layout, shape::part(b, field.offset, field.layout.size()))?;
        }
        // The member that a message without values has.
        if self.out.len() == before {
            self.out.push(0);
        }
        Ok(())
    }

    fn list(&mut self, item: &Layout, b: &[u8], number: usize) -> Result<(), OutOfRange> {
        self.put(&(number as u32).to_ne_bytes());
        self.items(item, b, number)
    }

    fn items(&mut self, item: &Layout, b: &[u8], number: usize) -> Result<(), OutOfRange> {
        if number == 0 {
            return Ok(());
        }
        match item.kind() {
            LayoutKind::Prim(prim) | LayoutKind::Enum { prim, .. } => self.run(*prim, b, number),
            LayoutKind::Bool => self.run(Prim::U8, b, number),
            // Nested arrays in a list are helper messages; their values follow each other.
            _ if shape::is_void(item) => self.out.resize(self.out.len() + number, 0),
            _ => {
                for index in 0..number {
                    self.value(item, shape::part(b, index * item.size(), item.size()))?;
                }
            }
        }
        Ok(())
    }

    /// Copies numbers that lie one behind the other.
    fn run(&mut self, prim: Prim, b: &[u8], number: usize) {
        self.align(prim.size());
        self.out.extend_from_slice(shape::part(b, 0, number * prim.size()));
    }
}
