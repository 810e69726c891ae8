//! Items that an expansion of `channel!` uses. Not public API.

pub use super::check::{
    expect_every, fits, group, grow, grows_alone, has_max_len, has_slot_size, in_place, message, name,
    one_waits, publishers, seats, seats_beside, slots, tail, tail_fits, window,
};
pub use super::message_words::*;
pub use super::pattern::MessageInfo;
pub use super::{
    Carry, Channel, FixedMessage, Opener, Overflow, PubSub, PushPull, ReqRep, ReqStream, Table, TailItem,
};
pub use crate::codec::Bytes;
#[cfg(feature = "msgpack")]
pub use crate::codec::Msgpack;
#[cfg(feature = "pickle")]
pub use crate::codec::Pickle;
pub use crate::message::schema::Field;
pub use crate::message::{Fixed, Schema, ShmMessage};
pub use crate::table::{Key, TableKeys, TableReader, TableWriter};
pub use crate::{
    Error, Publisher, Puller, Pusher, Replier, Requester, StreamReplier, StreamRequester, Subscriber,
};
pub use core::clone::Clone;
pub use core::fmt::{Debug, Display};
pub use core::marker::Copy;
pub use core::primitive;
pub use core::result::Result;
pub use core::time::Duration;
#[cfg(feature = "derive")]
pub use shmcomm_derive::channel;

#[cfg(feature = "python")]
pub use super::wire;
pub use crate::__shmcomm_with_python as with_python;
#[cfg(feature = "python")]
pub use crate::python;

use super::Settings;
use crate::segment::Requested;
use core::marker::PhantomData;

/// Placeholder codec that carries no message, because the feature `pickle` of this crate is off.
#[cfg(not(feature = "pickle"))]
pub enum Pickle {}

/// Placeholder codec that carries no message, because the feature `msgpack` of this crate is off.
#[cfg(not(feature = "msgpack"))]
pub enum Msgpack {}

/// Maximum encoded size of an `M` in bytes. `BYTES` is known if `M` is a [`ShmMessage`](crate::ShmMessage):
/// the compiler then prefers the inherent constant to the constant of the trait [`Unknown`].
pub struct Longest<M: ?Sized, C: ?Sized>(PhantomData<M>, PhantomData<C>);

#[cfg(feature = "msgpack")]
impl<M: crate::ShmMessage> Longest<M, Msgpack> {
    pub const BYTES: Option<usize> = Msgpack::max_size::<M>();
}

#[cfg(feature = "pickle")]
impl<M: crate::ShmMessage> Longest<M, Pickle> {
    pub const BYTES: Option<usize> = Pickle::max_size::<M>();
}

/// Fallback of [`Longest`] for a type whose encoded size is unknown.
pub trait Unknown {
    const BYTES: Option<usize> = None;
}
impl<M: ?Sized, C: ?Sized> Unknown for Longest<M, C> {}

/// Returns `encoded` with the maximum encoded size of its messages.
pub const fn at_most(encoded: MessageInfo, longest: Option<usize>) -> MessageInfo {
    encoded.at_most(longest)
}

/// Returns the message description of a header with a tail of items.
pub const fn with_tail(header: MessageInfo, item: MessageInfo) -> MessageInfo {
    header.with_tail(item)
}

/// Returns the message description of a request with its reply.
pub const fn exchange(request: MessageInfo, reply: MessageInfo) -> MessageInfo {
    request.and(reply)
}

/// Returns the message description of a request with a stream of replies.
pub const fn streamed(exchange: MessageInfo) -> MessageInfo {
    exchange.streamed()
}

/// Sets the window of a channel with streams. The caller has checked the value.
pub const fn windowed<P: ?Sized>(mut channel: Channel<P>, window: usize) -> Channel<P> {
    channel.settings.window = window;
    channel
}

/// Returns the default slot size in bytes.
pub const fn slot_size(carries: MessageInfo) -> usize {
    match carries.size() {
        Some(0) | None => 1,
        Some(size) => size,
    }
}

/// Returns the default slot size in bytes for a tail of at most `max_len` items.
pub const fn tail_size(carries: MessageInfo, max_len: usize) -> usize {
    carries.size_with(max_len)
}

/// Makes the descriptor of a channel. The macro checks each part separately, under its own tokens.
pub const fn declare<P: ?Sized>(
    name: &'static str,
    slots: usize,
    slot_size: usize,
    seats: usize,
    publishers: usize,
    redeliver: bool,
    carries: MessageInfo,
) -> Channel<P> {
    let settings = Settings { slots, slot_size, seats, publishers, redeliver, ..Settings::of(&carries) };
    Channel::with(name, settings, carries)
}

