//! numpy's arrays and scalars, from the calls that would make them.
//!
//! Owns the reading of the argument lists of numpy 1 and 2 at protocols 0 to 5, and of the list that this
//! crate writes. Calls `arena`, and `record` for dtypes. Checks every shape against the bytes that are
//! present.

use std::borrow::Cow;

use super::arena::{Arena, Id, NIL, Node};
use super::globals::Known;
use super::record::Element;
use crate::codec::value::{MAX_DIMENSIONS, check_shape, strides};
use crate::codec::{DType, DecodeError, DecodeErrorKind as Kind, Endian, RecordType, TimeUnit};

type Result<T> = std::result::Result<T, DecodeError>;

/// An array whose bytes may still lie in the message.
pub(super) struct ArrayView<'de> {
    pub(super) dtype: DType,
    pub(super) endian: Endian,
    pub(super) shape: Vec<usize>,
    pub(super) fortran: bool,
    pub(super) data: Cow<'de, [u8]>,
    /// Type of the elements if they are records; `dtype` then states their size.
    pub(super) record: Option<Box<RecordType>>,
}

impl ArrayView<'_> {
    pub(super) fn strides(&self) -> Vec<usize> {
        strides(self.dtype, &self.shape, self.fortran)
    }
}

/// Parts of an array, from any of its argument lists.
struct Parts {
    shape: Id,
    dtype: Id,
    data: Id,
    order: Order,
}

enum Order {
    C,
    Fortran,
    /// Data in C order of `shape`, whose axes are then permuted into this order.
    Transposed(Id),
}

impl<'de> Arena<'de> {
    /// Returns the array that a call makes; a scalar becomes an array without dimensions. Returns `None` for
    /// other nodes.
    pub(super) fn array(&self, id: Id) -> Option<Result<ArrayView<'de>>> {
        let Node::Call { what, args, state } = self.node(id) else { return None };
        let parts = match what {
            Known::Scalar => {
                return Some(self.scalar(args).map(|(element, data)| ArrayView {
                    dtype: element.dtype,
                    endian: element.endian,
                    shape: Vec::new(),
                    fortran: false,
                    data,
                    record: element.record,
                }));
            }
            Known::Reconstruct => {
                if let Some(error) = self.subclass(args) {
                    return Some(Err(error));
                }
                self.reconstructed(args, state)
            }
            Known::FromBuffer => self.frombuffer(args),
            Known::NdArray => self.constructed(args),
            Known::TypedArray | Known::ArrayReconstructor => {
                return Some(self.typed_array(what, args).ok_or_else(not_an_array));
            }
            _ => return None,
        };
        Some(parts.ok_or_else(unknown).and_then(|parts| self.view(parts)))
    }

    /// Returns the number of bytes that [`array`](Self::array) would read.
    pub(super) fn array_len(&self, id: Id) -> usize {
        let Node::Call { what, args, state } = self.node(id) else { return 0 };
        let list = if what == Known::Reconstruct { state } else { args };
        match self.node_or_none(list) {
            Node::Tuple(items) => self
                .items(items)
                .take(8)
                .map(|item| match self.node(item) {
                    // The items of an `array.array`, at protocol 2: they are copied twice.
                    Node::List(items) => items.len as usize * 16,
                    _ => self.blob_len(item),
                })
                .sum(),
            _ => 0,
        }
    }

    /// Returns the error for an array of another class than `numpy.ndarray`, such as a `recarray`.
    fn subclass(&self, args: Id) -> Option<DecodeError> {
        let [class, _, _] = self.tuple(args)?;
        match self.node(class) {
            Node::Global { known: Known::NdArray, .. } => None,
            Node::Global { .. } => {
                let class = self.global_name(class);
                let reason = format!("an array of the class `{class}`: send `numpy.asarray(…)` of it");
                Some(DecodeError::new(Kind::Unsupported, reason))
            }
            _ => None,
        }
    }

    /// Reads `_reconstruct(ndarray, (0,), b"b")` with the state `(1, shape, dtype, is_fortran, data)`.
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

    /// Reads `_frombuffer(data, dtype, shape, order[, axes])`.
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

    /// Reads `ndarray(shape, dtype, data[, 0, None, order])`, which this crate writes.
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
        let Element { dtype, endian, record } = self.dtype(parts.dtype)?;
        let shape = self.indices(parts.shape)?;
        let data = self.blob(parts.data).ok_or_else(unknown)??;
        check_shape(dtype, &shape, data.len())
            .map_err(|error| DecodeError::new(Kind::Malformed, error.to_string()))?;
        let fortran = matches!(parts.order, Order::Fortran);
        match parts.order {
            Order::Transposed(axes) => {
                let axes = self.indices(axes)?;
                let (shape, data) = transpose(dtype.size(), &shape, &axes, &data).ok_or_else(unknown)?;
                Ok(ArrayView { dtype, endian, shape, fortran, data: Cow::Owned(data), record })
            }
            _ => Ok(ArrayView { dtype, endian, shape, fortran, data, record }),
        }
    }

    /// Reads `scalar(dtype, bytes)`.
    fn scalar(&self, args: Id) -> Result<(Element, Cow<'de, [u8]>)> {
        let [dtype, data] = self.tuple(args).ok_or_else(unknown)?;
        let element = self.dtype(dtype)?;
        let data = self.blob(data).ok_or_else(unknown)??;
        match data.len() == element.dtype.size() {
            true => Ok((element, data)),
            false => Err(unknown()),
        }
    }

    /// Reads the unit in a dtype's ninth state item: `(metadata, (b"ns", 1, 1, 1))`.
    pub(super) fn unit(&self, state: &[Id]) -> Result<TimeUnit> {
        let [_, unit] = state.get(8).and_then(|&extra| self.tuple(extra)).ok_or_else(unknown)?;
        let [name, count, ..] = self.tuple::<4>(unit).ok_or_else(unknown)?;
        let name = self.blob(name).ok_or_else(unknown)??;
        let unit = std::str::from_utf8(&name).ok().and_then(TimeUnit::parse);
        match (unit, self.node(count)) {
            (Some(unit), Node::Int(1)) => Ok(unit),
            _ => Err(DecodeError::new(Kind::Unsupported, "times in multiples of a unit are not supported")),
        }
    }

    pub(super) fn indices(&self, id: Id) -> Result<Vec<usize>> {
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

    pub(super) fn short_text(&self, id: Id) -> Option<&'de [u8]> {
        match self.node(id) {
            Node::Str(span) | Node::Escaped(span) if span.len <= 8 => Some(self.bytes(span)),
            _ => None,
        }
    }
}

/// Permutes the axes of an array in C order; the result is again in C order.
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
fn not_an_array() -> DecodeError {
    DecodeError::new(Kind::Unsupported, "an array.array is not written as CPython writes it")
}

#[cold]
pub(super) fn unknown() -> DecodeError {
    DecodeError::new(Kind::Unsupported, "an array or scalar is not written as numpy 1 or 2 writes it")
}

#[cold]
pub(super) fn unsupported(dtype: &str) -> DecodeError {
    let hint = match dtype.trim_start_matches(['<', '>', '|', '=']).bytes().next() {
        Some(b'U' | b'S' | b'V') => ": its elements have no bytes",
        Some(b'O') => " in this way: send a list (`.tolist()`)",
        Some(b'f' | b'c' | b'g') => ": send `.astype('f8')` or `'c16'`",
        _ => "",
    };
    let dtype = crate::codec::report::excerpt(dtype);
    DecodeError::new(Kind::Unsupported, format!("arrays of dtype `{dtype}` are not supported{hint}"))
}
