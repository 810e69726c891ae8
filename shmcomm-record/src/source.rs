//! [`Source`]: the end of a recorded channel.
//!
//! Owns the observer, or the subscriber of a lossless recording, and the encoder. Calls the dynamic ends of `shmcomm`.
//! An observer takes no seat: no participant notices it.

use crate::RecordError;
use crate::encoding::{Encoder, Encoding};
use crate::facts::ChannelFacts;
use shmcomm::{Description, DynError, DynSubscriber, Observed, Observer, describe};

enum End {
    Observer(Box<Observer>),
    Subscriber(Box<DynSubscriber>),
}

/// A channel that is recorded.
pub(crate) struct Source {
    pub(crate) name: String,
    end: End,
    description: Description,
    pub(crate) encoder: Encoder,
    /// Messages that were received by the subscriber.
    received: u64,
}

/// Event of a source.
pub(crate) enum Event<'s> {
    /// A message: its number, and its bytes.
    Message(u64, Message<'s>),
    /// Nothing new.
    Empty,
    /// Messages that were overwritten before they were recorded.
    Lost(u64),
    /// The channel has another encoder.
    Changed,
}

pub(crate) enum Message<'s> {
    Observed(&'s [u8]),
    Received(Vec<u8>),
}

impl Message<'_> {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Message::Observed(bytes) => bytes,
            Message::Received(bytes) => bytes,
        }
    }
}

impl Source {
    /// Opens a channel by its full name. `oldest` records what is in the segment too.
    pub(crate) fn open(
        name: &str,
        wanted: Encoding,
        lossless: bool,
        oldest: bool,
    ) -> Result<Self, RecordError> {
        let observer = Observer::open(name);
        let mut observer = match observer {
            Ok(observer) => observer,
            Err(error) if error.kind() == shmcomm::ErrorKind::ChannelMismatch => {
                let pattern = describe(name)?.map_or_else(String::new, |found| pattern(found.pattern));
                return Err(RecordError::Pattern { channel: name.to_owned(), pattern });
            }
            Err(error) => return Err(error.into()),
        };
        let description = observer.description().clone();
        let encoder = Encoder::of(&description, wanted)?;
        let end = if lossless {
            let history = if oldest { description.slots as usize } else { 0 };
            let timeout = std::time::Duration::from_secs(1);
            End::Subscriber(Box::new(DynSubscriber::open_timeout(name, timeout, history)?))
        } else {
            if oldest {
                observer.seek_oldest()?;
            }
            End::Observer(Box::new(observer))
        };
        Ok(Source { name: description.name.clone(), end, description, encoder, received: 0 })
    }

    pub(crate) fn facts(&self) -> ChannelFacts {
        ChannelFacts::of(&self.description, &self.encoder)
    }

    /// Returns the next event. Never blocks.
    pub(crate) fn next(&mut self) -> Event<'_> {
        match &mut self.end {
            End::Observer(observer) => match observer.next() {
                Observed::Message(message) => {
                    Event::Message(message.position(), Message::Observed(message.bytes()))
                }
                Observed::Missed(missed) => Event::Lost(missed),
                Observed::Replaced => Event::Changed,
                _ => Event::Empty,
            },
            End::Subscriber(subscriber) => match subscriber.try_recv() {
                Ok(message) => {
                    self.received += 1;
                    Event::Message(self.received - 1, Message::Received(message.into_bytes()))
                }
                Err(DynError::Lagged(lost)) => {
                    self.received += lost;
                    Event::Lost(lost)
                }
                Err(DynError::Disconnected) if subscriber.follow_error().is_some() => Event::Changed,
                Err(_) => Event::Empty,
            },
        }
    }

    /// Takes the layout of the segment that the channel has now. Returns `true` if messages are encoded in another way.
    pub(crate) fn follow(&mut self, wanted: Encoding) -> Result<bool, RecordError> {
        match &mut self.end {
            End::Observer(observer) => self.description = observer.description().clone(),
            End::Subscriber(subscriber) => {
                **subscriber = DynSubscriber::open(&self.name)?;
                if let Some(found) = describe(&self.name)? {
                    self.description = found;
                }
            }
        }
        let encoder = Encoder::of(&self.description, wanted)?;
        let changed = encoder.form() != self.encoder.form();
        if changed {
            self.encoder = encoder;
        }
        Ok(changed)
    }
}

fn pattern(pattern: shmcomm::Pattern) -> String {
    match pattern {
        shmcomm::Pattern::PushPull => "push/pull",
        shmcomm::Pattern::ReqRep => "request/reply",
        _ => "another pattern",
    }
    .to_owned()
}
