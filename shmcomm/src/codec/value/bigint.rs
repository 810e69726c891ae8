//! Integers of any size, as Python has them.
//!
//! Owns [`BigInt`], which stores, converts and prints; it never calculates. Calls nothing.

use std::fmt;
use std::str::FromStr;

/// A whole number of any size, as Python's `int`.
///
/// The value is kept as the shortest little-endian two's complement, which is also the form in a pickle.
/// There is no arithmetic: convert to a machine integer, or pass [`as_le_bytes`](Self::as_le_bytes) to a
/// library that has it.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct BigInt(Vec<u8>);

const CHUNK: u64 = 10_000_000_000_000_000_000;
const CHUNK_DIGITS: usize = 19;

impl BigInt {
    /// Makes an integer from little-endian two's complement of any length; no bytes are 0.
    #[must_use]
    pub fn from_le_bytes(bytes: &[u8]) -> Self {
        let mut end = bytes.len();
        while end > 0 {
            let below = if end > 1 { bytes[end - 2] } else { 0 };
            let redundant = match bytes[end - 1] {
                0x00 => below < 0x80,
                0xff => end > 1 && below >= 0x80,
                _ => false,
            };
            if !redundant {
                break;
            }
            end -= 1;
        }
        Self(bytes[..end].to_vec())
    }

    /// Returns the shortest little-endian two's complement; empty for 0.
    #[must_use]
    pub fn as_le_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns `true` if the number is below 0.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.0.last().is_some_and(|&top| top >= 0x80)
    }

    /// Returns the number of bits of the magnitude.
    #[must_use]
    pub fn bits(&self) -> usize {
        let limbs = self.magnitude();
        limbs.last().map_or(0, |top| limbs.len() * 64 - top.leading_zeros() as usize)
    }

    /// Converts to `i128`, if the number fits.
    #[must_use]
    pub fn to_i128(&self) -> Option<i128> {
        if self.0.len() > 16 {
            return None;
        }
        let mut wide = [if self.is_negative() { 0xff } else { 0 }; 16];
        wide[..self.0.len()].copy_from_slice(&self.0);
        Some(i128::from_le_bytes(wide))
    }

    /// Converts to `u128`, if the number fits.
    #[must_use]
    pub fn to_u128(&self) -> Option<u128> {
        if self.is_negative() || self.0.len() > 17 {
            return None;
        }
        let mut wide = [0; 17];
        wide[..self.0.len()].copy_from_slice(&self.0);
        let (low, top) = wide.split_at(16);
        (top == [0]).then(|| u128::from_le_bytes(low.try_into().expect("16 of 17 bytes")))
    }

    /// Converts to `i64`, if the number fits.
    #[must_use]
    pub fn to_i64(&self) -> Option<i64> {
        self.to_i128()?.try_into().ok()
    }

    /// Converts to `u64`, if the number fits.
    #[must_use]
    pub fn to_u64(&self) -> Option<u64> {
        self.to_i128()?.try_into().ok()
    }

    /// Returns the magnitude as little-endian limbs, without leading zeros.
    fn magnitude(&self) -> Vec<u64> {
        let negative = self.is_negative();
        let mut carry = negative;
        let mut limbs: Vec<u64> = self
            .0
            .chunks(8)
            .map(|chunk| {
                let mut limb = [if negative { 0xff } else { 0 }; 8];
                limb[..chunk.len()].copy_from_slice(chunk);
                let limb = u64::from_le_bytes(limb);
                if !negative {
                    return limb;
                }
                let (sum, over) = (!limb).overflowing_add(u64::from(carry));
                carry = over;
                sum
            })
            .collect();
        while limbs.last() == Some(&0) {
            limbs.pop();
        }
        limbs
    }

    fn from_magnitude(limbs: &[u64], negative: bool) -> Self {
        let mut bytes: Vec<u8> = limbs.iter().flat_map(|limb| limb.to_le_bytes()).collect();
        bytes.push(0);
        if negative {
            let mut carry = true;
            for byte in &mut bytes {
                (*byte, carry) = (!*byte).overflowing_add(u8::from(carry));
            }
        }
        Self::from_le_bytes(&bytes)
    }
}

