//! [`Declaration`]: a channel that a dynamic end may create.
//!
//! Owns the step from layouts to the numbers of a segment. Calls `segment` for the form of a declaration.

use super::content::Content;
use super::keys;
use super::payload::Payload;
use super::{Description, Wire};
use crate::error::{Error, ErrorKind};
use crate::layout::{
    DEFAULT_SLOTS, Discipline, Exchange, FLAG_MANY, FLAG_REDELIVER, FLAG_WAIT, Format, Growth, InPlaceAsked,
    Pattern, StreamPlaces, default_slots,
};
use crate::plural::count;
use crate::schema::{Layout, LayoutField};
use crate::segment::{Requested, Sharing, Spec};
use std::time::Duration;

/// A channel that a dynamic end creates if it does not exist: its pattern, the layouts of its messages, and its
/// settings. A `Declaration` of a [`Description`] creates the same channel again.
///
/// ```
/// use shmcomm::schema::{Layout, Value};
/// use shmcomm::{Content, Declaration, DynPublisher, DynSubscriber};
///
/// # let ns = format!("doc-declaration-{}", std::process::id());
/// let imu = r#"{"size":16,"name":"Imu","align":8,"fields":[
///     {"name":"number","offset":0,"of":{"size":8,"type":"<u8"}},
///     {"name":"acc","offset":8,"of":{"size":8,"len":2,"item":{"size":4,"type":"<f4"}}}]}"#;
/// let layout = Layout::parse(imu)?.remove(0);
/// let declaration = Declaration::pub_sub(Content::Fixed(layout)).slots(16);
///
/// let name = format!("{ns}/imu");
/// let mut publisher = DynPublisher::create(&name, &declaration)?;
/// let mut subscriber = DynSubscriber::open(&name)?;
/// let value = Value::from_iter([("number", Value::from(7)), ("acc", Value::from(vec![0.5, 9.81]))]);
/// publisher.send(&value)?;
/// assert_eq!(subscriber.recv()?.value()?.to_string(), r#"{"number":7,"acc":[0.5,9.81]}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Declaration {
    pattern: Pattern,
    format: Format,
    layouts: Vec<Layout>,
    schema: String,
    fingerprints: (u64, u64),
    slots: u64,
    /// `false` if the number of slots is the default.
    slots_given: bool,
    slot_size: u64,
    /// Largest slot size, if the slots grow; otherwise 0.
    grow: u64,
    /// `true` if messages are in place at every size, `false` if they are copied, `None` if their size decides.
    in_place: Option<bool>,
    request_size: u64,
    align: u64,
    seats: u32,
    /// `false` if the number of seats is the default.
    seats_given: bool,
    publishers: u32,
    /// Number of unread replies of a request, if its replies are a stream; otherwise 0.
    window: u64,
    flags: u32,
    wire: Wire,
    /// `true` if the numbers are those of a segment.
    exact: bool,
    /// `false` if the segment does not say the format.
    says_format: bool,
    /// Reason why the layouts of a segment cannot be used.
    unusable: Option<String>,
    /// Name of the group of users that share the channel.
    group: Option<String>,
}

/// Slots and bytes of a slot, if nothing else is set: those of `channel!`.
const SLOTS: u64 = DEFAULT_SLOTS;
const EXCHANGE_SLOTS: u64 = 16;
const SLOT_SIZE: u64 = 4096;
const SEATS: u32 = 128;

impl Declaration {
    /// Declares a publish/subscribe channel, with 64 slots, or fewer for messages above 128 KiB, as in `channel!`. Slots
    /// hold 4096 bytes if the content has no fixed size.
    pub fn pub_sub(content: Content) -> Self {
        Self::of(Pattern::PubSub, content, None, SLOTS)
    }

    /// Declares a push/pull channel, with 64 slots. Slots hold 4096 bytes if the content has no fixed size.
    pub fn push_pull(content: Content) -> Self {
        Self::of(Pattern::PushPull, content, None, SLOTS)
    }

