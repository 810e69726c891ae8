//! [`Observer`]: sees the messages of a publish/subscribe channel, and takes no part in it.
//!
//! Owns the order in which messages and events are reported. Calls `source` for the segment. Never writes to
//! shared memory: the mapping is for loads only.

mod source;
mod watch;

use super::payload::Payload;
use super::{Description, ValueError};
use crate::error::{Error, ErrorKind};
use crate::os::ForkId;
use crate::pubsub::PublisherId;
use crate::schema::{ListRef, Value, ValueRef};
use crate::segment::Publishing;
use crate::wait::{Deadline, SPINS, spin};
use crate::waitset::{Waitable, Watchable, Watched};
use core::fmt;
use core::ops::ControlFlow;
use source::{Read, Source};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use watch::{PERIOD, Watching};

/// The first sleep of a blocking call; each later sleep is twice as long, up to a millisecond.
const FIRST_SLEEP: Duration = Duration::from_micros(50);

/// Sees every message of a publish/subscribe channel, without a seat. The layout comes from the segment.
///
/// An observer takes no part in the channel. It maps the segment for loads only and takes no seat. So it does not
/// count as a subscriber, no publisher waits for it or wakes it, and it keeps no channel alive. Its loads move
/// cache lines to another core, as those of any reader: only a publisher of large messages at full speed notices
/// that. It copies each message between two loads of the slot's stamp: a message is never torn, and the number of
/// missed messages is exact. It works on channels of one publisher and of several, on copied and on pinned
/// messages, on publishers that wait, and on channels of the Python library.
///
/// ```
/// use shmcomm::{Channel, Observed, Observer, PubSub};
///
/// # let ns = format!("doc-observer-{}", std::process::id());
/// const POSE: Channel<PubSub<[f64; 3]>> = Channel::new("pose");
/// let mut publisher = POSE.open().namespace(&ns).publisher()?;
///
/// let mut observer = Observer::open(publisher.name())?;
/// publisher.send(&[1.0, 2.0, 3.0])?;
/// assert_eq!(observer.pending(), 1);
/// match observer.next() {
///     Observed::Message(message) => assert_eq!(message.value()?.to_string(), "[1.0,2.0,3.0]"),
///     other => panic!("{other:?}"),
/// }
/// assert!(matches!(observer.next(), Observed::Empty));
/// assert_eq!(publisher.subscribers(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// **If the publisher dies or leaves**, the messages in the segment are still reported, then
/// [`Observed::Gone`], once. When a publisher is back, [`Observed::Replaced`] is reported, once: the observer
/// has followed to its segment, from the first message of a new segment on. The observer checks both about
/// every millisecond while it is used.
///
/// No publisher wakes an observer, so a blocking call polls: for some microseconds without a sleep, then about
/// every millisecond.
pub struct Observer {
    source: Source,
    what: Description,
    payload: Payload,
    buffer: Vec<u8>,
    /// State of the publishers at the last check.
    publishing: Publishing,
    /// An event to report when no message is left.
    event: Option<Event>,
    /// The next segment, and the position in the present one at which the observer leaves it.
    next: Option<(Box<Source>, u64)>,
    checked: Instant,
    missed: u64,
    refused: Option<Error>,
    watching: OnceLock<Arc<Watching>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Event {
    Gone,
    Replaced,
}

/// Message or event that an [`Observer`] reports.
#[derive(Debug)]
#[non_exhaustive]
pub enum Observed<'o> {
    /// The next message.
    Message(ObservedMessage<'o>),
    /// Nothing new.
    Empty,
    /// This number of messages was overwritten before the observer reached them.
    Missed(u64),
    /// Another publisher has the channel: restarted in the same segment, or with a new segment, perhaps with
    /// another layout. See [`Observer::description`].
    Replaced,
    /// No publisher is alive: it died, left, or the channel was removed.
    Gone,
}

/// A message that an [`Observer`] copied.
#[derive(Clone, Copy)]
pub struct ObservedMessage<'o> {
    bytes: &'o [u8],
    position: u64,
    publisher: Option<PublisherId>,
    payload: &'o Payload,
}

