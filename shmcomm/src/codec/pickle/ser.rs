//! serde's `Serializer`: Rust values as the pickle that CPython would load.
//!
//! Owns the choice of opcodes. Calls `sink` to write front to back, each byte once; keeps no part of the
//! message. Only the length of the frame is filled in at the end.

use serde::Serializer;
use serde::ser::Serialize;

use super::compound::Compound;
use super::op;
use super::standard;
use crate::codec::BigInt;
use crate::codec::EncodeError;
use crate::codec::report::Step;
use crate::codec::sink::Sink;
use crate::codec::value::{EXT, name};

pub(super) type Result<T> = std::result::Result<T, EncodeError>;

/// Python type of the next sequence or byte string.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Plain,
    Set,
    FrozenSet,
    ByteArray,
    Long,
}

pub(super) struct Writer<'s, S> {
    out: &'s mut S,
    protocol: u8,
    pub(super) next: Next,
    /// `true` if Python must hash the value: a key, or an item of a set.
    pub(super) hashed: bool,
    pub(super) depth: usize,
    /// Number of lists and sets around the value. Within them, memoizing the names of fields pays off.
    pub(super) repeats: usize,
    names: Names,
}

/// Names of fields that are in Python's memo, by address.
struct Names {
    slots: [(usize, usize, u32); Names::SLOTS],
    memoized: u32,
}

impl Names {
    const SLOTS: usize = 64;
}

/// Writes one whole pickle.
pub(super) fn write<S: Sink, T: Serialize + ?Sized>(value: &T, protocol: u8, out: &mut S) -> Result<()> {
    let start = out.position();
    out.put(&[op::PROTO, protocol, op::FRAME, 0, 0, 0, 0, 0, 0, 0, 0]);
    let body = out.position();
    let mut writer = Writer {
        out,
        protocol,
        next: Next::Plain,
        hashed: false,
        depth: 0,
        repeats: 0,
        names: Names { slots: [(0, 0, 0); Names::SLOTS], memoized: 0 },
    };
    value.serialize(&mut writer)?;
    writer.put(op::STOP);
    let len = (out.position() - body) as u64;
    out.patch(start + 3, &len.to_le_bytes());
    Ok(())
}

