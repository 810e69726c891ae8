//! What an expansion of `channel!` calls. Not public API.

pub use super::check::{
    expect_every, fits, has_max_len, has_slot_size, message, name, one_waits, publishers, seats,
    seats_beside, slots, tail, tail_fits,
};
pub use super::pattern::Carries;
pub use super::{Carry, Channel, FixedMessage, Opener, Overflow, PubSub, PushPull, ReqRep, TailItem};
pub use crate::codec::Bytes;
#[cfg(feature = "msgpack")]
pub use crate::codec::Msgpack;
#[cfg(feature = "pickle")]
pub use crate::codec::Pickle;
pub use crate::message::Fixed;
pub use crate::{Error, Publisher, Puller, Pusher, Replier, Requester, Subscriber};
pub use core::clone::Clone;
pub use core::fmt::Debug;
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
use core::marker::PhantomData;

/// Carries nothing: the feature `pickle` of this crate is off.
#[cfg(not(feature = "pickle"))]
pub enum Pickle {}

/// Carries nothing: the feature `msgpack` of this crate is off.
#[cfg(not(feature = "msgpack"))]
pub enum Msgpack {}

/// How long an encoded `M` gets: `BYTES`, known if the compiler prefers the constant of the type to
/// that of the trait [`Unknown`], which it does where `M` is a [`ShmMessage`](crate::ShmMessage).
pub struct Longest<M: ?Sized, C: ?Sized>(PhantomData<M>, PhantomData<C>);

#[cfg(feature = "msgpack")]
impl<M: crate::ShmMessage> Longest<M, Msgpack> {
    pub const BYTES: Option<usize> = Msgpack::max_size::<M>();
}

#[cfg(feature = "pickle")]
impl<M: crate::ShmMessage> Longest<M, Pickle> {
    pub const BYTES: Option<usize> = Pickle::max_size::<M>();
}

/// See [`Longest`].
pub trait Unknown {
    const BYTES: Option<usize> = None;
}
impl<M: ?Sized, C: ?Sized> Unknown for Longest<M, C> {}

/// Messages that a codec encodes, and how long they get.
pub const fn at_most(encoded: Carries, longest: Option<usize>) -> Carries {
    encoded.at_most(longest)
}

/// A header and its items.
pub const fn with_tail(header: Carries, item: Carries) -> Carries {
    header.with_tail(item)
}

/// A request and its reply.
pub const fn exchange(request: Carries, reply: Carries) -> Carries {
    request.and(reply)
}

/// What the slots hold if the declaration does not say.
pub const fn slot_size(carries: Carries) -> usize {
    match carries.size() {
        Some(0) | None => 1,
        Some(size) => size,
    }
}

/// What the slots hold if the declaration says how long a tail may be.
pub const fn tail_size(carries: Carries, max_len: usize) -> usize {
    carries.size_with(max_len)
}

/// The descriptor of a channel whose parts are checked one by one, each under its own tokens.
pub const fn declare<P: ?Sized>(
    name: &'static str,
    slots: usize,
    slot_size: usize,
    seats: usize,
    publishers: usize,
    redeliver: bool,
    carries: Carries,
) -> Channel<P> {
    let settings = Settings { slots, slot_size, seats, publishers, redeliver, ..Settings::of(&carries) };
    Channel::with(name, settings, carries)
}

/// How publisher and subscribers of a channel get on with each other, checked elsewhere.
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

/// What a subscriber's patience is if the declaration does not say.
pub const PATIENCE: Duration = Settings::PATIENCE;