/// Returns the fields of a table, from the names of its keys and the descriptions of their types.
#[track_caller]
pub const fn fields<const N: usize>(keys: [(&'static str, MessageInfo); N]) -> [Field; N] {
    let mut with_schemas = [("", u8::SCHEMA); N];
    let mut i = 0;
    while i < N {
        let (name, carries) = keys[i];
        let Some(schema) = carries.first.schema else { panic!("a key of a table has a fixed layout") };
        with_schemas[i] = (name, schema);
        i += 1;
    }
    crate::message::keys::fields(with_schemas)
}

/// Returns the schema of a table.
pub const fn table_schema(name: &'static str, fields: &'static [Field]) -> Schema {
    crate::message::keys::table(name, fields)
}

/// Makes the descriptor of a table. The macro checks each part separately, under its own tokens.
pub const fn declare_table<T: ?Sized>(name: &'static str, schema: &'static Schema) -> Channel<Table<T>> {
    let carries = MessageInfo::table(schema);
    Channel::with(name, Settings::of(&carries), carries)
}

/// Lets several writers of the table store one key.
pub const fn many_writers<T: ?Sized>(channel: Channel<Table<T>>) -> Channel<Table<T>> {
    channel.many_writers()
}

/// Sets the group of users that share the channel. The macro checks it separately.
pub const fn shared<P: ?Sized>(mut channel: Channel<P>, group: &'static str) -> Channel<P> {
    channel.settings.group = Some(group);
    channel
}

/// Records in the channel which keys its declaration contains.
pub const fn asked<P: ?Sized>(mut channel: Channel<P>, keys: &[&str]) -> Channel<P> {
    let mut i = 0;
    while i < keys.len() {
        let key = match keys[i].as_bytes() {
            b"slots" => Requested::SLOTS,
            b"slot_size" | b"max_len" => Requested::SLOT_SIZE,
            b"seats" => Requested::SEATS,
            b"publishers" => Requested::PUBLISHERS,
            b"overflow" => Requested::OVERFLOW,
            b"patience" => Requested::PATIENCE,
            b"window" => Requested::WINDOW,
            b"grow" => Requested::GROW,
            b"in_place" => Requested::IN_PLACE,
            _ => Requested::NOTHING,
        };
        channel.settings.asked = channel.settings.asked.and(key);
        i += 1;
    }
    channel
}

/// A channel whose name has parameters.
#[derive(Clone, Copy)]
pub struct Named<P: ?Sized>(Channel<P>);

/// Makes the descriptor of a channel whose name has parameters.
pub const fn named<P: ?Sized>(channel: Channel<P>) -> Named<P> {
    Named(channel)
}

impl<P: ?Sized> Named<P> {
    /// Returns an opener of the channel `name`, with all settings of the declaration.
    pub fn open(self, name: String) -> Opener<P> {
        Opener::new(name.into(), self.0.settings, self.0.carries)
    }
}

/// Returns the name that the parameters give.
pub fn instance_name(texts: &[&str], parameters: &[&dyn Display]) -> String {
    let mut name = String::new();
    for (i, text) in texts.iter().enumerate() {
        name.push_str(text);
        if let Some(parameter) = parameters.get(i) {
            // A `String` accepts any text.
            let _ = core::fmt::Write::write_fmt(&mut name, format_args!("{parameter}"));
        }
    }
    name
}

/// Sets the flow control between publisher and subscribers. The caller has checked the values.
pub const fn between<M: ?Sized, F: ?Sized>(
    mut channel: Channel<PubSub<M, F>>,
    overflow: Overflow,
    patience: Duration,
    expect_every: Duration,
) -> Channel<PubSub<M, F>> {
    channel.settings.overflow = overflow;
    channel.settings.patience = patience;
    channel.settings.expect_every = expect_every;
    channel
}

/// Lets the slots grow. The caller has checked the value.
pub const fn growing<P>(mut channel: Channel<P>, grow: usize) -> Channel<P> {
    channel.settings.grow = grow;
    channel
}

/// Decides whether messages are in place. The caller has checked the value.
pub const fn placed<M: ?Sized, F: ?Sized>(
    mut channel: Channel<PubSub<M, F>>,
    in_place: bool,
) -> Channel<PubSub<M, F>> {
    channel.settings.in_place = Some(in_place);
    channel
}

/// Returns the default number of slots of a publish/subscribe channel. `seats` is 0 if the declaration names none.
pub const fn pubsub_slots(slot_size: usize, seats: usize) -> usize {
    crate::layout::default_slots(slot_size as u64, seats as u64) as usize
}

/// Default number of slots of a push/pull channel.
pub const SLOTS: usize = Settings::SLOTS;

/// Default number of slots of a request/reply channel.
pub const REQUESTS: usize = Settings::REQUESTS;

/// Default number of unread replies of a request.
pub const WINDOW: usize = Settings::WINDOW;

/// Default number of ends that may be open at one time.
pub const SEATS: usize = Settings::SEATS;

/// Default number of publishers that may be open at one time.
pub const PUBLISHERS: usize = Settings::PUBLISHERS;

/// Default stall timeout of a subscriber.
pub const PATIENCE: Duration = Settings::PATIENCE;
