//! Formats: how a message of type `M` is written to the bytes of a slot, and read from them.
//!
//! Owns [`Outgoing`] and [`Incoming`]. All ends are generic over them, so one implementation of an end serves
//! fixed layouts ([`Fixed`]) and codecs. Calls `message` for fixed layouts. Never decides which thread may
//! access a slot: the guards of `ring` stand for that right.

use super::{Codec, Decode, Encode, EncodeError};
use crate::message::gaps::{plain_bytes, with_bytes};
use crate::message::in_place::{InPlace, MessageBytes, UninitMessage, copy_out};
use crate::message::{self, Fixed, Invalid, ShmMessage};
use crate::ring::{StableBytes, Storage};
use core::borrow::Borrow;
use core::mem::MaybeUninit;

/// Size in bytes up to which a message is copied once more before the slow path of a send.
const SMALL: usize = 512;

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Fixed {}
    impl<C: super::Codec> Sealed for C {}
}

/// A format that can write an `M`: [`Fixed`] for a [`ShmMessage`], and each codec that implements
/// [`Encode<M>`](Encode).
///
/// Generic code over the sending ends of all formats takes it as its bound. This trait is sealed.
///
/// ```
/// use shmcomm::codec::Outgoing;
/// use shmcomm::{Publisher, SendError};
///
/// fn send_twice<M, F: Outgoing<M>>(publisher: &mut Publisher<M, F>, message: &M) -> Result<(), SendError> {
///     publisher.send(message)?;
///     publisher.send(message)
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{M}` cannot be sent as `{Self}`",
    note = "`Fixed` takes a `ShmMessage`; `Msgpack` and `Pickle` take whatever implements serde's `Serialize`; \
            `Bytes` takes bytes"
)]
pub trait Outgoing<M: ?Sized>: sealed::Sealed {
    /// Writes `message` to the front of `room` and returns the number of bytes written.
    #[doc(hidden)]
    fn write(message: &M, room: &mut [u8]) -> Result<usize, EncodeError>;

    /// Returns the number of bytes that [`write`](Outgoing::write) writes, if it is known before.
    #[doc(hidden)]
    #[inline]
    fn size(message: &M) -> Option<usize> {
        let _ = message;
        None
    }

    /// Returns the bytes of `message` if they are its encoding. Their number is then a constant.
    #[doc(hidden)]
    #[inline(always)]
    fn plain(_message: &M) -> Option<&[u8]> {
        None
    }

    /// Calls `send` with `bytes`, the plain bytes of `message`, or with a copy of them if they are few.
    //
    // Without the copy a small message would have to be in memory on the fast path too, and the store and
    // load take most of the time of a send.
    #[doc(hidden)]
    #[inline(always)]
    fn detached<T>(_message: &M, bytes: &[u8], send: impl FnOnce(&[u8]) -> T) -> T {
        send(bytes)
    }
}

/// A format that can read an `M`: [`Fixed`] for a [`ShmMessage`], and each codec that implements
/// [`Decode<M>`](Decode).
///
/// Generic code over the receiving ends of all formats takes it as its bound. This trait is sealed.
///
/// ```
/// use shmcomm::codec::Incoming;
/// use shmcomm::{RecvError, Subscriber};
///
/// fn second<M, F: Incoming<M>>(subscriber: &mut Subscriber<M, F>) -> Result<F::Owned, RecvError> {
///     subscriber.recv()?;
///     subscriber.recv()
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{M}` cannot be received as `{Self}`",
    note = "`Fixed` gives a `ShmMessage`; `Msgpack` and `Pickle` give whatever implements serde's \
            `DeserializeOwned`; `Bytes` gives `Vec<u8>` for `[u8]` and `String` for `str`"
)]
pub trait Incoming<M: ?Sized>: IncomingOwned<<Self as Incoming<M>>::Owned> {
    /// Type of a received message: `M` itself for a fixed layout, [`Decode::Owned`] for a codec.
    type Owned: Borrow<M>;

    /// Memory for the bytes of a received message on the fast path.
    #[doc(hidden)]
    type Room: Room;

    /// Reads `bytes`, which other processes may change meanwhile: copies them first.
    #[doc(hidden)]
    fn read(bytes: &[u8]) -> Result<Self::Owned, Invalid>;

    /// Reads `bytes`, a private copy of the front of a message of `len` bytes.
    #[doc(hidden)]
    fn read_private(bytes: &[u8], len: usize) -> Result<Self::Owned, Invalid>;

    /// Reads the message of `reply` and releases it. No user code runs before the release.
    #[doc(hidden)]
    fn take(reply: impl StableBytes) -> Result<Self::Owned, Invalid>;

    /// Reads the message at `place` if `accept` accepts it. A fixed layout is tested in place.
    #[doc(hidden)]
    fn select<K: StableBytes>(
        place: Storage<&[u8], K>,
        accept: impl FnOnce(&M) -> bool,
    ) -> Result<Option<Self::Owned>, Invalid>;

    /// Makes the message of `keep` readable. Passes `keep` to `refuse` if its bytes are no message.
    #[doc(hidden)]
    fn view<K: StableBytes, E>(keep: K, refuse: impl FnOnce(Invalid, K) -> E) -> Result<View<K, M>, E>;

    /// Makes the message of `bytes`, a private copy, readable while `keep` lives. Passes `keep` to `refuse` if the
    /// bytes are no message.
    #[doc(hidden)]
    fn view_copy<K, E>(bytes: &[u8], keep: K, refuse: impl FnOnce(Invalid, K) -> E) -> Result<View<K, M>, E>;
}

/// A format in which a message can be received as an `O`, its [`Incoming::Owned`].
///
/// Generic code over pending calls takes it as its bound, because a [`Call`](crate::Call) has the type of the received
/// reply only. Every [`Incoming`] format implements it. This trait is sealed.
///
/// ```
/// use shmcomm::codec::IncomingOwned;
/// use shmcomm::{Call, RequestError};
///
/// fn both<R, F: IncomingOwned<R>>(calls: [Call<'_, R, F>; 2]) -> Result<[R; 2], RequestError> {
///     let [first, second] = calls;
///     Ok([first.wait()?, second.wait()?])
/// }
/// ```
pub trait IncomingOwned<O>: sealed::Sealed {
    /// Reads the bytes of a fixed layout like [`Incoming::read`]. Returns `None` for a codec, without a call of `bytes`.
    #[doc(hidden)]
    fn read_fixed<'b>(bytes: impl FnOnce() -> &'b [u8]) -> Option<Result<O, Invalid>>;
}

