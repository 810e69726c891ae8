//! Result of the checks on the layout of a message type.
//!
//! Owns [`Soundness`] and how the results of parts combine. Calls nothing. Never reports a fault itself.

/// Result of the check that a type keeps the contract of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Soundness {
    Sound,
    /// The type does not keep it, and its declaration, or that of a part of it, is a compile error.
    Reported,
    /// The type does not keep it, and no compile error has reported it yet.
    Unsound,
}

impl Soundness {
    pub(super) const fn unless(fault: bool) -> Self {
        if fault { Soundness::Unsound } else { Soundness::Sound }
    }

    /// Returns the result for a type whose declaration reports its faults.
    pub(super) const fn reported(self) -> Self {
        match self {
            Soundness::Unsound => Soundness::Reported,
            other => other,
        }
    }

    /// Combines two parts. A fault that is already reported does not get a second error.
    pub(super) const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Soundness::Reported, _) | (_, Soundness::Reported) => Soundness::Reported,
            (Soundness::Unsound, _) | (_, Soundness::Unsound) => Soundness::Unsound,
            _ => Soundness::Sound,
        }
    }
}
