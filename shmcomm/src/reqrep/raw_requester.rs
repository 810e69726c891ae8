//! [`RawRequester`]: the asking end, without the message types.
//!
//! Owns the steps of a request: its slot, the answer, and the release of both. Calls `ring` in single steps.
//! Between two steps the end may be used for other requests. Never interprets a message.

use super::{CallError, RequestError};
use crate::codec::{EncodeError, IncomingOwned};
use crate::counts;
use crate::fault::fault_point;
use crate::message::Invalid;
use crate::os;
use crate::queue_end::{PERIOD, QueueEnd, QueueEvents, State};
use crate::ring::queue::{CloseOutcome, Loan, RawLoan, ReplyState, StreamState, StreamTicket, Ticket};
use crate::ring::{ReplyGuard, RequestEnd, RequestSlot, StableBytesMut, reply_bytes};
use core::cell::RefCell;

/// Polls of a call between two polls that check more than the reply status word, if no requester was
/// woken meanwhile.
const LOOK_CLOSER: u32 = 64;

pub(super) type RawRequester = QueueEnd<RefCell<State>>;

/// Counts of the empty polls of one answer.
pub(super) struct Polls {
    count: u32,
    /// Number of wake-ups of waiting requesters at the last full check. They are woken after a request of
    /// theirs was found with a dead replier.
    woken: u32,
}

impl Polls {
    /// Starts the counts after a request was sent, before the first poll of its answer.
    #[inline(always)]
    pub(super) fn new(wake: &QueueEvents) -> Self {
        Polls { count: 0, woken: wake.replies.wakes() }
    }

    /// Returns `true` if this empty poll must check more than the reply status word.
    #[inline(always)]
    pub(super) fn is_close(&mut self, wake: &QueueEvents) -> bool {
        self.count = self.count.wrapping_add(1);
        let woken = wake.replies.wakes();
        if woken == self.woken && !self.count.is_multiple_of(LOOK_CLOSER) {
            return false;
        }
        self.woken = woken;
        true
    }

    /// Makes the next poll a full check, because a wait set has seen an answer.
    #[inline]
    pub(super) fn look_closer(&mut self) {
        self.count = LOOK_CLOSER - 1;
    }
}

impl RawRequester {
    /// Claims a slot for a request, if one is free.
    #[inline]
    pub(super) fn claim(&self) -> Result<RequestSlot<&Self>, CallError> {
        if self.attachment.forked() {
            return Err(CallError::Forked);
        }
        let mut state = self.state.borrow_mut();
        match state.queue.begin_request() {
            Some(loan) => Ok(RequestSlot::new(loan, self)),
            None => Err(CallError::Full),
        }
    }

    /// Sends the request that `write` writes, if a slot is free.
    #[inline]
    pub(super) fn send(
        &self,
        write: impl Fn(&mut [u8]) -> Result<usize, EncodeError>,
    ) -> Result<Ticket, CallError> {
        let mut unsent = self.claim()?;
        let len = write(unsent.bytes_mut()).map_err(CallError::Unencodable)?;
        fault_point!("push.written");
        self.publish(unsent.into_raw(), len)
    }

    /// Sends the first `len` bytes of the claimed slot. In a forked child the slot belongs to the parent alone.
    #[inline]
    pub(super) fn publish(&self, unsent: RawLoan, len: usize) -> Result<Ticket, CallError> {
        self.publish_as(unsent, len, |loan, len, nanos| loan.request(len, nanos), |ticket| ticket)
    }

