//! [`Publisher`]: the sending end.
//!
//! Owns the order of a send: fork check, room, ring, wake. Calls `segment` for the seat, `ring` for the
//! slots, `wait` for sleepers. What a publisher does that has to wait is in `room`. Never interprets a
//! message.

use super::buffer::Buffer;
use super::loan::{self, Claimed, Loan, Outlet, TailLoan};
use super::room::Room;
use super::{Fixed, KEEPER, PublisherId, SendError, SendTimeoutError, TrySendError};
use crate::error::Error;
use crate::layout::{control, seat};
use crate::message::in_place::Copied;
use crate::message::{self, ShmMessage};
use crate::os;
use crate::ring::{Corrupt, Place, Sender, Staged, Writer, window};
use crate::segment::{self, Attachment, Role, Spec};
use crate::stats::{self, Stats};
use crate::sync::Ordering;
use crate::wait::{Deadline, Event};
use core::marker::PhantomData;
use std::time::{Duration, Instant};

/// Messages of up to so many bytes are copied once more where sending is not simple.
const SMALL: usize = 512;

/// The sending end of a publish/subscribe channel: one live one at a time, or as many as the channel
/// declares `publishers`.
///
/// Sending never allocates. What a subscriber has not received by the time its slot is needed again
/// depends on the channel:
///
/// * **`overflow: Overwrite`**, if not said: it is overwritten, and counted there as lost. Sending never
///   blocks, and `try_send` and its like are the same as `send`.
/// * **`overflow: Wait`**: [`send`](Publisher::send) waits until it is received. `try_send` says at once
///   that there is no room, `send_timeout` and `send_deadline` wait until then. A subscriber that dies holds
///   nobody up; one that stands still for longer than its
///   [patience](crate::Opener::patience) is cut loose: the publisher goes on without it, it is told
///   `Lagged(n)`, and it is waited for again from its next message on. Without subscribers there is nobody to
///   wait for.
///
/// **If this process dies**, at any instruction, subscribers lose at most the message that was being
/// written; blocking ones learn of it within 50 ms. A new publisher carries on in the same segment.
/// **If a subscriber dies**, nothing changes here.
///
/// Dropping the publisher leaves the segment to its subscribers, who may still receive what is in
/// it; the last participant to leave removes it.
pub struct Publisher<M: ?Sized, F: ?Sized = Fixed> {
    core: Core,
    _messages: PhantomData<fn(&M, &F)>,
}

/// What does not depend on the type of the messages.
pub(super) struct Core {
    pub(super) attachment: Attachment,
    pub(super) writer: Writer,
    pub(super) items: Event,
    /// Where the channel says that the publisher waits.
    pub(super) room: Option<Room>,
    /// Slots passed at the last look after dead subscribers.
    passed: u64,
    /// Where a loan is made, on a ring that copies.
    staging: Buffer,
}

impl<M: ?Sized, F: ?Sized> Publisher<M, F> {
    /// Creates the channel's segment, or carries on in the one that is there.
    pub(crate) fn open(spec: Spec) -> Result<Self, Error> {
        Ok(Publisher { core: Core::open(spec)?, _messages: PhantomData })
    }

    pub(super) fn core(&mut self) -> &mut Core {
        &mut self.core
    }

    /// The full name of the channel, namespace included.
    pub fn name(&self) -> &str {
        self.core.attachment.channel()
    }

    /// Who this publisher is to the subscribers of a channel of several: what
    /// [`Subscriber::publisher`](crate::Subscriber::publisher) answers for its messages.
    pub fn id(&self) -> PublisherId {
        PublisherId::new(if self.core.attachment.forked() {
            Sender::default()
        } else {
            sender(&self.core.attachment)
        })
    }

    /// Counts of the channel, and one entry for each participant: who is slow, who has lost what.
    ///
    /// Reads shared memory and asks the kernel who is alive: about half a microsecond a participant.
    pub fn stats(&self) -> Stats {
        stats::read(&self.core.attachment)
    }

    /// How many subscribers are alive now. Where the publisher waits, those that it waits for from now on.
    pub fn subscribers(&self) -> usize {
        if self.core.room.is_none() {
            return self.core.attachment.count_alive(Role::Subscriber);
        }
        self.core.attachment.count_alive_where(Role::Subscriber, |seat| {
            // Relaxed: the lock decides.
            window::has_entered(
                self.core.attachment.region().u64(seat + seat::WINDOW).load(Ordering::Relaxed),
            )
        })
    }

