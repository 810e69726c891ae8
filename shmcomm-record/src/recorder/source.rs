//! [`Source`]: the end of a recorded channel.
//!
//! Owns the observer, or the subscriber of a lossless recording, and the encoder. Calls the dynamic ends of `shmcomm`.
//! An observer takes no seat: no participant notices it. Never encodes with the layout of a segment that was replaced.

use crate::RecordError;
use crate::encoding::{Encoder, Encoding, EncodingError};
use crate::facts::ChannelFacts;
use shmcomm::{Description, DynError, DynSubscriber, ErrorKind, Observed, Observer, describe};
use std::time::{Duration, Instant};

/// First pause between two attempts to open a channel again; each later pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

enum End {
    Observer(Box<Observer>),
    Subscriber(Box<DynSubscriber>),
    /// A subscriber that could not be opened again.
    Closed(Retry),
}

/// Time of the next attempt to open a channel again.
struct Retry {
    due: Instant,
    pause: Duration,
}

/// First message that is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// The next message.
    Next,
    /// The oldest message in the segment.
    Oldest,
    /// The first message of the segment. Overwritten messages are lost.
    First,
}

/// A channel that is recorded.
pub(crate) struct Source {
    pub(crate) name: String,
    end: End,
    wanted: Encoding,
    description: Description,
    /// Encoder of the messages; `None` if those of the present segment cannot be encoded.
    pub(crate) encoder: Option<Encoder>,
    /// Messages that were overwritten before a subscriber was opened, to be reported.
    missed: u64,
    /// Problem that was reported last.
    reported: Option<String>,
}

/// Event of a source.
pub(crate) enum Event {
    /// A message at this position, which was encoded.
    Message(u64),
    /// A message at this position, which needed the widened encoder. The source encodes with it from now on.
    Widened(u64),
    /// A message that cannot be encoded.
    Refused,
    /// Nothing new.
    Empty,
    /// Messages that were overwritten before they were recorded.
    Lost(u64),
    /// The channel has another segment or publisher, and perhaps another encoder.
    Changed,
    /// The messages cannot be recorded now.
    Interrupted(String),
}

impl Source {
    /// Opens a channel by its full name.
    pub(crate) fn open(
        name: &str,
        wanted: Encoding,
        lossless: bool,
        start: Start,
    ) -> Result<Self, RecordError> {
        let mut observer = match Observer::open(name) {
            Ok(observer) => observer,
            Err(error) if error.kind() == ErrorKind::ChannelMismatch => {
                let pattern = describe(name)?.map_or_else(String::new, |found| pattern(found.pattern));
                return Err(RecordError::Pattern { channel: name.to_owned(), pattern });
            }
            Err(error) => return Err(error.into()),
        };
        let description = observer.description().clone();
        let encoder = Some(Encoder::of(&description, wanted)?);
        let (mut missed, name) = (0, description.name.clone());
        let end = if lossless {
            let subscriber = subscribe(&description, start)?;
            missed = if start == Start::First { subscriber.position() } else { 0 };
            End::Subscriber(Box::new(subscriber))
        } else {
            match start {
                Start::Next => {}
                Start::Oldest => observer.seek_oldest()?,
                Start::First => observer.seek_start(),
            }
            End::Observer(Box::new(observer))
        };
        Ok(Source { name, end, wanted, description, encoder, missed, reported: None })
    }

    /// Returns the facts of the channel, if its messages can be encoded.
    pub(crate) fn facts(&self) -> Option<ChannelFacts> {
        self.encoder.as_ref().map(|encoder| ChannelFacts::of(&self.description, encoder))
    }

