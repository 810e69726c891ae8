//! [`Publisher`]: the sending end.
//!
//! Owns the four ways to send, loans, and what a publisher reports. The part that does not depend on the
//! message type is in `raw_publisher`, and the format writes the message. Never touches a slot itself.

use super::loan::{BytesLoan, Loan, TailLoan};
use super::raw_publisher::RawPublisher;
use super::{Fixed, PublisherId, SendError, SendTimeoutError, TrySendError};
use crate::codec::Outgoing;
use crate::error::Error;
use crate::message::ShmMessage;
use crate::segment::Spec;
use crate::stats::Stats;
use crate::wait::{Deadline, StopHandle};
use crate::waitset::{Waitable, Watchable, Watched};
use core::marker::PhantomData;
use std::time::{Duration, Instant};

/// The sending end of a publish/subscribe channel. One publisher at a time is live, or as many as the channel
/// declares `publishers`.
///
/// Sending never allocates. The channel decides what happens to a message that a subscriber has not received
/// when its slot is needed again:
///
/// * **`overflow: Overwrite`** (the default): the message is overwritten, and the subscriber counts it as
///   lost. Sending never blocks, and `try_send` and its like are the same as `send`.
/// * **`overflow: Wait`**: [`send`](Publisher::send) waits until the message is received. `try_send` returns
///   at once if there is no room; `send_timeout` and `send_deadline` wait until the time is over. The
///   publisher does not wait for a subscriber that has died. If a subscriber makes no progress for its [stall
///   timeout](crate::Opener::patience), the publisher evicts it and no longer waits for it. An evicted
///   subscriber receives `Lagged(n)`, and the publisher waits for it again from its next message on. Without
///   subscribers the publisher does not wait.
///
/// **If this process dies**, at any instruction, subscribers lose at most the message that was being written.
/// Blocked subscribers report the death within 50 ms. A new publisher continues in the same segment. **If a
/// subscriber dies**, the publisher is not affected.
///
/// If the publisher is dropped, its subscribers can still receive the messages in the segment. The last
/// participant that leaves removes the segment.
pub struct Publisher<M: ?Sized, F: ?Sized = Fixed> {
    raw: RawPublisher,
    _messages: PhantomData<fn(&M, &F)>,
}

impl<M: ?Sized, F: ?Sized> Publisher<M, F> {
    /// Creates the channel's segment, or continues in the existing segment.
    pub(crate) fn open(spec: Spec) -> Result<Self, Error> {
        Ok(Publisher { raw: RawPublisher::open(spec)?, _messages: PhantomData })
    }

    /// Claims room for `len` bytes, waiting for it if there is a deadline. Returns `None` if there was no room. The caller
    /// checks the bytes before it sends them.
    pub(crate) fn loan_bytes(
        &mut self,
        len: usize,
        deadline: Option<Deadline>,
    ) -> Result<Option<BytesLoan<'_>>, SendError> {
        self.raw.make_fit(len)?;
        Ok(self.raw.try_claim(deadline)?.map(BytesLoan::new))
    }

    #[cfg(any(feature = "async", test))]
    pub(super) fn raw(&mut self) -> &mut RawPublisher {
        &mut self.raw
    }

    /// Returns the full name of the channel, with its namespace.
    pub fn name(&self) -> &str {
        self.raw.attachment.channel()
    }

    /// Returns the identity of this publisher. [`Subscriber::publisher`](crate::Subscriber::publisher)
    /// returns it for messages of this publisher, on a channel of several.
    pub fn id(&self) -> PublisherId {
        self.raw.id()
    }

    /// Returns the counts of the channel and one entry per participant, with its lag and its losses.
    ///
    /// Reads shared memory and asks the kernel which participants are alive: about half a microsecond per
    /// participant.
    pub fn stats(&self) -> Stats {
        self.raw.stats()
    }

    /// Returns the number of subscribers that are alive and receive every message that is sent from now on.
    /// On a channel with `overflow: Wait` it counts the subscribers for which the publisher waits. A
    /// subscriber whose [stall timeout](crate::Opener::patience) is zero is an observer and does not count
    /// there. Asks the kernel once for each subscriber.
    pub fn subscribers(&self) -> usize {
        self.raw.subscribers()
    }

    /// Waits until a message can be sent or loaned without waiting, for at most `timeout`, and returns `true`
    /// if it can. A timeout of zero polls once. Returns at once on a channel that overwrites. Returns `false`
    /// also if the publisher is [stopped](StopHandle) while there is no room.
    pub fn wait_for_room(&mut self, timeout: Duration) -> bool {
        self.raw.ensure_room(Some(Deadline::after(timeout))).unwrap_or(false)
    }

    /// Returns the handle that stops the blocking calls of this publisher from another thread or from a
    /// signal handler. These are the sends and loans that wait for room,
    /// [`wait_for_room`](Publisher::wait_for_room) and
    /// [`wait_for_subscribers`](Publisher::wait_for_subscribers).
    ///
    /// If the publisher was [opened with](crate::Opener::stop) a handle, this is that handle.
    pub fn stop_handle(&self) -> StopHandle {
        self.raw.stop.handle()
    }

    /// Waits until [`subscribers`](Publisher::subscribers) returns at least `count`, and returns `true` if it
    /// does. Blocks for at most `timeout` and checks every 2 ms; a timeout of zero checks once.
    /// Returns `false` also if the publisher is [stopped](StopHandle).
    pub fn wait_for_subscribers(&self, count: usize, timeout: Duration) -> bool {
        self.raw.wait_for_subscribers(count, timeout)
    }
}

