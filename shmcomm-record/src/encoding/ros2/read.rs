//! From CDR to the bytes of a slot: the inverse of `write`.
//!
//! Owns the checks. The bytes may be hostile: every access is checked, memory for the items of a tail is taken as they
//! are read, and the caller checks the result against the layout. Calls `shape`.

use super::super::{Form, LARGEST, shape, too_large};
use super::write::HEADER;
use shmcomm::message::{Prim, Std};
use shmcomm::schema::{Layout, LayoutField, LayoutKind};

struct Reader<'i> {
    /// The bytes behind the header.
    data: &'i [u8],
    at: usize,
    wide: bool,
}

type Done = Result<(), String>;

/// Returns the bytes of the slot.
pub(in crate::encoding) fn read(form: &Form, cdr: &[u8], wide: bool) -> Result<Vec<u8>, String> {
    match cdr.first_chunk::<4>() {
        Some(header) if header[..2] == HEADER[..2] => {}
        Some(header) => {
            return Err(format!("the CDR header {header:02x?} is not plain CDR of this byte order"));
        }
        None => return Err(format!("{} bytes are too short for the header of CDR", cdr.len())),
    }
    let mut reader = Reader { data: &cdr[4..], at: 0, wide };
    let out = match form {
        Form::Fixed(layout) => {
            let mut out = vec![0; layout.size()];
            reader.field(layout, &mut out)?;
            out
        }
        Form::Tail { header, item } => {
            let mut out = vec![0; header.size()];
            reader.field(header, &mut out)?;
            if !shape::is_void(item) {
                let number = reader.word()? as usize;
                out.resize(Form::items_at(header, item), 0);
                reader.tail(item, &mut out, number)?;
            }
            out
        }
        _ => return Err("the channel has no layout".to_owned()),
    };
    if reader.at == 0 {
        reader.take(1)?;
    }
    match reader.data.len() - reader.at {
        0 => Ok(out),
        more => Err(format!("{more} bytes follow the message")),
    }
}

