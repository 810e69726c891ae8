//! Patterns and formats: the types that say how messages are delivered and encoded.
//!
//! Owns the types and [`MessageInfo`] (message information), which remains of them when a channel is opened.

use crate::codec::{self, Codec, Decode, Encode};
use crate::layout::{Discipline, Exchange, Format, StreamPlaces};
use crate::message::{Fixed, Schema, ShmMessage};
use crate::table::TableKeys;
use core::marker::PhantomData;

/// Publish/subscribe: one publisher, any number of subscribers, the newest messages win.
///
/// `F` is the format: [`Fixed`] for a [`ShmMessage`]; `[T]` for a header `M` with a tail of up to
/// `max_len` items.
pub struct PubSub<M: ?Sized, F: ?Sized = Fixed>(PhantomData<M>, PhantomData<F>);

/// Push/pull: every message goes to exactly one of the pullers.
pub struct PushPull<M: ?Sized, F: ?Sized = Fixed>(PhantomData<M>, PhantomData<F>);

/// Request/reply: every request `Q` gets one reply `R`.
pub struct ReqRep<Q: ?Sized, R: ?Sized, F: ?Sized = Fixed>(PhantomData<Q>, PhantomData<R>, PhantomData<F>);

/// Request/reply with streams: every request `Q` gets any number of replies `R`. It is the pattern of a channel that
/// [`channel!`](macro@crate::channel) declares as `ReqRep<Q, R> { replies: Stream }`.
pub struct ReqStream<Q: ?Sized, R: ?Sized, F: ?Sized = Fixed>(PhantomData<Q>, PhantomData<R>, PhantomData<F>);

/// A table: the latest value of each of several keys. `T` is the struct that [`channel!`](macro@crate::channel) declares,
/// which has a constant for each key.
pub struct Table<T: ?Sized>(PhantomData<T>);

/// A pattern together with messages that it can deliver.
#[diagnostic::on_unimplemented(
    message = "a message of `{Self}` has no fixed layout, which a channel needs unless it names a codec",
    label = "not all of its messages are `ShmMessage`s",
    note = "zero copy: put `#[derive(ShmMessage)]` and `#[repr(C)]` on the message",
    note = "or let serde encode it: `PubSub<M, Msgpack>` with a `slot_size`"
)]
pub trait Pattern: sealed::Sealed {
    #[doc(hidden)]
    const CARRIES: MessageInfo;
}

/// A format that can encode an `M`.
#[diagnostic::on_unimplemented(
    message = "`{M}` cannot travel as `{Self}`",
    label = "needs what `{Self}` asks for",
    note = "`Msgpack` and `Pickle` ask for serde's `Serialize` and `Deserialize`, and are features of `shmcomm`",
    note = "`Fixed` asks for `#[derive(ShmMessage)]`; `Bytes` asks for `[u8]`, `str`, \
            or a type with `AsRef<[u8]>` and `TryFrom<Vec<u8>>`"
)]
pub trait Carry<M: ?Sized> {
    #[doc(hidden)]
    const CARRIES: MessageInfo;
}

/// A [`ShmMessage`] when only a fixed layout is possible: the text of the compile error about other types.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no fixed layout, which a channel needs unless it names a codec",
    label = "not a `ShmMessage`",
    note = "zero copy: put `#[derive(ShmMessage)]` and `#[repr(C)]` on `{Self}`",
    note = "or let serde encode it: `PubSub<{Self}, Msgpack>` with a `slot_size`"
)]
pub trait FixedMessage {
    #[doc(hidden)]
    const CARRIES: MessageInfo;
}
#[diagnostic::do_not_recommend]
impl<M: ShmMessage> FixedMessage for M {
    const CARRIES: MessageInfo = MessageInfo::fixed::<M>();
}

/// A [`ShmMessage`] as an item of a tail: the text of the compile error about other types.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no fixed layout, so it cannot be an item of a tail",
    label = "not a `ShmMessage`",
    note = "if `{Self}` is yours, put `#[derive(ShmMessage)]` and `#[repr(C)]` on it (enums: `#[repr(u8)]`)"
)]
pub trait TailItem {
    #[doc(hidden)]
    const CARRIES: MessageInfo;
}
#[diagnostic::do_not_recommend]
impl<M: ShmMessage> TailItem for M {
    const CARRIES: MessageInfo = MessageInfo::fixed::<M>();
}

#[diagnostic::do_not_recommend]
impl<M: ShmMessage> Carry<M> for Fixed {
    const CARRIES: MessageInfo = MessageInfo::fixed::<M>();
}

