//! [`Call`]: a request that is on its way.
//!
//! Owns the ticket: whoever has it fetches the answer or gives the request up. What it waits with is
//! in `end`.

use super::end::{End, Polls, What};
use super::form::Read;
use super::{RequestError, RequestTimeoutError};
use crate::error::Error;
use crate::fault::fault_point;
use crate::ring::queue::{Closed, Ticket};
use crate::sync::{AtomicBool, Ordering};
use crate::wait::Deadline;
use crate::waitset::{Awaited, Waitable, Watchable, Watched};
use core::cell::{OnceCell, RefCell};
use core::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A request that is on its way: made by [`Requester::call`](super::Requester::call).
///
/// It can be [polled](Call::poll) or [waited](Call::wait) for; dropping it gives the request up. Then a
/// replier that has not taken it never sees it, and the reply of one that has is discarded; it
/// cannot come to a later request. Any number of calls of one requester may be on their way, as far as
/// there are slots; each holds one until its answer is fetched or it is dropped.
///
/// **If the replier dies** with the request, the answer is `PeerDied`, within 50 ms of the death for
/// who waits, within 20 ms and a hundred polls for who polls; on a channel with `redeliver: true` another replier gets it.
#[must_use = "dropping a call gives the request up"]
pub struct Call<'r, R> {
    pub(super) end: &'r RefCell<End>,
    /// Until the answer was fetched.
    pub(super) ticket: Option<Ticket>,
    pub(super) read: Read<R>,
    pub(super) polls: Polls,
    /// For those who wait for the answer without using the call, once there are any: goes with the answer, and is
    /// set by who has seen it.
    pub(super) watched: OnceCell<Arc<AtomicBool>>,
}

impl<'r, R> Call<'r, R> {
    #[inline]
    pub(super) fn new(end: &'r RefCell<End>, ticket: Ticket, polls: Polls, read: Read<R>) -> Self {
        Call { end, ticket: Some(ticket), read, polls, watched: OnceCell::new() }
    }

    /// The answer, if it is there; `None` also after it was given. Never blocks.
    #[inline]
    pub fn poll(&mut self) -> Option<Result<R, RequestError>> {
        // Acquire pairs with the Release of who has seen an answer: this sees it, too.
        if self.watched.get().is_some_and(|seen| seen.load(Ordering::Acquire)) {
            self.polls.look_closer();
        }
        let end = &mut *self.end.borrow_mut();
        let answer = end.answer(self.ticket.as_ref()?, &mut self.polls)?;
        let answer = fetch(end, &mut self.ticket, answer, self.read);
        self.watched.take();
        Some(answer)
    }

    /// The answer; blocks until there is one.
    ///
    /// While no replier is alive that is until one comes.
    ///
    /// # Errors
    /// See [`RequestError`]; `Unanswered` also if [`poll`](Call::poll) gave the answer before.
    pub fn wait(mut self) -> Result<R, RequestError> {
        loop {
            if let Some(answer) = self.poll() {
                return answer;
            }
            if !self.wait_until(Deadline::Never) {
                // The answer was polled for, and given, before.
                return Err(RequestError::Unanswered);
            }
        }
    }

    /// The answer; blocks for at most `timeout`. Zero looks once. The call stays on its way after a
    /// timeout; there is nothing more to wait for after the answer was given.
    ///
    /// # Errors
    /// [`RequestTimeoutError::Timeout`] if none came; else see [`RequestTimeoutError`].
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<R, RequestTimeoutError> {
        self.answer_until(Deadline::after(timeout))
    }

    /// The answer; blocks until `deadline` at the latest: see [`wait_timeout`](Call::wait_timeout).
    ///
    /// # Errors
    /// [`RequestTimeoutError::Timeout`] if none came; else see [`RequestTimeoutError`].
    pub fn wait_deadline(&mut self, deadline: Instant) -> Result<R, RequestTimeoutError> {
        self.answer_until(Deadline::At(deadline))
    }

    pub(super) fn answer_until(&mut self, deadline: Deadline) -> Result<R, RequestTimeoutError> {
        loop {
            if let Some(answer) = self.poll() {
                return Ok(answer?);
            }
            if !self.wait_until(deadline) {
                return Err(RequestTimeoutError::Timeout);
            }
        }
    }

