//! The key `in_place`: whether messages are read and written in their slots, or copied.
//!
//! Owns the setting of a declaration, and that of an opener. Calls `check`. Never touches a segment.

use super::{Channel, Opener, PubSub, Settings, check};
use crate::layout;
use crate::segment::Requested;

impl<M: ?Sized, F: ?Sized> Channel<PubSub<M, F>> {
    /// Decides whether messages are in place or copied, instead of their size: see [`Opener::in_place`].
    ///
    /// # Panics
    ///
    /// Panics on `false` for messages above 4096 bytes, and on `true` if the slots do not serve the seats; in a `const`
    /// this is a compile error. Set the sizes first.
    #[track_caller]
    pub const fn in_place(mut self, in_place: bool) -> Self {
        let Settings { slot_size, grow, publishers, .. } = self.settings;
        let seats = self.settings.asked_seats();
        let slots = if self.settings.asked.has(Requested::SLOTS) {
            self.settings.slots
        } else {
            layout::default_slots(slot_size as u64, seats as u64) as usize
        };
        let longest = if grow > slot_size { grow } else { slot_size };
        check::in_place(self.name, in_place, longest, slots, publishers, seats);
        self.settings.in_place = Some(in_place);
        self.settings.asked = self.settings.asked.and(Requested::IN_PLACE);
        self
    }
}

impl<M: ?Sized, F: ?Sized> Opener<PubSub<M, F>> {
    /// Decides whether messages are in place or copied. Without this setting the size decides: messages of up to 512 bytes
    /// are copied, and messages above 4096 bytes are in place. Between the two, messages are in place if the channel has
    /// one publisher and the slots serve the declared seats.
    ///
    /// With `true`, messages of every size are in place: a loan is the slot, and a sample refers to the slot. Choose it if
    /// programs read little of a message, or keep samples. A channel then has seats for two subscribers fewer than it has
    /// slots, at least 1 and at most 56. While a subscriber keeps a sample, the publisher skips its slot (`holes`).
    ///
    /// With `false`, messages are copied, up to 4096 bytes. Then a subscriber never occupies a slot, and `seats` alone limits
    /// the subscribers.
    ///
    /// The publisher decides. Both ends must agree if both have the setting: otherwise the end that finds the segment gets
    /// [`ChannelMismatch`](crate::ErrorKind::ChannelMismatch). A publisher replaces a segment that no other publisher uses.
    /// A value that the sizes do not allow makes the call that opens an end return
    /// [`InvalidGeometry`](crate::ErrorKind::InvalidGeometry).
    ///
    /// ```
    /// use shmcomm::{Channel, PubSub};
    /// # let ns = format!("doc-in-place-{}", std::process::id());
    /// const POSES: Channel<PubSub<[f64; 7]>> = Channel::new("poses").slots(8);
    /// let poses = POSES.open().namespace(&ns).in_place(true);
    /// let mut publisher = poses.clone().publisher()?;
    /// let mut subscriber = poses.subscriber()?;
    /// publisher.send(&[1.0; 7])?;
    /// let kept = subscriber.recv_ref()?; // refers to the slot
    /// for _ in 0..8 {
    ///     publisher.send(&[2.0; 7])?; // skips that slot
    /// }
    /// assert_eq!((kept[0], publisher.stats().holes), (1.0, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn in_place(mut self, in_place: bool) -> Self {
        self.settings.in_place = Some(in_place);
        self.settings.asked = self.settings.asked.and(Requested::IN_PLACE);
        self
    }
}

impl Settings {
    /// Returns the number of declared seats; 0 if none are declared.
    pub(super) const fn asked_seats(&self) -> usize {
        if self.asked.has(Requested::SEATS) { self.seats } else { 0 }
    }
}
