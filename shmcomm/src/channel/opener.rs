//! [`Opener`]: a channel about to be opened, with the settings that differ at run time.
//!
//! Owns those settings and the step to a [`Spec`]. Checks nothing before an end is opened.

use super::pattern::{MessageInfo, TypeInfo};
use super::{Overflow, PubSub, ReqRep, ReqStream, Settings, Table};
use crate::error::{Error, ErrorKind};
use crate::layout::{self, Format, Growth, InPlaceAsked, Pattern};
use crate::message::json;
use crate::plural::count;
use crate::schema::resolve::ChannelTypes;
use crate::segment::{Requested, Resolve, Sharing, Spec};
use crate::table;
use crate::wait::StopHandle;
use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;
use std::borrow::Cow;
use std::sync::Arc;

/// Environment variable with the namespace of channels that set none themselves.
const NAMESPACE_VARIABLE: &str = "SHMCOMM_NAMESPACE";
/// Largest `window` of a stream.
const MAX_WINDOW: usize = layout::MAX_WINDOW as usize;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A channel about to be opened, with the settings that differ from its declaration in this run of the
/// program.
///
/// [`Channel::open`](super::Channel::open) makes it, or [`Channel::try_new`](super::Channel::try_new) if the
/// name is known only at run time. A wrong value does not panic: the call that opens an end returns an
/// [`Error`].
#[must_use = "opens nothing before an end is asked for"]
pub struct Opener<P: ?Sized> {
    name: Cow<'static, str>,
    namespace: Option<String>,
    /// Namespaces inside of that one, outermost first.
    sub_namespaces: Vec<String>,
    /// The group and the mode that the program gives; the declaration may have a group too.
    group: Option<Cow<'static, str>>,
    mode: Option<u32>,
    pub(super) settings: Settings,
    carries: MessageInfo,
    connect_timeout: Duration,
    history: usize,
    stop: Option<StopHandle>,
    pattern: PhantomData<fn(&P)>,
}

impl<P: ?Sized> Opener<P> {
    pub(super) fn new(name: Cow<'static, str>, settings: Settings, carries: MessageInfo) -> Self {
        let (namespace, connect_timeout, pattern) = (None, CONNECT_TIMEOUT, PhantomData);
        let sub_namespaces = Vec::new();
        Opener {
            name,
            namespace,
            sub_namespaces,
            group: settings.group.map(Cow::Borrowed),
            mode: None,
            settings,
            carries,
            connect_timeout,
            history: 0,
            stop: None,
            pattern,
        }
    }

    /// Puts the channel under `namespace/`, apart from channels of the same name elsewhere. Tests, simulators
    /// and robots on one machine then do not meet. `""` is no namespace.
    ///
    /// Without this call, the environment variable `SHMCOMM_NAMESPACE` decides, if it is set.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Puts the channel under another namespace *inside* of the namespace that applies otherwise: the one of the
    /// environment, or the one of [`namespace`](Opener::namespace). Several calls nest, each inside of the one before.
    /// `""` changes nothing.
    ///
    /// ```
    /// # use shmcomm::{Channel, PubSub};
    /// const IMU: Channel<PubSub<[f32; 6]>> = Channel::new("imu");
    /// // With `SHMCOMM_NAMESPACE=test`, the first name would be `test/robot7/imu`.
    /// assert!(IMU.open().sub_namespace("robot7").full_name().ends_with("robot7/imu"));
    /// assert_eq!(IMU.open().namespace("sim").sub_namespace("robot7").full_name(), "sim/robot7/imu");
    /// ```
    pub fn sub_namespace(mut self, namespace: impl Into<String>) -> Self {
        let namespace = namespace.into();
        if !namespace.is_empty() {
            self.sub_namespaces.push(namespace);
        }
        self
    }

