//! Values of Python's standard library, as the calls that make them.
//!
//! Owns the choice of these calls: CPython 3.8 and later, numpy 1.26 and numpy 2 have each function under the
//! same name. Calls `ser` to write. Names only these classes.

use std::fmt;

use serde::ser::Serialize;

use super::op;
use super::ser::{Next, Result, Writer};
use crate::codec::sink::Sink;
use crate::codec::value::{EXT, Leaf, name};
use crate::codec::{EncodeError, TimeDelta, TimeZone};

/// Text that a value serializes as.
pub(super) struct Shown<'a, T: ?Sized>(pub(super) &'a T);

impl<T: Serialize + ?Sized> fmt::Display for Shown<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.serialize(f)
    }
}

/// Beginning of an array of objects: an empty array, which then gets its state.
pub(super) const OBJECTS: &[u8] = b"\x8c\x05numpy\x8c\x07ndarray\x93K\x00\x85\x8c\x01O\x86R(K\x01";
/// Dtype within that state.
pub(super) const OBJECT_DTYPE: &[u8] = b"\x8c\x05numpy\x8c\x05dtype\x93\x8c\x01O\x85R";

impl<S: Sink> Writer<'_, S> {
    /// Writes a newtype struct: a kind of value that serde's model lacks, if its name is reserved.
    pub(super) fn newtype<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<()> {
        match name {
            name::SET => self.next = Next::Set,
            name::FROZENSET => self.next = Next::FrozenSet,
            name::BIGINT => self.next = Next::Long,
            name::BYTEARRAY => {
                self.unhashable("bytearray")?;
                self.next = Next::ByteArray;
            }
            name::COMPLEX => return self.call("builtins", "complex", value, &[op::REDUCE]),
            name::RANGE => return self.call("builtins", "range", value, &[op::REDUCE]),
            name::SLICE => {
                self.unhashable("slice")?;
                return self.call("builtins", "slice", value, &[op::REDUCE]);
            }
            name::ORDEREDDICT => {
                return self.call("collections", "OrderedDict", value, &[op::TUPLE1, op::REDUCE]);
            }
            name::COUNTER => return self.call("collections", "Counter", value, &[op::TUPLE1, op::REDUCE]),
            EXT => return self.call("msgpack.ext", "ExtType", value, &[op::NEWOBJ]),
            _ if name.starts_with("$shmcomm::") => {
                if let Some(leaf) = Leaf::read(name, &Shown(value).to_string()) {
                    return self.leaf(&leaf.map_err(|error| EncodeError::refused(error.to_string()))?);
                }
            }
            _ => {}
        }
        value.serialize(&mut *self)
    }

    /// Writes a name, a value, and the opcode that calls the one with the other.
    fn call<T: Serialize + ?Sized>(
        &mut self,
        module: &str,
        name: &str,
        value: &T,
        close: &[u8],
    ) -> Result<()> {
        self.global(module, name);
        value.serialize(&mut *self)?;
        self.put_all(close);
        Ok(())
    }

    fn leaf(&mut self, leaf: &Leaf) -> Result<()> {
        match leaf {
            Leaf::DateTime(time) => {
                let mut bytes = [0; 10];
                bytes[..4].copy_from_slice(&time.date().to_bytes());
                bytes[4..].copy_from_slice(&time.time().to_bytes());
                // Python stores the fold in the month of a datetime, and in the hour of a time.
                bytes[2] |= if time.time().fold() { 0x80 } else { 0 };
                self.moment("datetime", &bytes, time.zone());
            }
            Leaf::Time(time) => {
                let mut bytes = time.to_bytes();
                bytes[0] |= if time.fold() { 0x80 } else { 0 };
                self.moment("time", &bytes, time.zone());
            }
            Leaf::Date(date) => self.moment("date", &date.to_bytes(), None),
            Leaf::TimeDelta(delta) => self.delta(delta),
            Leaf::TimeZone(zone) => self.zone(zone),
            Leaf::Decimal(decimal) => self.made("decimal", "Decimal", decimal.as_str()),
            Leaf::Fraction(fraction) => {
                self.global("fractions", "Fraction");
                fraction.numerator().serialize(&mut *self)?;
                fraction.denominator().serialize(&mut *self)?;
                self.put_all(&[op::TUPLE2, op::REDUCE]);
            }
            Leaf::Uuid(uuid) => self.made("uuid", "UUID", &uuid.to_string()),
            Leaf::Path(path) => self.made("pathlib", path.class_name(), &path.path),
            Leaf::Ip(ip) => self.made("ipaddress", ip.class_name(), ip.as_str()),
            Leaf::Timestamp(stamp) => {
                self.global("msgpack.ext", "Timestamp");
                self.int(stamp.seconds());
                self.int(stamp.nanoseconds().into());
                self.put_all(&[op::TUPLE2, op::REDUCE]);
            }
        }
        Ok(())
    }

    /// Writes a class called with a text.
    fn made(&mut self, module: &str, class: &str, text: &str) {
        self.global(module, class);
        self.text(text);
        self.put_all(&[op::TUPLE1, op::REDUCE]);
    }

    /// Writes a class of `datetime` called with bytes, and a zone if there is one.
    fn moment(&mut self, class: &str, bytes: &[u8], zone: Option<&TimeZone>) {
        self.global("datetime", class);
        self.blob(bytes);
        match zone {
            Some(zone) => {
                self.zone(zone);
                self.put_all(&[op::TUPLE2, op::REDUCE]);
            }
            None => self.put_all(&[op::TUPLE1, op::REDUCE]),
        }
    }

    fn zone(&mut self, zone: &TimeZone) {
        match zone {
            TimeZone::Zone(key) => self.made("zoneinfo", "ZoneInfo", key),
            TimeZone::Fixed { offset, name } => {
                self.global("datetime", "timezone");
                self.delta(offset);
                match name {
                    Some(name) => {
                        self.text(name);
                        self.put_all(&[op::TUPLE2, op::REDUCE]);
                    }
                    None => self.put_all(&[op::TUPLE1, op::REDUCE]),
                }
            }
        }
    }

    fn delta(&mut self, delta: &TimeDelta) {
        self.global("datetime", "timedelta");
        self.int(delta.days().into());
        self.int(delta.seconds().into());
        self.int(delta.microseconds().into());
        self.put_all(&[op::TUPLE3, op::REDUCE]);
    }
}