    /// Waits until a message can be sent or loaned without waiting, for at most `timeout`, and says whether
    /// it can. Zero looks once. At once where the channel overwrites.
    pub fn wait_for_room(&mut self, timeout: Duration) -> bool {
        self.core.has_room(Some(Deadline::after(timeout))).unwrap_or(false)
    }

    /// Waits until at least `count` subscribers are alive, and says whether they are. Looks every
    /// few milliseconds, for at most `timeout`; zero looks once.
    pub fn wait_for_subscribers(&self, count: usize, timeout: Duration) -> bool {
        let until = Instant::now().checked_add(timeout);
        loop {
            if self.subscribers() >= count {
                return true;
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl<M: ShmMessage> Publisher<M> {
    /// Copies `message` into the next slot and wakes the subscribers that sleep. Blocks only on a channel
    /// whose publisher waits, until there is room.
    #[inline]
    pub fn send(&mut self, message: &M) -> Result<(), SendError> {
        self.send_until(message, || Some(Deadline::Never)).map(|_sent| ())
    }

    /// As [`send`](Publisher::send), if there is room. Never blocks.
    ///
    /// # Errors
    /// [`TrySendError::Full`] if there is none.
    #[inline]
    pub fn try_send(&mut self, message: &M) -> Result<(), TrySendError> {
        full(self.send_until(message, || None))
    }

    /// As [`send`](Publisher::send), blocking for at most `timeout`. Zero looks once.
    ///
    /// # Errors
    /// [`SendTimeoutError::Timeout`] if there was no room.
    pub fn send_timeout(&mut self, message: &M, timeout: Duration) -> Result<(), SendTimeoutError> {
        timed_out(self.send_until(message, || Some(Deadline::after(timeout))))
    }

    /// As [`send`](Publisher::send), blocking until `deadline` at the latest.
    ///
    /// # Errors
    /// [`SendTimeoutError::Timeout`] if there was no room.
    pub fn send_deadline(&mut self, message: &M, deadline: Instant) -> Result<(), SendTimeoutError> {
        timed_out(self.send_until(message, || Some(Deadline::At(deadline))))
    }

    // In line only what happens almost always. What takes longer gets a copy of a small message: else this one
    // would have to be in memory, and the way there and back is most of what it takes to send it.
    #[inline(always)]
    pub(super) fn send_until(
        &mut self,
        message: &M,
        deadline: impl FnOnce() -> Option<Deadline>,
    ) -> Result<bool, SendError> {
        if self.core.send_copied(message::as_bytes(message)) {
            Ok(true)
        } else if size_of::<M>() <= SMALL {
            self.core.send(Copied::of(message).bytes(), deadline())
        } else {
            self.core.send(message::as_bytes(message), deadline())
        }
    }

    /// The next slot, to make the message in place: send it with [`Loan::send`], or drop it and
    /// nothing is sent. Blocks only on a channel whose publisher waits, until there is room; sending the loan
    /// never does. ([`wait_for_room`](Publisher::wait_for_room) waits for a time.)
    ///
    /// Where any bytes are a valid `M`, the message holds what the slot last held; otherwise its
    /// bytes are zero. (On a channel of small messages, up to 4 KiB, the loan is a private buffer
    /// that is copied when it is sent: that is faster there.)
    ///
    /// A message without an all-zero value does not compile here; use [`Publisher::loan_with`].
    #[inline(always)]
    pub fn loan(&mut self) -> Result<Loan<'_, M>, SendError> {
        let (claimed, outlet) = self.core.claim()?;
        Ok(Loan::new(claimed, outlet))
    }

    /// As [`loan`](Publisher::loan), if there is room. Never blocks.
    ///
    /// # Errors
    /// [`TrySendError::Full`] if there is none.
    #[inline(always)]
    pub fn try_loan(&mut self) -> Result<Loan<'_, M>, TrySendError> {
        let (claimed, outlet) = self.core.try_claim(None)?.ok_or(TrySendError::Full)?;
        Ok(Loan::new(claimed, outlet))
    }

    /// Like [`Publisher::loan`], starting with `message`.
    #[inline(always)]
    pub fn loan_with(&mut self, message: M) -> Result<Loan<'_, M>, SendError> {
        let (claimed, outlet) = self.core.claim()?;
        Ok(Loan::with(claimed, outlet, message))
    }
}

impl<H: ShmMessage, T: ShmMessage> Publisher<H, [T]> {
    /// Sends a header and its items, copied. Blocks only on a channel whose publisher waits, until there is
    /// room.
    pub fn send(&mut self, header: &H, items: &[T]) -> Result<(), SendError>
    where
        H: Copy,
        T: Copy,
    {
        self.send_until(header, items, Some(Deadline::Never)).map(|_sent| ())
    }