/// Memory for the bytes of a received message, if their number is a constant.
pub trait Room {
    fn new() -> Self;

    fn bytes(&mut self) -> Option<&mut [MaybeUninit<u8>]>;
}

impl<M: ShmMessage> Room for UninitMessage<M> {
    #[inline(always)]
    fn new() -> Self {
        UninitMessage::new()
    }

    #[inline(always)]
    fn bytes(&mut self) -> Option<&mut [MaybeUninit<u8>]> {
        Some(UninitMessage::bytes(self))
    }
}

/// No memory: the number of bytes of an encoded message varies.
impl Room for () {
    #[inline(always)]
    fn new() -> Self {}

    #[inline(always)]
    fn bytes(&mut self) -> Option<&mut [MaybeUninit<u8>]> {
        None
    }
}

/// A message that is readable while its guard lives: in its slot, or decoded from it.
pub enum View<K, M: ?Sized> {
    InPlace(InPlace<K, M>),
    Decoded(Box<M>, K),
}

impl<K, M: ?Sized> View<K, M> {
    #[inline]
    pub(crate) fn message(&self) -> &M {
        match self {
            View::InPlace(place) => place.get(),
            View::Decoded(message, _) => message,
        }
    }

    #[inline]
    pub(crate) fn guard(&self) -> &K {
        match self {
            View::InPlace(place) => place.guard(),
            View::Decoded(_, keep) => keep,
        }
    }

    #[inline]
    pub(crate) fn into_keeper(self) -> K {
        match self {
            View::InPlace(place) => place.into_keeper(),
            View::Decoded(_, keep) => keep,
        }
    }
}

impl<M: ShmMessage> Outgoing<M> for Fixed {
    #[inline(always)]
    fn write(message: &M, room: &mut [u8]) -> Result<usize, EncodeError> {
        let capacity = room.len();
        with_bytes(message, |bytes| {
            match room.get_mut(..bytes.len()) {
                Some(place) => place.copy_from_slice(bytes),
                // The geometry was checked to hold the message. This happens only if a request claims to be
                // longer than it is, which leaves its reply less room.
                None => return Err(EncodeError::TooLong { needed: bytes.len(), capacity }),
            }
            Ok(bytes.len())
        })
    }

    #[inline(always)]
    fn plain(message: &M) -> Option<&[u8]> {
        // The unused bytes of an enum with data must be cleared first.
        if M::SCHEMA.has_gaps() { None } else { Some(plain_bytes(message)) }
    }

