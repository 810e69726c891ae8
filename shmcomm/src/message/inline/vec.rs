//! Lists inside a message.

use super::super::describe::Layout;
use super::super::primitive::items_valid;
use super::super::{Schema, ShmMessage};
use super::CapacityError;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::mem::MaybeUninit;

/// Bytes in front of the items: enough to leave no gap before an item aligned to 8.
pub(super) const PREFIX: usize = 8;

/// At most `N` items, `8 + N * size_of::<T>()` bytes in size, aligned as `T`, which may be to at most 8.
///
/// Invariants:
///
/// 1. `len <= N`;
/// 2. the first `len` items are values;
/// 3. the bytes of the other items are initialised: zeros, unless another program sent other bytes.
///
/// ```
/// use shmcomm::ShmVec;
///
/// let mut path = ShmVec::<[f32; 2], 3>::new();
/// path.push([0.0, 1.0])?;
/// path.extend_from_slice(&[[2.0, 3.0], [4.0, 5.0]])?;
/// assert_eq!(path.push([6.0, 7.0]).unwrap_err().rejected, [6.0, 7.0]);
/// assert_eq!(path.iter().map(|p| p[0]).sum::<f32>(), 6.0);
/// assert_eq!(path.pop(), Some([4.0, 5.0]));
/// assert_eq!(path, [[0.0, 1.0], [2.0, 3.0]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[cfg_attr(feature = "zerocopy", derive(zerocopy::KnownLayout))]
#[repr(C)]
pub struct ShmVec<T, const N: usize> {
    /// A `u32` length and zeros.
    prefix: [u8; PREFIX],
    items: [MaybeUninit<T>; N],
}

impl<T: ShmMessage, const N: usize> ShmVec<T, N> {
    /// Makes an empty list.
    pub const fn new() -> Self {
        ShmVec { prefix: [0; PREFIX], items: [const { MaybeUninit::zeroed() }; N] }
    }

    /// Returns the number of items.
    pub const fn len(&self) -> usize {
        let [a, b, c, d, ..] = self.prefix;
        u32::from_ne_bytes([a, b, c, d]) as usize
    }

    /// Stores the length. It must be at most `N`, and that number of items must be values.
    fn set_len(&mut self, len: usize) {
        self.prefix[..4].copy_from_slice(&(len as u32).to_ne_bytes());
    }

    /// Returns `true` if there are no items.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns `true` if there is no room for another item.
    pub const fn is_full(&self) -> bool {
        self.len() == N
    }

    /// Returns the total capacity in items: `N`.
    pub const fn capacity(&self) -> usize {
        N
    }

    /// Returns the items.
    pub const fn as_slice(&self) -> &[T] {
        // SAFETY: invariants 1 and 2, which each method keeps and `is_valid` checks.
        unsafe { core::slice::from_raw_parts(self.items.as_ptr().cast(), self.len()) }
    }

    /// Returns the items, mutably.
    pub const fn as_mut_slice(&mut self) -> &mut [T] {
        let len = self.len();
        // SAFETY: as in `as_slice`; `&mut self` makes it the only reference.
        unsafe { core::slice::from_raw_parts_mut(self.items.as_mut_ptr().cast(), len) }
    }

    /// Appends `item`, or returns it in the error if there is no room.
    pub fn push(&mut self, item: T) -> Result<(), CapacityError<T>> {
        let len = self.len();
        let Some(slot) = self.items.get_mut(len) else { return Err(CapacityError::new(item, N)) };
        slot.write(item);
        self.set_len(len + 1);
        Ok(())
    }

    /// Removes the last item.
    pub fn pop(&mut self) -> Option<T> {
        let last = self.len().checked_sub(1)?;
        self.set_len(last);
        let slot = core::mem::replace(&mut self.items[last], MaybeUninit::zeroed());
        // SAFETY: the slot was below `len`, so it is a value by invariant 2, and it is taken out only here.
        Some(unsafe { slot.assume_init() })
    }

    /// Inserts `item` at `index`, and moves the items from there on one place further.
    ///
    /// # Errors
    ///
    /// Returns the item if there is no room, or if `index` is beyond the end.
    pub fn insert(&mut self, index: usize, item: T) -> Result<(), CapacityError<T>> {
        if index > self.len() {
            return Err(CapacityError::new(item, N));
        }
        self.push(item)?;
        self.as_mut_slice()[index..].rotate_right(1);
        Ok(())
    }

