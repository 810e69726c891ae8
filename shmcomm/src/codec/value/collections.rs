//! Containers and symbols of Python's standard library that have more than their items.
//!
//! Owns [`Deque`], [`DefaultDict`], [`Range`], [`TypedArray`] and [`EnumMember`], and the form of each in
//! serde. Codecs of this crate see a reserved name, all others the items. Calls `ndarray`.

use std::fmt;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::wire::{AsBytes, name};
use super::{BigInt, DType, Dict, NdArray, Value};

/// Python's `deque`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deque {
    /// The items from left to right.
    pub items: Vec<Value>,
    /// Maximum number of items that Python keeps, if a maximum is set.
    pub maxlen: Option<u64>,
}

/// Type of the value that a [`DefaultDict`] makes for a missing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum Factory {
    List,
    Dict,
    Set,
    Tuple,
    Int,
    Float,
    Bool,
    Str,
    Bytes,
}

const FACTORIES: [(Factory, &str); 9] = [
    (Factory::List, "list"),
    (Factory::Dict, "dict"),
    (Factory::Set, "set"),
    (Factory::Tuple, "tuple"),
    (Factory::Int, "int"),
    (Factory::Float, "float"),
    (Factory::Bool, "bool"),
    (Factory::Str, "str"),
    (Factory::Bytes, "bytes"),
];

impl Factory {
    /// Returns the name of the type in Python's `builtins`.
    #[must_use]
    pub fn name(self) -> &'static str {
        FACTORIES.iter().find(|(factory, _)| *factory == self).map_or("list", |(_, name)| name)
    }

    pub(crate) fn of_name(name: &str) -> Option<Self> {
        // Protocols 0 to 2 write the names of Python 2.
        let name = match name {
            "unicode" => "str",
            "long" => "int",
            name => name,
        };
        FACTORIES.iter().find(|(_, known)| *known == name).map(|(factory, _)| *factory)
    }
}

/// Python's `defaultdict` with a type of `builtins` as its factory, or without a factory. A `defaultdict`
/// with any other factory is read as a plain `dict`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DefaultDict {
    /// The type of the value for a missing key.
    pub factory: Option<Factory>,
    /// The keys and values.
    pub dict: Dict,
}

/// Python's `range`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Range {
    /// The first number.
    pub start: BigInt,
    /// The number before which it ends.
    pub stop: BigInt,
    /// The distance between two numbers; never 0.
    pub step: BigInt,
}

/// Python's `array.array`: numbers of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypedArray {
    typecode: char,
    items: NdArray,
}

impl TypedArray {
    /// Returns an array with that type code and the items of a one-dimensional array. Returns `None` if the
    /// code does not stand for the type of the items on Linux.
    #[must_use]
    pub fn new(typecode: char, items: NdArray) -> Option<Self> {
        let fits = Self::dtype_of(typecode) == Some(items.dtype()) && items.shape().len() == 1;
        fits.then_some(Self { typecode, items })
    }

    /// Returns the type of the items on Linux: `l` has 8 bytes; `u` and `w` are code points.
    pub(crate) fn dtype_of(typecode: char) -> Option<DType> {
        Some(match typecode {
            'b' => DType::I8,
            'B' => DType::U8,
            'h' => DType::I16,
            'H' => DType::U16,
            'i' => DType::I32,
            'I' | 'u' | 'w' => DType::U32,
            'l' | 'q' => DType::I64,
            'L' | 'Q' => DType::U64,
            'f' => DType::F32,
            'd' => DType::F64,
            _ => return None,
        })
    }

    /// Returns the type code of Python's `array` module: `d` for `f64`.
    #[must_use]
    pub fn typecode(&self) -> char {
        self.typecode
    }

    /// Returns the items as a one-dimensional array.
    #[must_use]
    pub fn items(&self) -> &NdArray {
        &self.items
    }
}

/// A member of a Python `Enum`, by its class and value.
///
/// Python finds the member again by calling the class with the value. Send it only to a process that has the
/// class. The receiving end reads members only of the classes that it has listed: see `DecodeOptions::enums`.
#[derive(Clone, Debug, PartialEq)]
pub struct EnumMember {
    /// The module that defines the class.
    pub module: String,
    /// The name of the class in that module, with points if it is inside another class.
    pub qualname: String,
    /// The value of the member.
    pub value: Value,
}

impl EnumMember {
    /// Returns the member of a class.
    pub fn new(module: impl Into<String>, qualname: impl Into<String>, value: impl Into<Value>) -> Self {
        Self { module: module.into(), qualname: qualname.into(), value: value.into() }
    }
}

impl Serialize for Deque {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return self.items.serialize(serializer);
        }
        // Formats that do not know the name keep only `state`.
        let mut fields = serializer.serialize_struct(name::DEQUE, 2)?;
        fields.serialize_field("state", &self.items)?;
        fields.serialize_field("maxlen", &self.maxlen)?;
        fields.end()
    }
}

impl Serialize for DefaultDict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return self.dict.serialize(serializer);
        }
        let mut fields = serializer.serialize_struct(name::DEFAULTDICT, 2)?;
        fields.serialize_field("factory", self.factory.map_or("", Factory::name))?;
        fields.serialize_field("state", &self.dict)?;
        fields.end()
    }
}

impl Serialize for Range {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(name::RANGE, &(&self.start, &self.stop, &self.step))
    }
}

impl Serialize for TypedArray {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return self.items.serialize(serializer);
        }
        let mut fields = serializer.serialize_struct(name::TYPED_ARRAY, 3)?;
        fields.serialize_field("typecode", &self.typecode)?;
        fields.serialize_field("bytes", &AsBytes(&self.items.native_bytes()))?;
        // A format that does not know the name keeps only this field.
        fields.serialize_field("state", &Items(&self.items))?;
        fields.end()
    }
}

/// The items of an array, one by one.
struct Items<'a>(&'a NdArray);

impl Serialize for Items<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((0..self.0.len()).filter_map(|i| self.0.value(&[i])))
    }
}

impl Serialize for EnumMember {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return self.value.serialize(serializer);
        }
        let mut fields = serializer.serialize_struct(name::ENUM, 3)?;
        fields.serialize_field("module", &self.module)?;
        fields.serialize_field("name", &self.qualname)?;
        fields.serialize_field("state", &self.value)?;
        fields.end()
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "range({}, {}, {})", self.start, self.stop, self.step)
    }
}