    #[inline(always)]
    fn detached<T>(message: &M, bytes: &[u8], send: impl FnOnce(&[u8]) -> T) -> T {
        if size_of::<M>() <= SMALL { send(MessageBytes::of(message).bytes()) } else { send(bytes) }
    }
}

impl<M: ShmMessage> Incoming<M> for Fixed {
    type Owned = M;
    type Room = UninitMessage<M>;

    #[inline]
    fn read(bytes: &[u8]) -> Result<M, Invalid> {
        copy_out(bytes)
    }

    #[inline(always)]
    fn read_private(bytes: &[u8], len: usize) -> Result<M, Invalid> {
        if len == size_of::<M>() { message::read(bytes) } else { Err(Invalid::length::<M>(len)) }
    }

    #[inline]
    fn take(reply: impl StableBytes) -> Result<M, Invalid> {
        copy_out(reply.bytes())
    }

    fn select<K: StableBytes>(
        place: Storage<&[u8], K>,
        accept: impl FnOnce(&M) -> bool,
    ) -> Result<Option<M>, Invalid> {
        let place = InPlace::<_, M>::new(place).map_err(|(why, _)| why)?;
        if accept(place.get()) { copy_out(place.guard().bytes()).map(Some) } else { Ok(None) }
    }

    #[inline(always)]
    fn view<K: StableBytes, E>(keep: K, refuse: impl FnOnce(Invalid, K) -> E) -> Result<View<K, M>, E> {
        InPlace::new_or(keep, refuse).map(View::InPlace)
    }

    fn view_copy<K, E>(bytes: &[u8], keep: K, refuse: impl FnOnce(Invalid, K) -> E) -> Result<View<K, M>, E> {
        match message::read_boxed(bytes) {
            Ok(message) => Ok(View::Decoded(message, keep)),
            Err(why) => Err(refuse(why, keep)),
        }
    }
}

impl<M: ShmMessage> IncomingOwned<M> for Fixed {
    #[inline(always)]
    fn read_fixed<'b>(bytes: impl FnOnce() -> &'b [u8]) -> Option<Result<M, Invalid>> {
        Some(copy_out(bytes()))
    }
}

impl<O, C: Codec> IncomingOwned<O> for C {
    #[inline(always)]
    fn read_fixed<'b>(_bytes: impl FnOnce() -> &'b [u8]) -> Option<Result<O, Invalid>> {
        None
    }
}

impl<M: ?Sized, C: Codec + Encode<M>> Outgoing<M> for C {
    fn write(message: &M, room: &mut [u8]) -> Result<usize, EncodeError> {
        C::encode(message, room)
    }

    #[inline]
    fn size(message: &M) -> Option<usize> {
        C::encoded_size(message)
    }
}

impl<M: ?Sized, C: Codec + Decode<M>> Incoming<M> for C {
    type Owned = C::Owned;
    type Room = ();

    fn read(bytes: &[u8]) -> Result<C::Owned, Invalid> {
        let copy = bytes.to_vec();
        decode::<M, C>(&copy)
    }

    fn read_private(bytes: &[u8], _len: usize) -> Result<C::Owned, Invalid> {
        decode::<M, C>(bytes)
    }

    fn take(reply: impl StableBytes) -> Result<C::Owned, Invalid> {
        let copy = reply.bytes().to_vec();
        drop(reply);
        decode::<M, C>(&copy)
    }

    fn select<K: StableBytes>(
        place: Storage<&[u8], K>,
        accept: impl FnOnce(&M) -> bool,
    ) -> Result<Option<C::Owned>, Invalid> {
        let message = match place {
            Storage::Private(bytes) => decode::<M, C>(bytes),
            Storage::Slot(slot) => Self::take(slot),
        }?;
        Ok(accept(message.borrow()).then_some(message))
    }

    fn view<K: StableBytes, E>(keep: K, refuse: impl FnOnce(Invalid, K) -> E) -> Result<View<K, M>, E> {
        match Self::read(keep.bytes()) {
            Ok(message) => Ok(View::Decoded(message.into(), keep)),
            Err(why) => Err(refuse(why, keep)),
        }
    }

    fn view_copy<K, E>(bytes: &[u8], keep: K, refuse: impl FnOnce(Invalid, K) -> E) -> Result<View<K, M>, E> {
        match Self::read_private(bytes, bytes.len()) {
            Ok(message) => Ok(View::Decoded(message.into(), keep)),
            Err(why) => Err(refuse(why, keep)),
        }
    }
}

fn decode<M: ?Sized, C: Decode<M>>(bytes: &[u8]) -> Result<C::Owned, Invalid> {
    C::decode(bytes).map_err(|why| Invalid::decoded::<M>(why.path(), why.reason()))
}