impl Observer {
    /// Observes the channel with this full name (with its namespace), from the next message on.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such channel; [`ErrorKind::ChannelMismatch`] if its pattern is
    /// not publish/subscribe; the errors of [`describe`](super::describe).
    pub fn open(channel: &str) -> Result<Observer, Error> {
        match Source::find(channel)? {
            Some(source) => Ok(Self::on(source)),
            None => Err(Error::new(
                ErrorKind::NotFound,
                channel.to_owned(),
                "there is no such channel; `list_segments` returns all, with their namespaces",
            )),
        }
    }

    /// Observes like [`open`](Observer::open), after waiting for the channel for at most `timeout`.
    ///
    /// # Errors
    /// See [`open`](Observer::open).
    pub fn open_timeout(channel: &str, timeout: Duration) -> Result<Observer, Error> {
        let deadline = Deadline::after(timeout);
        loop {
            match Self::open(channel) {
                Err(error) if error.kind() == ErrorKind::NotFound && !deadline.has_passed() => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                result => return result,
            }
        }
    }

    fn on(source: Source) -> Observer {
        let what = source.describe();
        let publishing = source.publishing();
        let event = (publishing == Publishing::Nothing).then_some(Event::Gone);
        Observer {
            payload: Payload::of(&what, 0),
            buffer: vec![0; source.capacity()],
            what,
            publishing,
            event,
            next: None,
            checked: Instant::now(),
            missed: 0,
            refused: None,
            watching: OnceLock::new(),
            source,
        }
    }

    /// Returns the full name of the channel.
    pub fn name(&self) -> &str {
        self.source.name()
    }

    /// Returns the description of the segment that is observed, from the time when it was opened.
    pub fn description(&self) -> &Description {
        &self.what
    }

    /// Returns the position of the next message.
    pub fn position(&self) -> u64 {
        self.source.position()
    }

    /// Returns the number of published positions that the observer has not reached, in a snapshot: messages, and holes
    /// without a message. Copies no message.
    pub fn pending(&self) -> u64 {
        self.source.head().saturating_sub(self.source.position())
    }

    /// Returns the number of messages that this observer missed: the sum of all [`Observed::Missed`].
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// Returns `true` if a publisher was alive at the last check.
    pub fn is_connected(&self) -> bool {
        self.publishing != Publishing::Nothing
    }

    /// Returns the reason why the segment that has the channel's name now cannot be observed.
    pub fn follow_error(&self) -> Option<&Error> {
        self.refused.as_ref()
    }

