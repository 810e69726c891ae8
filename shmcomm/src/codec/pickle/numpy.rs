//! numpy's arrays, scalars and dtypes, from the calls that would make them.
//!
//! Owns the reading of the argument lists that numpy 1 and 2 write at protocols 0 to 5, and of the
//! one that this crate writes. Calls `arena`; checks every shape against the bytes that are there.

use std::borrow::Cow;

use super::arena::{Arena, Id, NIL, Node};
use super::globals::Known;
use crate::codec::value::{MAX_DIMENSIONS, check_shape, strides};
use crate::codec::{DType, DecodeError, DecodeErrorKind as Kind, Endian, TimeUnit};

type Result<T> = std::result::Result<T, DecodeError>;

/// An array whose bytes may still lie in the message.
pub(super) struct ArrayView<'de> {
    pub(super) dtype: DType,
    pub(super) endian: Endian,
    pub(super) shape: Vec<usize>,
    pub(super) fortran: bool,
    pub(super) data: Cow<'de, [u8]>,
}

impl ArrayView<'_> {
    pub(super) fn strides(&self) -> Vec<usize> {
        strides(self.dtype, &self.shape, self.fortran)
    }
}

/// The parts of an array, as found in whichever list of arguments holds them.
struct Parts {
    shape: Id,
    dtype: Id,
    data: Id,
    order: Order,
}

enum Order {
    C,
    Fortran,
    /// In C order of `shape`, whose axes are then put into this order.
    Transposed(Id),
}

impl<'de> Arena<'de> {
    /// The array that a call makes; a scalar becomes an array without dimensions. `None` for other
    /// nodes.
    pub(super) fn array(&self, id: Id) -> Option<Result<ArrayView<'de>>> {
        let Node::Call { what, args, state } = self.node(id) else { return None };
        let parts = match what {
            Known::Dtype => return None,
            Known::Scalar => {
                return Some(self.scalar(args).map(|(dtype, endian, data)| ArrayView {
                    dtype,
                    endian,
                    shape: Vec::new(),
                    fortran: false,
                    data,
                }));
            }
            Known::Reconstruct => self.reconstructed(args, state),
            Known::FromBuffer => self.frombuffer(args),
            _ => self.constructed(args),
        };
        Some(parts.ok_or_else(unknown).and_then(|parts| self.view(parts)))
    }

    /// Bytes that [`array`](Self::array) would read.
    pub(super) fn array_len(&self, id: Id) -> usize {
        let Node::Call { what, args, state } = self.node(id) else { return 0 };
        let list = if what == Known::Reconstruct { state } else { args };
        match self.node_or_none(list) {
            Node::Tuple(items) => self.items(items).take(8).map(|item| self.blob_len(item)).sum(),
            _ => 0,
        }
    }

    fn node_or_none(&self, id: Id) -> Node {
        if id == NIL { Node::None } else { self.node(id) }
    }

    /// `_reconstruct(ndarray, (0,), b"b")` with the state `(1, shape, dtype, is_fortran, data)`.
    fn reconstructed(&self, args: Id, state: Id) -> Option<Parts> {
        let [class, _, _] = self.tuple(args)?;
        let Node::Global { known: Known::NdArray, .. } = self.node(class) else { return None };
        if state == NIL {
            return None;
        }
        let [_, shape, dtype, fortran, data] = self.tuple(state)?;
        let order = match self.node(fortran) {
            Node::Bool(true) => Order::Fortran,
            Node::Bool(false) => Order::C,
            _ => return None,
        };
        Some(Parts { shape, dtype, data, order })
    }

    /// `_frombuffer(data, dtype, shape, order[, axes])`.
    fn frombuffer(&self, args: Id) -> Option<Parts> {
        let ([data, dtype, shape, order], axes) = match self.tuple::<5>(args) {
            Some([data, dtype, shape, order, axes]) => ([data, dtype, shape, order], axes),
            None => (self.tuple::<4>(args)?, NIL),
        };
        let order = match (self.short_text(order)?, self.node_or_none(axes)) {
            (b"C", _) => Order::C,
            (b"F", _) => Order::Fortran,
            (b"K", Node::Tuple(_)) => Order::Transposed(axes),
            _ => return None,
        };
        Some(Parts { shape, dtype, data, order })
    }

    /// `ndarray(shape, dtype, data[, 0, None, order])`, which is what this crate writes.
    fn constructed(&self, args: Id) -> Option<Parts> {
        if let Some([shape, dtype, data]) = self.tuple(args) {
            return Some(Parts { shape, dtype, data, order: Order::C });
        }
        let [shape, dtype, data, offset, strides, order] = self.tuple(args)?;
        match (self.node(offset), self.node(strides), self.short_text(order)?) {
            (Node::Int(0), Node::None, b"C") => Some(Parts { shape, dtype, data, order: Order::C }),
            (Node::Int(0), Node::None, b"F") => Some(Parts { shape, dtype, data, order: Order::Fortran }),
            _ => None,
        }
    }

    fn view(&self, parts: Parts) -> Result<ArrayView<'de>> {
        let (dtype, endian) = self.dtype(parts.dtype)?;
        let shape = self.indices(parts.shape)?;
        let data = self.blob(parts.data).ok_or_else(unknown)??;
        check_shape(dtype, &shape, data.len())
            .map_err(|error| DecodeError::new(Kind::Malformed, error.to_string()))?;
        let fortran = matches!(parts.order, Order::Fortran);
        match parts.order {
            Order::Transposed(axes) => {
                let axes = self.indices(axes)?;
                let (shape, data) = transpose(dtype.size(), &shape, &axes, &data).ok_or_else(unknown)?;
                Ok(ArrayView { dtype, endian, shape, fortran, data: Cow::Owned(data) })
            }
            _ => Ok(ArrayView { dtype, endian, shape, fortran, data }),
        }
    }

    /// `scalar(dtype, bytes)`.
    fn scalar(&self, args: Id) -> Result<(DType, Endian, Cow<'de, [u8]>)> {
        let [dtype, data] = self.tuple(args).ok_or_else(unknown)?;
        let (dtype, endian) = self.dtype(dtype)?;
        let data = self.blob(data).ok_or_else(unknown)??;
        match data.len() == dtype.size() {
            true => Ok((dtype, endian, data)),
            false => Err(unknown()),
        }
    }

    /// `dtype("f8", False, True)` with the state `(3, "<", None, None, None, -1, -1, 0)`, or a text.
    fn dtype(&self, id: Id) -> Result<(DType, Endian)> {
        let Node::Call { what: Known::Dtype, args, state } = self.node(id) else {
            let text = self.text(id).ok_or_else(unknown)??;
            return DType::parse(&text).ok_or_else(|| unsupported(&self.lossy(id)));
        };
        let [code, _, _] = self.tuple(args).ok_or_else(unknown)?;
        let text = self.text(code).ok_or_else(unknown)??;
        if state == NIL {
            return DType::parse(&text).ok_or_else(|| unsupported(&text));
        }
        let Node::Tuple(items) = self.node(state) else { return Err(unknown()) };
        let state: Vec<Id> = self.items(items).take(10).collect();
        let (&order, subtype) = match state.as_slice() {
            [_, order, rest @ ..] if rest.len() >= 6 => (order, &rest[..3]),
            _ => return Err(unknown()),
        };
        if subtype.iter().any(|&part| !matches!(self.node(part), Node::None)) {
            return Err(DecodeError::new(
                Kind::Unsupported,
                "arrays of records (structured dtypes) are not supported: send one array for each field",
            ));
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
        Ok((dtype, endian))
    }

    /// The unit in a dtype's ninth state item: `(metadata, (b"ns", 1, 1, 1))`.
    fn unit(&self, state: &[Id]) -> Result<TimeUnit> {
        let [_, unit] = state.get(8).and_then(|&extra| self.tuple(extra)).ok_or_else(unknown)?;
        let [name, count, ..] = self.tuple::<4>(unit).ok_or_else(unknown)?;
        let name = self.blob(name).ok_or_else(unknown)??;
        let unit = std::str::from_utf8(&name).ok().and_then(TimeUnit::parse);
        match (unit, self.node(count)) {
            (Some(unit), Node::Int(1)) => Ok(unit),
            _ => Err(DecodeError::new(Kind::Unsupported, "times in multiples of a unit are not supported")),
        }
    }

    fn indices(&self, id: Id) -> Result<Vec<usize>> {
        let items = match self.node(id) {
            Node::Tuple(items) | Node::List(items) if items.len as usize <= MAX_DIMENSIONS => items,
            _ => return Err(unknown()),
        };
        let index = |item| match self.node(item) {
            Node::Int(n) => usize::try_from(n).map_err(|_| unknown()),
            _ => Err(unknown()),
        };
        self.items(items).map(index).collect()
    }

    fn short_text(&self, id: Id) -> Option<&'de [u8]> {
        match self.node(id) {
            Node::Str(span) | Node::Escaped(span) if span.len <= 8 => Some(self.bytes(span)),
            _ => None,
        }
    }
}