    /// Declares a request/reply channel, with 16 slots. Request and reply must both be fixed, or of one
    /// codec. Requests and replies of a codec have at most 4096 bytes.
    pub fn req_rep(request: Content, reply: Content) -> Self {
        Self::of(Pattern::ReqRep, request, Some(reply), EXCHANGE_SLOTS)
    }

    /// Declares a table with these keys, by name and layout of a value. Slots and seats follow from the keys.
    ///
    /// It is the table that `channel!` declares with the same keys in the same order.
    pub fn table<K: Into<String>>(keys: impl IntoIterator<Item = (K, Layout)>) -> Self {
        let layout = Layout::of_keys(keys.into_iter().map(|(name, layout)| (name.into(), layout)));
        let sizes = keys::sizes(&layout);
        let declaration = Self::of(Pattern::Table, Content::Fixed(layout), None, SLOTS);
        Declaration { slots: sizes.slots, slot_size: sizes.slot_size, seats: sizes.seats, ..declaration }
    }

    fn of(pattern: Pattern, first: Content, second: Option<Content>, slots: u64) -> Self {
        let (format, mut layouts) = match first {
            Content::Fixed(layout) => (Format::Fixed, vec![layout]),
            Content::Tail { header, item } => (Format::Tail, vec![header, item]),
            Content::Msgpack => (Format::Msgpack, Vec::new()),
            Content::Pickle => (Format::Pickle, Vec::new()),
            Content::Bytes => (Format::Bytes, Vec::new()),
        };
        if let Some(Content::Fixed(reply)) = second {
            layouts.push(reply);
        }
        let texts: Vec<_> = layouts.iter().map(Layout::to_json).collect();
        let print = |index: usize| layouts.get(index).map_or(0, Layout::fingerprint);
        let align = layouts.iter().map(Layout::align).max().unwrap_or(1) as u64;
        let size = match (format, layouts.as_slice()) {
            (Format::Fixed, [layout, ..]) => layout.size() as u64,
            _ => SLOT_SIZE,
        };
        Declaration {
            pattern,
            format,
            schema: format!("[{}]", texts.join(",")),
            fingerprints: (print(0), print(1)),
            slots,
            slots_given: false,
            slot_size: size.max(1),
            grow: 0,
            in_place: None,
            request_size: size,
            align,
            seats: SEATS,
            seats_given: false,
            publishers: 1,
            window: 0,
            flags: 0,
            wire: Wire::Native,
            exact: false,
            says_format: true,
            unusable: None,
            group: None,
            layouts,
        }
    }

    /// Sets the number of slots, a power of two.
    #[must_use]
    pub fn slots(mut self, slots: u64) -> Self {
        (self.slots, self.slots_given) = (slots, true);
        self
    }

    /// Sets the largest size of a message in bytes, for contents without a fixed size. For request/reply:
    /// of a request and of a reply.
    #[must_use]
    pub fn slot_size(mut self, bytes: u64) -> Self {
        if self.format != Format::Fixed {
            (self.slot_size, self.request_size) = (bytes, bytes);
        }
        self
    }

    /// Lets the slots of publish/subscribe and push/pull grow up to `bytes`, for contents without a fixed size: see
    /// [`Opener::grow`](crate::Opener::grow).
    #[must_use]
    pub fn grow(mut self, bytes: u64) -> Self {
        self.grow = bytes;
        self
    }

    /// Decides whether messages of publish/subscribe are in place or copied: see
    /// [`Opener::in_place`](crate::Opener::in_place).
    #[must_use]
    pub fn in_place(mut self, in_place: bool) -> Self {
        self.in_place = Some(in_place);
        self
    }

    /// Sets the largest number of participants at a time.
    #[must_use]
    pub fn seats(mut self, seats: u32) -> Self {
        (self.seats, self.seats_given) = (seats, true);
        self
    }

    /// Sets the number of publishers that may be open at one time, 1 to 32.
    #[must_use]
    pub fn publishers(mut self, publishers: u32) -> Self {
        self.publishers = publishers;
        self
    }