    /// As [`send`](Publisher::send), if there is room. Never blocks.
    ///
    /// # Errors
    /// [`TrySendError::Full`] if there is none.
    pub fn try_send(&mut self, header: &H, items: &[T]) -> Result<(), TrySendError>
    where
        H: Copy,
        T: Copy,
    {
        full(self.send_until(header, items, None))
    }

    /// As [`send`](Publisher::send), blocking for at most `timeout`. Zero looks once.
    ///
    /// # Errors
    /// [`SendTimeoutError::Timeout`] if there was no room.
    pub fn send_timeout(&mut self, header: &H, items: &[T], timeout: Duration) -> Result<(), SendTimeoutError>
    where
        H: Copy,
        T: Copy,
    {
        timed_out(self.send_until(header, items, Some(Deadline::after(timeout))))
    }

    /// As [`send`](Publisher::send), blocking until `deadline` at the latest.
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
        timed_out(self.send_until(header, items, Some(Deadline::At(deadline))))
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

    /// The next slot with room for `len` items, to make header and items in place. Blocks only on a channel
    /// whose publisher waits, until there is room; sending the loan never does.
    ///
    /// Where any bytes are valid, both hold what the slot last held; otherwise their bytes are zero.
    ///
    /// # Errors
    /// [`SendError::TooLong`] if a slot holds fewer than `len` items ([`Publisher::max_len`]).
    pub fn loan(&mut self, len: usize) -> Result<TailLoan<'_, H, T>, SendError> {
        // A deadline that never comes cannot have passed.
        self.loan_until(len, Some(Deadline::Never))?.ok_or(SendError::AllSlotsHeld)
    }

    /// As [`loan`](Publisher::loan), if there is room. Never blocks.
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
        let capacity = self.core.attachment.geometry().slot_size as usize;
        let size = len.checked_mul(size_of::<T>()).and_then(|tail| tail.checked_add(size_of::<H>()));
        match size {
            Some(size) if size <= capacity => {
                let claimed = self.core.try_claim(deadline)?;
                Ok(claimed.map(|(claimed, outlet)| TailLoan::new(claimed, outlet, len)))
            }
            _ => Err(SendError::TooLong { size: size.unwrap_or(usize::MAX), capacity }),
        }
    }

    /// The most items that a message of this channel takes.
    pub fn max_len(&self) -> usize {
        let capacity = self.core.attachment.geometry().slot_size as usize;
        capacity.saturating_sub(size_of::<H>()) / size_of::<T>()
    }
}

/// `sent`, for one that does not wait.
pub(super) fn full(sent: Result<bool, SendError>) -> Result<(), TrySendError> {
    if sent? { Ok(()) } else { Err(TrySendError::Full) }
}

/// `sent`, for one that waits for a time.
pub(super) fn timed_out(sent: Result<bool, SendError>) -> Result<(), SendTimeoutError> {
    if sent? { Ok(()) } else { Err(SendTimeoutError::Timeout) }
}

fn sender(attachment: &Attachment) -> Sender {
    // Relaxed: this participant's own word.
    let joined = attachment.seat_word(seat::JOINED).load(Ordering::Relaxed) as i64;
    Sender { seat: attachment.seat(), pid: os::pid(), joined }
}

fn writer(attachment: &Attachment) -> Result<Writer, Corrupt> {
    Writer::new(attachment.region(), attachment.geometry(), sender(attachment))
}

