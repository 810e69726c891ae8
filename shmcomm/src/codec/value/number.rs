//! Numbers of Python that are neither `int` nor `float`.
//!
//! Owns [`Decimal`] and [`Fraction`]: they keep and print the number, and never calculate. Calls `bigint`.

use std::fmt;
use std::str::FromStr;

use super::BigInt;
use super::leaf::NoSuchValue;

/// Python's `Decimal`, by its text: `1.50` and `1.5` differ.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decimal(String);

impl Decimal {
    /// Returns the text, as `str()` does.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the nearest `f64`.
    #[must_use]
    pub fn to_f64(&self) -> f64 {
        // Without the payload of a NaN, Rust reads the rest of the text.
        if self.0.to_ascii_lowercase().contains("nan") {
            f64::NAN
        } else {
            self.0.parse().unwrap_or(f64::NAN)
        }
    }

    /// Returns the number, if it is whole and written without an exponent.
    #[must_use]
    pub fn to_i128(&self) -> Option<i128> {
        let whole = match self.0.split_once('.') {
            Some((whole, part)) if part.bytes().all(|b| b == b'0') => whole,
            Some(_) => return None,
            None => &self.0,
        };
        whole.parse().ok()
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads the output of Python's `Decimal`: digits with a point and an exponent, `Infinity`, `NaN`, `sNaN`.
impl FromStr for Decimal {
    type Err = NoSuchValue;

    fn from_str(text: &str) -> Result<Self, NoSuchValue> {
        if is_decimal(text) { Ok(Self(text.to_owned())) } else { Err(NoSuchValue("Decimal")) }
    }
}

fn is_decimal(text: &str) -> bool {
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    if text.eq_ignore_ascii_case("infinity") || text.eq_ignore_ascii_case("inf") {
        return true;
    }
    let signalling = text.strip_prefix(['s', 'S']).unwrap_or(text);
    if let Some((nan, payload)) = signalling.split_at_checked(3)
        && nan.eq_ignore_ascii_case("nan")
    {
        return all_digits(payload);
    }
    let (number, exponent) = text.split_once(['e', 'E']).map_or((text, None), |(n, e)| (n, Some(e)));
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let exponent = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !digits.is_empty() && all_digits(digits)
    });
    whole.len() + part.len() > 0 && all_digits(whole) && all_digits(part) && exponent
}

/// A whole number.
impl From<i64> for Decimal {
    fn from(n: i64) -> Self {
        Self(n.to_string())
    }
}

/// Python's `Fraction`. Displays as `1/3`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fraction {
    numerator: BigInt,
    denominator: BigInt,
}

impl Fraction {
    /// Returns the fraction as it is written, not reduced; `None` if `denominator` is not above 0.
    #[must_use]
    pub fn new(numerator: impl Into<BigInt>, denominator: impl Into<BigInt>) -> Option<Self> {
        let denominator = denominator.into();
        let above = !denominator.is_negative() && !denominator.as_le_bytes().is_empty();
        above.then(|| Self { numerator: numerator.into(), denominator })
    }

    /// Returns the numerator, which has the sign.
    #[must_use]
    pub fn numerator(&self) -> &BigInt {
        &self.numerator
    }

    /// Returns the denominator, above 0.
    #[must_use]
    pub fn denominator(&self) -> &BigInt {
        &self.denominator
    }

    /// Returns the quotient as `f64`, if both parts have at most 127 bits.
    #[must_use]
    pub fn to_f64(&self) -> Option<f64> {
        Some(self.numerator.to_i128()? as f64 / self.denominator.to_i128()? as f64)
    }

    /// Returns the number, if it is whole and both parts have at most 127 bits.
    #[must_use]
    pub fn to_i128(&self) -> Option<i128> {
        let (n, d) = (self.numerator.to_i128()?, self.denominator.to_i128()?);
        (n.checked_rem(d)? == 0).then(|| n.checked_div(d)).flatten()
    }
}

impl Fraction {
    /// Returns the text between a `Value` and a codec. It is hexadecimal, because decimal digits take time
    /// that grows with the square of their number.
    pub(super) fn wire(&self) -> String {
        let hex = |n: &BigInt| n.as_le_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        format!("x{}/{}", hex(&self.numerator), hex(&self.denominator))
    }

    fn of_wire(text: &str) -> Option<Self> {
        let int = |text: &str| {
            let (pairs, rest) = text.as_bytes().as_chunks::<2>();
            let digit = |byte: u8| Some(char::from(byte).to_digit(16)? as u8);
            let bytes: Option<Vec<u8>> =
                pairs.iter().map(|[a, b]| Some(digit(*a)? << 4 | digit(*b)?)).collect();
            rest.is_empty().then(|| bytes.map(|bytes| BigInt::from_le_bytes(&bytes))).flatten()
        };
        let (numerator, denominator) = text.split_once('/')?;
        Self::new(int(numerator)?, int(denominator)?)
    }
}

impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.numerator, self.denominator)
    }
}

/// Reads `1/3` and `2`, with up to 4300 digits each.
impl FromStr for Fraction {
    type Err = NoSuchValue;

    fn from_str(text: &str) -> Result<Self, NoSuchValue> {
        /// Python's own bound for the digits of an int.
        const MOST_DIGITS: usize = 4300;
        if let Some(wire) = text.strip_prefix('x') {
            return Self::of_wire(wire).ok_or(NoSuchValue("Fraction"));
        }
        let (numerator, denominator) = text.split_once('/').unwrap_or((text, "1"));
        if numerator.len() > MOST_DIGITS || denominator.len() > MOST_DIGITS {
            return Err(NoSuchValue("Fraction"));
        }
        let parts = numerator.parse::<BigInt>().ok().zip(denominator.parse::<BigInt>().ok());
        parts.and_then(|(n, d)| Self::new(n, d)).ok_or(NoSuchValue("Fraction"))
    }
}