/// Prints decimal, in time that grows with the square of the length.
impl fmt::Display for BigInt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut limbs = self.magnitude();
        let mut chunks = Vec::new();
        while !limbs.is_empty() {
            let mut rest = 0u64;
            for limb in limbs.iter_mut().rev() {
                let wide = (u128::from(rest) << 64) | u128::from(*limb);
                *limb = (wide / u128::from(CHUNK)) as u64;
                rest = (wide % u128::from(CHUNK)) as u64;
            }
            chunks.push(rest);
            while limbs.last() == Some(&0) {
                limbs.pop();
            }
        }
        let mut digits = chunks.pop().unwrap_or(0).to_string();
        for chunk in chunks.iter().rev() {
            digits.push_str(&format!("{chunk:0CHUNK_DIGITS$}"));
        }
        f.pad_integral(!self.is_negative(), "", &digits)
    }
}

impl fmt::Debug for BigInt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Error for a text that is not a decimal integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseBigIntError;

impl fmt::Display for ParseBigIntError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a decimal integer")
    }
}

impl std::error::Error for ParseBigIntError {}

impl FromStr for BigInt {
    type Err = ParseBigIntError;

    fn from_str(text: &str) -> Result<Self, ParseBigIntError> {
        let (negative, digits) = match text.as_bytes() {
            [b'-', digits @ ..] => (true, digits),
            [b'+', digits @ ..] => (false, digits),
            digits => (false, digits),
        };
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(ParseBigIntError);
        }
        let mut limbs: Vec<u64> = Vec::new();
        for chunk in digits.chunks(CHUNK_DIGITS) {
            let mut carry = chunk.iter().fold(0u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
            let factor = 10u64.pow(chunk.len() as u32);
            for limb in &mut limbs {
                let wide = u128::from(*limb) * u128::from(factor) + u128::from(carry);
                *limb = wide as u64;
                carry = (wide >> 64) as u64;
            }
            if carry != 0 {
                limbs.push(carry);
            }
        }
        Ok(Self::from_magnitude(&limbs, negative))
    }
}

macro_rules! from_int {
    ($($int:ty)*) => {$(
        impl From<$int> for BigInt {
            fn from(n: $int) -> Self {
                let mut bytes = n.to_le_bytes().to_vec();
                // An unsigned number with its top bit set would read as negative.
                #[allow(unused_comparisons)]
                bytes.push(if n < 0 { 0xff } else { 0 });
                Self::from_le_bytes(&bytes)
            }
        }
    )*};
}
from_int!(i64 u64 i128 u128);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_text_survives_both_ways() {
        for text in [
            "0",
            "1",
            "-1",
            "127",
            "128",
            "-128",
            "-129",
            "255",
            "256",
            "9223372036854775807",
            "-9223372036854775808",
            "18446744073709551616",
            "-18446744073709551616",
            "340282366920938463463374607431768211456",
            "-100000000000000000000000000000000000000000000000000000000000001",
        ] {
            let n: BigInt = text.parse().unwrap();
            assert_eq!(n.to_string(), text);
            assert_eq!(BigInt::from_le_bytes(n.as_le_bytes()), n);
            if let Ok(machine) = text.parse::<i128>() {
                assert_eq!(n, BigInt::from(machine));
                assert_eq!(n.to_i128(), Some(machine));
                assert_eq!(n.to_u128(), u128::try_from(machine).ok());
                assert_eq!(n.bits(), 128 - machine.unsigned_abs().leading_zeros() as usize);
            }
        }
        assert_eq!(BigInt::from(u128::MAX).to_u128(), Some(u128::MAX));
        assert_eq!(BigInt::from(u128::MAX).to_i128(), None);
        assert!(
            "".parse::<BigInt>().is_err()
                && "-".parse::<BigInt>().is_err()
                && "1_0".parse::<BigInt>().is_err()
        );
    }

    #[test]
    fn the_bytes_are_the_shortest_that_keep_the_sign() {
        assert_eq!(BigInt::from(0i64).as_le_bytes(), [] as [u8; 0]);
        assert_eq!(BigInt::from(-1i64).as_le_bytes(), [0xff]);
        assert_eq!(BigInt::from(128i64).as_le_bytes(), [0x80, 0]);
        assert_eq!(BigInt::from(-128i64).as_le_bytes(), [0x80]);
        assert_eq!(BigInt::from(u64::MAX).as_le_bytes(), [255, 255, 255, 255, 255, 255, 255, 255, 0]);
    }
}