impl<M: ?Sized, F: Outgoing<M>> Publisher<M, F> {
    /// Writes `message` into the next slot and wakes the subscribers that sleep: copies a fixed layout, encodes
    /// with a codec. Blocks only on a channel with `overflow: Wait`, until there is room.
    ///
    /// # Errors
    /// With a codec, [`SendError::TooLong`] with the exact size, if the encoded message does not fit into a
    /// slot, and [`SendError::Unencodable`] if the codec cannot hold it. For the other errors see
    /// [`SendError`]. No message was sent then.
    #[inline]
    pub fn send(&mut self, message: &M) -> Result<(), SendError> {
        self.send_until(message, || Some(Deadline::Never)).map(|_sent| ())
    }

    /// Sends like [`send`](Publisher::send), if there is room. Never blocks.
    ///
    /// # Errors
    /// [`TrySendError::Full`] if there is none.
    #[inline]
    pub fn try_send(&mut self, message: &M) -> Result<(), TrySendError> {
        TrySendError::unless(self.send_until(message, || None))
    }

    /// Sends like [`send`](Publisher::send), blocking for at most `timeout`. A timeout of zero polls once.
    ///
    /// # Errors
    /// [`SendTimeoutError::Timeout`] if there was no room.
    pub fn send_timeout(&mut self, message: &M, timeout: Duration) -> Result<(), SendTimeoutError> {
        SendTimeoutError::unless(self.send_until(message, || Some(Deadline::after(timeout))))
    }

    /// Sends like [`send`](Publisher::send), blocking until `deadline` at the latest.
    ///
    /// # Errors
    /// [`SendTimeoutError::Timeout`] if there was no room.
    pub fn send_deadline(&mut self, message: &M, deadline: Instant) -> Result<(), SendTimeoutError> {
        SendTimeoutError::unless(self.send_until(message, || Some(Deadline::At(deadline))))
    }

    // Only the fast path is inlined: a copy of a constant number of bytes.
    #[inline(always)]
    pub(super) fn send_until(
        &mut self,
        message: &M,
        deadline: impl FnOnce() -> Option<Deadline>,
    ) -> Result<bool, SendError> {
        match F::plain(message) {
            Some(bytes) if self.raw.send_fast(bytes) => Ok(true),
            Some(bytes) => F::detached(message, bytes, |bytes| self.raw.send(bytes, deadline())),
            None => self.raw.send_with(deadline(), || F::size(message), |room| F::write(message, room)),
        }
    }
}

impl<M: ShmMessage> Publisher<M> {
    /// Lends the next slot, in which the caller builds the message. [`Loan::send`] sends it; a dropped loan
    /// sends no message. Blocks only on a channel with `overflow: Wait`, until there is room; sending the
    /// loan never blocks. ([`wait_for_room`](Publisher::wait_for_room) waits with a timeout.)
    ///
    /// If all bytes are valid in an `M`, the loan starts with the previous contents of the slot; otherwise
    /// its bytes are zero. On a channel of messages of up to 512 bytes, the loan is a private buffer that `send`
    /// copies, because that is faster.
    ///
    /// A type without an all-zero value does not compile here; use [`Publisher::loan_with`].
    #[inline(always)]
    pub fn loan(&mut self) -> Result<Loan<'_, M>, SendError> {
        let (claimed, notifier) = self.raw.claim()?;
        Ok(Loan::new(claimed, notifier))
    }

    /// Lends a slot like [`loan`](Publisher::loan), if there is room. Never blocks.
    ///
    /// # Errors
    /// [`TrySendError::Full`] if there is none.
    #[inline(always)]
    pub fn try_loan(&mut self) -> Result<Loan<'_, M>, TrySendError> {
        let (claimed, notifier) = self.raw.try_claim(None)?.ok_or(TrySendError::Full)?;
        Ok(Loan::new(claimed, notifier))
    }

    /// Lends the next slot like [`Publisher::loan`], starting with `message`.
    ///
    /// The message is passed by value: a large one takes its size of stack. [`loan`](Publisher::loan) takes
    /// no stack, and neither does [`send`](Publisher::send) of a message on the heap: see
    /// [`message::zeroed_boxed`](crate::message::zeroed_boxed) and [`message::read_boxed`](crate::message::read_boxed).
    #[inline(always)]
    pub fn loan_with(&mut self, message: M) -> Result<Loan<'_, M>, SendError> {
        let (claimed, notifier) = self.raw.claim()?;
        Ok(Loan::with(claimed, notifier, message))
    }
}