impl<S: Sink> Writer<'_, S> {
    #[inline]
    pub(super) fn put(&mut self, opcode: u8) {
        self.out.put(&[opcode]);
    }

    pub(super) fn put_all(&mut self, opcodes: &[u8]) {
        self.out.put(opcodes);
    }

    /// Writes an opcode and a length, in the shortest form.
    fn head(&mut self, short: u8, medium: u8, long: u8, len: usize) {
        if let Ok(len) = u8::try_from(len) {
            self.out.put(&[short, len]);
        } else if let Ok(len) = u32::try_from(len) {
            let [a, b, c, d] = len.to_le_bytes();
            self.out.put(&[medium, a, b, c, d]);
        } else {
            self.put(long);
            self.out.put(&(len as u64).to_le_bytes());
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        self.head(op::SHORT_BINUNICODE, op::BINUNICODE, op::BINUNICODE8, text.len());
        self.out.put(text.as_bytes());
    }

    /// Writes the name of a field. A name that may repeat is written by reference from the second time on.
    pub(super) fn field_name(&mut self, name: &'static str) {
        if self.repeats == 0 {
            return self.text(name);
        }
        // The same address and length is the same text, as the text is never freed.
        let address = name.as_ptr() as usize;
        let slot = (address ^ (address >> 6) ^ name.len()) % Names::SLOTS;
        match self.names.slots[slot] {
            (seen, len, index) if seen == address && len == name.len() && len > 0 => {
                if let Ok(index) = u8::try_from(index) {
                    self.out.put(&[op::BINGET, index]);
                } else {
                    self.put(op::LONG_BINGET);
                    self.out.put(&index.to_le_bytes());
                }
            }
            _ => {
                self.text(name);
                self.put(op::MEMOIZE);
                self.names.slots[slot] = (address, name.len(), self.names.memoized);
                self.names.memoized += 1;
            }
        }
    }

    pub(super) fn global(&mut self, module: &str, name: &str) {
        self.text(module);
        self.text(name);
        self.put(op::STACK_GLOBAL);
    }

    pub(super) fn blob(&mut self, bytes: &[u8]) {
        self.head(op::SHORT_BINBYTES, op::BINBYTES, op::BINBYTES8, bytes.len());
        self.out.put(bytes);
    }

    fn byte_array(&mut self, bytes: &[u8]) {
        if self.protocol >= 5 {
            self.put(op::BYTEARRAY8);
            self.out.put(&(bytes.len() as u64).to_le_bytes());
            self.out.put(bytes);
        } else {
            self.global("builtins", "bytearray");
            self.blob(bytes);
            self.out.put(&[op::TUPLE1, op::REDUCE]);
        }
    }

    fn long(&mut self, bytes: &[u8]) {
        if let Ok(len) = u8::try_from(bytes.len()) {
            self.out.put(&[op::LONG1, len]);
        } else {
            self.put(op::LONG4);
            self.out.put(&(bytes.len() as u32).to_le_bytes());
        }
        self.out.put(bytes);
    }

    pub(super) fn int(&mut self, n: i64) {
        if let Ok(n) = u8::try_from(n) {
            self.out.put(&[op::BININT1, n]);
        } else if let Ok(n) = u16::try_from(n) {
            let [a, b] = n.to_le_bytes();
            self.out.put(&[op::BININT2, a, b]);
        } else if let Ok(n) = i32::try_from(n) {
            let [a, b, c, d] = n.to_le_bytes();
            self.out.put(&[op::BININT, a, b, c, d]);
        } else {
            let bytes = n.to_le_bytes();
            // The shortest form that keeps the sign, as Python writes it.
            let spare = (n ^ (n >> 63)).leading_zeros() as usize - 1;
            self.long(&bytes[..8 - spare / 8]);
        }
    }

    pub(super) fn unhashable(&self, what: &str) -> Result<()> {
        match self.hashed {
            true => Err(EncodeError::refused(format!(
                "a {what} cannot be a dict key or stand in a set: Python cannot hash it"
            ))),
            false => Ok(()),
        }
    }

    fn tuple_close(len: usize, variant: bool) -> &'static [u8] {
        match (len, variant) {
            (0, false) => &[op::EMPTY_TUPLE],
            (1, false) => &[op::TUPLE1],
            (2, false) => &[op::TUPLE2],
            (3, false) => &[op::TUPLE3],
            (_, false) => &[op::TUPLE],
            (0, true) => &[op::EMPTY_TUPLE, op::SETITEM],
            (1, true) => &[op::TUPLE1, op::SETITEM],
            (2, true) => &[op::TUPLE2, op::SETITEM],
            (3, true) => &[op::TUPLE3, op::SETITEM],
            (_, true) => &[op::TUPLE, op::SETITEM],
        }
    }

    /// Opens a dict whose only key is the name of a variant.
    fn variant(&mut self, name: &'static str) -> Result<()> {
        self.unhashable("enum with content")?;
        self.put(op::EMPTY_DICT);
        self.field_name(name);
        Ok(())
    }
}

impl<'w, 's, S: Sink> Serializer for &'w mut Writer<'s, S> {
    type Ok = ();
    type Error = EncodeError;
    type SerializeSeq = Compound<'w, 's, S>;
    type SerializeTuple = Compound<'w, 's, S>;
    type SerializeTupleStruct = Compound<'w, 's, S>;
    type SerializeTupleVariant = Compound<'w, 's, S>;
    type SerializeMap = Compound<'w, 's, S>;
    type SerializeStruct = Compound<'w, 's, S>;
    type SerializeStructVariant = Compound<'w, 's, S>;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bool(self, truth: bool) -> Result<()> {
        self.put(if truth { op::NEWTRUE } else { op::NEWFALSE });
        Ok(())
    }

    fn serialize_i8(self, n: i8) -> Result<()> {
        self.serialize_i64(n.into())
    }

    fn serialize_i16(self, n: i16) -> Result<()> {
        self.serialize_i64(n.into())
    }

    fn serialize_i32(self, n: i32) -> Result<()> {
        self.serialize_i64(n.into())
    }

    fn serialize_i64(self, n: i64) -> Result<()> {
        self.int(n);
        Ok(())
    }

    fn serialize_i128(self, n: i128) -> Result<()> {
        match i64::try_from(n) {
            Ok(n) => self.int(n),
            Err(_) => self.long(BigInt::from(n).as_le_bytes()),
        }
        Ok(())
    }

    fn serialize_u8(self, n: u8) -> Result<()> {
        self.serialize_i64(n.into())
    }

    fn serialize_u16(self, n: u16) -> Result<()> {
        self.serialize_i64(n.into())
    }

    fn serialize_u32(self, n: u32) -> Result<()> {
        self.serialize_i64(n.into())
    }

    fn serialize_u64(self, n: u64) -> Result<()> {
        self.serialize_i128(n.into())
    }

    fn serialize_u128(self, n: u128) -> Result<()> {
        match i64::try_from(n) {
            Ok(n) => self.int(n),
            Err(_) => self.long(BigInt::from(n).as_le_bytes()),
        }
        Ok(())
    }