/// Puts the axes of an array in C order into another order, again in C order.
fn transpose(size: usize, shape: &[usize], axes: &[usize], data: &[u8]) -> Option<(Vec<usize>, Vec<u8>)> {
    let mut seen = vec![false; shape.len()];
    for &axis in axes {
        if std::mem::replace(seen.get_mut(axis)?, true) {
            return None;
        }
    }
    if axes.len() != shape.len() {
        return None;
    }
    let mut steps = vec![size; shape.len()];
    for axis in (1..shape.len()).rev() {
        steps[axis - 1] = steps[axis].saturating_mul(shape[axis].max(1));
    }
    let dims: Vec<(usize, usize)> = axes.iter().map(|&axis| (shape[axis], steps[axis])).collect();
    let mut out = Vec::with_capacity(data.len());
    let mut index = vec![0; dims.len()];
    let mut from = 0;
    while out.len() < data.len() {
        out.extend_from_slice(data.get(from..from + size)?);
        for (i, &(n, step)) in index.iter_mut().zip(&dims).rev() {
            *i += 1;
            from += step;
            if *i < n {
                break;
            }
            from -= step * n;
            *i = 0;
        }
    }
    Some((dims.iter().map(|&(n, _)| n).collect(), out))
}

#[cold]
fn unknown() -> DecodeError {
    DecodeError::new(Kind::Unsupported, "an array or scalar is not written as numpy 1 or 2 writes it")
}

#[cold]
fn unsupported(dtype: &str) -> DecodeError {
    let hint = match dtype.trim_start_matches(['<', '>', '|', '=']).bytes().next() {
        Some(b'U' | b'S') => ": send a list of str or bytes (`.tolist()`)",
        Some(b'O') => ": send a list (`.tolist()`)",
        Some(b'V') => " (structured or void): send one array for each field",
        Some(b'f' | b'c' | b'g') => ": send `.astype('f8')` or `'c16'`",
        _ => "",
    };
    let dtype = crate::codec::report::excerpt(dtype);
    DecodeError::new(Kind::Unsupported, format!("arrays of dtype `{dtype}` are not supported{hint}"))
}