    /// Returns the next message or event. Never blocks.
    #[allow(clippy::should_implement_trait, reason = "an iterator cannot lend its buffer")]
    pub fn next(&mut self) -> Observed<'_> {
        let step = self.step();
        self.observed(step)
    }

    /// Returns the next message or event, waiting for at most `timeout`. Returns [`Observed::Empty`] if
    /// nothing came in time.
    pub fn next_timeout(&mut self, timeout: Duration) -> Observed<'_> {
        self.wait_until(Deadline::after(timeout))
    }

    /// Returns the next message or event, waiting until `deadline` at the latest. Returns
    /// [`Observed::Empty`] at the deadline.
    pub fn next_deadline(&mut self, deadline: Instant) -> Observed<'_> {
        self.wait_until(Deadline::At(deadline))
    }

    fn wait_until(&mut self, deadline: Deadline) -> Observed<'_> {
        let step = self.wait_for_step(deadline);
        self.observed(step)
    }

    fn wait_for_step(&mut self, deadline: Deadline) -> Step {
        let mut poll = || match self.step() {
            Step::Empty => None,
            step => Some(step),
        };
        if let ControlFlow::Break(step) = spin(SPINS, deadline, &mut poll) {
            return step.unwrap_or(Step::Empty);
        }
        let mut sleep = FIRST_SLEEP;
        while let Some(left) = deadline.left() {
            std::thread::sleep(sleep.min(left));
            sleep = (sleep * 2).min(PERIOD);
            if let Some(step) = poll() {
                return step;
            }
        }
        Step::Empty
    }

    fn observed(&self, step: Step) -> Observed<'_> {
        match step {
            Step::Message { len, position } => Observed::Message(self.message(len, position)),
            Step::Empty => Observed::Empty,
            Step::Missed(missed) => Observed::Missed(missed),
            Step::Event(Event::Gone) => Observed::Gone,
            Step::Event(Event::Replaced) => Observed::Replaced,
        }
    }

    /// Returns the newest message, whether it was returned before or not; `None` if there is none. Continues
    /// behind it. Never blocks.
    pub fn latest(&mut self) -> Option<ObservedMessage<'_>> {
        if self.source.forked() {
            return None;
        }
        self.check_sometimes();
        let len = self.source.latest(&mut self.buffer)?;
        self.moved();
        let position = self.source.position().wrapping_sub(1);
        Some(self.message(len, position))
    }

    /// Continues with the oldest message that is still in the segment.
    ///
    /// # Errors
    /// [`ErrorKind::NotASegment`] if the segment is damaged.
    pub fn seek_oldest(&mut self) -> Result<(), Error> {
        if !self.source.forked() {
            self.source.seek_oldest()?;
            self.moved();
        }
        Ok(())
    }

    /// Continues with the first message of the segment. If it was overwritten, the next event is
    /// [`Observed::Missed`] with the exact number of messages that are gone.
    pub fn seek_start(&mut self) {
        if !self.source.forked() {
            self.source.seek_start();
            self.moved();
        }
    }

    fn message(&self, len: usize, position: u64) -> ObservedMessage<'_> {
        let publisher = self.source.publisher();
        ObservedMessage { bytes: &self.buffer[..len], position, publisher, payload: &self.payload }
    }

    fn step(&mut self) -> Step {
        if self.source.forked() {
            return Step::Event(Event::Gone);
        }
        self.check_sometimes();
        if let Some((next, _)) = self.next.take_if(|(_, end)| self.source.position() >= *end)
            && let Some(step) = self.change(*next)
        {
            return step;
        }
        // Known before the read, so that no message that was sent before the event comes after it.
        let event = self.event;
        match self.source.read(&mut self.buffer) {
            Read::Message(len) => {
                self.moved();
                return Step::Message { len, position: self.source.position().wrapping_sub(1) };
            }
            Read::Missed(missed) => {
                self.moved();
                self.missed = self.missed.saturating_add(missed);
                return Step::Missed(missed);
            }
            Read::Empty => {}
        }
        if let Some((next, _)) = self.next.take() {
            // The messages of a segment with larger slots follow directly.
            return self.change(*next).unwrap_or_else(|| self.step());
        }
        if let Some(event) = event {
            self.event = None;
            return Step::Event(event);
        }
        Step::Empty
    }

    /// Continues with another segment. Returns the event to report, except if the publisher is the same, with larger slots.
    fn change(&mut self, mut next: Source) -> Option<Step> {
        let grown = next.continue_from(&self.source);
        self.what = next.describe();
        self.payload = Payload::of(&self.what, 0);
        self.buffer = vec![0; next.capacity()];
        self.source = next;
        let publisher = std::mem::replace(&mut self.publishing, self.source.publishing());
        self.event = (self.publishing == Publishing::Nothing).then_some(Event::Gone);
        self.refused = None;
        if let Some(watching) = self.watching.get() {
            watching.changed(self.source.peek().ok().flatten());
            watching.knows(self.publishing);
        }
        self.moved();
        let same = grown && (publisher == self.publishing || self.publishing == Publishing::Nothing);
        (!same).then_some(Step::Event(Event::Replaced))
    }

    /// Checks the publishers and the name, at most every millisecond.
    fn check_sometimes(&mut self) {
        let now = Instant::now();
        let asked = self.watching.get().is_some_and(|watching| watching.is_suspect());
        if asked || now.saturating_duration_since(self.checked) >= PERIOD {
            self.checked = now;
            self.check();
        }
    }

    fn check(&mut self) {
        // Loaded first: a publisher whose slots grow leaves its old segment after the new one has the name.
        let now = self.source.publishing();
        if self.next.is_none() && self.source.is_replaced() {
            match self.source.successor() {
                Ok(Some(next)) => {
                    self.next = Some((Box::new(next), self.source.head()));
                    self.refused = None;
                }
                Ok(None) => {}
                Err(error) => self.refused = Some(error),
            }
        }
        // The next segment shows its publisher itself.
        if self.next.is_none() && now != Publishing::Unsettled && now != self.publishing {
            let before = std::mem::replace(&mut self.publishing, now);
            match (before, now) {
                (_, Publishing::Nothing) => self.event = Some(Event::Gone),
                // A publisher that the observer has only now seen complete.
                (Publishing::Unsettled, _) => {}
                (_, _) => self.event = Some(Event::Replaced),
            }
        }
        if let Some(watching) = self.watching.get() {
            watching.knows(self.publishing);
        }
    }

    fn moved(&self) {
        if let Some(watching) = self.watching.get() {
            watching.moved(self.source.position());
        }
    }
}

