//! Patterns and formats: the types that say how messages are passed on, and what their bytes are.
//!
//! Owns the types and [`Carries`], which is what is left of them when a channel is opened.

#[cfg(any(feature = "msgpack", feature = "pickle"))]
use crate::codec::Decode;
use crate::codec::{self, Codec, Encode};
use crate::layout::{Discipline, Exchange, Format};
use crate::message::{Fixed, Schema, ShmMessage};
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

/// A pattern together with messages that can travel on it.
#[diagnostic::on_unimplemented(
    message = "a message of `{Self}` has no fixed layout, which a channel needs unless it names a codec",
    label = "not all of its messages are `ShmMessage`s",
    note = "zero copy: put `#[derive(ShmMessage)]` and `#[repr(C)]` on the message",
    note = "or let serde encode it: `PubSub<M, Msgpack>` with a `slot_size`"
)]
pub trait Pattern: sealed::Sealed {
    #[doc(hidden)]
    const CARRIES: Carries;
}

/// A format that can carry an `M`.
#[diagnostic::on_unimplemented(
    message = "`{M}` cannot travel as `{Self}`",
    label = "needs what `{Self}` asks for",
    note = "`Msgpack` and `Pickle` ask for serde's `Serialize` and `Deserialize`, and are features of `shmcomm`",
    note = "`Fixed` asks for `#[derive(ShmMessage)]`; `Bytes` asks for `AsRef<[u8]>`"
)]
pub trait Carry<M: ?Sized> {
    #[doc(hidden)]
    const CARRIES: Carries;
}

/// A [`ShmMessage`] in a place that takes nothing else: the words of the error about others.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no fixed layout, which a channel needs unless it names a codec",
    label = "not a `ShmMessage`",
    note = "zero copy: put `#[derive(ShmMessage)]` and `#[repr(C)]` on `{Self}`",
    note = "or let serde encode it: `PubSub<{Self}, Msgpack>` with a `slot_size`"
)]
pub trait FixedMessage {
    #[doc(hidden)]
    const CARRIES: Carries;
}
#[diagnostic::do_not_recommend]
impl<M: ShmMessage> FixedMessage for M {
    const CARRIES: Carries = Carries::fixed::<M>();
}

/// As [`FixedMessage`], for the items of a tail.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no fixed layout, so it cannot be an item of a tail",
    label = "not a `ShmMessage`",
    note = "if `{Self}` is yours, put `#[derive(ShmMessage)]` and `#[repr(C)]` on it (enums: `#[repr(u8)]`)"
)]
pub trait TailItem {
    #[doc(hidden)]
    const CARRIES: Carries;
}
#[diagnostic::do_not_recommend]
impl<M: ShmMessage> TailItem for M {
    const CARRIES: Carries = Carries::fixed::<M>();
}

#[diagnostic::do_not_recommend]
impl<M: ShmMessage> Carry<M> for Fixed {
    const CARRIES: Carries = Carries::fixed::<M>();
}

#[diagnostic::do_not_recommend]
impl<H: ShmMessage, T: ShmMessage> Carry<H> for [T] {
    const CARRIES: Carries = Carries::fixed::<H>().with_tail(Carries::fixed::<T>());
}

#[diagnostic::do_not_recommend]
impl<M: ?Sized> Carry<M> for codec::Bytes
where
    codec::Bytes: Encode<M>,
{
    const CARRIES: Carries = Carries::encoded::<codec::Bytes>();
}

macro_rules! serde_codecs {
    ($($feature:literal $Codec:ident),*) => {$(
        #[cfg(feature = $feature)]
        #[diagnostic::do_not_recommend]
        impl<M> Carry<M> for codec::$Codec
        where
            codec::$Codec: Encode<M> + Decode<M>,
        {
            const CARRIES: Carries = Carries::encoded::<codec::$Codec>();
        }
    )*};
}
serde_codecs!("msgpack" Msgpack, "pickle" Pickle);

#[diagnostic::do_not_recommend]
impl<M: ?Sized, F: Carry<M> + ?Sized> Pattern for PubSub<M, F> {
    const CARRIES: Carries = F::CARRIES;
}

#[diagnostic::do_not_recommend]
impl<M: ?Sized, F: Carry<M> + ?Sized> Pattern for PushPull<M, F> {
    const CARRIES: Carries = F::CARRIES;
}

