//! [`StreamRequest`]: a request while its replier sends the replies to it.
//!
//! Owns the order of a send: wanted, credit, reply, notification. Calls `ring` in single steps. Never waits while it
//! runs code of the message.

use super::form::RequestView;
use super::request::NotifyOnDrop;
use super::{ReplyError, SendReplyError, SendReplyTimeoutError, TrySendReplyError};
use crate::check_pace::CheckPace;
use crate::codec::Outgoing;
use crate::fault::fault_point;
use crate::message::Fixed;
use crate::os;
use crate::queue_end::{PERIOD, QueueEvents};
use crate::ring::queue::{Delivery, StreamWriter};
use crate::ring::{queue, stream_room};
use crate::segment::Attachment;
use crate::wait::{self, Deadline, EventCount, Seated, SleepBackoff, Stop, WaitFor};
use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;
use std::time::{Duration, Instant};

/// A request whose replies are a stream, which dereferences to the message. No other replier has it.
///
/// [`send`](StreamRequest::send) sends a reply, and [`end`](StreamRequest::end) ends the stream. If the request is
/// dropped without an end, its requester receives `Unanswered` behind the replies that were sent; a panic has the same
/// effect. If this process dies, the requester receives `PeerDied` behind them.
///
/// Up to [`window`](StreamRequest::window) replies may be unread. Then a send waits until the requester has received one.
#[must_use = "dropping a request tells its requester that its stream has no end"]
pub struct StreamRequest<'q, Q: ?Sized, R: ?Sized, F: ?Sized = Fixed> {
    // In this order: the slot is released, then the other ends are notified.
    held: RequestView<'q, Q>,
    notify: NotifyOnDrop<'q>,
    stream: StreamWriter,
    attachment: &'q Attachment,
    stop: &'q Stop,
    backoff: &'q mut SleepBackoff,
    /// Number of attempts to send.
    attempts: u64,
    /// The next liveness scan.
    scan: CheckPace,
    _reply: PhantomData<fn(&R, &F)>,
}

impl<'q, Q: ?Sized, R: ?Sized, F: ?Sized> StreamRequest<'q, Q, R, F> {
    pub(super) fn new(
        held: RequestView<'q, Q>,
        stream: StreamWriter,
        (attachment, wake, stop): (&'q Attachment, &'q QueueEvents, &'q Stop),
        backoff: &'q mut SleepBackoff,
    ) -> Self {
        let (notify, scan) = (NotifyOnDrop::new(wake), CheckPace::new(os::monotonic_coarse()));
        let (attempts, _reply) = (0, PhantomData);
        StreamRequest { held, notify, stream, attachment, stop, backoff, attempts, scan, _reply }
    }

    /// Returns `true` if the requester still wants replies; loads one word. Returns `false` in a forked child.
    pub fn is_wanted(&self) -> bool {
        !self.held.guard().forked() && self.held.guard().is_wanted()
    }

    /// Returns the number of replies sent.
    pub fn sent(&self) -> u64 {
        self.stream.sent()
    }

    /// Returns the number of replies that may be unread at a time.
    pub fn window(&self) -> u64 {
        self.attachment.geometry().stream.window
    }

    /// Ends the stream: the requester receives the replies that were sent, then the end. Does not block.
    ///
    /// # Errors
    /// [`ReplyError::Cancelled`] if the requester has cancelled the request, or died; [`ReplyError::Forked`] in a forked
    /// child.
    pub fn end(self) -> Result<(), ReplyError> {
        let StreamRequest { held, mut notify, .. } = self;
        let request = held.into_keeper().into_inner().ok_or(ReplyError::Forked)?;
        notify.freed = request.end_stream() == Delivery::Cancelled;
        if notify.freed { Err(ReplyError::Cancelled) } else { Ok(()) }
    }

    /// Tells the requester that there will be no end, like dropping the request.
    pub fn decline(self) {
        let StreamRequest { held, mut notify, .. } = self;
        notify.decline(held.into_keeper().into_inner());
    }

    /// Waits until there is room for a reply, or none is wanted, for at most `timeout`. Returns `true` if a send does not
    /// block then.
    pub fn wait_for_room(&mut self, timeout: Duration) -> bool {
        wait::wait(&mut self.waiting(), Deadline::after(timeout)).is_ok_and(|found| found.is_some())
    }

    /// Recovers dead participants now and then, so that a send finds that its requester is dead.
    fn check_peers(&mut self) {
        self.attempts += 1;
        if self.scan.is_due(self.attempts, PERIOD) {
            self.attachment.recover_peers();
        }
    }

    fn waiting(&mut self) -> CreditWait<'_> {
        CreditWait {
            request: self.held.guard(),
            stream: &mut self.stream,
            attachment: self.attachment,
            room: self.notify.wake.room,
            stop: self.stop,
            backoff: self.backoff,
        }
    }
}

