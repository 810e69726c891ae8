//! [`Opener`]: a channel about to be opened, with what differs at run time.
//!
//! Owns those differences and the step to a [`Spec`]. Nothing is checked before the end that it opens.

use super::pattern::{Carries, Part};
use super::{Overflow, PubSub, ReqRep, Settings};
use crate::layout::{self, Format, Pattern};
use crate::segment::Spec;
use crate::{Error, ErrorKind};
use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;
use std::borrow::Cow;

/// Environment variable with the namespace of channels that are given none.
const NAMESPACE_VARIABLE: &str = "SHMCOMM_NAMESPACE";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A channel about to be opened, with what differs from its declaration in this run of the program.
///
/// Made by [`Channel::open`](super::Channel::open), or by [`Channel::try_new`](super::Channel::try_new)
/// where the name is known only at run time. Wrong values are no panic: whatever opens an end returns
/// them as an [`Error`].
#[must_use = "opens nothing before an end is asked for"]
pub struct Opener<P: ?Sized> {
    name: Cow<'static, str>,
    namespace: Option<String>,
    settings: Settings,
    carries: Carries,
    connect_timeout: Duration,
    history: usize,
    pattern: PhantomData<fn(&P)>,
}

impl<P: ?Sized> Opener<P> {
    pub(super) fn new(name: Cow<'static, str>, settings: Settings, carries: Carries) -> Self {
        let (namespace, connect_timeout, pattern) = (None, CONNECT_TIMEOUT, PhantomData);
        Opener { name, namespace, settings, carries, connect_timeout, history: 0, pattern }
    }

    /// Puts the channel under `namespace/`, apart from those of the same name elsewhere: tests,
    /// simulators and robots on one machine do not meet. `""` is no namespace.
    ///
    /// Without this, the environment variable `SHMCOMM_NAMESPACE` decides, if it is set.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// How long the end waits for a channel that is not there yet. Five seconds if not said;
    /// [`Duration::ZERO`] looks once.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How many messages the channel holds: a power of two from 2 to 1,048,576. Only whoever creates the
    /// channel decides.
    pub fn slots(mut self, slots: usize) -> Self {
        self.settings.slots = slots;
        self
    }

    /// How many bytes a message may take, at most 2 GiB. Only whoever creates the channel decides.
    pub fn slot_size(mut self, bytes: usize) -> Self {
        self.settings.slot_size = bytes;
        self
    }

    /// How many ends may be open at one time, 2 to 4096. Only whoever creates the channel decides.
    pub fn seats(mut self, seats: usize) -> Self {
        self.settings.seats = seats;
        self
    }

    /// The full name: namespace, `/`, name.
    pub fn full_name(&self) -> String {
        let namespace = match &self.namespace {
            Some(namespace) => namespace.into(),
            None => std::env::var_os(NAMESPACE_VARIABLE).unwrap_or_default().to_string_lossy().into_owned(),
        };
        if namespace.is_empty() { self.name.clone().into() } else { format!("{namespace}/{}", self.name) }
    }