    /// Opens the channel under another name, with the settings of the declaration. So one declaration serves many
    /// channels of a kind. The name is relative to the namespace, like the declared one.
    ///
    /// A name that is not valid makes the call that opens an end return
    /// [`InvalidName`](crate::ErrorKind::InvalidName). The rules are those of [`Channel::new`](super::Channel::new).
    ///
    /// ```
    /// # use shmcomm::ErrorKind;
    /// # unsafe { std::env::set_var("SHMCOMM_NAMESPACE", format!("doc-name-{}", std::process::id())) };
    /// use shmcomm::channel;
    ///
    /// channel! {
    ///     pub ImuFeed: PubSub<[f32; 6]> { name: "robot/imu", slots: 256 }
    /// }
    ///
    /// for id in 0..3 {
    ///     let publisher = ImuFeed::open().name(format!("robot{id}/imu")).publisher()?;
    ///     assert!(publisher.name().ends_with(&format!("robot{id}/imu")));
    ///     assert_eq!(publisher.stats().slots, 256);
    /// }
    /// let error = ImuFeed::open().name("robot 7/imu").publisher().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::InvalidName);
    /// # Ok::<(), shmcomm::Error>(())
    /// ```
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = name.into();
        self
    }

    /// Shares the channel with the users of this group of the system. The segment then has mode 0660 and belongs to the
    /// group, in a directory of the group: `/dev/shm/shmcomm.robots`. All ends of the channel must name the group, because
    /// a private channel of the same name is another one. Each program must run as a member of the group. A group without
    /// a name is given by its number. `""` is no group, also if the declaration has one.
    ///
    /// All users of the group can read, falsify and remove what is in the channel. See `docs/security.md`. Linux only.
    ///
    /// A group that cannot be used makes the call that opens an end return
    /// [`Permission`](crate::ErrorKind::Permission).
    ///
    /// ```no_run
    /// # use shmcomm::{Channel, PubSub};
    /// const IMU: Channel<PubSub<[f32; 6]>> = Channel::new("robot/imu");
    /// let publisher = IMU.open().group("robots").publisher()?; // as user `driver`, of the group
    /// let subscriber = IMU.open().group("robots").subscriber()?; // as user `planner`, of the group
    /// # Ok::<(), shmcomm::Error>(())
    /// ```
    pub fn group(mut self, group: impl Into<Cow<'static, str>>) -> Self {
        self.group = Some(group.into()).filter(|group| !group.is_empty());
        self
    }

    /// Sets the mode of the segment. `0o660` shares the channel with the [`group`](Self::group), or, without one, with the
    /// effective group of this process. `0o600` is that of a private channel. Other modes make the call that opens an end
    /// return [`Permission`](crate::ErrorKind::Permission).
    ///
    /// ```
    /// # use shmcomm::{Channel, ErrorKind, PubSub};
    /// const IMU: Channel<PubSub<[f32; 6]>> = Channel::new("robot/imu");
    /// let error = IMU.open().mode(0o666).publisher().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Permission);
    /// ```
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = Some(mode);
        self
    }

    /// Sets the time for which the end waits for a channel that does not exist yet. The default is five
    /// seconds; [`Duration::ZERO`] checks once.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Gives the end this handle. Its [`stop`](StopHandle::stop) ends the blocking calls of the end, and the
    /// wait while it opens. One handle may be given to any number of ends.
    ///
    /// Without this call, each end has its own handle: `stop_handle()`.
    pub fn stop(mut self, handle: &StopHandle) -> Self {
        self.stop = Some(handle.clone());
        self
    }

    /// Sets the number of messages that the channel holds: a power of two from 2 to 1,048,576. The end that
    /// creates the channel decides; another end takes the segment as it is, with a warning.
    pub fn slots(mut self, slots: usize) -> Self {
        self.settings.slots = slots;
        self.settings.asked = self.settings.asked.and(Requested::SLOTS);
        self
    }

    /// Sets the maximum size of a message in bytes, at most 2 GiB. The end that creates the channel decides;
    /// another end takes the segment as it is, with a warning.
    pub fn slot_size(mut self, bytes: usize) -> Self {
        self.settings.slot_size = bytes;
        self.settings.asked = self.settings.asked.and(Requested::SLOT_SIZE);
        self
    }

    /// Sets the number of ends that may be open at one time, 2 to 4096. The end that creates the channel
    /// decides; another end takes the segment as it is, with a warning.
    pub fn seats(mut self, seats: usize) -> Self {
        self.settings.seats = seats;
        self.settings.asked = self.settings.asked.and(Requested::SEATS);
        self
    }

    /// Returns the full name: namespaces and name, joined by `/`.
    pub fn full_name(&self) -> String {
        let outer = match &self.namespace {
            Some(namespace) => namespace.into(),
            None => std::env::var_os(NAMESPACE_VARIABLE).unwrap_or_default().to_string_lossy().into_owned(),
        };
        let outer = Some(outer).filter(|namespace| !namespace.is_empty());
        let namespaces = outer.iter().chain(&self.sub_namespaces).map(String::as_str);
        namespaces.chain([&*self.name]).collect::<Vec<_>>().join("/")
    }

    pub(super) fn spec(self, pattern: Pattern) -> Result<Spec, Error> {
        let (name, MessageInfo { format, first, second, streams }) = (self.full_name(), self.carries);
        let Settings {
            slots,
            slot_size,
            grow,
            in_place,
            seats,
            publishers,
            window,
            redeliver,
            many_writers,
            overflow,
            patience,
            expect_every,
            group: _,
            asked,
        } = self.settings;
        let sharing = Sharing::wanted(&name, self.group.as_deref(), self.mode)?;
        let (slots, slot_size, seats) = match (pattern, first.schema) {
            (Pattern::Table, Some(schema)) => table::sizes(&table::places_of(schema)),
            (Pattern::PubSub, _) => (pubsub_slots(&self.settings), slot_size, seats),
            _ => (slots, slot_size, seats),
        };
        let invalid = |message| Err(Error::new(ErrorKind::InvalidGeometry, name.clone(), message));
        if publishers > 1 && overflow == Overflow::Wait {
            return invalid(format!(
                "{publishers}, and `overflow: Wait`; only one can wait for its subscribers: \
                 take `publishers` 1, or `overflow: Overwrite`",
                publishers = count(publishers, "publisher")
            ));
        }
        if grow != 0
            && let Some(why) = Growth::refusal(format, slot_size as u64, grow as u64, publishers as u64)
        {
            return invalid(why);
        }
        if let Some(in_place) = in_place
            && let Some(why) = (InPlaceAsked {
                in_place,
                longest: slot_size.max(grow) as u64,
                slots: slots as u64,
                publishers: publishers as u64,
                seats: self.settings.asked_seats() as u64,
            })
            .why_not()
        {
            return invalid(why);
        }
        if streams && !(1..=MAX_WINDOW).contains(&window) {
            return invalid(format!("a `window` of {window}; it takes 1 to {MAX_WINDOW} replies"));
        }
        if slot_size == 0 {
            return invalid(match format {
                Format::Tail => "the longest tail is not set; give the channel a `max_len`".into(),
                _ => "the longest message is not set; give the channel a `slot_size`, in bytes".into(),
            });
        }
        for TypeInfo { schema, .. } in
            [Some(first), second.filter(|_| format != Format::Tail)].into_iter().flatten()
        {
            if let Some(schema) = schema.filter(|schema| schema.size > slot_size) {
                let (message, size) = (schema.name, schema.size);
                return invalid(format!(
                    "message `{message}` takes {size_bytes}, but the slots hold {slot_size}; \
                     make `slot_size` {size} or more",
                    size_bytes = count(size, "byte")
                ));
            }
        }
        let parts = [Some(first), second].into_iter().flatten();
        let parts: Vec<_> = parts.filter_map(|part| part.schema).map(json::text).collect();
        let (request_size, slot_size, reply_size) = match pattern {
            Pattern::ReqRep if streams => self.carries.stream(slot_size, window),
            Pattern::ReqRep => {
                let (request, slot) = self.carries.exchange(slot_size);
                (request, slot, 0)
            }
            Pattern::PubSub | Pattern::PushPull | Pattern::Table => (0, slot_size, 0),
        };
        let schema = format!("[{}]", parts.join(","));
        // The ends of a table have one layout.
        let resolve = first.schema.filter(|_| pattern != Pattern::Table).map(|first| {
            let second = second.and_then(|part| part.schema);
            Arc::new(ChannelTypes { pattern, format, first, second, texts: schema.clone() })
                as Arc<dyn Resolve>
        });
        Ok(Spec {
            pattern,
            format,
            slots: slots as u64,
            slot_size: slot_size as u64,
            grow: grow as u64,
            in_place,
            request_size: request_size as u64,
            window: if streams { window as u64 } else { 0 },
            reply_size: reply_size as u64,
            align: self.carries.align() as u64,
            seats: u32::try_from(seats).unwrap_or(u32::MAX),
            publishers: u32::try_from(publishers).unwrap_or(u32::MAX),
            flags: match (redeliver, overflow) {
                _ if many_writers => layout::FLAG_MANY,
                (true, _) => layout::FLAG_REDELIVER,
                (false, Overflow::Wait) => layout::FLAG_WAIT,
                (false, Overflow::Overwrite) => 0,
            },
            fingerprint: first.fingerprint(),
            fingerprint2: second.map_or(0, |part| part.fingerprint()),
            schema: schema.into(),
            difference: crate::message::schema::first_difference,
            codecs: crate::message::schema::codec_difference,
            resolve,
            connect_timeout: self.connect_timeout,
            history: self.history as u64,
            patience,
            expect_every: Some(expect_every).filter(|period| !period.is_zero()),
            stop: self.stop,
            asked,
            sharing,
            name,
        })
    }
}