enum Step {
    Message { len: usize, position: u64 },
    Empty,
    Missed(u64),
    Event(Event),
}

impl Drop for Observer {
    fn drop(&mut self) {
        if let Some(watching) = self.watching.get() {
            watching.end();
        }
    }
}

/// Ready when [`next`](Observer::next) has something else than [`Observed::Empty`]. A set that contains an
/// observer polls it about every millisecond, and notices the end or the return of a publisher within 50 ms.
impl Waitable for Observer {}

impl Watchable for Observer {
    fn watch(&self) -> Result<Watched, Error> {
        if let Some(watching) = self.watching.get() {
            return Ok(Watched::from(watching.clone()));
        }
        let peek = self.source.peek()?;
        let fork_id = ForkId::here().map_err(|error| {
            let why = format!("cannot tell this process from a forked child: {error}");
            Error::new(ErrorKind::Os, self.name().to_owned(), why).with_source(error)
        })?;
        let made = Arc::new(Watching::new(fork_id, peek, self.source.position(), self.publishing));
        Ok(Watched::from(self.watching.get_or_init(|| made).clone()))
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, position) = (self.name(), self.position());
        f.debug_struct("Observer").field("name", &name).field("position", &position).finish_non_exhaustive()
    }
}

impl<'o> ObservedMessage<'o> {
    /// Returns the bytes of the message.
    pub fn bytes(&self) -> &'o [u8] {
        self.bytes
    }

    /// Returns the position of the message: its number since the segment was created.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Returns the publisher of the message, on a channel of several publishers.
    pub fn publisher(&self) -> Option<PublisherId> {
        self.publisher
    }

    /// Returns the message as a tree. A message with a tail is a map of `header` and `tail`. A message of the
    /// Python wire is read as pickle or msgpack if it is one, else as bytes.
    ///
    /// # Errors
    /// [`ValueError`] if the bytes are not a message of the channel's format, or if the segment does not say
    /// its layout.
    pub fn value(&self) -> Result<Value, ValueError> {
        self.payload.value(self.bytes)
    }

    /// Returns the message, or its header, as a view of the bytes; `None` if a codec defines the message.
    pub fn view(&self) -> Option<ValueRef<'o>> {
        self.payload.view(self.bytes)
    }

    /// Returns the items of the tail; `None` if messages have no tail.
    pub fn tail(&self) -> Option<ListRef<'o>> {
        self.payload.tail(self.bytes)
    }
}

impl fmt::Debug for ObservedMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObservedMessage")
            .field("position", &self.position)
            .field("len", &self.bytes.len())
            .finish_non_exhaustive()
    }
}