    /// Makes the publisher wait for its subscribers (`overflow: Wait`).
    #[must_use]
    pub fn waits(mut self, waits: bool) -> Self {
        self.flags = if waits { self.flags | FLAG_WAIT } else { self.flags & !FLAG_WAIT };
        self
    }

    /// Gives a request whose replier died to another replier (`redeliver: true`).
    #[must_use]
    pub fn redelivers(mut self, redelivers: bool) -> Self {
        self.flags = if redelivers { self.flags | FLAG_REDELIVER } else { self.flags & !FLAG_REDELIVER };
        self
    }

    /// Lets several writers of a table store one key (`writers: Many`).
    #[must_use]
    pub fn many_writers(mut self, many: bool) -> Self {
        self.flags = if many { self.flags | FLAG_MANY } else { self.flags & !FLAG_MANY };
        self
    }

    /// Makes the replies to a request a stream (`replies: Stream`), of which at most `window` may be unread: 1 to 65,536.
    #[must_use]
    pub fn streams(mut self, window: u64) -> Self {
        self.window = window;
        self
    }

    /// Shares the channel with the users of this group: see [`Opener::group`](crate::Opener::group). A channel of the
    /// Python library has no group.
    #[must_use]
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into()).filter(|group| !group.is_empty());
        self
    }

    /// Makes the channel one of the Python library. Its ends then use `slots` and `slot_size` as
    /// `python::Options` does.
    #[must_use]
    pub fn wire(mut self, wire: Wire) -> Self {
        self.wire = wire;
        self
    }

    /// Returns the keys of a table with the layouts of their values; none for other patterns, and if the segment does not
    /// say them.
    pub fn keys(&self) -> &[LayoutField] {
        match self.layouts.as_slice() {
            [table] if self.pattern == Pattern::Table => keys::fields(table),
            _ => &[],
        }
    }

    /// Returns the slots, the size of a slot in bytes, and the fingerprint.
    pub(super) fn numbers(&self) -> (u64, u64, u64) {
        (self.slots, self.slot_size, self.fingerprints.0)
    }

    /// Returns the layout of the table.
    pub(super) fn table_layout(&self) -> Result<&Layout, &str> {
        self.layouts.first().ok_or_else(|| self.unusable.as_deref().unwrap_or("it states no keys"))
    }

    pub(super) fn is_native(&self) -> bool {
        self.wire == Wire::Native
    }

    #[cfg(feature = "python")]
    pub(super) fn options(&self, name: &str) -> crate::python::Options {
        let options = match self.pattern {
            Pattern::PubSub => crate::python::Options::pubsub(name.to_owned()),
            Pattern::PushPull => crate::python::Options::pushpull(name.to_owned()),
            Pattern::ReqRep => crate::python::Options::reqrep(name.to_owned()),
            Pattern::Table => unreachable!("no dynamic end declares a table"),
        };
        // The slot size of Python has the 4 bytes of the length.
        let slot_size = if self.exact { self.slot_size } else { self.slot_size.saturating_add(4) };
        crate::python::Options { slots: self.slots, slot_size, ..options }
    }

    /// Returns the payloads of messages or requests, and of replies.
    pub(super) fn payloads(&self, name: &str) -> (Payload, Payload) {
        let why = self.unusable.as_deref().unwrap_or("its messages have no layout");
        let part = |index: usize| match (self.format, self.layouts.as_slice()) {
            (Format::Msgpack, _) => Payload::Msgpack,
            (Format::Pickle, _) => Payload::Pickle,
            (Format::Bytes, _) if !self.says_format => Payload::Python,
            (Format::Bytes, _) => Payload::Bytes,
            (Format::Tail, [header, item]) => Payload::Tail(header.clone(), item.clone()),
            (_, layouts) => match layouts.get(index) {
                Some(layout) => Payload::Fixed(layout.clone()),
                None => Payload::Unknown { channel: name.to_owned(), why: why.to_owned() },
            },
        };
        (part(0), part(1))
    }

    /// Returns the declaration of an end of the channel `name`.
    pub(super) fn spec(
        &self,
        name: &str,
        timeout: Duration,
        history: u64,
        patience: Duration,
    ) -> Result<Spec, Error> {
        let reply = self.layouts.get(1).map_or(self.slot_size, |reply| reply.size() as u64);
        let (request_size, slot_size) = match self.pattern {
            Pattern::ReqRep if !self.exact => {
                let (payload, align) =
                    (Discipline::Queue.head().max(self.align as usize), self.align as usize);
                let exchange = Exchange::behind(self.request_size as usize, payload, align);
                let slot = match self.window {
                    0 => (exchange.reply as u64).saturating_add(reply).max(self.slot_size),
                    window => {
                        let window = usize::try_from(window).unwrap_or(usize::MAX);
                        StreamPlaces::slot_size(exchange, payload, align, (window, reply as usize)) as u64
                    }
                };
                (self.request_size, slot)
            }
            Pattern::ReqRep => (self.request_size, self.slot_size),
            _ => (0, self.slot_size),
        };
        let slots = if self.pattern == Pattern::PubSub && !self.slots_given {
            default_slots(self.slot_size, if self.seats_given { self.seats.into() } else { 0 })
        } else {
            self.slots
        };
        Ok(Spec {
            name: name.to_owned(),
            sharing: Sharing::wanted(name, self.group.as_deref(), None)?,
            pattern: self.pattern,
            format: self.format,
            slots,
            slot_size,
            grow: self.grow,
            in_place: self.in_place,
            request_size,
            window: self.window,
            reply_size: if self.window == 0 || self.exact { 0 } else { reply },
            align: self.align,
            seats: self.seats,
            publishers: self.publishers,
            flags: self.flags,
            fingerprint: self.fingerprints.0,
            fingerprint2: self.fingerprints.1,
            schema: self.schema.clone().into(),
            difference: crate::message::schema::first_difference,
            codecs: crate::message::schema::codec_difference,
            resolve: None,
            connect_timeout: timeout,
            history,
            patience,
            expect_every: None,
            stop: None,
            asked: match (self.seats_given, self.in_place.filter(|_| !self.exact)) {
                (true, None) => Requested::SEATS,
                (true, Some(_)) => Requested::SEATS.and(Requested::IN_PLACE),
                (false, None) => Requested::NOTHING,
                (false, Some(_)) => Requested::IN_PLACE,
            },
        })
    }

    /// Returns the reason why the slots cannot grow.
    fn no_growth(&self) -> Option<String> {
        // A segment may have the size of its limit.
        if self.grow == 0 || (self.exact && self.grow == self.slot_size) {
            return None;
        }
        if !matches!(self.pattern, Pattern::PubSub | Pattern::PushPull) || !self.is_native() {
            let (pattern, wire) =
                (self.pattern.name(), if self.is_native() { "" } else { " of the Python library" });
            return Some(format!(
                "`grow` is for native publish/subscribe and push/pull, and this is {pattern}{wire}; leave it out"
            ));
        }
        Growth::refusal(self.format, self.slot_size, self.grow, self.publishers.into())
    }

    /// Returns the reason why the messages cannot be in place, or copied, as the declaration says.
    fn not_placed(&self) -> Option<String> {
        let in_place = self.in_place.filter(|_| !self.exact)?;
        if self.pattern != Pattern::PubSub || self.wire != Wire::Native {
            let pattern = self.pattern.name();
            return Some(format!(
                "`in_place` is for native publish/subscribe, and this is {pattern}; leave it out"
            ));
        }
        let seats = if self.seats_given { u64::from(self.seats) } else { 0 };
        let asked = InPlaceAsked {
            in_place,
            longest: self.slot_size.max(self.grow),
            slots: if self.slots_given { self.slots } else { default_slots(self.slot_size, seats) },
            publishers: self.publishers.into(),
            seats,
        };
        asked.why_not()
    }

    /// Checks the declaration of a new channel.
    pub(super) fn check(&self, name: &str, pattern: Pattern) -> Result<(), Error> {
        let fixed =
            self.format != Format::Fixed || self.pattern != Pattern::ReqRep || self.layouts.len() == 2;
        let why = if self.pattern != pattern {
            format!("this end is for {}, and the channel is for {}", pattern.name(), self.pattern.name())
        } else if self.window != 0 && self.pattern != Pattern::ReqRep {
            format!(
                "a stream of replies is for request/reply, and the channel is for {}",
                self.pattern.name()
            )
        } else if self.window != 0 && self.flags & FLAG_REDELIVER != 0 {
            "requests with streams of replies are not redelivered: another replier would begin again; leave out one of both"
                .into()
        } else if self.window != 0 && !self.is_native() {
            "a channel of the Python library has one reply to a request; leave out `streams`".into()
        } else if self.pattern == Pattern::Table && !self.is_native() {
            "the Python library has no tables; leave out `wire`".into()
        } else if !fixed {
            "the request has a fixed layout, and the reply has none; give both a layout, or one codec".into()
        } else if self.pattern == Pattern::Table
            && let Some(why) = self.layouts.first().and_then(keys::problem)
        {
            return Err(Error::new(ErrorKind::InvalidGeometry, name.to_owned(), why));
        } else if let Some(why) = self.no_growth().or_else(|| self.not_placed()) {
            return Err(Error::new(ErrorKind::InvalidGeometry, name.to_owned(), why));
        } else if self.format == Format::Tail && self.pattern != Pattern::PubSub {
            "a header with a tail is for publish/subscribe only; use a codec or bytes".into()
        } else if let (Format::Tail, [header, item]) = (self.format, self.layouts.as_slice()) {
            return match tail_problem(header, item) {
                Some(why) => Err(Error::new(ErrorKind::InvalidGeometry, name.to_owned(), why)),
                None => Ok(()),
            };
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::ChannelMismatch, name.to_owned(), why))
    }
}

