//! Arrays as numpy has them: elements of one type in a block of bytes, with a shape.
//!
//! Owns [`NdArray`], which keeps the block as it came (byte order and memory order included), and
//! [`NdView`], which sends a borrowed slice without a copy. Calls `dtype`; never calculates.

use crate::plural::count;
use std::borrow::Cow;
use std::fmt;

use zerocopy::IntoBytes;

use super::{DType, Element, Endian, Scalar, Value};

/// Maximum number of dimensions of an array; numpy's own bound.
pub(crate) const MAX_DIMENSIONS: usize = 64;

/// An array that owns its elements, as numpy's `ndarray`.
///
/// The block is aligned for every element type, so that [`as_slice`](Self::as_slice) needs no
/// copy. Two arrays are equal if type, byte order, shape, memory order and bytes are.
#[derive(Clone, PartialEq, Eq)]
pub struct NdArray {
    dtype: DType,
    endian: Endian,
    fortran: bool,
    shape: Vec<usize>,
    data: Block,
}

/// Bytes that start at a multiple of 8.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Block {
    words: Vec<u64>,
    len: usize,
}

impl Block {
    pub(crate) fn copy_of(bytes: &[u8]) -> Self {
        let (whole, rest) = bytes.as_chunks();
        // The block is not zeroed first and then overwritten: that would write an image twice.
        let mut words = Vec::with_capacity(bytes.len().div_ceil(8));
        words.extend(whole.iter().map(|word| u64::from_ne_bytes(*word)));
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            words.push(u64::from_ne_bytes(last));
        }
        Self { words, len: bytes.len() }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.words.as_bytes()[..self.len]
    }
}

/// Error for a shape and a block of bytes that do not belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeError(String);

impl ShapeError {
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ShapeError {}

/// Checks that `shape` of `dtype` takes exactly `bytes` bytes.
pub(crate) fn check_shape(dtype: DType, shape: &[usize], bytes: usize) -> Result<(), ShapeError> {
    if shape.len() > MAX_DIMENSIONS {
        return Err(ShapeError(format!("{}; the most is {MAX_DIMENSIONS}", count(shape.len(), "dimension"))));
    }
    // As in numpy, a product that overflows is refused even if another dimension is 0.
    let size = shape.iter().filter(|&&n| n != 0).try_fold(dtype.size(), |size, &n| size.checked_mul(n));
    match size.map(|size| if shape.contains(&0) { 0 } else { size }) {
        Some(size) if size == bytes => Ok(()),
        Some(size) => Err(ShapeError(format!(
            "shape {shape:?} of {dtype} takes {size}, but there are {bytes}",
            size = count(size, "byte")
        ))),
        None => Err(ShapeError(format!("shape {shape:?} of {dtype} takes more bytes than memory can hold"))),
    }
}

/// Returns the strides: bytes from one index to the next, for each dimension.
pub(crate) fn strides(dtype: DType, shape: &[usize], fortran: bool) -> Vec<usize> {
    let mut strides = vec![0; shape.len()];
    let mut step = dtype.size();
    let mut place = |axis: usize| {
        strides[axis] = step;
        step = step.saturating_mul(shape[axis].max(1));
    };
    if fortran {
        (0..shape.len()).for_each(&mut place);
    } else {
        (0..shape.len()).rev().for_each(&mut place);
    }
    strides
}

impl NdArray {
    /// Makes an array from the bytes of all elements, in the order that `endian` and `fortran` say.
    ///
    /// # Errors
    ///
    /// Fails if `shape` does not take exactly `bytes.len()` bytes, or has more than 64 dimensions.
    pub fn from_bytes(
        dtype: DType,
        endian: Endian,
        shape: &[usize],
        fortran: bool,
        bytes: &[u8],
    ) -> Result<Self, ShapeError> {
        check_shape(dtype, shape, bytes.len())?;
        Ok(Self::from_block(dtype, endian, shape.to_vec(), fortran, Block::copy_of(bytes)))
    }

    /// Makes an array. The caller has checked the shape.
    pub(crate) fn from_block(
        dtype: DType,
        endian: Endian,
        shape: Vec<usize>,
        fortran: bool,
        data: Block,
    ) -> Self {
        let endian = if dtype.size() == 1 { Endian::NATIVE } else { endian };
        Self { dtype, endian, fortran, shape, data }
    }

    /// Makes an array from elements in C order (last index fastest).
    ///
    /// # Errors
    ///
    /// Fails if `shape` does not hold exactly `items.len()` elements.
    pub fn from_slice<T: Element>(shape: &[usize], items: &[T]) -> Result<Self, ShapeError> {
        Self::from_bytes(T::DTYPE, Endian::NATIVE, shape, false, items.as_bytes())
    }

    /// Returns the element type.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Returns the byte order of the elements; for one-byte elements, that of this machine.
    #[must_use]
    pub fn endian(&self) -> Endian {
        self.endian
    }

    /// Returns the length of each dimension; empty for a single element.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Returns `true` if the first index is the fastest in memory, not the last.
    #[must_use]
    pub fn is_fortran(&self) -> bool {
        self.fortran
    }