    /// Sends the first `len` bytes of the claimed slot with `send`. `ticket` returns the ticket of what was sent.
    #[inline(always)]
    fn publish_as<T>(
        &self,
        unsent: RawLoan,
        len: usize,
        send: impl FnOnce(Loan<'_>, usize, u64) -> Option<T>,
        ticket: impl FnOnce(&T) -> &Ticket,
    ) -> Result<T, CallError> {
        if self.attachment.forked() {
            return Err(CallError::Forked);
        }
        let mut state = self.state.borrow_mut();
        let State { queue, now, .. } = &mut *state;
        let asked = send(Loan::from_raw(queue, unsent), len, *now).ok_or(CallError::Damaged)?;
        counts::message(len, &self.attachment);
        self.wake.items.notify();
        // The clock ticks every few milliseconds. It is read while the replier works.
        let read = os::monotonic_coarse();
        if read != *now {
            *now = read;
            queue.date(ticket(&asked), read);
            let is_due = state.scan.is_due_at(read, PERIOD);
            drop(state);
            self.recover_if(is_due, &self.state);
        }
        Ok(asked)
    }

    /// Sends the request for a stream that `write` writes, if a slot is free.
    pub(super) fn send_stream(
        &self,
        write: impl Fn(&mut [u8]) -> Result<usize, EncodeError>,
    ) -> Result<StreamTicket, CallError> {
        let mut unsent = self.claim()?;
        let len = write(unsent.bytes_mut()).map_err(CallError::Unencodable)?;
        fault_point!("push.written");
        let send = |loan: Loan<'_>, len, nanos| loan.request_stream(len, nanos);
        self.publish_as(unsent.into_raw(), len, send, StreamTicket::ticket)
    }

    /// Polls for the next reply of a stream, or its end.
    #[inline]
    pub(super) fn stream_state(&self, ticket: &mut StreamTicket) -> Result<StreamState, RequestError> {
        if self.attachment.forked() {
            return Err(RequestError::Forked);
        }
        let mut state = self.state.borrow_mut();
        let found = state.queue.poll_stream(ticket);
        if found == StreamState::Pending {
            let is_due = state.called();
            drop(state);
            self.recover_if(is_due, &self.state);
        }
        Ok(found)
    }

    /// Gives the place of a reply that was read back to its replier, and wakes the replier if it waits for that.
    #[inline]
    pub(super) fn take_reply(&self, ticket: &mut StreamTicket) {
        self.state.borrow().queue.take_reply(ticket);
        self.wake.room.notify();
    }

    /// Ends a stream, except in a forked child: there it belongs to the parent alone.
    pub(super) fn close_stream(&self, ticket: StreamTicket) {
        if !self.attachment.forked() {
            self.state.borrow().queue.close_stream(ticket);
            // A requester that waits for a slot, or the replier, which waits for room in this stream.
            self.wake.room.notify();
        }
    }

    /// Polls the answer to `ticket`. Returns the length of the reply, or the reason why there is none.
    /// `polls` counts the empty polls.
    #[inline(always)]
    pub(super) fn answer(&self, ticket: &Ticket, polls: &mut Polls) -> Option<Result<usize, RequestError>> {
        if self.attachment.forked() {
            return Some(Err(RequestError::Forked));
        }
        let mut state = self.state.borrow_mut();
        let mut reply = state.queue.poll_reply(ticket);
        if reply == ReplyState::Pending {
            let is_due = state.called();
            drop(state);
            self.recover_if(is_due, &self.state);
            if polls.is_close(&self.wake) {
                reply = self.state.borrow().queue.find_reply(ticket);
            }
        }
        match reply {
            ReplyState::Pending => None,
            ReplyState::Replied(len) => Some(Ok(len)),
            ReplyState::Unanswered => Some(Err(RequestError::Unanswered)),
            ReplyState::PeerDied => Some(Err(RequestError::PeerDied)),
        }
    }

    /// Reads the reply of a fixed layout that needs no conversion, if `answer` reports a reply, and takes the ticket.
    //
    // It is inlined in the program of the user. `take` and the function that reads any reply are not: the function is
    // a pointer in the call.
    #[inline(always)]
    pub(super) fn read_fixed<R, F: IncomingOwned<R> + ?Sized>(
        &self,
        ticket: &mut Option<Ticket>,
        answer: &Result<usize, RequestError>,
    ) -> Option<Result<R, Invalid>> {
        let (Ok(len), Some(asked), None) = (answer, &*ticket, &self.resolved) else { return None };
        let read = F::read_fixed(|| {
            fault_point!("call.reading");
            reply_bytes(&self.state.borrow().queue, asked, *len)
        })?;
        if let Some(ticket) = ticket.take() {
            self.finish(ticket);
        }
        Some(read)
    }

    /// Takes the reply if `answer` reports one, or ends the request. Takes the ticket.
    #[inline(always)]
    pub(super) fn take(
        &self,
        ticket: &mut Option<Ticket>,
        answer: Result<usize, RequestError>,
    ) -> Result<ReplyGuard<&Self>, RequestError> {
        match (answer, ticket.take()) {
            (Ok(len), Some(ticket)) => {
                fault_point!("call.reading");
                Ok(ReplyGuard::new(&self.state.borrow().queue, ticket, len, self))
            }
            (Ok(_), None) => Err(RequestError::Unanswered),
            (Err(why), ticket) => Err(self.fail(ticket, why)),
        }
    }

    /// Ends a request that has no reply.
    #[cold]
    #[inline(never)]
    fn fail(&self, ticket: Option<Ticket>, why: RequestError) -> RequestError {
        if let Some(ticket) = ticket {
            self.close(ticket);
        }
        why
    }

    /// Releases the slot of `ticket`, except in a forked child: there it belongs to the parent alone.
    pub(super) fn close(&self, ticket: Ticket) {
        if !self.attachment.forked() {
            let closed = self.state.borrow().queue.close(ticket);
            self.over(closed);
        }
    }

    /// Notifies the requesters that wait for room, if a slot is free now.
    #[inline(always)]
    fn over(&self, closed: CloseOutcome) {
        if closed == CloseOutcome::Freed {
            self.wake.room.notify();
        }
    }

    /// Counts and logs a reply whose bytes are not valid.
    #[cold]
    pub(super) fn refuse(&self, why: Invalid) -> RequestError {
        counts::refused(&why, &self.attachment);
        RequestError::Invalid(why)
    }
}

impl RequestEnd for &RawRequester {
    #[inline]
    fn abort(&self, request: RawLoan) {
        // The slot of a loan that was begun before a fork belongs to the parent.
        if !self.attachment.forked() {
            drop(Loan::from_raw(&mut self.state.borrow_mut().queue, request));
        }
    }

    #[inline(always)]
    fn finish(&self, ticket: Ticket) {
        if !self.attachment.forked() {
            let closed = self.state.borrow().queue.finish(ticket);
            self.over(closed);
        }
    }
}