#[diagnostic::do_not_recommend]
impl<H: ShmMessage, T: ShmMessage> Carry<H> for [T] {
    const CARRIES: MessageInfo = MessageInfo::fixed::<H>().with_tail(MessageInfo::fixed::<T>());
}

#[diagnostic::do_not_recommend]
impl<M: ?Sized> Carry<M> for codec::Bytes
where
    codec::Bytes: Encode<M> + Decode<M>,
{
    const CARRIES: MessageInfo = MessageInfo::encoded::<codec::Bytes>();
}

macro_rules! serde_codecs {
    ($($feature:literal $Codec:ident),*) => {$(
        #[cfg(feature = $feature)]
        #[diagnostic::do_not_recommend]
        impl<M: ?Sized> Carry<M> for codec::$Codec
        where
            codec::$Codec: Encode<M> + Decode<M>,
        {
            const CARRIES: MessageInfo = MessageInfo::encoded::<codec::$Codec>();
        }
    )*};
}
serde_codecs!("msgpack" Msgpack, "pickle" Pickle);

#[diagnostic::do_not_recommend]
impl<M: ?Sized, F: Carry<M> + ?Sized> Pattern for PubSub<M, F> {
    const CARRIES: MessageInfo = F::CARRIES;
}

#[diagnostic::do_not_recommend]
impl<M: ?Sized, F: Carry<M> + ?Sized> Pattern for PushPull<M, F> {
    const CARRIES: MessageInfo = F::CARRIES;
}

#[diagnostic::do_not_recommend]
impl<Q: ?Sized, R: ?Sized, F: Carry<Q> + Carry<R> + ?Sized> Pattern for ReqRep<Q, R, F> {
    const CARRIES: MessageInfo = <F as Carry<Q>>::CARRIES.and(<F as Carry<R>>::CARRIES);
}

#[diagnostic::do_not_recommend]
impl<Q: ?Sized, R: ?Sized, F: Carry<Q> + Carry<R> + ?Sized> Pattern for ReqStream<Q, R, F> {
    const CARRIES: MessageInfo = <F as Carry<Q>>::CARRIES.and(<F as Carry<R>>::CARRIES).streamed();
}

#[diagnostic::do_not_recommend]
impl<T: TableKeys + ?Sized> Pattern for Table<T> {
    const CARRIES: MessageInfo = MessageInfo::table(T::LAYOUT);
}

mod sealed {
    pub trait Sealed {}
    impl<M: ?Sized, F: ?Sized> Sealed for super::PubSub<M, F> {}
    impl<M: ?Sized, F: ?Sized> Sealed for super::PushPull<M, F> {}
    impl<Q: ?Sized, R: ?Sized, F: ?Sized> Sealed for super::ReqRep<Q, R, F> {}
    impl<Q: ?Sized, R: ?Sized, F: ?Sized> Sealed for super::ReqStream<Q, R, F> {}
    impl<T: ?Sized> Sealed for super::Table<T> {}
}

/// Description of the messages of a channel, without their types.
#[derive(Clone, Copy, Debug)]
pub struct MessageInfo {
    pub(super) format: Format,
    /// The message, the request, or the header.
    pub(super) first: TypeInfo,
    /// The reply, or an item of the tail.
    pub(super) second: Option<TypeInfo>,
    /// `true` if the reply is one of a stream.
    pub(super) streams: bool,
}

/// Description of one message type. It is empty if a codec encodes the type.
#[derive(Clone, Copy, Debug)]
pub(super) struct TypeInfo {
    pub(super) schema: Option<&'static Schema>,
    /// Maximum encoded size in bytes, if it is known.
    pub(super) longest: Option<usize>,
}

impl MessageInfo {
    pub(super) const fn fixed<M: ShmMessage>() -> Self {
        let first = TypeInfo { schema: Some(M::SCHEMA), longest: None };
        MessageInfo { format: Format::Fixed, first, second: None, streams: false }
    }

    /// Returns the description of the table with this schema.
    pub(super) const fn table(schema: &'static Schema) -> Self {
        let first = TypeInfo { schema: Some(schema), longest: None };
        MessageInfo { format: Format::Fixed, first, second: None, streams: false }
    }

    const fn encoded<C: Codec>() -> Self {
        let Some(format) = Format::from_u32(C::ID) else {
            panic!("each codec is a format");
        };
        let first = TypeInfo { schema: None, longest: None };
        MessageInfo { format, first, second: None, streams: false }
    }