    /// Returns the number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.data.len / self.dtype.size()
    }

    /// Returns `true` if there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.data.len == 0
    }

    /// Returns all elements as they lie in memory.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.data.bytes()
    }

    /// Returns all elements in memory order, without a copy. They must be of type `T` and in the byte order
    /// of this machine.
    #[must_use]
    pub fn as_slice<T: Element>(&self) -> Option<&[T]> {
        if self.dtype == T::DTYPE && self.endian == Endian::NATIVE { T::view(self.as_bytes()) } else { None }
    }

    /// Returns a copy of all elements in C order (last index fastest), converted to `T`.
    ///
    /// Returns `None` if an element is not exactly a `T`. `f4` reads as `f64`, and `i4` as `i64` or `f64`.
    /// `f8` reads as `f32` only if every element is exactly an `f32`.
    #[must_use]
    pub fn to_vec<T: Element>(&self) -> Option<Vec<T>> {
        if self.fortran && self.shape.len() > 1 {
            return self.offsets().map(|at| self.read(at)).collect();
        }
        if let Some(items) = self.as_slice() {
            return Some(items.to_vec());
        }
        if self.dtype == T::DTYPE {
            return self
                .as_bytes()
                .chunks_exact(self.dtype.size())
                .map(|item| T::read(item, self.endian))
                .collect();
        }
        (0..self.len()).map(|i| self.read(i * self.dtype.size())).collect()
    }

    /// Returns the element at `index`, converted to `T`. Returns `None` if the index is out of range or has
    /// another number of dimensions, or if the element is not exactly a `T`.
    #[must_use]
    pub fn get<T: Element>(&self, index: &[usize]) -> Option<T> {
        self.read(self.offset(index)?)
    }

    /// Returns the element at `index`, of any type.
    #[must_use]
    pub fn scalar(&self, index: &[usize]) -> Option<Scalar> {
        self.dtype.read(self.item(self.offset(index)?)?, self.endian)
    }

    fn offset(&self, index: &[usize]) -> Option<usize> {
        if index.len() != self.shape.len() || index.iter().zip(&self.shape).any(|(i, n)| i >= n) {
            return None;
        }
        let strides = strides(self.dtype, &self.shape, self.fortran);
        Some(index.iter().zip(strides).map(|(i, stride)| i * stride).sum())
    }

    fn item(&self, at: usize) -> Option<&[u8]> {
        self.as_bytes().get(at..at + self.dtype.size())
    }

    fn read<T: Element>(&self, at: usize) -> Option<T> {
        let item = self.item(at)?;
        if self.dtype == T::DTYPE {
            T::read(item, self.endian)
        } else {
            T::from_scalar(self.dtype.read(item, self.endian)?)
        }
    }

    /// Returns the offsets of the elements, in C order.
    fn offsets(&self) -> impl Iterator<Item = usize> {
        each_offset(self.shape.clone(), strides(self.dtype, &self.shape, self.fortran), self.len())
    }

    /// Returns the element at `index` as a value: a number, a text or bytes. Returns `None` if there is no
    /// such element, or if it is not valid text.
    #[must_use]
    pub fn value(&self, index: &[usize]) -> Option<Value> {
        self.dtype.value(self.item(self.offset(index)?)?, self.endian)
    }

    /// Returns all elements as values, in C order. An element that is not valid text is `None`.
    pub(crate) fn values(&self) -> impl Iterator<Item = Option<Value>> + '_ {
        self.offsets().map(|at| self.dtype.value(self.item(at)?, self.endian))
    }

    /// Returns all elements of an array of text (`U`) or bytes (`S`) in C order; `None` for other types.
    #[must_use]
    pub fn to_texts(&self) -> Option<Vec<String>> {
        let text = |at| match self.dtype.value(self.item(at)?, self.endian)? {
            Value::Str(text) => Some(text),
            Value::Bytes(bytes) => String::from_utf8(bytes).ok(),
            _ => None,
        };
        self.offsets().map(text).collect()
    }

    /// Returns the bytes of all elements in the byte order of this machine.
    pub(crate) fn native_bytes(&self) -> Cow<'_, [u8]> {
        let unit = self.dtype.swap_unit();
        if self.endian == Endian::NATIVE || unit < 2 {
            return Cow::Borrowed(self.as_bytes());
        }
        let mut bytes = self.as_bytes().to_vec();
        bytes.chunks_exact_mut(unit).for_each(<[u8]>::reverse);
        Cow::Owned(bytes)
    }
}

/// Returns the offsets of `len` elements in C order.
pub(super) fn each_offset(shape: Vec<usize>, strides: Vec<usize>, len: usize) -> impl Iterator<Item = usize> {
    let mut index = vec![0; shape.len()];
    (0..len).map(move |_| {
        let at = index.iter().zip(&strides).map(|(i, stride)| i * stride).sum();
        for (i, &n) in index.iter_mut().zip(&shape).rev() {
            *i += 1;
            if *i < n {
                break;
            }
            *i = 0;
        }
        at
    })
}

