//! numpy's dtypes, from the calls that would make them.
//!
//! Owns the reading of plain, structured and object dtypes as numpy 1 and 2 write them, and of the dict that
//! this crate writes. Calls `arena`. Counts fields and levels, each time a shared part is used.

use super::arena::{Arena, Id, Items, NIL, NONE, Node};
use super::globals::Known;
use super::numpy::{unknown, unsupported};
use crate::codec::{DType, DecodeError, DecodeErrorKind as Kind, Endian, FieldType, RecordField, RecordType};

type Result<T> = std::result::Result<T, DecodeError>;

/// Maximum number of fields of a dtype in all, and maximum nesting depth.
const MOST_FIELDS: usize = 4096;
const MOST_LEVELS: usize = 16;
/// Number of fields among which a field is searched for by its name.
const SEARCHED: usize = 32;

/// Type of an array's elements.
pub(super) struct Element {
    pub(super) dtype: DType,
    pub(super) endian: Endian,
    pub(super) record: Option<Box<RecordType>>,
}

/// Type of a field, and its dimensions.
type Field = (FieldType, Vec<usize>);

/// Number of fields that a dtype may still have.
struct Budget {
    fields: usize,
}

impl Arena<'_> {
    /// Reads `dtype("f8", False, True)` with the state `(3, "<", None, None, None, -1, -1, 0)`, a text, or a
    /// dict.
    pub(super) fn dtype(&self, id: Id) -> Result<Element> {
        match self.field_type(id, MOST_LEVELS, &mut Budget { fields: MOST_FIELDS })? {
            (FieldType::Plain(dtype, endian), shape) if shape.is_empty() => {
                Ok(Element { dtype, endian, record: None })
            }
            (FieldType::Record(record), shape) if shape.is_empty() => Ok(Element {
                dtype: DType::Void(record.size() as u32),
                endian: Endian::NATIVE,
                record: Some(Box::new(record)),
            }),
            _ => Err(unknown()),
        }
    }

    /// Returns `true` for an array of records. Does not check the records.
    pub(super) fn holds_records(&self, id: Id) -> bool {
        let Node::Call { what, args, state } = self.node(id) else { return false };
        let (list, place) = match what {
            Known::Reconstruct => (state, 2),
            Known::FromBuffer | Known::NdArray => (args, 1),
            _ => return false,
        };
        match self.node_or_none(list) {
            Node::Tuple(items) => self.items(items).nth(place).is_some_and(|dtype| self.is_record(dtype)),
            _ => false,
        }
    }

    /// Returns `true` if a dtype has fields.
    fn is_record(&self, id: Id) -> bool {
        match self.node(id) {
            Node::Dict(_) => true,
            Node::Call { what: Known::Dtype, state, .. } => match self.node_or_none(state) {
                Node::Tuple(items) => self.items(items).nth(3).is_some_and(|names| names != NONE),
                _ => false,
            },
            _ => false,
        }
    }

    /// Returns shape, order and items of an array of objects: the state
    /// `(1, shape, dtype("O"), is_fortran, list)`.
    pub(super) fn objects(&self, id: Id) -> Option<[Id; 3]> {
        let Node::Call { what: Known::Reconstruct | Known::NdArray, state, .. } = self.node(id) else {
            return None;
        };
        if state == NIL {
            return None;
        }
        let [_, shape, dtype, fortran, items] = self.tuple(state)?;
        let Node::Call { what: Known::Dtype, args, .. } = self.node(dtype) else { return None };
        let Node::Tuple(args) = self.node(args) else { return None };
        let object = matches!(self.short_text(self.items(args).next()?)?, b"O" | b"O8");
        let list = matches!(self.node(items), Node::List(_)) && matches!(self.node(fortran), Node::Bool(_));
        (object && list).then_some([shape, fortran, items])
    }

    fn field_type(&self, id: Id, levels: usize, budget: &mut Budget) -> Result<Field> {
        let plain = |text: &str| match DType::parse(text) {
            Some((dtype, endian)) => Ok((FieldType::Plain(dtype, endian), Vec::new())),
            None => Err(unsupported(text)),
        };
        let (args, state) = match self.node(id) {
            Node::Call { what: Known::Dtype, args, state } => (args, state),
            Node::Dict(spec) => return Ok((self.of_spec(spec, levels, budget)?, Vec::new())),
            _ => return plain(&self.text(id).ok_or_else(unknown)??),
        };
        let Node::Tuple(args) = self.node(args) else { return Err(unknown()) };
        let text = self.items(args).next().and_then(|code| self.text(code)).ok_or_else(record_class)??;
        if state == NIL {
            return plain(&text);
        }
        let Node::Tuple(items) = self.node(state) else { return Err(unknown()) };
        let state: Vec<Id> = self.items(items).take(10).collect();
        let [_, order, base, names, fields, size, _, flags, ..] = *state.as_slice() else {
            return Err(unknown());
        };
        if names != NONE {
            let aligned = matches!(self.node(flags), Node::Int(flags) if flags & 0x80 != 0);
            let record = self.of_state(names, fields, size, aligned, levels, budget)?;
            return Ok((FieldType::Record(record), Vec::new()));
        }
        if base != NONE {
            let [base, shape] = self.tuple(base).ok_or_else(unknown)?;
            let level = levels.checked_sub(1).ok_or_else(too_many)?;
            return match self.field_type(base, level, budget)? {
                (base, inner) if inner.is_empty() => Ok((base, self.indices(shape)?)),
                _ => Err(unknown()),
            };
        }
        let (dtype, _) = DType::parse(&text).ok_or_else(|| unsupported(&text))?;
        let endian = match self.short_text(order) {
            Some(b"<") => Endian::Little,
            Some(b">") => Endian::Big,
            Some(b"|" | b"=") => Endian::NATIVE,
            _ => return Err(unknown()),
        };
        let dtype = match dtype {
            DType::DateTime64(_) => DType::DateTime64(self.unit(&state)?),
            DType::TimeDelta64(_) => DType::TimeDelta64(self.unit(&state)?),
            other => other,
        };
        Ok((FieldType::Plain(dtype, endian), Vec::new()))
    }

    /// Reads `("a", "b")`, `{"a": (dtype, offset), "b": …}`, and the size.
    fn of_state(
        &self,
        names: Id,
        fields: Id,
        size: Id,
        aligned: bool,
        levels: usize,
        budget: &mut Budget,
    ) -> Result<RecordType> {
        let (Node::Tuple(names), Node::Dict(pairs), Node::Int(size)) =
            (self.node(names), self.node(fields), self.node(size))
        else {
            return Err(unknown());
        };
        self.take(names, budget)?;
        if pairs.len != names.len * 2 {
            return Err(DecodeError::new(Kind::Unsupported, "a record with titles is not supported"));
        }
        let pairs: Vec<Id> = self.items(pairs).collect();
        let mut found = Vec::with_capacity(names.len as usize);
        // numpy writes the fields in the order of the names; a dict may have them in another order.
        for (i, name) in self.items(names).enumerate() {
            let text = self.text(name).ok_or_else(unknown)??;
            let is_it = |pair: &&[Id]| self.text(pair[0]).is_some_and(|key| key.is_ok_and(|key| key == text));
            let own = pairs.chunks_exact(2).nth(i).filter(is_it);
            // Another order is accepted among a few fields only: a search among many would take too long.
            let any = || pairs.chunks_exact(2).take(SEARCHED).find(is_it);
            let pair = own.or_else(any).ok_or_else(unknown)?;
            let [dtype, offset] = self.tuple(pair[1]).ok_or_else(|| {
                DecodeError::new(Kind::Unsupported, "a record with titles is not supported")
            })?;
            found.push(self.field(text.into_owned(), dtype, offset, levels, budget)?);
        }
        record(found, usize::try_from(size).map_err(|_| unknown())?, aligned)
    }

    /// Reads the dict that `numpy.dtype` takes, as this crate writes it.
    fn of_spec(&self, spec: Items, levels: usize, budget: &mut Budget) -> Result<FieldType> {
        let part = |key| self.entry(spec, key).ok_or_else(unknown);
        let list = |key| match self.node(part(key)?) {
            Node::List(items) | Node::Tuple(items) => Ok(items),
            _ => Err(unknown()),
        };
        let (names, formats, offsets) = (list("names")?, list("formats")?, list("offsets")?);
        self.take(names, budget)?;
        if names.len != formats.len || names.len != offsets.len {
            return Err(unknown());
        }
        let mut fields = Vec::with_capacity(names.len as usize);
        for ((name, format), offset) in self.items(names).zip(self.items(formats)).zip(self.items(offsets)) {
            let name = self.text(name).ok_or_else(unknown)??.into_owned();
            let field = match self.tuple(format) {
                Some([format, shape]) => {
                    let mut field = self.field(name, format, offset, levels, budget)?;
                    if !field.shape.is_empty() {
                        return Err(unknown());
                    }
                    field.shape = self.indices(shape)?;
                    field
                }
                None => self.field(name, format, offset, levels, budget)?,
            };
            fields.push(field);
        }
        let (Node::Int(size), Node::Bool(aligned)) =
            (self.node(part("itemsize")?), self.node(part("aligned")?))
        else {
            return Err(unknown());
        };
        record(fields, usize::try_from(size).map_err(|_| unknown())?, aligned).map(FieldType::Record)
    }

    fn field(
        &self,
        name: String,
        dtype: Id,
        offset: Id,
        levels: usize,
        budget: &mut Budget,
    ) -> Result<RecordField> {
        let Node::Int(offset) = self.node(offset) else { return Err(unknown()) };
        let offset = usize::try_from(offset).map_err(|_| unknown())?;
        let (element, shape) = self.field_type(dtype, levels.checked_sub(1).ok_or_else(too_many)?, budget)?;
        Ok(RecordField { name, offset, element, shape })
    }

    /// Takes the fields of one record from the budget.
    fn take(&self, names: Items, budget: &mut Budget) -> Result<()> {
        budget.fields = budget.fields.checked_sub(names.len as usize).ok_or_else(too_many)?;
        Ok(())
    }
}

fn record(fields: Vec<RecordField>, size: usize, aligned: bool) -> Result<RecordType> {
    RecordType::new(fields, size, aligned)
        .map_err(|error| DecodeError::new(Kind::Malformed, error.to_string()))
}

#[cold]
fn too_many() -> DecodeError {
    let reason = format!("a record of more than {MOST_FIELDS} fields or {MOST_LEVELS} levels");
    DecodeError::new(Kind::Limit, reason)
}

/// Makes the error for the dtype of a `recarray`, which names a class.
#[cold]
fn record_class() -> DecodeError {
    DecodeError::new(
        Kind::Unsupported,
        "a dtype of another class (a recarray) is not supported: send `numpy.asarray(…)` of it",
    )
}
