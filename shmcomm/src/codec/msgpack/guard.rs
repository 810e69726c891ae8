//! A serializer in front of that of `rmp-serde`, which refuses values that Python could not load.
//!
//! Owns the rules for map keys, large integers and depth, and the kinds of a `Value` that msgpack lacks.
//! Calls `rmp-serde` for everything else; writes nothing itself.

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::io::Write;

use serde::ser::{Error as _, Serialize, Serializer};

use super::super::report::Step;
use super::super::value::{AsBytes, EXT, Leaf, is_leaf, name};
use super::super::{EncodeError, MsgpackTimestamp, Value};
use super::wrapped::{Fields, Items};

/// Maximum nesting depth of containers.
const DEEPEST: usize = 256;

/// State of the message while it is written.
#[derive(Default)]
pub(super) struct Watch {
    depth: Cell<usize>,
    /// Path to an error, collected on its way out.
    path: RefCell<String>,
}

/// Writes one whole message.
pub(super) fn write<W: Write, T: Serialize + ?Sized>(value: &T, out: &mut W) -> Result<(), EncodeError> {
    let watch = Watch::default();
    let mut inner = rmp_serde::Serializer::new(out).with_struct_map();
    value.serialize(Guard::new(&mut inner, &watch)).map_err(|error| {
        EncodeError::Refused { path: watch.path.take(), reason: error.to_string() }.shortened()
    })
}

impl Watch {
    pub(super) fn under<E>(&self, step: Step<'_>) -> impl FnOnce(E) -> E {
        move |error| {
            step.prepend(&mut self.path.borrow_mut());
            error
        }
    }

    fn enter<E: serde::ser::Error>(&self) -> Result<(), E> {
        if self.depth.get() == DEEPEST {
            return Err(E::custom(format_args!("nested deeper than {DEEPEST} levels")));
        }
        self.depth.set(self.depth.get() + 1);
        Ok(())
    }

    pub(super) fn leave(&self) {
        self.depth.set(self.depth.get() - 1);
    }
}

/// Text that a value serializes as.
struct Shown<'a, T: ?Sized>(&'a T);

impl<T: Serialize + ?Sized> Display for Shown<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.serialize(f)
    }
}

/// A value that is serialized through a guard.
pub(super) struct Guarded<'a, T: ?Sized> {
    pub(super) value: &'a T,
    pub(super) watch: &'a Watch,
    pub(super) key: bool,
}

impl<T: Serialize + ?Sized> Serialize for Guarded<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Guard { inner: serializer, watch: self.watch, key: self.key })
    }
}

pub(super) struct Guard<'a, S> {
    inner: S,
    watch: &'a Watch,
    /// `true` if the value is the key of a map.
    key: bool,
}

impl<'a, S: Serializer> Guard<'a, S> {
    fn new(inner: S, watch: &'a Watch) -> Self {
        Self { inner, watch, key: false }
    }

    /// Refuses a key that is neither `str` nor `bytes`.
    fn no_key(&self, what: impl Display) -> Result<(), S::Error> {
        match self.key {
            true => Err(S::Error::custom(format_args!(
                "{what} as a map key: Python's msgpack loads only str and bytes (`strict_map_key`)"
            ))),
            false => Ok(()),
        }
    }

    fn too_wide(n: impl Display) -> S::Error {
        S::Error::custom(format_args!("the int {n} has more than the 64 bits of msgpack"))
    }

    /// Writes a value with a text: as msgpack's timestamp if it is a point in time, otherwise as the text.
    fn leaf<T: Serialize + ?Sized>(self, name: &str, value: &T) -> Result<S::Ok, S::Error> {
        let leaf = match Leaf::read(name, &Shown(value).to_string()) {
            Some(leaf) => leaf.map_err(S::Error::custom)?,
            None => return value.serialize(self),
        };
        let stamp = match &leaf {
            Leaf::Timestamp(stamp) => {
                self.no_key("a timestamp")?;
                Some(*stamp)
            }
            Leaf::DateTime(time) => MsgpackTimestamp::of_datetime(time),
            _ => None,
        };
        match stamp {
            Some(stamp) if !self.key => {
                self.inner.serialize_newtype_struct(EXT, &(-1i8, AsBytes(&stamp.to_ext())))
            }
            _ => self.inner.serialize_str(&leaf.to_string()),
        }
    }

