//! Iterators over the messages of a subscriber, without a wait, and loops over `&mut` subscriber.
//!
//! Owns [`TryIter`]. Calls `subscriber`.

use super::subscriber::{Iter, Subscriber};
use super::{Fixed, TryRecvError};
use crate::codec::Incoming;
use core::fmt;

impl<M: ?Sized, F: Incoming<M>> Subscriber<M, F> {
    /// Receives the messages that are there, without blocking. The iterator ends when no message waits, or when no
    /// publisher is alive; a later `next` may return a message again. Losses, refused messages and missed periods do
    /// not end it: see [`lost`](Subscriber::lost).
    ///
    /// The iterator yields at most what the publisher sends meanwhile, so a fast publisher keeps it going: use
    /// [`take`](Iterator::take) to bound it.
    ///
    /// ```
    /// # use shmcomm::{Channel, PubSub};
    /// # let feed = Channel::<PubSub<u64>>::new("feed").open().namespace(format!("doc-try-iter-{}", std::process::id()));
    /// # let (mut publisher, mut subscriber) = (feed.clone().publisher()?, feed.subscriber()?);
    /// publisher.send(&1)?;
    /// publisher.send(&2)?;
    /// assert_eq!(subscriber.try_iter().collect::<Vec<_>>(), [1, 2]);
    /// assert_eq!(subscriber.try_iter().next(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_iter(&mut self) -> TryIter<'_, M, F> {
        TryIter { subscriber: self }
    }
}

/// Iterator over the messages that are there: see [`Subscriber::try_iter`].
pub struct TryIter<'s, M: ?Sized, F: ?Sized = Fixed> {
    subscriber: &'s mut Subscriber<M, F>,
}

impl<M: ?Sized, F: Incoming<M>> Iterator for TryIter<'_, M, F> {
    type Item = F::Owned;

    fn next(&mut self) -> Option<F::Owned> {
        loop {
            match self.subscriber.try_recv() {
                Ok(message) => return Some(message),
                Err(TryRecvError::Lagged(_) | TryRecvError::Invalid(_) | TryRecvError::Missed { .. }) => {}
                Err(TryRecvError::Empty | TryRecvError::Disconnected | TryRecvError::Forked) => return None,
            }
        }
    }
}

impl<M: ?Sized, F: ?Sized> fmt::Debug for TryIter<'_, M, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryIter").field("channel", &self.subscriber.name()).finish_non_exhaustive()
    }
}

/// A loop over a subscriber blocks for each message, like [`Subscriber::iter`].
impl<'s, M: ?Sized, F: Incoming<M>> IntoIterator for &'s mut Subscriber<M, F> {
    type Item = F::Owned;
    type IntoIter = Iter<'s, M, F>;

    fn into_iter(self) -> Iter<'s, M, F> {
        self.iter()
    }
}
