//! Values of Python's standard library, from the calls that would make them.
//!
//! Owns the argument lists of these calls, as CPython 3.8 to 3.14 writes them at protocols 0 to 5 and as this
//! crate writes them. Calls `arena` and the types of `value`. Recurses only for the zone of a time, two
//! levels.

use std::borrow::Cow;

use super::arena::{Arena, Id, Items, NIL, Node};
use super::globals::Known;
use super::numpy::ArrayView;
use crate::codec::value::Leaf;
use crate::codec::{
    BigInt, Date, DateTime, DecodeError, DecodeErrorKind as Kind, Endian, Factory, Fraction, Ip, IpClass,
    MsgpackTimestamp, PyPath, Time, TimeDelta, TimeZone, TypedArray, Uuid,
};

type Result<T> = std::result::Result<T, DecodeError>;

impl<'de> Arena<'de> {
    /// Returns the value that a call makes; `None` for nodes of other kinds.
    pub(super) fn leaf(&self, id: Id) -> Option<Result<Leaf>> {
        let Node::Call { what, args, state } = self.node(id) else { return None };
        if !what.is_leaf() {
            return None;
        }
        Some(self.made(what, args, state).ok_or_else(|| {
            let kind = self.kind(id);
            DecodeError::new(Kind::Unsupported, format!("a {kind} is not written as CPython writes it"))
        }))
    }

    /// Returns the maximum number of bytes that [`leaf`](Self::leaf) reads.
    pub(super) fn leaf_len(&self, id: Id) -> usize {
        match self.node(id) {
            Node::Call { args, .. } => match self.node(args) {
                Node::Tuple(items) => self.items(items).map(|item| self.blob_len(item) + 16).sum(),
                _ => 0,
            },
            _ => 0,
        }
    }

    fn made(&self, what: Known, args: Id, state: Id) -> Option<Leaf> {
        let Node::Tuple(all) = self.node(args) else { return None };
        Some(match what {
            Known::DateTime => {
                let (bytes, zone) = self.with_zone(args)?;
                let time = DateTime::from_bytes(self.short(bytes)?)?;
                Leaf::DateTime(match zone {
                    Some(zone) => time.with_zone(zone),
                    None => time,
                })
            }
            Known::Time => {
                let (bytes, zone) = self.with_zone(args)?;
                let time = Time::from_bytes(self.short(bytes)?)?;
                Leaf::Time(match zone {
                    Some(zone) => time.with_zone(zone),
                    None => time,
                })
            }
            Known::Date => Leaf::Date(Date::from_bytes(self.short(self.tuple::<1>(args)?[0])?)?),
            Known::TimeDelta => Leaf::TimeDelta(self.delta(args)?),
            Known::TimeZone | Known::ZoneInfo | Known::ZoneUnpickle => Leaf::TimeZone(self.zone(what, args)?),
            Known::Decimal => Leaf::Decimal(self.string(self.tuple::<1>(args)?[0])?.parse().ok()?),
            Known::Fraction => Leaf::Fraction(match self.tuple::<2>(args) {
                Some([numerator, denominator]) => {
                    Fraction::new(self.big_int(numerator)?, self.big_int(denominator)?)?
                }
                None => self.string(self.tuple::<1>(args)?[0])?.parse().ok()?,
            }),
            Known::Uuid => Leaf::Uuid(self.uuid(args, state)?),
            Known::Path => {
                let Node::Global { name, .. } = self.node(state) else { return None };
                let class = PyPath::class_of(&self.string(name)?)?;
                let parts: Option<Vec<_>> = self.items(all).map(|part| self.string(part)).collect();
                Leaf::Path(PyPath::join(class, &parts?))
            }
            Known::Ip => {
                let Node::Global { name, .. } = self.node(state) else { return None };
                Leaf::Ip(self.ip(Ip::class_of(&self.string(name)?)?, self.tuple::<1>(args)?[0])?)
            }
            Known::Timestamp => {
                let [seconds, nanoseconds] = match self.tuple::<2>(args) {
                    Some(parts) => parts,
                    None => self.stamp(state)?,
                };
                let (seconds, nanoseconds) = (self.small(seconds)?, self.small(nanoseconds)?);
                Leaf::Timestamp(MsgpackTimestamp::new(seconds, nanoseconds.try_into().ok()?)?)
            }
            _ => return None,
        })
    }

    /// Returns the bytes, and the zone if one follows.
    fn with_zone(&self, args: Id) -> Option<(Id, Option<TimeZone>)> {
        let Some([bytes, zone]) = self.tuple(args) else { return Some((self.tuple::<1>(args)?[0], None)) };
        match self.node(zone) {
            Node::None => Some((bytes, None)),
            Node::Call { what, args, .. } => Some((bytes, Some(self.zone(what, args)?))),
            _ => None,
        }
    }

