//! [`count`]: a number with its noun, as every log record and every error writes it.
//!
//! Owns that grammar. Calls nothing, allocates nothing.

use core::fmt;

/// A number and what it counts: `1 subscriber`, `2 subscribers`.
#[derive(Clone, Copy)]
pub(crate) struct Count {
    number: u64,
    noun: &'static str,
}

/// Returns `number` with its noun, which is given in the singular.
pub(crate) fn count(number: impl TryInto<u64>, noun: &'static str) -> Count {
    Count { number: number.try_into().unwrap_or(u64::MAX), noun }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Count { number, noun } = *self;
        let ending = match number {
            1 => "",
            _ if noun.ends_with("ss") => "es",
            _ => "s",
        };
        write!(f, "{number} {noun}{ending}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fit_their_nouns() {
        let text = |number: u64, noun| count(number, noun).to_string();
        assert_eq!(
            [0, 1, 2].map(|n| text(n, "subscriber")),
            ["0 subscribers", "1 subscriber", "2 subscribers"]
        );
        assert_eq!([text(1, "process"), text(2, "process")], ["1 process", "2 processes"]);
        assert_eq!(count(3_usize, "byte").to_string(), "3 bytes");
    }
}