/// Returns the number of slots of a publish/subscribe channel: the requested one, or the default for its sizes.
fn pubsub_slots(settings: &Settings) -> usize {
    let seats = settings.asked_seats() as u64;
    let default = layout::default_slots(settings.slot_size as u64, seats) as usize;
    if settings.asked.has(Requested::SLOTS) { settings.slots } else { default }
}

impl<T: ?Sized> Opener<Table<T>> {
    /// Lets several writers store each key, in turn: see [`Channel::many_writers`](super::Channel::many_writers).
    pub fn many_writers(mut self) -> Self {
        self.settings.many_writers = true;
        self
    }
}

impl<M: ?Sized, F: ?Sized> Opener<PubSub<M, F>> {
    /// Sets the number of earlier messages that a new subscriber receives, if the segment still has them. The
    /// default is 0.
    ///
    /// The segment has the last `slots` messages. A publisher of messages from 256 KiB on uses the last two slots again
    /// while its subscribers keep up, because they are in the cache. Then the segment has the last two or three
    /// messages. On such a publisher a value above 0 makes it use all slots in turn.
    pub fn history(mut self, messages: usize) -> Self {
        self.history = messages;
        self
    }

    /// Sets the number of publishers that may be open at one time, 1 to 32: see
    /// [`Channel::publishers`](super::Channel::publishers). The end that creates the channel decides; another
    /// end takes the segment as it is, with a warning.
    pub fn publishers(mut self, publishers: usize) -> Self {
        self.settings.publishers = publishers;
        self.settings.asked = self.settings.asked.and(Requested::PUBLISHERS);
        self
    }