    fn serialize_f32(self, x: f32) -> Result<()> {
        self.serialize_f64(x.into())
    }

    fn serialize_f64(self, x: f64) -> Result<()> {
        let [a, b, c, d, e, f, g, h] = x.to_be_bytes();
        self.out.put(&[op::BINFLOAT, a, b, c, d, e, f, g, h]);
        Ok(())
    }

    fn serialize_char(self, c: char) -> Result<()> {
        self.text(c.encode_utf8(&mut [0; 4]));
        Ok(())
    }

    fn serialize_str(self, text: &str) -> Result<()> {
        self.text(text);
        Ok(())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<()> {
        match std::mem::replace(&mut self.next, Next::Plain) {
            Next::ByteArray => self.byte_array(bytes),
            Next::Long => self.long(bytes),
            _ => self.blob(bytes),
        }
        Ok(())
    }

    fn serialize_none(self) -> Result<()> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<()> {
        self.put(op::NONE);
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<()> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<()> {
        self.text(variant);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<()> {
        // Names of other types never start with this character.
        if name.starts_with('$') || name == EXT {
            return self.newtype(name, value);
        }
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<()> {
        self.variant(variant)?;
        value.serialize(&mut *self).map_err(|error| error.under(Step::Key(variant)))?;
        self.put(op::SETITEM);
        Ok(())
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Compound<'w, 's, S>> {
        let empty = len == Some(0);
        let close: &[u8] = match std::mem::replace(&mut self.next, Next::Plain) {
            Next::Set => {
                self.unhashable("set")?;
                self.put(op::EMPTY_SET);
                if empty { &[] } else { &[op::ADDITEMS] }
            }
            Next::FrozenSet => {
                self.put(op::MARK);
                let mut items = Compound::open(self, &[op::FROZENSET])?;
                items.hash_items();
                return Ok(items.repeat());
            }
            _ => {
                self.unhashable("list")?;
                self.put(op::EMPTY_LIST);
                if empty { &[] } else { &[op::APPENDS] }
            }
        };
        let set = close == [op::ADDITEMS];
        if !empty {
            self.put(op::MARK);
        }
        let mut items = Compound::open(self, close)?;
        if set {
            items.hash_items();
        }
        Ok(items.repeat())
    }

    fn serialize_tuple(self, len: usize) -> Result<Compound<'w, 's, S>> {
        if len > 3 {
            self.put(op::MARK);
        }
        let close = Writer::<S>::tuple_close(len, false);
        Compound::open(self, close)
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Compound<'w, 's, S>> {
        self.serialize_tuple(len)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Compound<'w, 's, S>> {
        self.variant(variant)?;
        if len > 3 {
            self.put(op::MARK);
        }
        let close = Writer::<S>::tuple_close(len, true);
        Compound::open(self, close)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Compound<'w, 's, S>> {
        self.unhashable("dict")?;
        self.put(op::EMPTY_DICT);
        if len == Some(0) {
            return Compound::open(self, &[]);
        }
        self.put(op::MARK);
        Ok(Compound::open(self, &[op::SETITEMS])?.repeat())
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Compound<'w, 's, S>> {
        match name {
            name::ARRAY | name::ARRAY_F => {
                self.unhashable("numpy.ndarray")?;
                self.global("numpy", "ndarray");
                self.put(op::MARK);
                Compound::array(self, name == name::ARRAY_F)
            }
            name::OBJECT | name::SLOTTED | name::NAMEDTUPLE => Compound::instance(self, name),
            name::ENUM => Compound::member(self),
            name::DEQUE | name::DEFAULTDICT | name::TYPED_ARRAY => {
                let (module, class) = match name {
                    name::DEQUE => ("collections", "deque"),
                    name::DEFAULTDICT => ("collections", "defaultdict"),
                    _ => ("array", "array"),
                };
                self.unhashable(class)?;
                self.global(module, class);
                Compound::call(self, name != name::TYPED_ARRAY)
            }
            name::OBJECT_ARRAY => {
                self.unhashable("numpy.ndarray")?;
                self.put_all(standard::OBJECTS);
                Compound::objects(self)
            }
            _ => {
                self.unhashable("struct")?;
                self.put(op::EMPTY_DICT);
                if len == 0 {
                    return Compound::open(self, &[]);
                }
                self.put(op::MARK);
                Compound::open(self, &[op::SETITEMS])
            }
        }
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Compound<'w, 's, S>> {
        self.variant(variant)?;
        self.out.put(&[op::EMPTY_DICT, op::MARK]);
        Compound::open(self, &[op::SETITEMS, op::SETITEM])
    }
}