impl<'i> Reader<'i> {
    fn take(&mut self, len: usize) -> Result<&'i [u8], String> {
        let taken = self.data.get(self.at..).and_then(|rest| rest.get(..len));
        let taken = taken.ok_or_else(|| format!("the message ends before byte {}", self.at + len))?;
        self.at += len;
        Ok(taken)
    }

    fn align(&mut self, to: usize) -> Done {
        let gap = self.at.next_multiple_of(to) - self.at;
        self.take(gap).map(|_| ())
    }

    fn word(&mut self) -> Result<u32, String> {
        self.align(4)?;
        Ok(shape::word(self.take(4)?))
    }

    /// Reads a number at its alignment to the start of `out`.
    fn number(&mut self, size: usize, out: &mut [u8]) -> Done {
        self.align(size)?;
        put(out, 0, self.take(size)?)
    }

    fn count(&mut self, most: usize, what: &str) -> Result<usize, String> {
        match self.word()? as usize {
            number if number <= most => Ok(number),
            number => Err(format!("{number} items exceed the capacity of {most} of a {what}")),
        }
    }

    fn field(&mut self, layout: &Layout, out: &mut [u8]) -> Done {
        if shape::is_void(layout) { Ok(()) } else { self.value(layout, out) }
    }

    fn value(&mut self, layout: &Layout, out: &mut [u8]) -> Done {
        match layout.kind() {
            LayoutKind::Prim(prim) | LayoutKind::Enum { prim, .. } | LayoutKind::Std(Std::NonZero(prim)) => {
                self.number(prim.size(), out)
            }
            LayoutKind::Bool => put(out, 0, self.take(1)?),
            LayoutKind::Char => self.number(4, out),
            LayoutKind::Timestamp if self.wide => self.number(8, out),
            LayoutKind::Timestamp => {
                let (seconds, nanoseconds) = (self.word()? as i32, self.word()?);
                let total = i64::from(seconds) * 1_000_000_000 + i64::from(nanoseconds);
                put(out, 0, &total.to_ne_bytes())
            }
            LayoutKind::Std(Std::Duration) => {
                if self.wide {
                    self.number(8, out)?;
                } else {
                    let seconds = self.word()? as i32;
                    let seconds = u64::try_from(seconds).map_err(|_| "a duration below zero".to_owned())?;
                    put(out, 0, &seconds.to_ne_bytes())?;
                }
                put(out, 8, &self.word()?.to_ne_bytes())
            }
            LayoutKind::Std(Std::OptionNonZero(prim)) => match self.count(1, "option")? {
                0 => Ok(()),
                _ => self.number(prim.size(), out),
            },
            LayoutKind::Array { .. } => {
                let (number, item) = shape::flat(layout);
                self.items(item, out, number)
            }
            LayoutKind::Str { capacity } => {
                let text = match self.word()? as usize {
                    0 => return Err("a text without its end".to_owned()),
                    len => self.take(len)?,
                };
                let text = &text[..text.len() - 1];
                if text.len() > *capacity {
                    let len = text.len();
                    return Err(format!("a text of {len} bytes exceeds the capacity of {capacity}"));
                }
                put(out, 0, &(text.len() as u32).to_ne_bytes())?;
                put(out, 4, text)
            }
            LayoutKind::List { item, capacity, offset } => {
                let number = self.count(*capacity, "list")?;
                put(out, 0, &(number as u32).to_ne_bytes())?;
                self.items(item, out.get_mut(*offset..).unwrap_or(&mut []), number)
            }
            LayoutKind::Maybe { item, offset } => {
                let number = self.count(1, "option")?;
                put(out, 0, &(number as u32).to_ne_bytes())?;
                self.items(item, out.get_mut(*offset..).unwrap_or(&mut []), number)
            }
            LayoutKind::Struct { fields, .. } => self.fields(fields, out),
            LayoutKind::Choice { prim, variants, .. } => {
                self.number(prim.size(), out)?;
                let tag = shape::tag(*prim, out);
                for variant in variants {
                    if shape::visible(variant.fields()).next().is_some() {
                        let chosen = self.count(1, "variant")? == 1;
                        if chosen != (variant.value == tag) {
                            return Err(format!("the data of variant `{}` is out of place", variant.name));
                        }
                        if chosen {
                            self.fields(variant.fields(), out)?;
                        }
                    }
                }
                Ok(())
            }
            _ if layout.size() == 0 => self.take(1).map(|_| ()),
            _ => put(out, 0, self.take(layout.size())?),
        }
    }

    fn fields(&mut self, fields: &[LayoutField], out: &mut [u8]) -> Done {
        let before = self.at;
        for field in shape::visible(fields) {
            let end = field.offset.saturating_add(field.layout.size());
            self.value(&field.layout, out.get_mut(field.offset..end).unwrap_or(&mut []))?;
        }
        if self.at == before { self.take(1).map(|_| ()) } else { Ok(()) }
    }

    fn items(&mut self, item: &Layout, out: &mut [u8], number: usize) -> Done {
        if number == 0 {
            return Ok(());
        }
        match item.kind() {
            LayoutKind::Prim(prim) | LayoutKind::Enum { prim, .. } => self.run(*prim, out, number),
            LayoutKind::Bool => self.run(Prim::U8, out, number),
            _ if shape::is_void(item) => self.take(number).map(|_| ()),
            _ => {
                for index in 0..number {
                    let at = index * item.size();
                    self.value(item, out.get_mut(at..at + item.size()).unwrap_or(&mut []))?;
                }
                Ok(())
            }
        }
    }

    /// Appends the items of a tail.
    fn tail(&mut self, item: &Layout, out: &mut Vec<u8>, number: usize) -> Done {
        let (at, size) = (out.len(), item.size());
        let copied = matches!(item.kind(), LayoutKind::Prim(_) | LayoutKind::Enum { .. } | LayoutKind::Bool);
        if copied {
            // The items have the same size in CDR.
            let left = self.data.len() - self.at;
            if number.saturating_mul(size) > left {
                return Err(format!("a tail of {number} items of {size} bytes in {left} bytes"));
            }
            out.resize(at + number * size, 0);
            return self.items(item, &mut out[at..], number);
        }
        for _ in 0..number {
            let at = out.len();
            let end = at.saturating_add(size);
            if end > LARGEST {
                return Err(too_large(end).to_string());
            }
            // An item has at least one byte in CDR.
            if self.at >= self.data.len() {
                return Err(format!("a tail of {number} items ends before its last item"));
            }
            out.resize(end, 0);
            self.items(item, &mut out[at..], 1)?;
        }
        Ok(())
    }

    fn run(&mut self, prim: Prim, out: &mut [u8], number: usize) -> Done {
        self.align(prim.size())?;
        put(out, 0, self.take(number.saturating_mul(prim.size()))?)
    }
}

fn put(out: &mut [u8], offset: usize, bytes: &[u8]) -> Done {
    let place = out.get_mut(offset..).and_then(|rest| rest.get_mut(..bytes.len()));
    place.ok_or_else(|| "the layout is inconsistent".to_owned())?.copy_from_slice(bytes);
    Ok(())
}
