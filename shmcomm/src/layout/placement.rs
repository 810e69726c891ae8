//! [`InPlaceAsked`]: the setting `in_place` of a publish/subscribe channel, with the numbers that limit it.
//!
//! Owns the two reasons for which the setting is refused. Calls `geometry` for the number of seats.

use super::COPIED_MAX;
use super::geometry::{MAX_PUBLISHERS, PINNED_READERS, pinned_seats};
use crate::plural::count;

/// The setting `in_place`, and the sizes of the channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InPlaceAsked {
    pub(crate) in_place: bool,
    /// Bytes of the longest message, after all growth.
    pub(crate) longest: u64,
    pub(crate) slots: u64,
    pub(crate) publishers: u64,
    /// Number of declared seats; 0 if none are declared.
    pub(crate) seats: u64,
}

/// Reason why a channel cannot have its setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InPlaceRefusal {
    /// The messages are too long to be copied.
    TooLong,
    /// There are more seats than readers may pin slots.
    Seats {
        /// Largest number of subscribers.
        subscribers: u64,
        /// Number of slots for the declared seats; `None` if no number of slots serves them.
        slots: Option<u64>,
    },
}

impl InPlaceAsked {
    /// Returns the reason why the setting is refused.
    pub(crate) const fn refusal(&self) -> Option<InPlaceRefusal> {
        if !self.in_place {
            return if self.longest > COPIED_MAX { Some(InPlaceRefusal::TooLong) } else { None };
        }
        // Other numbers are errors of their own.
        if self.publishers > MAX_PUBLISHERS as u64 || self.slots > u32::MAX as u64 {
            return None;
        }
        let most = pinned_seats(self.slots, self.publishers as u32) as u64;
        if self.seats <= most {
            return None;
        }
        let wanted = self.seats - self.publishers;
        let slots =
            if wanted > PINNED_READERS as u64 { None } else { Some((wanted + 2).next_power_of_two()) };
        Some(InPlaceRefusal::Seats { subscribers: most - self.publishers, slots })
    }
}

impl InPlaceAsked {
    /// Returns the reason for which the setting is refused, with the numbers and the cure.
    pub(crate) fn why_not(&self) -> Option<String> {
        let InPlaceAsked { longest, slots, publishers, seats, .. } = *self;
        Some(match self.refusal()? {
            InPlaceRefusal::TooLong => format!(
                "`in_place: false` for messages of up to {}; at most {COPIED_MAX} are copied: leave out `in_place`, or have                  smaller messages",
                count(longest, "byte")
            ),
            InPlaceRefusal::Seats { subscribers, slots: enough } => {
                let cure = match enough {
                    Some(slots) => {
                        format!("take {}, fewer `seats`, or leave out `in_place`", count(slots, "slot"))
                    }
                    None => "take fewer `seats`, or leave out `in_place`".into(),
                };
                format!(
                    "{} and `in_place: true`; {} serve {} and {}, each of which may keep a slot: {cure}",
                    count(seats, "seat"),
                    count(slots, "slot"),
                    count(publishers, "publisher"),
                    count(subscribers, "subscriber")
                )
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: InPlaceAsked =
        InPlaceAsked { in_place: true, longest: 8, slots: 8, publishers: 1, seats: 0 };

    #[test]
    fn copied_messages_have_a_largest_size() {
        let copied = InPlaceAsked { in_place: false, longest: COPIED_MAX, ..ASKED };
        assert_eq!(copied.refusal(), None);
        let longer = InPlaceAsked { longest: COPIED_MAX + 1, ..copied };
        assert_eq!(longer.refusal(), Some(InPlaceRefusal::TooLong));
        assert_eq!(InPlaceAsked { in_place: true, ..longer }.refusal(), None);
    }

    #[test]
    fn pinned_slots_limit_the_declared_seats() {
        assert_eq!(InPlaceAsked { seats: 7, ..ASKED }.refusal(), None);
        let seats = |seats, publishers| InPlaceAsked { seats, publishers, ..ASKED }.refusal();
        let refused = |subscribers, slots| Some(InPlaceRefusal::Seats { subscribers, slots });
        assert_eq!(seats(8, 1), refused(6, Some(16)));
        assert_eq!((seats(10, 4), seats(11, 4)), (None, refused(6, Some(16))));
        assert_eq!((seats(57, 1), seats(58, 1)), (refused(6, Some(64)), refused(6, None)));
    }

    #[test]
    fn proposed_slots_serve_the_seats() {
        for seats in 2..=57 {
            if let Some(InPlaceRefusal::Seats { slots, .. }) = (InPlaceAsked { seats, ..ASKED }).refusal() {
                let slots = slots.expect("56 subscribers can pin slots");
                assert_eq!(InPlaceAsked { seats, slots, ..ASKED }.refusal(), None, "{seats}");
            }
        }
    }
}