    fn zone(&self, what: Known, args: Id) -> Option<TimeZone> {
        match what {
            Known::TimeZone => {
                let (offset, name) = match self.tuple(args) {
                    Some([offset, name]) => (offset, Some(self.string(name)?.into_owned())),
                    None => (self.tuple::<1>(args)?[0], None),
                };
                let Node::Call { what: Known::TimeDelta, args, .. } = self.node(offset) else { return None };
                TimeZone::offset_of(self.delta(args)?, name)
            }
            Known::ZoneInfo | Known::ZoneUnpickle => {
                let key = match self.tuple::<2>(args) {
                    // The second item tells if Python takes the zone from its cache; this makes no difference
                    // here.
                    Some([key, _]) => key,
                    None => self.tuple::<1>(args)?[0],
                };
                let key = self.string(key)?;
                (!key.is_empty()).then(|| TimeZone::Zone(key.into_owned()))
            }
            _ => None,
        }
    }

    fn delta(&self, args: Id) -> Option<TimeDelta> {
        let [days, seconds, microseconds] = self.tuple(args)?;
        TimeDelta::new(self.small(days)?, self.small(seconds)?, self.small(microseconds)?)
    }

    /// Reads `UUID()` with the state `{"int": …}`, or `UUID(text)`.
    fn uuid(&self, args: Id, state: Id) -> Option<Uuid> {
        if let Some([text]) = self.tuple(args) {
            return self.string(text)?.parse().ok();
        }
        let Node::Dict(items) = self.node_or_none(state) else { return None };
        let number = self.entry(items, "int")?;
        Some(Uuid::from_bytes(self.big_int(number)?.to_u128()?.to_be_bytes()))
    }

    /// Reads `Timestamp()` with the state `(None, {"seconds": …, "nanoseconds": …})`.
    fn stamp(&self, state: Id) -> Option<[Id; 2]> {
        let slots = match self.node_or_none(state) {
            Node::Dict(slots) => slots,
            Node::Tuple(_) => match self.node(self.tuple::<2>(state)?[1]) {
                Node::Dict(slots) => slots,
                _ => return None,
            },
            _ => return None,
        };
        Some([self.entry(slots, "seconds")?, self.entry(slots, "nanoseconds")?])
    }

    /// Returns the value under a key, among the first few.
    pub(super) fn entry(&self, items: Items, key: &str) -> Option<Id> {
        let items: Vec<Id> = self.items(items).take(16).collect();
        items.chunks_exact(2).find_map(|pair| match self.node(pair[0]) {
            Node::Str(span) if self.bytes(span) == key.as_bytes() => Some(pair[1]),
            _ => None,
        })
    }

    /// Reads `IPv4Address(number)`, or a class and its text.
    fn ip(&self, class: IpClass, value: Id) -> Option<Ip> {
        if let Some(text) = self.string(value) {
            return Ip::new(class, &text);
        }
        let number = self.big_int(value)?.to_u128()?;
        match class {
            IpClass::IPv4Address => {
                Ip::new(class, &std::net::Ipv4Addr::from(u32::try_from(number).ok()?).to_string())
            }
            IpClass::IPv6Address => Ip::new(class, &std::net::Ipv6Addr::from(number).to_string()),
            _ => None,
        }
    }

    /// Returns exactly `N` bytes.
    fn short<const N: usize>(&self, id: Id) -> Option<[u8; N]> {
        // As text, a byte takes up to two bytes, or six with an escape.
        if self.blob_len(id) > 6 * N {
            return None;
        }
        self.blob(id)?.ok()?.as_ref().try_into().ok()
    }

