//! Debug output of a [`Value`].
//!
//! Owns its `Debug`. Tests compare this text, because a NaN differs from itself. Calls nothing.

use std::fmt;

use super::{Factory, Value};
use crate::escape::Escaped;

/// Prints a value in a form close to Python's.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Bool(true) => f.write_str("True"),
            Self::Bool(false) => f.write_str("False"),
            Self::Int(n) => n.fmt(f),
            Self::BigInt(n) => n.fmt(f),
            Self::Float(x) => x.fmt(f),
            Self::Complex(re, im) => write!(f, "({re:?}{im:+?}j)"),
            Self::Str(text) => text.fmt(f),
            Self::Bytes(bytes) => write!(f, "b\"{}\"", bytes.escape_ascii()),
            Self::List(items) => f.debug_list().entries(items).finish(),
            Self::Tuple(items) => {
                let mut tuple = f.debug_tuple("");
                items.iter().for_each(|item| {
                    tuple.field(item);
                });
                if items.is_empty() { f.write_str("()") } else { tuple.finish() }
            }
            Self::Set(items) => f.debug_set().entries(items).finish(),
            Self::FrozenSet(items) => {
                f.write_str("frozenset")?;
                f.debug_set().entries(items).finish()
            }
            Self::Dict(dict) => dict.fmt(f),
            Self::Array(array) => array.fmt(f),
            Self::ByteArray(bytes) => write!(f, "bytearray(b\"{}\")", bytes.escape_ascii()),
            Self::DateTime(leaf) => write!(f, "datetime({})", Escaped(&leaf.wire())),
            Self::Date(leaf) => write!(f, "date({leaf})"),
            Self::Time(leaf) => write!(f, "time({})", Escaped(&leaf.wire())),
            Self::TimeDelta(leaf) => write!(f, "timedelta({leaf})"),
            Self::TimeZone(leaf) => write!(f, "timezone({})", Escaped(&leaf.wire())),
            Self::Decimal(leaf) => write!(f, "Decimal({leaf})"),
            Self::Fraction(leaf) => write!(f, "Fraction({leaf})"),
            Self::Uuid(leaf) => write!(f, "UUID({leaf})"),
            Self::Path(leaf) => write!(f, "{}({:?})", leaf.class_name(), leaf.path),
            Self::Ip(leaf) => write!(f, "{}({})", leaf.class_name(), Escaped(leaf.as_str())),
            Self::OrderedDict(dict) => write!(f, "OrderedDict({dict:?})"),
            Self::Counter(dict) => write!(f, "Counter({dict:?})"),
            Self::DefaultDict(default) => {
                write!(
                    f,
                    "defaultdict({}, {:?})",
                    default.factory.map_or("None", Factory::name),
                    default.dict
                )
            }
            Self::Deque(deque) => match deque.maxlen {
                Some(most) => write!(f, "deque({:?}, {most})", deque.items),
                None => write!(f, "deque({:?})", deque.items),
            },
            Self::Range(range) => write!(f, "{range}"),
            Self::Slice(parts) => write!(f, "slice({:?}, {:?}, {:?})", parts[0], parts[1], parts[2]),
            Self::TypedArray(array) => write!(f, "array.array({:?}, {:?})", array.typecode(), array.items()),
            Self::Records(records) => records.fmt(f),
            Self::ObjectArray(array) => array.fmt(f),
            Self::Enum(member) => {
                write!(f, "{}.{}({:?})", Escaped(&member.module), Escaped(&member.qualname), member.value)
            }
            Self::Timestamp(stamp) => write!(f, "Timestamp({stamp})"),
            Self::Ext(ext) => write!(f, "ExtType({}, b\"{}\")", ext.code, ext.data.escape_ascii()),
            Self::Object(object) => {
                write!(f, "{}.{}({:?})", Escaped(&object.module), Escaped(&object.name), object.state)
            }
            Self::Opaque(opaque) => {
                write!(
                    f,
                    "<{}.{} {:?} {:?}>",
                    Escaped(&opaque.module),
                    Escaped(&opaque.name),
                    opaque.args,
                    opaque.state
                )
            }
        }
    }
}