impl<H: ShmMessage, T: ShmMessage> Publisher<H, [T]> {
    /// Copies a header and its items into the next slot and wakes the subscribers that sleep. Blocks only on
    /// a channel with `overflow: Wait`, until there is room.
    pub fn send(&mut self, header: &H, items: &[T]) -> Result<(), SendError>
    where
        H: Copy,
        T: Copy,
    {
        self.send_until(header, items, Some(Deadline::Never)).map(|_sent| ())
    }

    /// Sends like [`send`](Publisher::send), if there is room. Never blocks.
    ///
    /// # Errors
    /// [`TrySendError::Full`] if there is none.
    pub fn try_send(&mut self, header: &H, items: &[T]) -> Result<(), TrySendError>
    where
        H: Copy,
        T: Copy,
    {
        TrySendError::unless(self.send_until(header, items, None))
    }

    /// Sends like [`send`](Publisher::send), blocking for at most `timeout`. A timeout of zero polls once.
    ///
    /// # Errors
    /// [`SendTimeoutError::Timeout`] if there was no room.
    pub fn send_timeout(&mut self, header: &H, items: &[T], timeout: Duration) -> Result<(), SendTimeoutError>
    where
        H: Copy,
        T: Copy,
    {
        SendTimeoutError::unless(self.send_until(header, items, Some(Deadline::after(timeout))))
    }

    /// Sends like [`send`](Publisher::send), blocking until `deadline` at the latest.
    ///
    /// # Errors
    /// [`SendTimeoutError::Timeout`] if there was no room.
    pub fn send_deadline(
        &mut self,
        header: &H,
        items: &[T],
        deadline: Instant,
    ) -> Result<(), SendTimeoutError>
    where
        H: Copy,
        T: Copy,
    {
        SendTimeoutError::unless(self.send_until(header, items, Some(Deadline::At(deadline))))
    }

    pub(super) fn send_until(
        &mut self,
        header: &H,
        items: &[T],
        deadline: Option<Deadline>,
    ) -> Result<bool, SendError>
    where
        H: Copy,
        T: Copy,
    {
        let Some(mut loan) = self.loan_until(items.len(), deadline)? else { return Ok(false) };
        let (head, tail) = loan.parts_mut();
        *head = *header;
        tail.copy_from_slice(items);
        loan.send().map(|()| true)
    }

    /// Lends the next slot with room for `len` items, in which the caller builds the header and the items.
    /// Blocks only on a channel with `overflow: Wait`, until there is room; sending the loan never blocks.
    ///
    /// If all bytes are valid in both types, the loan starts with the previous contents of the slot;
    /// otherwise its bytes are zero.
    ///
    /// # Errors
    /// [`SendError::TooLong`] if a slot holds fewer than `len` items ([`Publisher::max_len`]).
    pub fn loan(&mut self, len: usize) -> Result<TailLoan<'_, H, T>, SendError> {
        // `Deadline::Never` cannot have passed.
        self.loan_until(len, Some(Deadline::Never))?.ok_or(SendError::AllSlotsHeld)
    }

    /// Lends a slot like [`loan`](Publisher::loan), if there is room. Never blocks.
    ///
    /// # Errors
    /// [`TrySendError::Full`] if there is none.
    pub fn try_loan(&mut self, len: usize) -> Result<TailLoan<'_, H, T>, TrySendError> {
        self.loan_until(len, None)?.ok_or(TrySendError::Full)
    }

    fn loan_until(
        &mut self,
        len: usize,
        deadline: Option<Deadline>,
    ) -> Result<Option<TailLoan<'_, H, T>>, SendError> {
        let size = len.checked_mul(size_of::<T>()).and_then(|tail| tail.checked_add(size_of::<H>()));
        self.raw.make_fit(size.unwrap_or(usize::MAX))?;
        let claimed = self.raw.try_claim(deadline)?;
        Ok(claimed.map(|(claimed, notifier)| TailLoan::new(claimed, notifier, len)))
    }

    /// Returns the largest number of items in a message of this channel. If its slots [grow](crate::Opener::grow), a
    /// message with as many items makes them as large as they may become.
    pub fn max_len(&self) -> usize {
        self.raw.longest().saturating_sub(size_of::<H>()) / size_of::<T>()
    }
}

/// Ready when a send would not wait: always on a channel that overwrites; with `overflow: Wait` while the subscribers
/// leave room for a message. Also ready in the child of a fork, where each send returns `Forked`.
impl<M: ?Sized, F: ?Sized> Waitable for Publisher<M, F> {}

impl<M: ?Sized, F: ?Sized> Watchable for Publisher<M, F> {
    fn watch(&self) -> Result<Watched, Error> {
        Ok(Watched::from(self.raw.watched()?.clone()))
    }
}