    /// Removes the item at `index`, and moves the later items one place back. Returns `None` if there is
    /// none.
    pub fn remove(&mut self, index: usize) -> Option<T> {
        if index >= self.len() {
            return None;
        }
        self[index..].rotate_left(1);
        self.pop()
    }

    /// Removes the item at `index`, and moves the last item there. Returns `None` if there is none.
    pub fn swap_remove(&mut self, index: usize) -> Option<T> {
        let last = self.len().checked_sub(1)?;
        if index > last {
            return None;
        }
        self.as_mut_slice().swap(index, last);
        self.pop()
    }

    /// Keeps the items for which `keep` returns `true`, in their order.
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        let mut kept = 0;
        for i in 0..self.len() {
            if keep(&self[i]) {
                self.swap(kept, i);
                kept += 1;
            }
        }
        self.truncate(kept);
    }

    /// Keeps the first `len` items. Does nothing if there are no more.
    pub fn truncate(&mut self, len: usize) {
        let old = self.len();
        if len < old {
            self.items[len..old].fill_with(MaybeUninit::zeroed);
            self.set_len(len);
        }
    }

    /// Removes all items.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Appends `items`, or no item if they do not all fit.
    pub fn extend_from_slice(&mut self, items: &[T]) -> Result<(), CapacityError>
    where
        T: Clone,
    {
        let len = self.len();
        let Some(room) = self.items[len..].get_mut(..items.len()) else {
            return Err(CapacityError::new((), N));
        };
        for (slot, item) in room.iter_mut().zip(items) {
            slot.write(item.clone());
        }
        self.set_len(len + items.len());
        Ok(())
    }

    /// Appends items until there is no room; returns the first item that does not fit. Later items stay in
    /// the iterator, if it was passed by reference.
    pub fn try_extend(&mut self, items: impl IntoIterator<Item = T>) -> Result<(), CapacityError<T>> {
        items.into_iter().try_for_each(|item| self.push(item))
    }
}

impl<T: ShmMessage, const N: usize> Default for ShmVec<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: ShmMessage + Copy, const N: usize> Copy for ShmVec<T, N> {}

impl<T: ShmMessage + Clone, const N: usize> Clone for ShmVec<T, N> {
    fn clone(&self) -> Self {
        let mut copy = Self::new();
        for (slot, item) in copy.items.iter_mut().zip(self.as_slice()) {
            slot.write(item.clone());
        }
        copy.set_len(self.len());
        copy
    }
}

impl<T: ShmMessage, const N: usize> core::ops::Deref for ShmVec<T, N> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        self.as_slice()
    }
}

impl<T: ShmMessage, const N: usize> core::ops::DerefMut for ShmVec<T, N> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.as_mut_slice()
    }
}

impl<T: ShmMessage, const N: usize> AsRef<[T]> for ShmVec<T, N> {
    fn as_ref(&self) -> &[T] {
        self
    }
}

impl<T: ShmMessage, const N: usize> AsMut<[T]> for ShmVec<T, N> {
    fn as_mut(&mut self) -> &mut [T] {
        self
    }
}

impl<T: ShmMessage + Clone, const N: usize> TryFrom<&[T]> for ShmVec<T, N> {
    type Error = CapacityError;
    fn try_from(items: &[T]) -> Result<Self, CapacityError> {
        let mut list = Self::new();
        list.extend_from_slice(items)?;
        Ok(list)
    }
}

impl<'a, T: ShmMessage, const N: usize> IntoIterator for &'a ShmVec<T, N> {
    type Item = &'a T;
    type IntoIter = core::slice::Iter<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T: ShmMessage, const N: usize> IntoIterator for &'a mut ShmVec<T, N> {
    type Item = &'a mut T;
    type IntoIter = core::slice::IterMut<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

impl<T: ShmMessage + fmt::Debug, const N: usize> fmt::Debug for ShmVec<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}

impl<T, U, const N: usize, const M: usize> PartialEq<ShmVec<U, M>> for ShmVec<T, N>
where
    T: ShmMessage + PartialEq<U>,
    U: ShmMessage,
{
    fn eq(&self, other: &ShmVec<U, M>) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<T: ShmMessage + PartialEq<U>, U, const N: usize> PartialEq<[U]> for ShmVec<T, N> {
    fn eq(&self, other: &[U]) -> bool {
        self.as_slice() == other
    }
}

impl<T: ShmMessage + PartialEq<U>, U, const N: usize> PartialEq<&[U]> for ShmVec<T, N> {
    fn eq(&self, other: &&[U]) -> bool {
        self.as_slice() == *other
    }
}

impl<T: ShmMessage + PartialEq<U>, U, const N: usize, const M: usize> PartialEq<[U; M]> for ShmVec<T, N> {
    fn eq(&self, other: &[U; M]) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<T: ShmMessage + Eq, const N: usize> Eq for ShmVec<T, N> {}

impl<T: ShmMessage + PartialOrd, const N: usize> PartialOrd for ShmVec<T, N> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.as_slice().partial_cmp(other.as_slice())
    }
}

