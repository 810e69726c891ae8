//! The codec of [`Encoded`] values.
//!
//! Owns the steps from a value to its bytes inside a message, and back. Calls the codec. Never touches a slot.

use super::{Decode, DecodeError, Encode, EncodeError};
use crate::message::{Encoded, ShmVec};

impl<M: ?Sized, F: Encode<M>, const N: usize> Encoded<M, F, N> {
    /// Encodes a value.
    ///
    /// # Errors
    ///
    /// Returns [`EncodeError::TooLong`], with both sizes, if the value takes more than `N` bytes, and the other errors of
    /// the codec.
    pub fn new(value: &M) -> Result<Self, EncodeError> {
        let mut bytes = ShmVec::<u8, N>::try_from(&[0; N][..]).expect("the list holds `N` bytes");
        let len = F::encode(value, bytes.as_mut_slice())?;
        bytes.truncate(len);
        Ok(Encoded::from_bytes(bytes))
    }
}

impl<M: ?Sized, F: Decode<M>, const N: usize> Encoded<M, F, N> {
    /// Decodes the value.
    ///
    /// # Errors
    ///
    /// Returns the error of the codec if the bytes are not exactly one value of type `M`: another program has stored another
    /// type, or used another codec.
    pub fn decode(&self) -> Result<F::Owned, DecodeError> {
        F::decode(self.as_bytes())
    }
}