impl Core {
    fn open(spec: Spec) -> Result<Self, Error> {
        let mut attachment = segment::publish(&spec, KEEPER)?;
        let mut adopted = writer(&attachment);
        // Of a damaged segment that others publish to, none can be made for them.
        if let Err(why) = &adopted
            && attachment.count_alive(Role::Publisher) == 1
        {
            log::warn!(
                target: "shmcomm",
                "channel `{}`: its slots are damaged ({why}); the segment is replaced",
                attachment.channel()
            );
            drop(attachment);
            segment::force_unlink(&spec.name)?;
            attachment = segment::publish(&spec, KEEPER)?;
            adopted = writer(&attachment);
        }
        let mut writer = adopted.map_err(|why| attachment.damaged(why))?;
        let region = attachment.region();
        let geometry = attachment.geometry();
        let staging = if geometry.discipline.pins() {
            Buffer::new(0, 1)
        } else {
            Buffer::new(geometry.slot_size as usize, geometry.align as usize)
        };
        let items = Event::new(region, control::ITEMS);
        let (positions, unfinished) = writer.found();
        if positions > 0 {
            log::info!(
                target: "shmcomm",
                "channel `{}`: carrying on after {} messages; {unfinished} left unfinished",
                attachment.channel(),
                writer.messages()
            );
        }
        // Subscribers that slept through the absence look up and see somebody is there.
        items.wake_all();
        let passed = writer.passed();
        let room = attachment.publisher_waits().then(|| Room::new(&attachment));
        if room.is_some() {
            // The first message looks who is there: the last publisher may have left many behind.
            writer.set_limit(0);
        }
        Ok(Core { attachment, writer, items, room, passed, staging })
    }

    /// Sends where that is a copy into the next slot and no more; `false`, and nothing is done, elsewhere.
    #[inline(always)]
    fn send_copied(&mut self, bytes: &[u8]) -> bool {
        let sent = self.may_go_on() && self.writer.send_copied(bytes);
        if sent {
            loan::sent(&self.items, &self.attachment, bytes.len());
        }
        sent
    }

    /// Sends, waiting for room if there is a deadline; `false` if there was none.
    #[inline(never)]
    pub(super) fn send(&mut self, bytes: &[u8], deadline: Option<Deadline>) -> Result<bool, SendError> {
        if !self.has_room(deadline)? {
            return Ok(false);
        }
        while self.writer.send(bytes).is_err() {
            if !self.give_way(deadline)? {
                return Ok(false);
            }
        }
        loan::sent(&self.items, &self.attachment, bytes.len());
        self.look_after();
        Ok(true)
    }

    /// Whoever made the publisher pass a slot may be dead: then it holds no slot from now on.
    #[inline]
    fn look_after(&mut self) {
        if self.writer.passed() != self.passed {
            self.sweep();
        }
    }

    #[cold]
    fn sweep(&mut self) {
        self.passed = self.writer.passed();
        self.attachment.sweep_dead();
    }

    /// All slots that may be taken are held: by the dead, one hopes. Where the publisher waits, it does so
    /// until one is let go; `false` if it may not wait that long.
    #[cold]
    fn give_way(&mut self, deadline: Option<Deadline>) -> Result<bool, SendError> {
        if self.attachment.sweep_dead() > 0 { Ok(true) } else { self.make_room(deadline) }
    }

    #[inline(always)]
    pub(super) fn claim(&mut self) -> Result<(Claimed<'_>, Outlet<'_>), SendError> {
        // A deadline that never comes cannot have passed.
        self.try_claim(Some(Deadline::Never))?.ok_or(SendError::AllSlotsHeld)
    }

    /// Room for a message, waiting for it if there is a deadline; nothing if there was none.
    //
    // In line only what happens almost always to a message that is made in its slot.
    #[inline(always)]
    pub(super) fn try_claim(
        &mut self,
        deadline: Option<Deadline>,
    ) -> Result<Option<(Claimed<'_>, Outlet<'_>)>, SendError> {
        let claimed = if self.writer.is_pinned() {
            let secured = self.may_go_on() && self.writer.secure().is_ok();
            if !secured && !self.secure_otherwise(deadline)? {
                return Ok(None);
            }
            self.look_after();
            Place::Slot(self.writer.claimed())
        } else {
            if !self.has_room(deadline)? {
                return Ok(None);
            }
            Place::Private(Staged::new(self.staging.bytes_mut(), &mut self.writer))
        };
        Ok(Some((claimed, Outlet { items: &self.items, attachment: &self.attachment })))
    }

    /// There is more to it than to take the next slot.
    #[cold]
    fn secure_otherwise(&mut self, deadline: Option<Deadline>) -> Result<bool, SendError> {
        if !self.has_room(deadline)? {
            return Ok(false);
        }
        while self.writer.secure().is_err() {
            if !self.give_way(deadline)? || !self.has_room(deadline)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