impl<T: ShmMessage + Ord, const N: usize> Ord for ShmVec<T, N> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_slice().cmp(other.as_slice())
    }
}

impl<T: ShmMessage + Hash, const N: usize> Hash for ShmVec<T, N> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_slice().hash(state);
    }
}

// SAFETY: sound only if `T` is, and is aligned to a divisor of `PREFIX`: then no gap is before,
// between or after the items. `is_valid` checks invariants 1 and 2; 3 holds of any bytes.
#[diagnostic::do_not_recommend]
unsafe impl<T: ShmMessage, const N: usize> ShmMessage for ShmVec<T, N> {
    const LAYOUT: Layout<Self> = Layout::new(Schema::list(T::SCHEMA, N, PREFIX, size_of::<Self>()));
    fn is_valid(bytes: &[u8]) -> bool {
        let Some((len, _)) = bytes.split_first_chunk() else { return false };
        let len = u32::from_ne_bytes(*len) as usize;
        bytes.len() == size_of::<Self>()
            && len <= N
            && items_valid::<T>(&bytes[PREFIX..PREFIX + len * size_of::<T>()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{as_bytes, read};

    #[test]
    fn removed_items_are_not_sent() {
        let mut list = ShmVec::<u16, 4>::try_from(&[1, 2, 3, 4][..]).unwrap();
        assert_eq!(list.pop(), Some(4));
        list.truncate(1);
        assert_eq!(as_bytes(&list)[PREFIX..], [&1u16.to_ne_bytes()[..], &[0; 6]].concat());
        list.clear();
        assert!(as_bytes(&list).iter().all(|b| *b == 0));
    }

    #[test]
    fn keeps_order_like_a_vec() {
        let mut list = ShmVec::<u8, 5>::try_from(&[1, 2, 3][..]).unwrap();
        list.insert(1, 9).unwrap();
        assert_eq!(list, [1, 9, 2, 3]);
        assert_eq!(list.insert(5, 7).unwrap_err().rejected, 7);
        assert_eq!(list.remove(4), None);
        assert_eq!(list.remove(9), None);
        assert_eq!(list.remove(0), Some(1));
        assert_eq!(list.swap_remove(0), Some(9));
        assert_eq!(list, [3, 2]);
        assert_eq!(list.swap_remove(2), None);
        let mut items = 10..20;
        assert_eq!(list.try_extend(&mut items).unwrap_err().rejected, 13);
        assert_eq!(items, 14..20);
        list.retain(|i| i % 2 == 0);
        assert_eq!(list, [2, 10, 12]);
        assert!(list.extend_from_slice(&[0; 3]).is_err());
        assert_eq!(list.len(), 3);
    }

    #[test]
    fn equality_compares_live_items_only() {
        let mut bytes = [0; PREFIX + 3];
        bytes[PREFIX..].copy_from_slice(&[5, 6, 7]);
        bytes[..4].copy_from_slice(&2u32.to_ne_bytes());
        let list = read::<ShmVec<u8, 3>>(&bytes).unwrap();
        assert_eq!(list, ShmVec::<u8, 9>::try_from(&[5, 6][..]).unwrap());
        assert_ne!(list, [5, 6, 7]);
    }

    #[test]
    fn items_beyond_the_length_may_be_anything() {
        let bytes = |len: u32, items: [u8; 2]| [&len.to_ne_bytes()[..], &[0; 4], &items].concat();
        assert_eq!(read::<ShmVec<bool, 2>>(&bytes(1, [1, 9])).unwrap(), [true]);
        assert!(read::<ShmVec<bool, 2>>(&bytes(2, [1, 9])).is_err());
        assert!(read::<ShmVec<bool, 2>>(&bytes(3, [1, 1])).is_err());
        assert!(read::<ShmVec<bool, 2>>(&bytes(u32::MAX, [1, 1])).is_err());
    }
}