impl<Q: ?Sized, R: ?Sized, F: Outgoing<R>> StreamRequest<'_, Q, R, F> {
    /// Sends a reply, if there is room. Never blocks.
    ///
    /// # Errors
    /// [`TrySendReplyError::Full`] if `window` replies are unread. [`TrySendReplyError::Cancelled`] if the requester has
    /// cancelled the request, or died. With a codec, [`TrySendReplyError::Unencodable`] if the encoded reply does not fit;
    /// the next reply can be sent.
    pub fn try_send(&mut self, reply: &R) -> Result<(), TrySendReplyError> {
        if self.held.guard().forked() {
            return Err(TrySendReplyError::Forked);
        }
        self.check_peers();
        if !self.held.guard().is_wanted() {
            return Err(TrySendReplyError::Cancelled);
        }
        if !self.stream.has_credit() {
            return Err(TrySendReplyError::Full);
        }
        let len = F::write(reply, stream_room(&mut self.stream)).map_err(TrySendReplyError::Unencodable)?;
        fault_point!("stream.written");
        self.stream.commit(len);
        self.notify.wake.replies.notify();
        Ok(())
    }

    /// Sends a reply; blocks while `window` replies are unread.
    ///
    /// # Errors
    /// [`SendReplyError::Cancelled`] if the requester has cancelled the request, or died; also while this call waits.
    /// [`SendReplyError::Stopped`] if the replier is [stopped](crate::StopHandle) while this call waits. For the others
    /// see [`SendReplyError`].
    pub fn send(&mut self, reply: &R) -> Result<(), SendReplyError> {
        // `Deadline::Never` passes only in the child of a fork.
        if self.send_until(reply, Deadline::Never)? { Ok(()) } else { Err(SendReplyError::Forked) }
    }

    /// Sends a reply like [`send`](StreamRequest::send); blocks for at most `timeout`.
    ///
    /// # Errors
    /// [`SendReplyTimeoutError::Timeout`] if the requester received no reply in time; for the others see
    /// [`send`](StreamRequest::send).
    pub fn send_timeout(&mut self, reply: &R, timeout: Duration) -> Result<(), SendReplyTimeoutError> {
        let sent = self.send_until(reply, Deadline::after(timeout))?;
        if sent { Ok(()) } else { Err(SendReplyTimeoutError::Timeout) }
    }

    /// Sends a reply like [`send`](StreamRequest::send); blocks until `deadline` at the latest.
    ///
    /// # Errors
    /// [`SendReplyTimeoutError::Timeout`] if the requester received no reply in time; for the others see
    /// [`send`](StreamRequest::send).
    pub fn send_deadline(&mut self, reply: &R, deadline: Instant) -> Result<(), SendReplyTimeoutError> {
        let sent = self.send_until(reply, Deadline::At(deadline))?;
        if sent { Ok(()) } else { Err(SendReplyTimeoutError::Timeout) }
    }

    /// Sends a reply. Returns `false` at the deadline.
    fn send_until(&mut self, reply: &R, deadline: Deadline) -> Result<bool, SendReplyError> {
        loop {
            match self.try_send(reply) {
                Ok(()) => return Ok(true),
                Err(TrySendReplyError::Full) => {}
                Err(why) => return Err(SendReplyError::of(why)),
            }
            if wait::wait(&mut self.waiting(), deadline)?.is_none() {
                return Ok(false);
            }
        }
    }

    /// Sends a reply like [`send`](StreamRequest::send); the task sleeps while `window` replies are unread, not the
    /// thread. If the future is dropped before it is ready, the reply was not sent.
    ///
    /// # Errors
    /// See [`send`](StreamRequest::send).
    #[cfg(feature = "async")]
    pub async fn send_async(&mut self, reply: &R) -> Result<(), SendReplyError> {
        wait::task::coop().await;
        loop {
            match self.try_send(reply) {
                Ok(()) => return Ok(()),
                Err(TrySendReplyError::Full) => wait::task::ready(&mut self.waiting()).await?,
                Err(why) => return Err(SendReplyError::of(why)),
            }
        }
    }
}

/// The wait of a replier for room in the window of its stream.
struct CreditWait<'w> {
    request: &'w queue::Request<'w>,
    stream: &'w mut StreamWriter,
    attachment: &'w Attachment,
    room: EventCount,
    stop: &'w Stop,
    backoff: &'w mut SleepBackoff,
}

impl WaitFor for CreditWait<'_> {
    type Output = ();

    fn poll_once(&mut self) -> Option<()> {
        (self.stream.has_credit() || !self.request.is_wanted()).then_some(())
    }

    fn housekeeping(&mut self) -> Option<()> {
        if self.attachment.forked() {
            // The caller returns the fork error.
            return Some(());
        }
        self.attachment.recover_peers();
        self.poll_once()
    }

    fn event(&self) -> EventCount {
        self.room
    }

    fn backoff(&mut self) -> &mut SleepBackoff {
        self.backoff
    }

    fn seat(&self) -> &impl Seated {
        self.attachment
    }

    fn stop(&self) -> &Stop {
        self.stop
    }
}

impl<Q: ?Sized, R: ?Sized, F: ?Sized> Deref for StreamRequest<'_, Q, R, F> {
    type Target = Q;

    fn deref(&self) -> &Q {
        self.held.message()
    }
}

impl<Q: fmt::Debug + ?Sized, R: ?Sized, F: ?Sized> fmt::Debug for StreamRequest<'_, Q, R, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamRequest")
            .field("message", &&**self)
            .field("sent", &self.sent())
            .finish_non_exhaustive()
    }
}