    /// Returns the next event; puts the encoded message into `out`. Never blocks.
    pub(crate) fn next(&mut self, out: &mut Vec<u8>) -> Event {
        if self.missed > 0 {
            return Event::Lost(std::mem::take(&mut self.missed));
        }
        match &mut self.end {
            End::Closed(retry) if Instant::now() < retry.due => Event::Empty,
            End::Closed(_) => self.reopen(),
            End::Observer(observer) => match observer.next() {
                Observed::Message(message) => {
                    encode(&mut self.encoder, message.position(), message.bytes(), out)
                }
                Observed::Missed(missed) => Event::Lost(missed),
                Observed::Replaced => {
                    self.description = observer.description().clone();
                    self.follow()
                }
                // The channel may have a segment that cannot be observed.
                _ => match observer.follow_error().map(ToString::to_string) {
                    Some(why) => self.interrupt(why),
                    None => Event::Empty,
                },
            },
            End::Subscriber(subscriber) => match subscriber.try_recv() {
                Ok(message) => {
                    let position = subscriber.position().wrapping_sub(1);
                    encode(&mut self.encoder, position, &message.into_bytes(), out)
                }
                Err(DynError::Lagged(lost)) => Event::Lost(lost),
                Err(DynError::Disconnected) if subscriber.follow_error().is_some() => self.reopen(),
                Err(_) => Event::Empty,
            },
        }
    }

    /// Opens the subscriber of the present segment, from its first message on.
    fn reopen(&mut self) -> Event {
        match self.resubscribe() {
            Ok(()) => self.follow(),
            Err(error) => {
                let pause = match &self.end {
                    End::Closed(retry) => (retry.pause * 2).min(LONGEST_PAUSE),
                    _ => FIRST_PAUSE,
                };
                self.encoder = None;
                // The old subscriber leaves its seat.
                self.end = End::Closed(Retry { due: Instant::now() + pause, pause });
                self.interrupt(error.to_string())
            }
        }
    }

    fn resubscribe(&mut self) -> Result<(), shmcomm::Error> {
        // A channel that was removed is missing until a publisher opens it again: the subscriber says so.
        let description = describe(&self.name)?.unwrap_or_else(|| self.description.clone());
        let subscriber = subscribe(&description, Start::First)?;
        self.missed = subscriber.position();
        self.end = End::Subscriber(Box::new(subscriber));
        self.description = description;
        Ok(())
    }

    /// Takes the encoder of the present segment.
    fn follow(&mut self) -> Event {
        match Encoder::of(&self.description, self.wanted) {
            Ok(encoder) => {
                // A channel that has the same messages keeps the widened encoder.
                if self.encoder.as_ref().is_none_or(|known| known.form() != encoder.form()) {
                    self.encoder = Some(encoder);
                }
                self.reported = None;
                Event::Changed
            }
            Err(error) => {
                self.encoder = None;
                self.interrupt(error.to_string())
            }
        }
    }

    /// Reports a problem once.
    fn interrupt(&mut self, why: String) -> Event {
        if self.reported.as_ref() == Some(&why) {
            return Event::Empty;
        }
        self.reported = Some(why.clone());
        Event::Interrupted(why)
    }
}

/// Encodes a message.
fn encode(encoder: &mut Option<Encoder>, position: u64, bytes: &[u8], out: &mut Vec<u8>) -> Event {
    let Some(known) = encoder else { return Event::Refused };
    match known.encode_into(bytes, out) {
        Ok(()) => Event::Message(position),
        Err(EncodingError::TimeOutOfRange) => {
            let wide = known.widened();
            match wide.encode_into(bytes, out) {
                Ok(()) => {
                    *known = wide;
                    Event::Widened(position)
                }
                Err(_) => Event::Refused,
            }
        }
        Err(_) => Event::Refused,
    }
}

/// Opens a subscriber of a channel.
fn subscribe(description: &Description, start: Start) -> Result<DynSubscriber, shmcomm::Error> {
    let history =
        if start == Start::Next { 0 } else { usize::try_from(description.slots).unwrap_or(usize::MAX) };
    DynSubscriber::open_timeout(&description.name, Duration::from_secs(1), history)
}

fn pattern(pattern: shmcomm::Pattern) -> String {
    match pattern {
        shmcomm::Pattern::PushPull => "push/pull",
        shmcomm::Pattern::ReqRep => "request/reply",
        shmcomm::Pattern::Table => "table",
        _ => "another pattern",
    }
    .to_owned()
}