    fn items<I>(
        self,
        what: &str,
        open: impl FnOnce(S) -> Result<I, S::Error>,
    ) -> Result<Items<'a, I>, S::Error> {
        self.no_key(what)?;
        self.watch.enter()?;
        Ok(Items::new(open(self.inner)?, self.watch))
    }
}

macro_rules! plain {
    ($($method:ident($type:ty), $what:literal;)*) => {$(
        fn $method(self, value: $type) -> Result<S::Ok, S::Error> {
            self.no_key($what)?;
            self.inner.$method(value)
        }
    )*};
}

impl<'a, S: Serializer> Serializer for Guard<'a, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Items<'a, S::SerializeSeq>;
    type SerializeTuple = Items<'a, S::SerializeTuple>;
    type SerializeTupleStruct = Items<'a, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Items<'a, S::SerializeTupleVariant>;
    type SerializeMap = Items<'a, S::SerializeMap>;
    type SerializeStruct = Fields<'a, S>;
    type SerializeStructVariant = Items<'a, S::SerializeStructVariant>;

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }

    plain! {
        serialize_bool(bool), "a bool";
        serialize_i8(i8), "an int";
        serialize_i16(i16), "an int";
        serialize_i32(i32), "an int";
        serialize_i64(i64), "an int";
        serialize_u8(u8), "an int";
        serialize_u16(u16), "an int";
        serialize_u32(u32), "an int";
        serialize_u64(u64), "an int";
        serialize_f32(f32), "a float";
        serialize_f64(f64), "a float";
    }

    fn serialize_i128(self, n: i128) -> Result<S::Ok, S::Error> {
        match (u64::try_from(n), i64::try_from(n)) {
            (Ok(n), _) => self.serialize_u64(n),
            (_, Ok(n)) => self.serialize_i64(n),
            _ => Err(Self::too_wide(n)),
        }
    }

    fn serialize_u128(self, n: u128) -> Result<S::Ok, S::Error> {
        match u64::try_from(n) {
            Ok(n) => self.serialize_u64(n),
            Err(_) => Err(Self::too_wide(n)),
        }
    }

    fn serialize_char(self, c: char) -> Result<S::Ok, S::Error> {
        self.inner.serialize_char(c)
    }

    fn serialize_str(self, text: &str) -> Result<S::Ok, S::Error> {
        self.inner.serialize_str(text)
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<S::Ok, S::Error> {
        self.inner.serialize_bytes(bytes)
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.no_key("None")?;
        self.inner.serialize_unit()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<S::Ok, S::Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        match name {
            name::BIGINT => Err(S::Error::custom("an int has more than the 64 bits of msgpack")),
            name::COMPLEX => Err(S::Error::custom("msgpack has no complex numbers: send a pair")),
            EXT => {
                self.no_key("an extension type")?;
                self.inner.serialize_newtype_struct(EXT, value)
            }
            _ if is_leaf(name) => self.leaf(name, value),
            _ => value.serialize(self),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.no_key("an enum with content")?;
        self.watch.enter()?;
        let value = Guarded { value, watch: self.watch, key: false };
        let done = self.inner.serialize_newtype_variant(name, index, variant, &value);
        self.watch.leave();
        done.map_err(self.watch.under(Step::Key(variant)))
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        self.items("a list", |inner| inner.serialize_seq(len))
    }

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, S::Error> {
        self.items("a tuple", |inner| inner.serialize_tuple(len))
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        self.items("a tuple", |inner| inner.serialize_tuple_struct(name, len))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        self.items("an enum with content", |inner| inner.serialize_tuple_variant(name, index, variant, len))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        self.items("a dict", |inner| inner.serialize_map(len))
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Fields<'a, S>, S::Error> {
        match name {
            name::OBJECT
            | name::SLOTTED
            | name::NAMEDTUPLE
            | name::DEQUE
            | name::DEFAULTDICT
            | name::TYPED_ARRAY
            | name::OBJECT_ARRAY
            | name::ENUM => Ok(Fields::state(self.inner, self.watch, self.key)),
            _ => self.items("a struct", |inner| inner.serialize_struct(name, len)).map(Fields::All),
        }
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        self.items("an enum with content", |inner| inner.serialize_struct_variant(name, index, variant, len))
    }
}

/// Returns the text of a key, for the path of an error.
#[cold]
pub(super) fn key_text<T: Serialize + ?Sized>(key: &T) -> String {
    let key = super::to_vec(key).ok().and_then(|key| super::from_slice::<Value>(&key).ok());
    key.as_ref().and_then(Value::as_str).unwrap_or("?").to_owned()
}
