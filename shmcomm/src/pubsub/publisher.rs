//! [`Publisher`]: the sending end.
//!
//! Owns the order of a send: fork check, ring, wake. Calls `segment` for the seat, `ring` for the
//! slots, `wait` for sleepers. Never interprets a message.

use super::buffer::Buffer;
use super::loan::{self, Claimed, Loan, Outlet, TailLoan};
use super::{Fixed, KEEPER, SendError};
use crate::error::Error;
use crate::layout::{Discipline, control};
use crate::message::{self, ShmMessage};
use crate::ring::{AllPinned, Writer};
use crate::segment::{self, Attachment, Role, Spec};
use crate::stats::{self, Stats};
use crate::wait::Event;
use core::marker::PhantomData;
use std::time::{Duration, Instant};

/// The sending end of a publish/subscribe channel: one live one at a time.
///
/// Sending never blocks and never allocates. What a subscriber has not received by the time its slot
/// is needed again is overwritten, and counted there as lost.
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
    /// Holes there were at the last look after dead subscribers.
    holes: u64,
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

    /// Counts of the channel, and one entry for each participant: who is slow, who has lost what.
    ///
    /// Reads shared memory and asks the kernel who is alive: about half a microsecond a participant.
    pub fn stats(&self) -> Stats {
        stats::read(&self.core.attachment)
    }

    /// How many subscribers are alive now.
    pub fn subscribers(&self) -> usize {
        self.core.attachment.count_alive(Role::Subscriber)
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
    /// Copies `message` into the next slot and wakes the subscribers that sleep. Does not block.
    #[inline]
    pub fn send(&mut self, message: &M) -> Result<(), SendError> {
        self.core.send(message::as_bytes(message))
    }

    /// The next slot, to make the message in place: send it with [`Loan::send`], or drop it and
    /// nothing is sent.
    ///
    /// Where any bytes are a valid `M`, the message holds what the slot last held; otherwise its
    /// bytes are zero. (On a channel of small messages, up to 4 KiB, the loan is a private buffer
    /// that is copied when it is sent: that is faster there.)
    ///
    /// A message without an all-zero value does not compile here; use [`Publisher::loan_with`].
    pub fn loan(&mut self) -> Result<Loan<'_, M>, SendError> {
        let (claimed, outlet) = self.core.claim()?;
        Ok(Loan::new(claimed, outlet))
    }

    /// Like [`Publisher::loan`], starting with `message`.
    pub fn loan_with(&mut self, message: M) -> Result<Loan<'_, M>, SendError> {
        let (claimed, outlet) = self.core.claim()?;
        Ok(Loan::with(claimed, outlet, message))
    }
}

impl<H: ShmMessage, T: ShmMessage> Publisher<H, [T]> {
    /// Sends a header and its items, copied. Does not block.
    pub fn send(&mut self, header: &H, items: &[T]) -> Result<(), SendError>
    where
        H: Copy,
        T: Copy,
    {
        let mut loan = self.loan(items.len())?;
        let (head, tail) = loan.parts_mut();
        *head = *header;
        tail.copy_from_slice(items);
        loan.send()
    }

    /// The next slot with room for `len` items, to make header and items in place.
    ///
    /// Where any bytes are valid, both hold what the slot last held; otherwise their bytes are zero.
    ///
    /// # Errors
    /// [`SendError::TooLong`] if a slot holds fewer than `len` items ([`Publisher::max_len`]).
    pub fn loan(&mut self, len: usize) -> Result<TailLoan<'_, H, T>, SendError> {
        let capacity = self.core.attachment.geometry().slot_size as usize;
        let size = len.checked_mul(size_of::<T>()).and_then(|tail| tail.checked_add(size_of::<H>()));
        match size {
            Some(size) if size <= capacity => {
                let (claimed, outlet) = self.core.claim()?;
                Ok(TailLoan::new(claimed, outlet, len))
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

impl Core {
    fn open(spec: Spec) -> Result<Self, Error> {
        let mut attachment = segment::publish(&spec, KEEPER)?;
        let mut adopted = Writer::new(attachment.region(), attachment.geometry());
        if let Err(why) = &adopted {
            log::warn!(
                target: "shmcomm",
                "channel `{}`: its slots are damaged ({why}); the segment is replaced",
                attachment.channel()
            );
            drop(attachment);
            segment::force_unlink(&spec.name)?;
            attachment = segment::publish(&spec, KEEPER)?;
            adopted = Writer::new(attachment.region(), attachment.geometry());
        }
        let writer = adopted.map_err(|why| attachment.damaged(why))?;
        let region = attachment.region();
        let geometry = attachment.geometry();
        let staging = match geometry.discipline {
            Discipline::Pinned => Buffer::new(0, 1),
            _ => Buffer::new(geometry.slot_size as usize, geometry.align as usize),
        };
        let items = Event::new(region, control::ITEMS);
        let adopted = writer.adopted();
        if adopted.positions > 0 {
            log::info!(
                target: "shmcomm",
                "channel `{}`: carrying on after {} messages; {} left unfinished",
                attachment.channel(),
                writer.messages(),
                adopted.unfinished
            );
        }
        // Subscribers that slept through the absence look up and see somebody is there.
        items.wake_all();
        let holes = writer.holes();
        Ok(Core { attachment, writer, items, holes, staging })
    }

    #[inline]
    fn send(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        if self.attachment.forked() {
            return Err(SendError::Forked);
        }
        if self.writer.send(bytes).is_err() {
            self.give_way()?;
            self.writer.send(bytes).map_err(|AllPinned| SendError::AllSlotsHeld)?;
        }
        self.outlet().sent(bytes.len());
        self.look_after();
        Ok(())
    }

    #[inline]
    fn outlet(&self) -> Outlet<'_> {
        Outlet { items: self.items, attachment: &self.attachment }
    }

    /// Whoever made the publisher pass a slot may be dead: then it holds no slot from now on.
    #[inline]
    fn look_after(&mut self) {
        if self.writer.holes() != self.holes {
            self.sweep();
        }
    }

    #[cold]
    fn sweep(&mut self) {
        self.holes = self.writer.holes();
        self.attachment.sweep_dead();
    }

    /// All slots are held: by the dead, one hopes.
    #[cold]
    fn give_way(&mut self) -> Result<(), SendError> {
        if self.attachment.sweep_dead() == 0 { Err(SendError::AllSlotsHeld) } else { Ok(()) }
    }

    pub(super) fn claim(&mut self) -> Result<(Claimed<'_>, Outlet<'_>), SendError> {
        if self.attachment.forked() {
            return Err(SendError::Forked);
        }
        self.look_after();
        if self.writer.is_full() {
            self.give_way()?;
        }
        let outlet = Outlet { items: self.items, attachment: &self.attachment };
        Ok((loan::claim(&mut self.writer, &mut self.staging)?, outlet))
    }
}
