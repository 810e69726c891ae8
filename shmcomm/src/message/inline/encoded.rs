//! Encoded values inside a message.

use super::super::describe::Layout;
use super::super::{Schema, ShmMessage};
use super::ShmVec;
use crate::layout::Codec;
use core::fmt;
use core::marker::PhantomData;

/// A value of type `M` that a codec `F` encodes, in at most `N` bytes of a message: `Encoded<Settings, Msgpack, 4096>`.
///
/// It has the layout of a `ShmVec<u8, N>`, and takes `8 + N` bytes. So a value of any type of serde can be a key of a table, or a
/// field of a message with a fixed layout. The layout names the codec, so that other programs decode the value; it is not
/// part of the fingerprint. Two programs with different codecs get an error that names both.
///
/// ```
/// # #[cfg(feature = "msgpack")] {
/// use shmcomm::codec::Msgpack;
/// use shmcomm::Encoded;
///
/// let names = vec!["left".to_owned(), "right".to_owned()];
/// let encoded = Encoded::<Vec<String>, Msgpack, 64>::new(&names)?;
/// assert_eq!(encoded.decode()?, names);
///
/// // A value that is too large says what it takes.
/// let error = Encoded::<Vec<String>, Msgpack, 8>::new(&names).unwrap_err();
/// assert_eq!(error.to_string(), "the encoded message takes 12 bytes, but there is room for 8");
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[repr(transparent)]
pub struct Encoded<M: ?Sized, F: ?Sized, const N: usize> {
    bytes: ShmVec<u8, N>,
    marker: PhantomData<fn(&M, &F)>,
}

impl<M: ?Sized, F: ?Sized, const N: usize> Encoded<M, F, N> {
    /// Wraps bytes without decoding them. [`decode`](Self::decode) checks them.
    pub const fn from_bytes(bytes: ShmVec<u8, N>) -> Self {
        Encoded { bytes, marker: PhantomData }
    }

    /// Returns the encoded bytes.
    pub const fn as_bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// Returns the largest number of encoded bytes: `N`.
    pub const fn capacity(&self) -> usize {
        N
    }
}

impl<M: ?Sized, F: ?Sized, const N: usize> Copy for Encoded<M, F, N> {}

impl<M: ?Sized, F: ?Sized, const N: usize> Clone for Encoded<M, F, N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: ?Sized, F: ?Sized, const N: usize> PartialEq for Encoded<M, F, N> {
    /// Compares the encoded bytes.
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl<M: ?Sized, F: ?Sized, const N: usize> Eq for Encoded<M, F, N> {}

impl<M: ?Sized, F: ?Sized, const N: usize> fmt::Debug for Encoded<M, F, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoded").field("bytes", &self.bytes.len()).field("capacity", &N).finish()
    }
}

// SAFETY: transparent over a list of bytes, whose layout and validity these are. No byte pattern of the list violates an
// invariant of this type: `decode` checks the bytes.
#[diagnostic::do_not_recommend]
unsafe impl<M: ?Sized + 'static, F: Codec + ?Sized + 'static, const N: usize> ShmMessage
    for Encoded<M, F, N>
{
    const LAYOUT: Layout<Self> = Layout::new(
        Schema::list(<u8 as ShmMessage>::SCHEMA, N, super::vec::PREFIX, size_of::<Self>())
            .encoded_by(F::NAME),
    );
    fn is_valid(bytes: &[u8]) -> bool {
        ShmVec::<u8, N>::is_valid(bytes)
    }
}