#[diagnostic::do_not_recommend]
impl<Q: ?Sized, R: ?Sized, F: Carry<Q> + Carry<R> + ?Sized> Pattern for ReqRep<Q, R, F> {
    const CARRIES: Carries = <F as Carry<Q>>::CARRIES.and(<F as Carry<R>>::CARRIES);
}

mod sealed {
    pub trait Sealed {}
    impl<M: ?Sized, F: ?Sized> Sealed for super::PubSub<M, F> {}
    impl<M: ?Sized, F: ?Sized> Sealed for super::PushPull<M, F> {}
    impl<Q: ?Sized, R: ?Sized, F: ?Sized> Sealed for super::ReqRep<Q, R, F> {}
}

/// What the messages of a channel are, without their types.
#[derive(Clone, Copy, Debug)]
pub struct Carries {
    pub(super) format: Format,
    /// The message, the request, or the header.
    pub(super) first: Part,
    /// The reply, or an item of the tail.
    pub(super) second: Option<Part>,
}

/// One type of message. Nothing is known of it here if a codec encodes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) schema: Option<&'static Schema>,
    pub(super) json: &'static str,
    /// Bytes that an encoded one takes at most, where that is known.
    pub(super) longest: Option<usize>,
}

impl Carries {
    pub(super) const fn fixed<M: ShmMessage>() -> Self {
        let first = Part { schema: Some(M::SCHEMA), json: M::SCHEMA_JSON, longest: None };
        Carries { format: Format::Fixed, first, second: None }
    }

    const fn encoded<C: Codec>() -> Self {
        let Some(format) = Format::from_u32(C::ID) else {
            panic!("each codec is a format");
        };
        Carries { format, first: Part { schema: None, json: "", longest: None }, second: None }
    }

    /// The same, known to take at most so many bytes.
    pub(super) const fn at_most(self, longest: Option<usize>) -> Self {
        Carries { first: Part { longest, ..self.first }, ..self }
    }

    pub(super) const fn with_tail(self, items: Carries) -> Self {
        Carries { format: Format::Tail, second: Some(items.first), ..self }
    }

    pub(super) const fn and(self, reply: Carries) -> Self {
        Carries { second: Some(reply.first), ..self }
    }

    /// Bytes of the longest message; `None` if it has none of its own.
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

    /// Whether each message has another one for a reply.
    pub(super) const fn is_exchange(&self) -> bool {
        self.second.is_some() && !matches!(self.format, Format::Tail)
    }

    /// Bytes of the longest request, and of a slot for it with its reply, where one message takes `slot_size`.
    pub(super) fn exchange(&self, slot_size: usize) -> (usize, usize) {
        let sizes = (self.first.schema, self.second.and_then(|second| second.schema));
        let (request, reply) = match sizes {
            (Some(request), Some(reply)) => (request.size, reply.size),
            _ => (slot_size, slot_size),
        };
        let payload = Discipline::Queue.head().max(self.align());
        let slot = Exchange::behind(request, payload, self.align()).reply.saturating_add(reply);
        (request, slot.max(slot_size))
    }

    /// Where a slot has to start for its message to be aligned.
    pub(super) const fn align(&self) -> usize {
        let first = self.first.align();
        match &self.second {
            Some(second) if second.align() > first => second.align(),
            _ => first,
        }
    }

    /// Header and item, where there is a tail.
    pub(super) const fn tail(&self) -> Option<(&'static Schema, &'static Schema)> {
        match (self.format, self.first.schema, self.second) {
            (Format::Tail, Some(header), Some(Part { schema: Some(item), .. })) => Some((header, item)),
            _ => None,
        }
    }

    /// Bytes of a header with `max_len` items; the header itself where there is no tail.
    pub(super) const fn size_with(&self, max_len: usize) -> usize {
        match self.tail() {
            Some((header, item)) => {
                header.size.next_multiple_of(item.align).saturating_add(item.size.saturating_mul(max_len))
            }
            None => 0,
        }
    }
}

impl Part {
    /// As its author calls it; nothing if a codec encodes it.
    pub(super) const fn name(&self) -> &'static str {
        match self.schema {
            Some(schema) => schema.name,
            None => "",
        }
    }

    /// Bytes of the longest message of this type, if they are known.
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