impl fmt::Debug for NdArray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 8;
        write!(f, "array({}, shape={:?}", self.dtype.code(self.endian), self.shape)?;
        if self.fortran {
            f.write_str(", order=F")?;
        }
        f.write_str(", [")?;
        for (i, item) in self.as_bytes().chunks_exact(self.dtype.size()).take(SHOWN).enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            match self.dtype.read(item, self.endian) {
                Some(Scalar::Bool(x)) => write!(f, "{x}")?,
                Some(Scalar::Int(x)) => write!(f, "{x}")?,
                Some(Scalar::UInt(x)) => write!(f, "{x}")?,
                Some(Scalar::Float(x)) => write!(f, "{x}")?,
                Some(Scalar::Complex(re, im)) => write!(f, "{re}{im:+}j")?,
                None => write!(f, "b\"{}\"", item.escape_ascii())?,
            }
        }
        f.write_str(if self.len() > SHOWN { ", …])" } else { "])" })
    }
}

/// Makes a one-dimensional array.
impl<T: Element> From<&[T]> for NdArray {
    fn from(items: &[T]) -> Self {
        let data = Block::copy_of(items.as_bytes());
        Self::from_block(T::DTYPE, Endian::NATIVE, vec![items.len()], false, data)
    }
}

/// Makes a one-dimensional array.
impl<T: Element> From<Vec<T>> for NdArray {
    fn from(items: Vec<T>) -> Self {
        Self::from(items.as_slice())
    }
}

/// A borrowed array to send: the elements are copied once, into the slot.
#[derive(Clone, Copy, Debug)]
pub struct NdView<'a> {
    pub(crate) dtype: DType,
    pub(crate) endian: Endian,
    pub(crate) fortran: bool,
    pub(crate) shape: &'a [usize],
    pub(crate) data: &'a [u8],
}

impl<'a> NdView<'a> {
    /// Makes a view of elements in C order (last index fastest).
    ///
    /// # Errors
    ///
    /// Fails if `shape` does not hold exactly `items.len()` elements.
    pub fn new<T: Element>(shape: &'a [usize], items: &'a [T]) -> Result<Self, ShapeError> {
        let data = items.as_bytes();
        check_shape(T::DTYPE, shape, data.len())?;
        Ok(Self { dtype: T::DTYPE, endian: Endian::NATIVE, fortran: false, shape, data })
    }
}

impl<'a> From<&'a NdArray> for NdView<'a> {
    fn from(array: &'a NdArray) -> Self {
        Self {
            dtype: array.dtype,
            endian: array.endian,
            fortran: array.fortran,
            shape: &array.shape,
            data: array.as_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shape_that_does_not_fit_is_refused_with_numbers() {
        let text = NdArray::from_slice(&[2, 2], &[1.0, 2.0, 3.0]).unwrap_err().to_string();
        assert_eq!(text, "shape [2, 2] of f8 takes 32 bytes, but there are 24");
        assert!(NdArray::from_slice::<u8>(&[usize::MAX, 2], &[]).is_err());
        assert!(NdArray::from_slice::<u8>(&[usize::MAX, 2, 0], &[]).is_err());
        assert!(NdArray::from_slice::<u8>(&[1; 65], &[0]).is_err());
        assert_eq!(NdArray::from_slice::<u8>(&[3, 0], &[]).unwrap().len(), 0);
        assert_eq!(NdArray::from_slice(&[], &[7i32]).unwrap().get::<i64>(&[]), Some(7));
    }

    #[test]
    fn memory_order_and_byte_order_do_not_change_values() {
        let c = NdArray::from_slice(&[2, 3], &[1i16, 2, 3, 4, 5, 6]).unwrap();
        let bytes: Vec<u8> = [1i16, 4, 2, 5, 3, 6].iter().flat_map(|x| x.to_be_bytes()).collect();
        let f = NdArray::from_bytes(DType::I16, Endian::Big, &[2, 3], true, &bytes).unwrap();
        assert_eq!(c.to_vec::<i16>(), f.to_vec::<i16>());
        assert_eq!(f.to_vec::<f64>().unwrap(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!((c.get::<i16>(&[1, 2]), f.get::<i32>(&[1, 2])), (Some(6), Some(6)));
        assert_eq!((c.get::<i16>(&[2, 0]), f.get::<i16>(&[0])), (None, None));
        assert_eq!(c.as_slice::<i16>().unwrap(), [1, 2, 3, 4, 5, 6]);
        assert!(f.as_slice::<i16>().is_none() && c.as_slice::<u16>().is_none());
    }

    #[test]
    fn bool_array_with_other_bytes_is_never_a_slice() {
        let odd = NdArray::from_bytes(DType::Bool, Endian::NATIVE, &[2], false, &[1, 7]).unwrap();
        assert!(odd.as_slice::<bool>().is_none());
        assert_eq!(odd.to_vec::<bool>().unwrap(), [true, true]);
    }
}
