//! Self-proving messages, and the channels that carry them.

use shmcomm::{ShmMessage, channel};

/// A message whose words all follow from its number, so that a torn, mixed or invented message is detected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ShmMessage)]
#[repr(C)]
pub struct Proof<const WORDS: usize> {
    /// Index among the messages of one publisher, from 0.
    pub number: u64,
    words: [u64; WORDS],
}

impl<const WORDS: usize> Proof<WORDS> {
    /// Returns the message of that number.
    pub fn new(number: u64) -> Self {
        Proof { number, words: std::array::from_fn(|i| word(number, i)) }
    }

    /// Returns `true` if every word follows from the number.
    pub fn is_whole(&self) -> bool {
        self.words.iter().enumerate().all(|(i, found)| *found == word(self.number, i))
    }

    /// Panics unless every word follows from the number.
    #[track_caller]
    pub fn check(&self) {
        for (i, found) in self.words.iter().enumerate() {
            assert_eq!(*found, word(self.number, i), "message {} is torn at word {i}", self.number);
        }
    }
}

/// Returns a different word for every index of every message (the finalizer of splitmix64).
pub fn word(number: u64, place: usize) -> u64 {
    let mut z = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(place as u64);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// 64 bytes: copied.
pub type Small = Proof<7>;
/// 16 KiB: read in place.
pub type Large = Proof<2047>;

channel! {
    /// Messages that are copied into and out of their slots.
    pub SmallFeed: PubSub<Small> { name: "small", slots: 64 }
    /// Messages that readers pin in place.
    pub LargeFeed: PubSub<Large> { name: "large", slots: 8 }
    /// Small messages of four publishers; the high half of a number belongs to the publisher.
    pub SharedFeed: PubSub<Small> { name: "shared", slots: 4096, publishers: 4 }
    /// Large messages of four publishers.
    pub SharedLargeFeed: PubSub<Large> { name: "shared-large", slots: 8, publishers: 4 }
    /// Jobs, each for one worker.
    pub Jobs: PushPull<Small> { name: "jobs", slots: 128 }
    /// Requests, each answered with the message of the complementary number.
    pub Service: ReqRep<Small, Small> { name: "service", slots: 16 }
    /// The same service, with redelivery of a dead replier's request.
    pub PatientService: ReqRep<Small, Small> { name: "patient-service", slots: 16, redeliver: true }
    /// Requests for streams of messages: the numbers from that of the request on.
    pub Plan: ReqRep<Small, Small> { name: "plan", slots: 8, replies: Stream, window: 4 }
    /// Latest values, one copied by words and one by a string operation.
    pub State: Table { name: "state", small: Small, large: Large }
    /// A key that several processes store.
    pub SharedState: Table { name: "shared-state", writers: Many, large: Large }
    /// A header and words behind it.
    pub TailFeed: PubSub<Small, [u64]> { name: "tail", slots: 8, max_len: 4096 }
}
