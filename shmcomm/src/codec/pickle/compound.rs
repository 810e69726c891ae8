//! Writers of the compound types: the opcodes around and between items.
//!
//! Owns [`Compound`]: it stores the opcodes that close it, and restores the writer state that its items
//! changed. Calls `ser` for each item.

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};

use super::DEEPEST;
use super::op;
use super::ser::{Next, Result, Writer};
use super::standard::{self, Shown};
use crate::codec::EncodeError;
use crate::codec::report::Step;
use crate::codec::sink::Sink;
use crate::codec::value::name;

/// Form in which the fields of a struct are written.
enum Fields {
    /// Keys and values of a dict.
    Dict,
    /// Arguments of `numpy.ndarray`.
    Array,
    /// A class, then its state.
    Instance { close_name: &'static [u8] },
    /// Arguments of a class that was written before; `state` is an argument, or is only for other formats.
    Call { state: bool },
    /// The state of an array of objects; `state` is for other formats.
    Objects,
}

pub(super) struct Compound<'w, 's, S> {
    writer: &'w mut Writer<'s, S>,
    close: &'static [u8],
    fields: Fields,
    index: usize,
    /// Values that are restored in the writer at the end.
    hashed: bool,
    repeats: usize,
}

impl<'w, 's, S: Sink> Compound<'w, 's, S> {
    pub(super) fn open(writer: &'w mut Writer<'s, S>, close: &'static [u8]) -> Result<Self> {
        if writer.depth == DEEPEST {
            return Err(EncodeError::refused(format!("nested deeper than {DEEPEST} levels")));
        }
        writer.depth += 1;
        let (hashed, repeats) = (writer.hashed, writer.repeats);
        Ok(Self { writer, close, fields: Fields::Dict, index: 0, hashed, repeats })
    }

    pub(super) fn array(writer: &'w mut Writer<'s, S>, fortran: bool) -> Result<Self> {
        // The closing bytes in Fortran order: offset 0, strides None, order "F".
        let close: &[u8] = if fortran { b"K\x00N\x8c\x01FtR" } else { b"tR" };
        Ok(Self { fields: Fields::Array, ..Self::open(writer, close)? })
    }

    pub(super) fn instance(writer: &'w mut Writer<'s, S>, name: &'static str) -> Result<Self> {
        // The state of an instance with slots is `(None, fields)`.
        const MADE: &[u8] = &[op::STACK_GLOBAL, op::EMPTY_TUPLE, op::NEWOBJ, op::NONE];
        let (close_name, close): (_, &[u8]) = match name {
            name::NAMEDTUPLE => (&MADE[..1], &[op::NEWOBJ]),
            name::SLOTTED => (MADE, &[op::TUPLE2, op::BUILD]),
            _ => (&MADE[..3], &[op::BUILD]),
        };
        Ok(Self { fields: Fields::Instance { close_name }, ..Self::open(writer, close)? })
    }

    /// Opens a class called with the value of a member.
    pub(super) fn member(writer: &'w mut Writer<'s, S>) -> Result<Self> {
        let fields = Fields::Instance { close_name: &[op::STACK_GLOBAL] };
        Ok(Self { fields, ..Self::open(writer, &[op::TUPLE1, op::REDUCE])? })
    }

    /// Opens a call with two arguments.
    pub(super) fn call(writer: &'w mut Writer<'s, S>, state: bool) -> Result<Self> {
        let fields = Fields::Call { state };
        Ok(Self { fields, ..Self::open(writer, &[op::TUPLE2, op::REDUCE])? })
    }

    pub(super) fn objects(writer: &'w mut Writer<'s, S>) -> Result<Self> {
        Ok(Self { fields: Fields::Objects, ..Self::open(writer, &[op::TUPLE, op::BUILD])? })
    }

    /// Notes that Python will hash the items.
    pub(super) fn hash_items(&mut self) {
        self.writer.hashed = true;
    }

    /// Notes that the items may be alike.
    pub(super) fn repeat(self) -> Self {
        self.writer.repeats += 1;
        self
    }

    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        value.serialize(&mut *self.writer).map_err(|error| error.under(Step::Index(self.index)))?;
        self.index += 1;
        Ok(())
    }

    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<()> {
        match self.fields {
            Fields::Dict => {
                self.writer.field_name(name);
                value.serialize(&mut *self.writer).map_err(|error| error.under(Step::Key(name)))
            }
            _ => self.part(name, value),
        }
    }

    /// Writes a field of what is no dict.
    #[inline(never)]
    fn part<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<()> {
        match (&self.fields, name) {
            (Fields::Array, "order") => return Ok(()),
            (Fields::Array, "data") => self.writer.next = Next::ByteArray,
            (Fields::Call { state: false } | Fields::Objects, "state") => return Ok(()),
            (Fields::Call { .. }, "factory") => {
                match &*Shown(value).to_string() {
                    "" => self.writer.put(op::NONE),
                    factory => self.writer.global("builtins", factory),
                }
                return Ok(());
            }
            _ => {}
        }
        value.serialize(&mut *self.writer).map_err(|error| error.under(Step::Key(name)))?;
        if let (Fields::Instance { close_name }, "name") = (&self.fields, name) {
            self.writer.put_all(close_name);
            // Python hashes an instance by its identity or by a method, and its fields need none.
            self.writer.hashed = false;
        }
        if let (Fields::Objects, "shape") = (&self.fields, name) {
            self.writer.put_all(standard::OBJECT_DTYPE);
        }
        Ok(())
    }

    fn finish(self) -> Result<()> {
        self.writer.put_all(self.close);
        self.writer.hashed = self.hashed;
        self.writer.repeats = self.repeats;
        self.writer.depth -= 1;
        Ok(())
    }
}

impl<S: Sink> SerializeSeq for Compound<'_, '_, S> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.item(value)
    }

    fn end(self) -> Result<()> {
        self.finish()
    }
}

impl<S: Sink> SerializeTuple for Compound<'_, '_, S> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.item(value)
    }

    fn end(self) -> Result<()> {
        self.finish()
    }
}

impl<S: Sink> SerializeTupleStruct for Compound<'_, '_, S> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.item(value)
    }

    fn end(self) -> Result<()> {
        self.finish()
    }
}

impl<S: Sink> SerializeTupleVariant for Compound<'_, '_, S> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.item(value)
    }

    fn end(self) -> Result<()> {
        self.finish()
    }
}

impl<S: Sink> SerializeMap for Compound<'_, '_, S> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        let hashed = std::mem::replace(&mut self.writer.hashed, true);
        key.serialize(&mut *self.writer)?;
        self.writer.hashed = hashed;
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        value.serialize(&mut *self.writer)
    }

    fn serialize_entry<K: Serialize + ?Sized, V: Serialize + ?Sized>(
        &mut self,
        key: &K,
        value: &V,
    ) -> Result<()> {
        self.serialize_key(key)?;
        self.serialize_value(value).map_err(|error| {
            let text = super::to_vec(key).ok().and_then(|key| super::from_slice::<String>(&key).ok());
            error.under(Step::Key(text.as_deref().unwrap_or("?")))
        })
    }

    fn end(self) -> Result<()> {
        self.finish()
    }
}

impl<S: Sink> SerializeStruct for Compound<'_, '_, S> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<()> {
        self.field(name, value)
    }

    fn end(self) -> Result<()> {
        self.finish()
    }
}

impl<S: Sink> SerializeStructVariant for Compound<'_, '_, S> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<()> {
        self.field(name, value)
    }

    fn end(self) -> Result<()> {
        self.finish()
    }
}
