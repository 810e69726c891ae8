//! Conversion of [`Identity`] to bytes and back.
//!
//! Owns the conversion, in safe code. Calls nothing. Never checks whether the values are consistent.

use super::Identity;
use core::mem::{offset_of, size_of};

/// A field of the identity: an integer in the byte order of the machine, or several.
trait Field: Copy {
    fn put(self, to: &mut [u8]);
    fn get(from: &[u8]) -> Self;
}

macro_rules! integers {
    ($($integer:ty)*) => {$(
        impl Field for $integer {
            fn put(self, to: &mut [u8]) {
                to.copy_from_slice(&self.to_ne_bytes());
            }

            fn get(from: &[u8]) -> Self {
                let mut bytes = [0; size_of::<Self>()];
                bytes.copy_from_slice(from);
                Self::from_ne_bytes(bytes)
            }
        }
    )*};
}

integers!(u32 u64 i64);

impl<const N: usize> Field for [u64; N] {
    fn put(self, to: &mut [u8]) {
        self.into_iter().zip(to.chunks_exact_mut(8)).for_each(|(word, to)| word.put(to));
    }

    fn get(from: &[u8]) -> Self {
        core::array::from_fn(|index| u64::get(&from[8 * index..][..8]))
    }
}

fn get<F: Field>(bytes: &[u8; Identity::SIZE], at: usize) -> F {
    F::get(&bytes[at..][..size_of::<F>()])
}

fn put<F: Field>(bytes: &mut [u8; Identity::SIZE], at: usize, value: F) {
    value.put(&mut bytes[at..][..size_of::<F>()]);
}

macro_rules! conversion {
    ($($field:ident)*) => {
        impl Identity {
            /// Returns the identity that these bytes encode. Every bit pattern is one.
            pub(crate) fn from_bytes(bytes: &[u8; Identity::SIZE]) -> Self {
                Identity { $($field: get(bytes, offset_of!(Identity, $field)),)* }
            }

            /// Returns the bytes that encode this identity.
            pub(crate) fn to_bytes(self) -> [u8; Identity::SIZE] {
                let mut bytes = [0; Identity::SIZE];
                $(put(&mut bytes, offset_of!(Identity, $field), self.$field);)*
                bytes
            }
        }
    };
}

conversion! {
    magic version segment_size fingerprint fingerprint2 pattern codec discipline flags slots slot_size stride
    payload_offset slots_offset align seats seat_size seats_offset schema_offset schema_len created creator
    publishers request_size window grow series steps reserved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_survives_its_bytes() {
        let bytes: [u8; Identity::SIZE] = core::array::from_fn(|index| index as u8);
        let identity = Identity::from_bytes(&bytes);
        assert_eq!(identity.to_bytes(), bytes);
        assert_eq!(identity.version.to_ne_bytes(), bytes[8..16]);
        assert_eq!(identity.reserved[7].to_ne_bytes(), bytes[248..]);
    }
}