    /// Returns the description with the maximum encoded size in bytes.
    pub(super) const fn at_most(self, longest: Option<usize>) -> Self {
        MessageInfo { first: TypeInfo { longest, ..self.first }, ..self }
    }

    pub(super) const fn with_tail(self, items: MessageInfo) -> Self {
        MessageInfo { format: Format::Tail, second: Some(items.first), ..self }
    }

    pub(super) const fn and(self, reply: MessageInfo) -> Self {
        MessageInfo { second: Some(reply.first), ..self }
    }

    /// Returns the description with replies that are streams.
    pub(super) const fn streamed(self) -> Self {
        MessageInfo { streams: true, ..self }
    }

    /// Returns the size of the longest message in bytes; `None` for a tail or an unknown encoded size.
    pub(super) const fn size(&self) -> Option<usize> {
        if matches!(self.format, Format::Tail) {
            return None;
        }
        match (self.first.size(), &self.second) {
            (Some(first), Some(second)) => match second.size() {
                Some(second) if second > first => Some(second),
                Some(_) => Some(first),
                None => None,
            },
            (first, _) => first,
        }
    }

    /// Returns `true` if each message has a reply.
    pub(super) const fn is_exchange(&self) -> bool {
        self.second.is_some() && !matches!(self.format, Format::Tail)
    }

    /// Returns the maximum size of a request, and the slot size for a request with its reply, both in bytes.
    /// A message takes `slot_size` bytes unless its layout is fixed.
    pub(super) fn exchange(&self, slot_size: usize) -> (usize, usize) {
        let (request, reply) = self.exchanged(slot_size);
        let payload = Discipline::Queue.head().max(self.align());
        let slot = Exchange::behind(request, payload, self.align()).reply.saturating_add(reply);
        (request, slot.max(slot_size))
    }

    /// Returns the maximum size of a request and of a reply in bytes. A message takes `slot_size` bytes unless its
    /// layout is fixed.
    fn exchanged(&self, slot_size: usize) -> (usize, usize) {
        match (self.first.schema, self.second.and_then(|second| second.schema)) {
            (Some(request), Some(reply)) => (request.size, reply.size),
            _ => (slot_size, slot_size),
        }
    }

    /// Returns the maximum size of a request, the slot size for a request with a window of replies, and the maximum size
    /// of a reply, all in bytes: see [`exchange`](Self::exchange).
    pub(super) fn stream(&self, slot_size: usize, window: usize) -> (usize, usize, usize) {
        let (request, reply) = self.exchanged(slot_size);
        let payload = Discipline::Queue.head().max(self.align());
        let exchange = Exchange::behind(request, payload, self.align());
        let slot = StreamPlaces::slot_size(exchange, payload, self.align(), (window, reply));
        (request, slot, reply)
    }

    /// Returns the alignment of the messages in bytes.
    pub(super) const fn align(&self) -> usize {
        let first = self.first.align();
        match &self.second {
            Some(second) if second.align() > first => second.align(),
            _ => first,
        }
    }

    /// Returns the schemas of header and item if the format has a tail.
    pub(super) const fn tail(&self) -> Option<(&'static Schema, &'static Schema)> {
        match (self.format, self.first.schema, self.second) {
            (Format::Tail, Some(header), Some(TypeInfo { schema: Some(item), .. })) => Some((header, item)),
            _ => None,
        }
    }

    /// Returns the size in bytes of a header with `max_len` items; 0 if there is no tail.
    pub(super) const fn size_with(&self, max_len: usize) -> usize {
        match self.tail() {
            Some((header, item)) => {
                header.size.next_multiple_of(item.align).saturating_add(item.size.saturating_mul(max_len))
            }
            None => 0,
        }
    }
}

impl TypeInfo {
    /// Returns the name that the author gave the type; empty if a codec encodes it.
    pub(super) const fn name(&self) -> &'static str {
        match self.schema {
            Some(schema) => schema.name,
            None => "",
        }
    }

    /// Returns the size of the longest message of this type in bytes, if it is known.
    pub(super) const fn size(&self) -> Option<usize> {
        match self.schema {
            Some(schema) => Some(schema.size),
            None => self.longest,
        }
    }

    const fn align(&self) -> usize {
        match self.schema {
            Some(schema) => schema.align,
            None => 1,
        }
    }

    pub(super) const fn fingerprint(&self) -> u64 {
        match self.schema {
            Some(schema) => schema.fingerprint,
            None => 0,
        }
    }
}