    fn wait_until(&mut self, deadline: Deadline) -> bool {
        let Some(ticket) = &self.ticket else { return false };
        let found = self.end.borrow_mut().wait(What::Reply(ticket), deadline);
        if found {
            self.polls.look_closer();
        }
        found
    }
}

/// What `answer` says of the request that `ticket` stands for; takes the ticket.
#[inline(always)]
pub(super) fn fetch<R>(
    end: &mut End,
    ticket: &mut Option<Ticket>,
    answer: Result<usize, RequestError>,
    read: Read<R>,
) -> Result<R, RequestError> {
    let (len, asked) = match (answer, &*ticket) {
        (Ok(len), Some(asked)) => (len, asked),
        (Ok(_), None) => return Err(RequestError::Unanswered),
        (Err(why), _) => return Err(fail(end, ticket, why)),
    };
    fault_point!("call.reading");
    let answer = read(end.queue.reply_bytes(asked, len));
    if let Err(RequestError::Invalid(why)) = &answer {
        end.counts.refused(why, &end.attachment);
    }
    if let Some(ticket) = ticket.take() {
        over(end, end.queue.finish(ticket));
    }
    answer
}

/// Ends a call that has no reply.
#[cold]
#[inline(never)]
fn fail(end: &End, ticket: &mut Option<Ticket>, why: RequestError) -> RequestError {
    // What is mapped in a forked child belongs to the parent alone.
    if let Some(ticket) = ticket.take().filter(|_| !end.attachment.forked()) {
        close(end, ticket);
    }
    why
}

/// Gives up what `ticket` stands for.
pub(super) fn close(end: &End, ticket: Ticket) {
    over(end, end.queue.close(ticket));
}

/// Tells others if there is room now.
#[inline(always)]
fn over(end: &End, closed: Closed) {
    if closed == Closed::Freed {
        end.wake.room.notify();
    }
}

impl<R> Drop for Call<'_, R> {
    #[inline]
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let end = self.end.borrow();
            if !end.attachment.forked() {
                close(&end, ticket);
            }
        }
    }
}

impl<R> fmt::Debug for Call<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("pending", &self.ticket.is_some()).finish_non_exhaustive()
    }
}

/// Ready when there is an answer, or there will be none. A call leaves the set when its answer was
/// fetched, or when it is dropped.
impl<R> Waitable for Call<'_, R> {}

impl<R> Watchable for Call<'_, R> {
    fn watch(&self) -> Result<Watched, Error> {
        let Some(ticket) = &self.ticket else { return Ok(Watched::over()) };
        let watched = self.watched.get_or_init(Arc::default);
        self.end.borrow().watch(Awaited::Reply(ticket.copy_to_look(), Arc::downgrade(watched)))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use crate::reqrep::RequestError;
    use crate::ring::queue::Queue;
    use crate::{Channel, ReqRep, WaitSet};
    use std::time::Duration;

    #[test]
    fn who_was_told_of_a_dead_replier_finds_that_with_the_next_poll() {
        let name = format!("unit-{}-told", std::process::id());
        let channel = Channel::<ReqRep<u64, u64>>::try_new(name).unwrap().namespace("");
        let requester = channel.clone().requester().unwrap();
        let mut replier = channel.replier().unwrap();
        let mut call = requester.call(&1).unwrap();
        let mut set = WaitSet::new();
        set.add("answer", &call).unwrap();
        core::mem::forget(replier.try_recv().unwrap());
        // As by somebody who dies after it, and wakes nobody.
        let attachment = &replier.end.attachment;
        let seat = attachment.seat();
        let reaped = Queue::new(attachment.region(), attachment.geometry(), seat).reap(seat, false);
        assert_eq!(reaped.died, 1);
        assert!(call.poll().is_none());
        assert_eq!(set.wait_timeout(Duration::ZERO).unwrap().len(), 1);
        assert_eq!(call.poll(), Some(Err(RequestError::PeerDied)));
        assert!(call.poll().is_none());
    }
}
