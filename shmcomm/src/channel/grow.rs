//! The key `grow`: slots that become larger when a message needs them.
//!
//! Owns the setting of a declaration, and that of an opener. Calls `check`. Never touches a segment.

use super::{Channel, Opener, PubSub, PushPull, Settings, check};
use crate::segment::Requested;

impl<M: ?Sized, F: ?Sized> Channel<PubSub<M, F>> {
    /// Lets the slots grow up to `bytes`: see [`Opener::grow`].
    ///
    /// # Panics
    ///
    /// Panics if all messages have one size, and unless `bytes` is more than the slot size and at most 2 GiB; in a `const`
    /// this is a compile error. Set the slot size first.
    #[track_caller]
    pub const fn grow(mut self, bytes: usize) -> Self {
        check::grow(self.name, self.carries, self.settings.slot_size, bytes);
        self.settings.ask_to_grow(bytes);
        self
    }
}

impl<M: ?Sized, F: ?Sized> Opener<PubSub<M, F>> {
    /// Lets the slots grow up to `bytes`, for messages with a tail or a codec: more than the slot size, at most 2 GiB. 0
    /// turns it off. A message that is longer than the slots makes its publisher continue in a segment with larger slots:
    /// the next power of two that holds it, or `bytes`. The new segment has the messages of the old one, so no subscriber
    /// loses any by the step, and a new subscriber has its history. Subscribers follow when they have received what is in
    /// the old segment. The slots never become smaller again while the segment exists.
    ///
    /// The publisher decides. `slots` does not change, so the memory of the segment grows with the slots. A step copies all
    /// messages in the slots, and logs a record at the level `info`. [`Stats::growths`](crate::Stats::growths) counts the
    /// steps.
    ///
    /// ```
    /// use shmcomm::codec::Bytes;
    /// use shmcomm::{Channel, PubSub};
    /// # let ns = format!("doc-grow-{}", std::process::id());
    /// const SCANS: Channel<PubSub<[u8], Bytes>> = Channel::new("scans").slot_size(1024);
    /// let scans = SCANS.open().namespace(&ns).grow(1 << 20);
    /// let mut publisher = scans.clone().publisher()?;
    /// let mut subscriber = scans.subscriber()?;
    /// publisher.send(&[1; 10])?;
    /// publisher.send(&[2; 5000])?;
    /// assert_eq!((publisher.stats().slot_size, publisher.stats().growths), (8192, 1));
    /// assert_eq!((subscriber.recv()?.len(), subscriber.recv()?.len()), (10, 5000));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn grow(mut self, bytes: usize) -> Self {
        self.settings.ask_to_grow(bytes);
        self
    }
}

impl<M: ?Sized, F: ?Sized> Channel<PushPull<M, F>> {
    /// Lets the slots grow up to `bytes`, for the messages of a codec: see
    /// [`Opener::grow`](Opener#method.grow-1).
    ///
    /// # Panics
    ///
    /// Panics if all messages have one size, and unless `bytes` is more than the slot size and at most 2 GiB; in a `const`
    /// this is a compile error. Set the slot size first.
    #[track_caller]
    pub const fn grow(mut self, bytes: usize) -> Self {
        check::grow(self.name, self.carries, self.settings.slot_size, bytes);
        self.settings.ask_to_grow(bytes);
        self
    }
}

impl<M: ?Sized, F: ?Sized> Opener<PushPull<M, F>> {
    /// Lets the slots grow up to `bytes`, for the messages of a codec: more than the slot size, at most 2 GiB, and at most
    /// 32 TiB for all slots together. 0 turns it off.
    ///
    /// Each slot has memory for `slot_size` bytes from the start. A pusher whose message is longer gives its slot more: the
    /// next power of two that holds the message, or `bytes`. A job never moves, so order, redelivery and counts stay as
    /// they are, and any number of pushers may grow slots at the same time. The first long job in a slot takes some system
    /// calls, and never waits for a puller. The memory stays with the slot while the segment exists, at most
    /// `slots` × `bytes`. If the system has none left, the send returns
    /// [`PushError::NotGrown`](crate::PushError::NotGrown), and the caller keeps the message. If the pusher dies
    /// meanwhile, no job was sent, and its slot is free again.
    ///
    /// The end that creates the segment decides. [`Stats::slot_size`](crate::Stats::slot_size) is the largest size that a
    /// slot has reached, and [`Stats::growths`](crate::Stats::growths) counts how often that was raised; each time is
    /// logged at the level `info`. On macOS and Windows a segment takes the memory of the largest slots from the start.
    ///
    /// ```
    /// use shmcomm::codec::Bytes;
    /// use shmcomm::{Channel, PushPull};
    /// # let ns = format!("doc-grow-jobs-{}", std::process::id());
    /// const SCANS: Channel<PushPull<[u8], Bytes>> = Channel::new("scans").slot_size(1024);
    /// let scans = SCANS.open().namespace(&ns).grow(1 << 20);
    /// let mut pusher = scans.clone().pusher()?;
    /// let mut puller = scans.puller()?;
    /// pusher.send(&[1; 10])?;
    /// pusher.send(&[2; 5000])?;
    /// assert_eq!((pusher.stats().slot_size, pusher.stats().growths), (8192, 1));
    /// assert_eq!((puller.recv()?.len(), puller.recv()?.len()), (10, 5000));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn grow(mut self, bytes: usize) -> Self {
        self.settings.ask_to_grow(bytes);
        self
    }
}

impl Settings {
    /// Sets the limit, and records that it was asked for.
    const fn ask_to_grow(&mut self, bytes: usize) {
        self.grow = bytes;
        self.asked = self.asked.and(Requested::GROW);
    }
}
