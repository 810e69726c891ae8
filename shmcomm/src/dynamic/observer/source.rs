//! The segment that an observer reads: a native one, or one of the Python library.
//!
//! Owns the choice, and the steps that differ. Calls the readers of `ring` and of `python`. Never writes.

use super::super::Description;
use super::super::description::no_native;
use crate::error::{Error, ErrorKind};
use crate::layout::Pattern;
use crate::pubsub::PublisherId;
#[cfg(feature = "python")]
use crate::python::{ObservedRead, ObservedSegment};
use crate::ring::{NoMessage, Reader, ReadyCheck};
use crate::segment::{Publishing, View};
use std::sync::Arc;

/// Result of one read.
pub(super) enum Read {
    Empty,
    Missed(u64),
    /// With its length.
    Message(usize),
}

pub(super) enum Source {
    Native {
        view: Arc<View>,
        reader: Reader,
    },
    #[cfg(feature = "python")]
    Python(ObservedSegment),
}

fn damaged(view: &View, why: impl std::fmt::Display) -> Error {
    let channel = view.channel().to_owned();
    let why = format!("its segment is damaged: {why}; the publisher repairs or replaces it when it starts");
    Error::new(ErrorKind::NotASegment, channel, why)
}

/// Returns the error for a pattern that cannot be observed.
fn no_broadcast(channel: &str, pattern: Pattern) -> Error {
    if pattern == Pattern::Table {
        let why = "it is a table, which has values and no messages; use `TableObserver`";
        return Error::new(ErrorKind::ChannelMismatch, channel.to_owned(), why);
    }
    let pattern = pattern.name();
    let why = format!(
        "a message of {pattern} goes to one receiver, so it cannot be observed; `describe` and `list_segments` give \
         the figures of the channel"
    );
    Error::new(ErrorKind::ChannelMismatch, channel.to_owned(), why)
}

impl Source {
    /// Finds the channel; `None` if there is none.
    pub(super) fn find(channel: &str) -> Result<Option<Source>, Error> {
        let native = View::open(channel);
        #[cfg(feature = "python")]
        if no_native(&native)
            && let Some(segment) = ObservedSegment::find(channel)?
        {
            if segment.pattern() != Pattern::PubSub {
                return Err(no_broadcast(channel, segment.pattern()));
            }
            return Ok(Some(Source::Python(segment)));
        }
        #[cfg(not(feature = "python"))]
        let _ = no_native(&native);
        match native? {
            Some(view) => Self::native(view, Reader::observe).map(Some),
            None => Ok(None),
        }
    }

    fn native(
        view: View,
        reader: impl FnOnce(
            crate::layout::Region,
            &crate::layout::Geometry,
            u64,
        ) -> Result<Reader, crate::ring::Corrupt>,
    ) -> Result<Source, Error> {
        if view.pattern() != Pattern::PubSub {
            return Err(no_broadcast(view.channel(), view.pattern()));
        }
        let reader = reader(view.region(), view.geometry(), 0).map_err(|why| damaged(&view, why))?;
        Ok(Source::Native { view: Arc::new(view), reader })
    }

    pub(super) fn describe(&self) -> Description {
        match self {
            Source::Native { view, .. } => Description::of(view),
            #[cfg(feature = "python")]
            Source::Python(segment) => Description::of_python(segment),
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Source::Native { view, .. } => view.channel(),
            #[cfg(feature = "python")]
            Source::Python(segment) => segment.name(),
        }
    }

    /// Returns the size of the longest message in bytes.
    pub(super) fn capacity(&self) -> usize {
        match self {
            Source::Native { view, .. } => view.geometry().slot_size as usize,
            #[cfg(feature = "python")]
            Source::Python(segment) => segment.capacity(),
        }
    }

    pub(super) fn forked(&self) -> bool {
        match self {
            Source::Native { view, .. } => view.forked(),
            #[cfg(feature = "python")]
            Source::Python(segment) => segment.forked(),
        }
    }

    /// Returns the position of the message that is read next.
    pub(super) fn position(&self) -> u64 {
        match self {
            Source::Native { reader, .. } => reader.position(),
            #[cfg(feature = "python")]
            Source::Python(segment) => segment.position(),
        }
    }

    /// Returns the position behind the newest message, in a snapshot.
    pub(super) fn head(&self) -> u64 {
        match self {
            Source::Native { view, .. } => view.head(),
            #[cfg(feature = "python")]
            Source::Python(segment) => segment.head().unwrap_or(0),
        }
    }

