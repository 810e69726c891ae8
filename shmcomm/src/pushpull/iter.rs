//! Iterators over the messages of a puller.
//!
//! Owns [`JobIter`] and [`JobTryIter`]. Calls `puller`.

use super::{PullError, Puller, TryPullError};
use crate::codec::Incoming;
use crate::message::Fixed;
use core::fmt;

impl<M: ?Sized, F: Incoming<M>> Puller<M, F> {
    /// Receives messages one after the other, blocking. Each message is acknowledged as it is yielded. The iterator
    /// ends when the puller is [stopped](crate::StopHandle), and in the child of a fork. Refused messages do not end
    /// it.
    ///
    /// The message is returned by value: a large one of a fixed layout takes its size of stack.
    /// [`claim`](Puller::claim) takes none.
    pub fn iter(&mut self) -> JobIter<'_, M, F> {
        JobIter { puller: self }
    }

    /// Receives the messages that are there, without blocking. Each message is acknowledged as it is yielded. The
    /// iterator ends when no message waits; a later `next` may return one again. Refused messages do not end it.
    ///
    /// ```
    /// # use shmcomm::{Channel, PushPull};
    /// # let jobs = Channel::<PushPull<u64>>::new("jobs").open().namespace(format!("doc-jobs-{}", std::process::id()));
    /// # let (mut pusher, mut puller) = (jobs.clone().pusher()?, jobs.puller()?);
    /// pusher.send(&1)?;
    /// pusher.send(&2)?;
    /// assert_eq!(puller.try_iter().collect::<Vec<_>>(), [1, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_iter(&mut self) -> JobTryIter<'_, M, F> {
        JobTryIter { puller: self }
    }
}

/// Iterator over messages: see [`Puller::iter`].
pub struct JobIter<'p, M: ?Sized, F: ?Sized = Fixed> {
    puller: &'p mut Puller<M, F>,
}

impl<M: ?Sized, F: Incoming<M>> Iterator for JobIter<'_, M, F> {
    type Item = F::Owned;

    fn next(&mut self) -> Option<F::Owned> {
        loop {
            match self.puller.recv() {
                Ok(message) => return Some(message),
                Err(PullError::Invalid(_)) => {}
                Err(PullError::Stopped | PullError::Forked) => return None,
            }
        }
    }
}

/// Iterator over the messages that are there: see [`Puller::try_iter`].
pub struct JobTryIter<'p, M: ?Sized, F: ?Sized = Fixed> {
    puller: &'p mut Puller<M, F>,
}

impl<M: ?Sized, F: Incoming<M>> Iterator for JobTryIter<'_, M, F> {
    type Item = F::Owned;

    fn next(&mut self) -> Option<F::Owned> {
        loop {
            match self.puller.try_recv() {
                Ok(message) => return Some(message),
                Err(TryPullError::Invalid(_)) => {}
                Err(TryPullError::Empty | TryPullError::Forked) => return None,
            }
        }
    }
}

/// A loop over a puller blocks for each message, like [`Puller::iter`].
impl<'p, M: ?Sized, F: Incoming<M>> IntoIterator for &'p mut Puller<M, F> {
    type Item = F::Owned;
    type IntoIter = JobIter<'p, M, F>;

    fn into_iter(self) -> JobIter<'p, M, F> {
        self.iter()
    }
}

impl<M: ?Sized, F: ?Sized> fmt::Debug for JobIter<'_, M, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobIter").field("channel", &self.puller.name()).finish_non_exhaustive()
    }
}

impl<M: ?Sized, F: ?Sized> fmt::Debug for JobTryIter<'_, M, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobTryIter").field("channel", &self.puller.name()).finish_non_exhaustive()
    }
}
