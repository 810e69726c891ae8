//! [`Copies`]: values that are copied out of a table, and the step from bytes to values.
//!
//! Owns both. Calls `ring` for the copies, `message` for the values. Never maps a segment.

use super::seen::Seen;
use super::{Key, LoadError};
use crate::message::{self, Invalid, ShmMessage, Timestamp};
use crate::ring::table::{KeyReader, Stamped, load_set};

/// A value of a table that was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Latest<V> {
    /// Copy of the value.
    pub value: V,
    /// Number of stores of the key up to this one, since the segment was created: 1 for the first value.
    pub version: u64,
    /// Time of the store, by the clock of the system.
    pub time: Timestamp,
}

impl<V> Latest<V> {
    #[inline(always)]
    pub(super) fn new(value: V, stamped: Stamped) -> Self {
        Latest { value, version: stamped.version, time: Timestamp::from_nanos(stamped.time) }
    }
}

/// The keys of a mapped table, and the memory that takes their copies.
pub struct Copies<'r> {
    keys: &'r [KeyReader],
    seen: &'r Seen,
    buffer: &'r mut Vec<u8>,
}

impl<'r> Copies<'r> {
    pub(crate) fn new(keys: &'r [KeyReader], seen: &'r Seen, buffer: &'r mut Vec<u8>) -> Self {
        Copies { keys, seen, buffer }
    }

    /// Copies values that were current at one instant, one behind the other.
    pub(super) fn collect<const N: usize>(
        &mut self,
        indices: [u32; N],
        sizes: [usize; N],
    ) -> Result<[Stamped; N], LoadError> {
        self.room(sizes.iter().sum());
        let keys = indices.map(|index| self.keys[index as usize]);
        let mut rest = self.buffer.as_mut_slice();
        let mut parts = sizes.map(|size| {
            let (part, behind) = core::mem::take(&mut rest).split_at_mut(size);
            rest = behind;
            part
        });
        let mut found = [Stamped::NOTHING; N];
        load_set(&keys, &mut parts, &mut found)?;
        for (index, found) in indices.into_iter().zip(found) {
            self.seen.loaded(index as usize, found.version);
        }
        Ok(found)
    }

    /// Returns the value that was copied to `at`, and moves `at` behind it.
    pub(super) fn collected<T: ?Sized, V: ShmMessage>(
        &self,
        key: Key<T, V>,
        stamped: Stamped,
        at: &mut usize,
    ) -> Result<Option<Latest<V>>, LoadError> {
        let start = *at;
        *at += size_of::<V>();
        value(key, stamped, &self.buffer[start..*at])
    }

    /// Copies the bytes of the key with this index, whose values take `size` bytes.
    pub(crate) fn bytes(mut self, index: usize, size: usize) -> Result<(Stamped, &'r [u8]), LoadError> {
        self.room(size);
        let bytes = &mut self.buffer[..size];
        let stamped = self.keys[index].load(bytes)?;
        self.seen.loaded(index, stamped.version);
        Ok((stamped, bytes))
    }

    /// Copies the bytes of several keys that were current at one instant, given with their sizes.
    pub(crate) fn collect_bytes(
        mut self,
        keys: &[(usize, usize)],
    ) -> Result<Vec<(Stamped, &'r [u8])>, LoadError> {
        self.room(keys.iter().map(|(_, size)| size).sum());
        let readers: Vec<_> = keys.iter().map(|(index, _)| self.keys[*index]).collect();
        let mut rest = self.buffer.as_mut_slice();
        let mut part = |size| {
            let (part, behind) = core::mem::take(&mut rest).split_at_mut(size);
            rest = behind;
            part
        };
        let mut parts: Vec<_> = keys.iter().map(|(_, size)| part(*size)).collect();
        let mut found = vec![Stamped::NOTHING; keys.len()];
        load_set(&readers, &mut parts, &mut found)?;
        for ((index, _), found) in keys.iter().zip(&found) {
            self.seen.loaded(*index, found.version);
        }
        Ok(found.into_iter().zip(parts.into_iter().map(|part| &*part)).collect())
    }

    #[inline]
    fn room(&mut self, bytes: usize) {
        if self.buffer.len() < bytes {
            self.buffer.resize(bytes, 0);
        }
    }
}

/// Returns the value that the bytes are.
#[inline]
fn value<T: ?Sized, V: ShmMessage>(
    key: Key<T, V>,
    stamped: Stamped,
    bytes: &[u8],
) -> Result<Option<Latest<V>>, LoadError> {
    if stamped.version == 0 {
        return Ok(None);
    }
    let value = message::read(of_value(stamped, bytes)).map_err(|problem| invalid(key, problem))?;
    Ok(Some(Latest::new(value, stamped)))
}

/// Checks that the bytes are a value of the key.
pub(super) fn check<T: ?Sized, V: ShmMessage>(
    key: Key<T, V>,
    stamped: Stamped,
    bytes: &[u8],
) -> Result<(), LoadError> {
    message::validate::<V>(of_value(stamped, bytes)).map_err(|problem| invalid(key, problem))
}

/// Returns the bytes of a value. A value of another length is refused like a message of another length.
#[inline]
fn of_value(stamped: Stamped, bytes: &[u8]) -> &[u8] {
    bytes.get(..stamped.len).unwrap_or_default()
}

fn invalid<T: ?Sized, V>(key: Key<T, V>, problem: Invalid) -> LoadError {
    LoadError::Invalid { key: key.name(), problem }
}