    /// Sets whether the publisher waits for its subscribers or overwrites messages that they have not read.
    /// The publisher decides; subscribers adapt to the setting of the segment.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.settings.overflow = overflow;
        self.settings.asked = self.settings.asked.and(Requested::OVERFLOW);
        self
    }

    /// Sets the stall timeout of this subscriber. A publisher that waits evicts a subscriber that has
    /// received nothing for this time. The evicted subscriber is told `Lagged(n)`. The publisher waits for it
    /// again from its next receive on. A publisher that waits in `send` evicts when the time is over; a
    /// publisher that calls `try_send` evicts in its next call.
    ///
    /// [`Duration::MAX`] disables eviction: the publisher waits for ever, and not a single message is lost.
    /// [`Duration::ZERO`] makes this subscriber an observer, for which the publisher never waits. It suits a
    /// subscriber that asks for the [`latest`](crate::Subscriber::latest) now and then, or shows what it can.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.settings.patience = patience;
        self.settings.asked = self.settings.asked.and(Requested::PATIENCE);
        self
    }

    /// Sets the deadline of this subscriber: the period within which it expects a message. When a period
    /// passes without a message, a receive returns `Missed`: see
    /// [`TryRecvError::Missed`](crate::TryRecvError::Missed). [`Duration::ZERO`] disables the deadline.
    ///
    /// The deadline costs one clock read per message, about 25 ns.
    pub fn expect_every(mut self, period: Duration) -> Self {
        self.settings.expect_every = period;
        self
    }
}

impl<H, T> Opener<PubSub<H, [T]>> {
    /// Sets the number of items that a tail may have; the size of the slots follows. The end that creates the
    /// channel decides; another end takes the segment as it is, with a warning.
    pub fn max_len(mut self, items: usize) -> Self {
        self.settings.slot_size = self.carries.size_with(items);
        self.settings.asked = self.settings.asked.and(Requested::SLOT_SIZE);
        self
    }
}

impl<Q: ?Sized, R: ?Sized, F: ?Sized> Opener<ReqRep<Q, R, F>> {
    /// Sets whether a request whose replier died goes to another replier: see
    /// [`Channel::redeliver`](super::Channel::redeliver).
    pub fn redeliver(mut self, redeliver: bool) -> Self {
        self.settings.redeliver = redeliver;
        self
    }
}

impl<Q: ?Sized, R: ?Sized, F: ?Sized> Opener<ReqStream<Q, R, F>> {
    /// Sets the number of replies of one request that may be unread: see [`Channel::window`](super::Channel::window). The
    /// end that creates the channel decides; another end takes the segment as it is, with a warning.
    pub fn window(mut self, replies: usize) -> Self {
        self.settings.window = replies;
        self.settings.asked = self.settings.asked.and(Requested::WINDOW);
        self
    }
}

impl<P: ?Sized> Clone for Opener<P> {
    fn clone(&self) -> Self {
        let (name, stop) = (self.name.clone(), self.stop.clone());
        let (namespace, sub_namespaces) = (self.namespace.clone(), self.sub_namespaces.clone());
        Opener { name, namespace, sub_namespaces, group: self.group.clone(), stop, ..*self }
    }
}

impl<P: ?Sized> fmt::Debug for Opener<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener")
            .field("name", &self.full_name())
            .field("group", &self.group)
            .field("mode", &self.mode)
            .field("settings", &self.settings)
            .field("connect_timeout", &self.connect_timeout)
            .field("history", &self.history)
            .finish_non_exhaustive()
    }
}
