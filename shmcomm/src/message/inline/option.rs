//! Optional values inside a message.

use super::super::describe::Layout;
use super::super::{Schema, ShmMessage};
use super::vec::PREFIX;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::mem::MaybeUninit;

/// A value or nothing, `8 + size_of::<T>()` bytes in size, aligned as `T`, which may be to at most 8.
///
/// Invariants:
///
/// 1. the tag is 0 or 1;
/// 2. if the tag is 1, `value` is a value;
/// 3. the bytes of `value` are initialised in any case: zeros if the tag is 0, unless another program sent
///    other bytes.
///
/// ```
/// use shmcomm::ShmOption;
///
/// let mut best = ShmOption::from(Some(0.5_f32));
/// assert_eq!(best.as_ref().copied(), Some(0.5));
/// assert_eq!(best.take(), Some(0.5));
/// assert_eq!(best, ShmOption::none());
/// assert_eq!(best.into_option(), None);
/// ```
#[cfg_attr(feature = "zerocopy", derive(zerocopy::KnownLayout))]
#[repr(C)]
pub struct ShmOption<T> {
    /// A `u32` tag and zeros.
    prefix: [u8; PREFIX],
    value: MaybeUninit<T>,
}

impl<T: ShmMessage> ShmOption<T> {
    /// Makes an empty option.
    pub const fn none() -> Self {
        ShmOption { prefix: [0; PREFIX], value: MaybeUninit::zeroed() }
    }

    /// Makes an option with a value.
    pub const fn some(value: T) -> Self {
        let [a, b, c, d] = 1u32.to_ne_bytes();
        ShmOption { prefix: [a, b, c, d, 0, 0, 0, 0], value: MaybeUninit::new(value) }
    }

    /// Returns `true` if there is a value.
    pub const fn is_some(&self) -> bool {
        let [a, b, c, d, ..] = self.prefix;
        u32::from_ne_bytes([a, b, c, d]) != 0
    }

    /// Returns `true` if there is no value.
    pub const fn is_none(&self) -> bool {
        !self.is_some()
    }

    /// Returns a reference to the value, if there is one.
    pub const fn as_ref(&self) -> Option<&T> {
        // SAFETY: invariants 1 and 2, which each method keeps and `is_valid` checks.
        if self.is_some() { Some(unsafe { self.value.assume_init_ref() }) } else { None }
    }

    /// Returns an exclusive reference to the value, if there is one.
    pub const fn as_mut(&mut self) -> Option<&mut T> {
        // SAFETY: as in `as_ref`; `&mut self` makes it the only reference.
        if self.is_some() { Some(unsafe { self.value.assume_init_mut() }) } else { None }
    }

    /// Takes the value out and leaves nothing.
    pub fn take(&mut self) -> Option<T> {
        core::mem::take(self).into_option()
    }

    /// Stores `value`, and returns the previous value.
    pub const fn replace(&mut self, value: T) -> Option<T> {
        core::mem::replace(self, Self::some(value)).into_option()
    }

    /// Converts into std's type, which has all the combinators.
    pub const fn into_option(self) -> Option<T> {
        // SAFETY: as in `as_ref`; `self` is gone after this, so the value is taken out once.
        if self.is_some() { Some(unsafe { self.value.assume_init_read() }) } else { None }
    }
}

impl<T: ShmMessage> Default for ShmOption<T> {
    fn default() -> Self {
        Self::none()
    }
}

impl<T: ShmMessage + Copy> Copy for ShmOption<T> {}

impl<T: ShmMessage + Clone> Clone for ShmOption<T> {
    fn clone(&self) -> Self {
        self.as_ref().cloned().into()
    }
}

impl<T: ShmMessage> From<Option<T>> for ShmOption<T> {
    fn from(option: Option<T>) -> Self {
        option.map_or_else(Self::none, Self::some)
    }
}

impl<T: ShmMessage> From<ShmOption<T>> for Option<T> {
    fn from(option: ShmOption<T>) -> Self {
        option.into_option()
    }
}

impl<T: ShmMessage + fmt::Debug> fmt::Debug for ShmOption<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl<T: ShmMessage + PartialEq> PartialEq for ShmOption<T> {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl<T: ShmMessage + PartialEq> PartialEq<Option<T>> for ShmOption<T> {
    fn eq(&self, other: &Option<T>) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl<T: ShmMessage + Eq> Eq for ShmOption<T> {}

impl<T: ShmMessage + PartialOrd> PartialOrd for ShmOption<T> {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        self.as_ref().partial_cmp(&other.as_ref())
    }
}

impl<T: ShmMessage + Ord> Ord for ShmOption<T> {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.as_ref().cmp(&other.as_ref())
    }
}

impl<T: ShmMessage + Hash> Hash for ShmOption<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_ref().hash(state);
    }
}

// SAFETY: sound only if `T` is, and is aligned to a divisor of `PREFIX`: then no gap is before or
// after the value. `is_valid` checks invariants 1 and 2; 3 holds of any bytes.
#[diagnostic::do_not_recommend]
unsafe impl<T: ShmMessage> ShmMessage for ShmOption<T> {
    const LAYOUT: Layout<Self> = Layout::new(Schema::option(T::SCHEMA, PREFIX, size_of::<Self>()));
    fn is_valid(bytes: &[u8]) -> bool {
        let Some((tag, _)) = bytes.split_first_chunk() else { return false };
        bytes.len() == size_of::<Self>()
            && match u32::from_ne_bytes(*tag) {
                0 => true,
                1 => T::SCHEMA.any_bits || T::is_valid(&bytes[PREFIX..]),
                _ => false,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{as_bytes, read};

    #[test]
    fn a_value_taken_out_is_not_sent() {
        let mut option = ShmOption::some(0x55u8);
        assert_eq!(as_bytes(&option)[PREFIX], 0x55);
        assert_eq!(option.replace(0x66), Some(0x55));
        *option.as_mut().unwrap() += 1;
        assert_eq!(option.take(), Some(0x67));
        assert_eq!(as_bytes(&option), [0; PREFIX + 1]);
    }

    #[test]
    fn hostile_bytes_are_refused() {
        let bytes = |tag: u32, value: u8| [&tag.to_ne_bytes()[..], &[0; 4], &[value]].concat();
        assert_eq!(read::<ShmOption<bool>>(&bytes(0, 9)).unwrap(), None);
        assert_eq!(read::<ShmOption<bool>>(&bytes(1, 1)).unwrap(), Some(true));
        assert!(read::<ShmOption<bool>>(&bytes(1, 9)).is_err());
        assert!(read::<ShmOption<bool>>(&bytes(2, 1)).is_err());
    }
}