    /// Copies the next message to the front of `buffer`.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Read {
        match self {
            Source::Native { reader, .. } => match reader.receive_into(buffer) {
                Ok(len) => Read::Message(len),
                Err(NoMessage::Lagged(missed)) => Read::Missed(missed),
                Err(NoMessage::Empty) => Read::Empty,
            },
            #[cfg(feature = "python")]
            Source::Python(segment) => match segment.read(buffer) {
                ObservedRead::Message(len) => Read::Message(len),
                ObservedRead::Missed(missed) => Read::Missed(missed),
                ObservedRead::Empty => Read::Empty,
            },
        }
    }

    /// Copies the newest message to the front of `buffer`, and continues behind it.
    pub(super) fn latest(&mut self, buffer: &mut [u8]) -> Option<usize> {
        match self {
            Source::Native { reader, .. } => reader.receive_latest(buffer),
            #[cfg(feature = "python")]
            Source::Python(segment) => segment.latest(buffer),
        }
    }

    /// Continues with the oldest message that is still there.
    pub(super) fn seek_oldest(&mut self) -> Result<(), Error> {
        match self {
            Source::Native { view, reader } => {
                *reader = Reader::observe(view.region(), view.geometry(), u64::MAX)
                    .map_err(|why| damaged(view, why))?;
            }
            #[cfg(feature = "python")]
            Source::Python(segment) => segment.seek_oldest(),
        }
        Ok(())
    }

    /// Continues with the first position of the segment.
    pub(super) fn seek_start(&mut self) {
        match self {
            Source::Native { view, reader } => {
                *reader = Reader::observe_from_start(view.region(), view.geometry());
            }
            #[cfg(feature = "python")]
            Source::Python(segment) => segment.seek_start(),
        }
    }

    /// Returns the publisher of the message that was read last, on a channel of several.
    pub(super) fn publisher(&self) -> Option<PublisherId> {
        match self {
            Source::Native { reader, .. } => reader.sender().map(PublisherId::new),
            #[cfg(feature = "python")]
            Source::Python(_) => None,
        }
    }

    /// Returns the state of the publishers.
    pub(super) fn publishing(&self) -> Publishing {
        match self {
            Source::Native { view, .. } => view.publishing(),
            #[cfg(feature = "python")]
            Source::Python(segment) if segment.owner_alive() => Publishing::Alive(None),
            #[cfg(feature = "python")]
            Source::Python(_) => Publishing::Nothing,
        }
    }

    /// Returns `true` if the channel's name leads to another segment.
    pub(super) fn is_replaced(&self) -> bool {
        match self {
            Source::Native { view, .. } => view.is_replaced(),
            #[cfg(feature = "python")]
            Source::Python(segment) => segment.is_replaced(),
        }
    }

    /// Returns the segment that the channel's name leads to now, from its first message on.
    pub(super) fn successor(&self) -> Result<Option<Source>, Error> {
        match self {
            Source::Native { view, .. } => {
                let start = |region, geometry: &_, _| Ok(Reader::observe_from_start(region, geometry));
                view.successor()?.map(|view| Self::native(view, start)).transpose()
            }
            #[cfg(feature = "python")]
            Source::Python(segment) => Ok(segment.successor()?.map(|mut segment| {
                segment.seek_start();
                Source::Python(segment)
            })),
        }
    }

    /// Takes the place of `before` if this segment continues that one in larger slots. Returns `true` if it does.
    pub(super) fn continue_from(&mut self, before: &Source) -> bool {
        match (self, before) {
            (Source::Native { view, reader }, Source::Native { view: old, reader: place })
                if view.geometry().continues(old.geometry()) =>
            {
                reader.take_place_of(place);
                true
            }
            _ => false,
        }
    }

    /// Returns the queries of the segment, for code that waits.
    pub(super) fn peek(&self) -> Result<Option<Peek>, Error> {
        match self {
            Source::Native { view, .. } => {
                let check = ReadyCheck::new(view.region(), view.geometry());
                Ok(Some(Peek::Native(view.clone(), check)))
            }
            #[cfg(feature = "python")]
            Source::Python(segment) => {
                Ok(ObservedSegment::find(segment.name())?.map(|segment| Peek::Python(Arc::new(segment))))
            }
        }
    }
}

/// Queries of a segment that need no position.
#[derive(Clone)]
pub(super) enum Peek {
    Native(Arc<View>, ReadyCheck),
    #[cfg(feature = "python")]
    Python(Arc<ObservedSegment>),
}

impl Peek {
    pub(super) fn ready_at(&self, position: u64) -> bool {
        match self {
            Peek::Native(view, _) if view.forked() => true,
            Peek::Native(_, check) => check.ready_at(position),
            #[cfg(feature = "python")]
            Peek::Python(segment) => segment.forked() || segment.ready_at(position),
        }
    }

    pub(super) fn is_replaced(&self) -> bool {
        match self {
            Peek::Native(view, _) => view.is_replaced(),
            #[cfg(feature = "python")]
            Peek::Python(segment) => segment.is_replaced(),
        }
    }

    pub(super) fn publishing(&self) -> Publishing {
        match self {
            Peek::Native(view, _) => view.publishing(),
            #[cfg(feature = "python")]
            Peek::Python(segment) if segment.owner_alive() => Publishing::Alive(None),
            #[cfg(feature = "python")]
            Peek::Python(_) => Publishing::Nothing,
        }
    }
}