/// Returns the reason why items cannot follow the header directly. The compiler checks this for typed ends.
fn tail_problem(header: &Layout, item: &Layout) -> Option<String> {
    if item.size() == 0 {
        return Some(format!(
            "an item `{item}` of a tail takes no bytes, so no receiver could count the items"
        ));
    }
    let gap = header.size().next_multiple_of(item.align()) - header.size();
    (gap > 0).then(|| {
        format!(
            "the header `{header}` takes {}, and an item `{item}` is aligned to {}; add a last field of {} to the header",
            count(header.size(), "byte"),
            count(item.align(), "byte"),
            count(gap, "byte")
        )
    })
}

/// Returns the declaration that creates the same channel again.
impl From<&Description> for Declaration {
    fn from(what: &Description) -> Self {
        let layouts = what.layouts.as_ref().map_or_else(|_| Vec::new(), Clone::clone);
        Declaration {
            pattern: what.pattern,
            format: what.codec.unwrap_or(Format::Bytes),
            layouts,
            schema: what.schema.clone(),
            fingerprints: (what.fingerprint, what.fingerprint2),
            slots: what.slots,
            slots_given: true,
            slot_size: what.slot_size,
            grow: what.grow,
            in_place: match what.pattern {
                Pattern::PubSub => what.discipline.map(Discipline::pins),
                Pattern::PushPull | Pattern::ReqRep | Pattern::Table => None,
            },
            request_size: what.request_size,
            align: what.align,
            seats: what.seats,
            seats_given: true,
            publishers: what.publishers,
            window: what.window,
            flags: (u32::from(what.waits) * FLAG_WAIT)
                | (u32::from(what.redelivers) * FLAG_REDELIVER)
                | (u32::from(what.many_writers) * FLAG_MANY),
            wire: what.wire,
            exact: true,
            says_format: what.codec.is_some(),
            unusable: what.layouts.as_ref().err().map(ToString::to_string),
            group: what.group.clone(),
        }
    }
}