    fn string(&self, id: Id) -> Option<Cow<'de, str>> {
        self.text(id)?.ok()
    }

    fn small(&self, id: Id) -> Option<i64> {
        match self.node(id) {
            Node::Int(n) => Some(n),
            _ => None,
        }
    }

    /// Returns an int of any size.
    pub(super) fn big_int(&self, id: Id) -> Option<BigInt> {
        match self.node(id) {
            Node::Int(n) => Some(n.into()),
            Node::Long(span) => Some(BigInt::from_le_bytes(self.bytes(span))),
            Node::Digits(span) => std::str::from_utf8(self.bytes(span)).ok()?.parse().ok(),
            _ => None,
        }
    }

    pub(super) fn node_or_none(&self, id: Id) -> Node {
        if id == NIL { Node::None } else { self.node(id) }
    }

    /// Returns the type of `builtins` that a global names, if it can be the factory of a `defaultdict`.
    pub(super) fn factory(&self, id: Id) -> Option<Factory> {
        match self.node(id) {
            Node::Global { name, known: Known::Builtin | Known::Set | Known::Bytes, .. } => {
                Factory::of_name(&self.string(name)?)
            }
            _ => None,
        }
    }

    /// Returns `true` if three items are ints, and the last one is not 0.
    pub(super) fn is_range(&self, items: Items) -> bool {
        let int = |id| matches!(self.node(id), Node::Int(_) | Node::Long(_) | Node::Digits(_));
        self.items(items).all(int) && self.items(items).nth(2).is_none_or(|step| self.small(step) != Some(0))
    }

    /// Returns the type code of an `array.array`, and the node with its items.
    pub(super) fn typecode(&self, what: Known, args: Id) -> Option<(char, Id)> {
        let (code, items) = match what {
            Known::TypedArray => {
                let [code, items] = self.tuple(args)?;
                (code, items)
            }
            _ => {
                let [class, code, _, items] = self.tuple(args)?;
                let Node::Global { known: Known::TypedArray, .. } = self.node(class) else { return None };
                (code, items)
            }
        };
        let mut chars = match self.node(code) {
            Node::Str(span) if span.len == 1 => self.utf8(span).ok()?.chars(),
            _ => return None,
        };
        let typecode = chars.next()?;
        TypedArray::dtype_of(typecode)?;
        matches!(self.node(items), Node::Bytes(_) | Node::Latin1(_) | Node::ByteArray(_) | Node::List(_))
            .then_some((typecode, items))
    }

    /// Returns the items of an `array.array`.
    pub(super) fn typed_array(&self, what: Known, args: Id) -> Option<ArrayView<'de>> {
        let (typecode, items) = self.typecode(what, args)?;
        let dtype = TypedArray::dtype_of(typecode)?;
        let mut endian = Endian::NATIVE;
        if let (Known::ArrayReconstructor, Some([_, _, format, _])) = (what, self.tuple(args)) {
            // The machine formats of the `array` module come in pairs: first little-endian, then big-endian.
            let format = self.small(format)?;
            let (size, low, big) = match format {
                0 | 1 => (1, format, false),
                2..=21 => (
                    1 << [1, 1, 2, 2, 3, 3, 2, 3, 1, 2][format as usize / 2 - 1],
                    format & !1,
                    format % 2 == 1,
                ),
                _ => return None,
            };
            let signed = matches!(format, 1 | 4 | 5 | 8 | 9 | 12 | 13);
            let float = matches!(low, 14 | 16);
            let fits = size == dtype.size()
                && float == matches!(typecode, 'f' | 'd')
                && (float || signed == matches!(typecode, 'b' | 'h' | 'i' | 'l' | 'q'));
            if !fits {
                return None;
            }
            endian = if big { Endian::Big } else { Endian::Little };
        }
        let data = match self.node(items) {
            Node::List(items) => Cow::Owned(self.packed(typecode, items)?),
            _ => self.blob(items)?.ok()?,
        };
        let len = data.len() / dtype.size();
        (data.len() % dtype.size() == 0).then_some(ArrayView {
            dtype,
            endian,
            shape: vec![len],
            fortran: false,
            data,
            record: None,
        })
    }

    /// Returns the items of a list as the bytes of an array.
    fn packed(&self, typecode: char, items: Items) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(items.len as usize * 8);
        for item in self.items(items) {
            let node = self.node(item);
            match typecode {
                'f' | 'd' => {
                    let x = match node {
                        Node::Float(x) => x,
                        Node::Int(n) => n as f64,
                        _ => return None,
                    };
                    match typecode {
                        'f' => bytes.extend((x as f32).to_ne_bytes()),
                        _ => bytes.extend(x.to_ne_bytes()),
                    }
                }
                'u' | 'w' => {
                    let text = self.string(item)?;
                    let mut chars = text.chars();
                    bytes.extend(u32::from(chars.next()?).to_ne_bytes());
                    if chars.next().is_some() {
                        return None;
                    }
                }
                _ => {
                    let n = self.big_int(item)?;
                    match typecode {
                        'b' => bytes.extend(i8::try_from(n.to_i64()?).ok()?.to_ne_bytes()),
                        'B' => bytes.extend(u8::try_from(n.to_i64()?).ok()?.to_ne_bytes()),
                        'h' => bytes.extend(i16::try_from(n.to_i64()?).ok()?.to_ne_bytes()),
                        'H' => bytes.extend(u16::try_from(n.to_i64()?).ok()?.to_ne_bytes()),
                        'i' => bytes.extend(i32::try_from(n.to_i64()?).ok()?.to_ne_bytes()),
                        'I' => bytes.extend(u32::try_from(n.to_i64()?).ok()?.to_ne_bytes()),
                        'l' | 'q' => bytes.extend(n.to_i64()?.to_ne_bytes()),
                        _ => bytes.extend(n.to_u64()?.to_ne_bytes()),
                    }
                }
            }
        }
        Some(bytes)
    }
}