    pub(super) fn spec(self, pattern: Pattern) -> Result<Spec, Error> {
        let (name, Carries { format, first, second }) = (self.full_name(), self.carries);
        let Settings { slots, slot_size, seats, publishers, redeliver, overflow, patience, expect_every } =
            self.settings;
        let invalid = |message| Err(Error::new(ErrorKind::InvalidGeometry, name.clone(), message));
        if publishers > 1 && overflow == Overflow::Wait {
            return invalid(format!(
                "{publishers} publishers, and `overflow: Wait`; only one can wait for its subscribers: \
                 take `publishers` 1, or `overflow: Overwrite`"
            ));
        }
        if slot_size == 0 {
            return invalid(match format {
                Format::Tail => "how long may a tail be? give it a `max_len`".into(),
                _ => "how long may a message be? give it a `slot_size`, in bytes".into(),
            });
        }
        for Part { schema, .. } in
            [Some(first), second.filter(|_| format != Format::Tail)].into_iter().flatten()
        {
            if let Some(schema) = schema.filter(|schema| schema.size > slot_size) {
                let (message, size) = (schema.name, schema.size);
                return invalid(format!(
                    "message `{message}` takes {size} bytes, but the slots hold {slot_size}; \
                     make `slot_size` {size} or more"
                ));
            }
        }
        let parts = [Some(first), second].into_iter().flatten();
        let parts: Vec<_> = parts.map(|part| part.json).filter(|json| !json.is_empty()).collect();
        let (request_size, slot_size) = match pattern {
            Pattern::ReqRep => self.carries.exchange(slot_size),
            Pattern::PubSub | Pattern::PushPull => (0, slot_size),
        };
        Ok(Spec {
            pattern,
            format,
            slots: slots as u64,
            slot_size: slot_size as u64,
            request_size: request_size as u64,
            align: self.carries.align() as u64,
            seats: u32::try_from(seats).unwrap_or(u32::MAX),
            publishers: u32::try_from(publishers).unwrap_or(u32::MAX),
            flags: match (redeliver, overflow) {
                (true, _) => layout::FLAG_REDELIVER,
                (false, Overflow::Wait) => layout::FLAG_WAIT,
                (false, Overflow::Overwrite) => 0,
            },
            fingerprint: first.fingerprint(),
            fingerprint2: second.map_or(0, |part| part.fingerprint()),
            schema: format!("[{}]", parts.join(",")).into(),
            difference: crate::message::schema::first_difference,
            connect_timeout: self.connect_timeout,
            history: self.history as u64,
            patience,
            expect_every: Some(expect_every).filter(|period| !period.is_zero()),
            name,
        })
    }
}

impl<M: ?Sized, F: ?Sized> Opener<PubSub<M, F>> {
    /// How many messages from before its joining a subscriber receives, as far as they are still there.
    /// None if not said.
    pub fn history(mut self, messages: usize) -> Self {
        self.history = messages;
        self
    }

    /// How many publishers there may be at a time, 1 to 32: see
    /// [`Channel::publishers`](super::Channel::publishers). Only whoever creates the channel decides.
    pub fn publishers(mut self, publishers: usize) -> Self {
        self.settings.publishers = publishers;
        self
    }

    /// Whether the publisher waits for its subscribers or overwrites what they have not read. The publisher
    /// decides; subscribers do as they find it.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.settings.overflow = overflow;
        self
    }

    /// How long this subscriber may hold up a publisher that waits, without receiving anything, before the
    /// publisher goes on without it. It is then told `Lagged(n)`, and waited for again from its next receive
    /// on. A publisher that waits in `send` goes on when that time is over; one that calls `try_send`, with its
    /// next call.
    ///
    /// [`Duration::MAX`] is for ever: where not a single message may be lost, rather than the publisher getting
    /// on. [`Duration::ZERO`] is an onlooker for whom the publisher does not wait at all: one that asks for the
    /// [`latest`](crate::Subscriber::latest) now and then, or shows what it can.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.settings.patience = patience;
        self
    }

    /// How often this subscriber expects a message. When a period passes without one, a receive answers
    /// `Missed`: see [`TryRecvError::Missed`](crate::TryRecvError::Missed). [`Duration::ZERO`]: not at all.
    ///
    /// It takes a look at the clock a message, some 25 ns.
    pub fn expect_every(mut self, period: Duration) -> Self {
        self.settings.expect_every = period;
        self
    }
}

impl<H, T> Opener<PubSub<H, [T]>> {
    /// How many items a tail may have; the size of the slots follows. Only whoever creates the channel
    /// decides.
    pub fn max_len(mut self, items: usize) -> Self {
        self.settings.slot_size = self.carries.size_with(items);
        self
    }
}

impl<Q: ?Sized, R: ?Sized, F: ?Sized> Opener<ReqRep<Q, R, F>> {
    /// Whether a request whose replier died goes to another one: see
    /// [`Channel::redeliver`](super::Channel::redeliver).
    pub fn redeliver(mut self, redeliver: bool) -> Self {
        self.settings.redeliver = redeliver;
        self
    }
}

impl<P: ?Sized> Clone for Opener<P> {
    fn clone(&self) -> Self {
        let (name, namespace) = (self.name.clone(), self.namespace.clone());
        Opener { name, namespace, ..*self }
    }
}

impl<P: ?Sized> fmt::Debug for Opener<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener")
            .field("name", &self.full_name())
            .field("settings", &self.settings)
            .field("connect_timeout", &self.connect_timeout)
            .field("history", &self.history)
            .finish_non_exhaustive()
    }
}
