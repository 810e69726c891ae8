//! What an expansion of `channel!` calls. Not public API.

pub use super::check::{fits, has_max_len, has_slot_size, message, name, seats, slots, tail, tail_fits};
pub use super::pattern::Carries;
pub use super::{Carry, Channel, Opener, PubSub, PushPull, ReqRep};
pub use crate::message::Fixed;
pub use crate::{Error, Publisher, Subscriber};
pub use core::clone::Clone;
pub use core::fmt::Debug;
pub use core::marker::Copy;
pub use core::primitive;
pub use core::result::Result;
#[cfg(feature = "derive")]
pub use shmcomm_derive::channel;

use super::Settings;
use crate::message::ShmMessage;

/// A message type in a place that takes no other.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no fixed layout, which a channel needs unless it names a codec",
    label = "not a `ShmMessage`",
    note = "zero copy: put `#[derive(ShmMessage)]` and `#[repr(C)]` on `{Self}`",
    note = "or let serde encode it: `PubSub<{Self}, Msgpack>` with a `slot_size`"
)]
pub trait FixedMessage {
    const CARRIES: Carries;
}
#[diagnostic::do_not_recommend]
impl<M: ShmMessage> FixedMessage for M {
    const CARRIES: Carries = Carries::fixed::<M>();
}

/// As [`FixedMessage`], in other words.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no fixed layout, so it cannot be an item of a tail",
    label = "not a `ShmMessage`",
    note = "if `{Self}` is yours, put `#[derive(ShmMessage)]` and `#[repr(C)]` on it (enums: `#[repr(u8)]`)"
)]
pub trait TailItem {
    const CARRIES: Carries;
}
#[diagnostic::do_not_recommend]
impl<M: ShmMessage> TailItem for M {
    const CARRIES: Carries = Carries::fixed::<M>();
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
    redeliver: bool,
    carries: Carries,
) -> Channel<P> {
    Channel::with(name, Settings { slots, slot_size, seats, redeliver }, carries)
}
