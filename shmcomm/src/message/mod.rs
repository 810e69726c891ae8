//! Messages: types that mean the same bytes in every process.
//!
//! Owns the trait [`ShmMessage`], the inline types that replace `String`, `Vec` and `Option` inside a
//! message, and the layout [`Schema`] that travels with a channel. Also owns the checked conversion from
//! bytes to values. Calls only `core` and `std`; never touches a segment.
//!
//! ```
//! use shmcomm::{message, Pad, ShmMessage, ShmString, Timestamp};
//!
//! #[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
//! #[repr(u8)]
//! enum Mode { Idle, Run = 4 }
//!
//! #[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
//! #[repr(C)]
//! struct Imu {
//!     stamp: Timestamp,
//!     acc: [f32; 3],
//!     frame: ShmString<15>,
//!     mode: Mode,
//! }
//!
//! let imu = Imu {
//!     stamp: Timestamp::now(),
//!     acc: [0.0, 0.0, 9.81],
//!     frame: ShmString::new("base_link")?,
//!     mode: Mode::Run,
//! };
//! let mut bytes = message::as_bytes(&imu).to_vec();
//! assert_eq!(message::read::<Imu>(&bytes)?, imu);
//!
//! bytes[39] = 9;
//! let invalid = message::read::<Imu>(&bytes).unwrap_err();
//! assert_eq!(invalid.to_string(), "`Imu.mode`: 9 is no variant of `Mode`");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![allow(unsafe_code)]

pub(crate) mod check;
mod codecs;
mod describe;
mod diff;
mod evolution;
mod explain;
pub mod field;
mod fingerprint;
#[cfg(any(feature = "zerocopy", feature = "bytemuck"))]
mod foreign;
pub(crate) mod gaps;
#[cfg(not(loom))]
pub(crate) mod in_place;
mod inline;
pub(crate) mod json;
#[cfg(not(loom))]
pub(crate) mod keys;
pub(crate) mod parse;
mod parts;
mod primitive;
pub mod schema;
mod shown;
mod soundness;
mod std_types;
pub(crate) mod text;

pub(crate) use evolution::FieldEvolution;
pub use explain::Invalid;
#[cfg(feature = "bytemuck")]
pub use foreign::Bytemuck;
#[cfg(any(feature = "zerocopy", feature = "bytemuck"))]
pub use foreign::{Foreign, ForeignType, foreign_tag};
pub use inline::{CapacityError, Encoded, Pad, ShmOption, ShmString, ShmVec, Timestamp};
pub use schema::{Field, Kind, Prim, Schema, Std, Variant};

use core::mem::MaybeUninit;

/// A type that means the same bytes in every process.
///
/// Derive this trait. The derive accepts structs with `#[repr(C)]` (or `transparent`, `C, packed`,
/// `C, align(N)`). It also accepts enums, with or without data, with `#[repr(u8)]` or another integer of fixed
/// size. Fields are:
///
/// - numbers, `bool`, `char`, `NonZero` and `Option<NonZero>`, `Wrapping`, `Duration`, IP addresses;
/// - arrays, other messages, `PhantomData`;
/// - the inline types [`ShmString`], [`ShmVec`], [`ShmOption`], [`Timestamp`] and [`Pad`];
/// - types of other crates: see `Foreign` (features `zerocopy` and `bytemuck`) and `#[shm(remote = "…")]`.
///
/// Any other type is a compile error, which says what to write instead.
///
/// # Private invariants
///
/// A derived type gives up its private invariants. A peer can send any bytes that are valid for the types of the
/// fields. Receivers duplicate values, also of types that are not `Clone`. A value of a type that is not `Send`
/// reaches other threads. Do not derive this trait for a type whose safety depends on such an invariant.
///
/// ```
/// use shmcomm::ShmMessage;
///
/// #[derive(Clone, Copy, ShmMessage)]
/// #[repr(C)]
/// struct Stamped<T> {
///     stamp: u64,
///     #[shm(rename = "value")] // the name that other languages and the fingerprint see
///     inner: T,
/// }
///
/// assert_eq!(<Stamped<[f32; 2]>>::SCHEMA.size, 16);
/// assert!(<Stamped<[f32; 2]>>::SCHEMA_JSON.contains(r#""name":"value","offset":8"#));
/// ```
///
/// # Safety
///
/// If [`Schema::is_sound`] is true of an implementation, unsafe code may rely on these invariants:
///
/// 1. every byte of a value is initialised, except those after the shorter variants of an enum with data, which
///    a sender clears: there is no other padding;
/// 2. a value holds no pointer, handle or interior mutability, and dropping it does nothing;
/// 3. if [`is_valid`](ShmMessage::is_valid) returns true for `size_of::<Self>()` bytes, they are a valid
///    value; if the schema says `any_bits`, every byte pattern is one, and if it says `zero_valid`, all zeros
///    are one;
/// 4. the schema states the real size, alignment and field offsets.
///
/// There is no supported way to write an implementation by hand: only the derive can make a [`Schema`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no fixed layout to share between processes",
    label = "not a `ShmMessage`",
    note = "if `{Self}` is yours, put `#[derive(ShmMessage)]` and `#[repr(C)]` on it (enums: `#[repr(u8)]`)",
    note = "if it comes from another crate, store what readers need of it in plain fields, or let serde encode the whole message: `PubSub<M, Msgpack>`"
)]
pub unsafe trait ShmMessage: Sized + 'static {
    /// Schema of the type: size, alignment, fields and fingerprint.
    const SCHEMA: &'static Schema = &Self::LAYOUT.schema;

    /// Schema as one line of JSON, as stored in a segment. Types follow numpy (`"<f4"`, `"|b1"`,
    /// `"<M8[ns]"`), so that fifteen lines of Python can make a dtype from it.
    const SCHEMA_JSON: &'static str = json::Text::<Self>::JSON;

    #[doc(hidden)]
    const LAYOUT: describe::Layout<Self>;

    #[doc(hidden)]
    const FIELDS: &'static [describe::Part<Self>] = &[];

    #[doc(hidden)]
    const VARIANTS: &'static [describe::Case<Self>] = &[];

    #[doc(hidden)]
    const EVOLUTION: evolution::Evolution = evolution::Evolution::NONE;

    /// Returns `true` if `bytes` are exactly `size_of::<Self>()` bytes that form a value.
    #[inline]
    fn is_valid(bytes: &[u8]) -> bool {
        describe::is_valid::<Self>(bytes)
    }

    /// Returns the value whose bytes are all zero. A type without such a value does not compile here.
    ///
    /// ```
    /// use shmcomm::{ShmMessage, ShmString, Timestamp};
    ///
    /// #[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
    /// #[repr(C)]
    /// struct Status {
    ///     stamp: Timestamp,
    ///     errors: u32,
    ///     text: ShmString<16>,
    /// }
    ///
    /// let status = Status { errors: 2, ..Status::zeroed() };
    /// assert_eq!((status.errors, status.text.as_str()), (2, ""));
    /// ```
    ///
    /// ```compile_fail
    /// use shmcomm::ShmMessage;
    ///
    /// #[derive(ShmMessage)]
    /// #[repr(u8)]
    /// enum Mode { Idle = 1, Run = 2 }
    ///
    /// let mode = Mode::zeroed();
    /// ```
    fn zeroed() -> Self {
        const { require_zero_valid::<Self>() };
        // SAFETY: invariant 3: zeros are a value, as was asserted.
        unsafe { MaybeUninit::zeroed().assume_init() }
    }
}

/// Format of channels that send each [`ShmMessage`] as it is in memory.
#[derive(Clone, Copy, Debug)]
pub enum Fixed {}

/// Fails to evaluate if `T` is not sound. For a generic type this is known only once its parameters are. Code
/// that relies on the contract of [`ShmMessage`] evaluates this function first.
pub(crate) const fn require_sound<T: ShmMessage>() {
    check::sound(T::SCHEMA.name, T::SCHEMA);
}

/// Fails to evaluate if `T` has no value whose bytes are all zero.
pub(crate) const fn require_zero_valid<T: ShmMessage>() {
    require_sound::<T>();
    check::zero_valid(T::SCHEMA);
}

/// Fails to evaluate if some values of `T` have bytes that belong to no part.
const fn require_no_gaps<T: ShmMessage>() {
    require_sound::<T>();
    check::no_unused(T::SCHEMA);
}

/// Returns the bytes of a message.
///
/// An enum with data has bytes that belong to no part of a shorter variant. A message with such an enum has no
/// bytes to borrow, and does not compile here: see [`to_bytes`].
pub const fn as_bytes<T: ShmMessage>(message: &T) -> &[u8] {
    const { require_no_gaps::<T>() };
    // SAFETY: `ShmMessage` 1 and 2: all bytes are initialised, and none changes while borrowed.
    unsafe { core::slice::from_raw_parts(core::ptr::from_ref(message).cast(), size_of::<T>()) }
}

/// Returns a copy of the bytes of a message. Bytes that belong to no part of the message are zeros.
///
/// ```
/// use shmcomm::{ShmMessage, message};
///
/// #[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
/// #[repr(u8)]
/// enum Command {
///     Stop,
///     Turn(u8),
///     Drive { speed: f32 },
/// }
///
/// assert_eq!(message::to_bytes(&Command::Turn(9)), [1, 9, 0, 0, 0, 0, 0, 0]);
/// let drive = Command::Drive { speed: 1.5 };
/// assert_eq!(message::read::<Command>(&message::to_bytes(&drive))?, drive);
/// # Ok::<(), message::Invalid>(())
/// ```
pub fn to_bytes<T: ShmMessage>(message: &T) -> Vec<u8> {
    gaps::with_bytes(message, <[u8]>::to_vec)
}

/// Returns the bytes of a slice of messages.
///
/// Does not compile for the types that [`as_bytes`] refuses.
pub const fn slice_as_bytes<T: ShmMessage>(messages: &[T]) -> &[u8] {
    const { require_no_gaps::<T>() };
    // SAFETY: `ShmMessage` 1 and 2, and there is nothing between the items of a slice.
    unsafe { core::slice::from_raw_parts(messages.as_ptr().cast(), size_of_val(messages)) }
}

/// Checks that `bytes` are a `T`. The error names the part that is wrong.
///
/// The check is free for a type of which every bit pattern is valid.
#[inline]
pub fn validate<T: ShmMessage>(bytes: &[u8]) -> Result<(), Invalid> {
    if is_value::<T>(bytes) { Ok(()) } else { Err(Invalid::of::<T>(bytes)) }
}

#[inline(always)]
fn is_value<T: ShmMessage>(bytes: &[u8]) -> bool {
    const { require_sound::<T>() };
    bytes.len() == size_of::<T>() && (T::SCHEMA.any_bits || T::is_valid(bytes))
}

/// Checks that `bytes` are any number of `T`s. The error names the item and the part that is wrong.
pub fn validate_slice<T: ShmMessage>(bytes: &[u8]) -> Result<(), Invalid> {
    const { require_sound::<T>() };
    let size = size_of::<T>().max(1);
    if !bytes.len().is_multiple_of(size) {
        return Err(Invalid::ragged::<T>(bytes.len()));
    }
    if T::SCHEMA.any_bits {
        return Ok(());
    }
    match bytes.chunks_exact(size).position(|item| !T::is_valid(item)) {
        None => Ok(()),
        Some(i) => Err(Invalid::item::<T>(i, &bytes[i * size..][..size])),
    }
}

/// Copies a message out of bytes that no process writes to any more.
///
/// # Errors
///
/// Fails if the length is wrong, or if a part of the bytes is not a value of its type: the error names that
/// part.
#[inline]
pub fn read<T: ShmMessage>(bytes: &[u8]) -> Result<T, Invalid> {
    validate::<T>(bytes)?;
    // SAFETY: `validate` checked the length and, by `ShmMessage` 3, the value. It may be unaligned.
    Ok(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

/// Copies a message like [`read`]. Returns `None` if the bytes are not one.
#[inline(always)]
pub(crate) fn read_valid<T: ShmMessage>(bytes: &[u8]) -> Option<T> {
    // SAFETY: the length is that of a `T`, and by `ShmMessage` 3 the bytes are a value. It may be unaligned.
    is_value::<T>(bytes).then(|| unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

/// Copies a message like [`read`], onto the heap: a large message takes no stack.
///
/// # Errors
///
/// Returns the errors of [`read`].
pub fn read_boxed<T: ShmMessage>(bytes: &[u8]) -> Result<Box<T>, Invalid> {
    validate::<T>(bytes)?;
    let mut message = Box::<T>::new_uninit();
    // SAFETY: `validate` checked the length, and the box is new.
    unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), message.as_mut_ptr().cast(), bytes.len()) };
    // SAFETY: all bytes were copied in, and `validate` checked the value (`ShmMessage` 3).
    Ok(unsafe { message.assume_init() })
}

/// Copies a message onto the heap, for example a message that was received in place. A large message takes no
/// stack, in contrast to `Box::new(message.clone())`.
///
/// ```
/// use shmcomm::message;
///
/// let image = message::zeroed_boxed::<[u8; 1 << 20]>();
/// assert_eq!(message::copy_boxed(&*image), image);
/// ```
pub fn copy_boxed<T: ShmMessage>(message: &T) -> Box<T> {
    const { require_sound::<T>() };
    let mut copy = Box::<T>::new_uninit();
    // SAFETY: both have the size of a `T`, and the box is new.
    unsafe { core::ptr::copy_nonoverlapping(message, copy.as_mut_ptr(), 1) };
    // SAFETY: the bytes of a `T`; by `ShmMessage` 2, a copy of them is another value.
    unsafe { copy.assume_init() }
}

/// Returns a message of zeros on the heap, to be filled field by field and sent by reference: a large message
/// takes no stack. A type without an all-zero value does not compile here.
///
/// If the message is sent only once, a loan saves the copy: see [`Publisher::loan`](crate::Publisher::loan).
pub fn zeroed_boxed<T: ShmMessage>() -> Box<T> {
    const { require_zero_valid::<T>() };
    let mut message = Box::<T>::new_uninit();
    // SAFETY: the box has the size of a `T`, and is new.
    unsafe { message.as_mut_ptr().write_bytes(0, 1) };
    // SAFETY: `ShmMessage` 3: zeros are a value, as was asserted.
    unsafe { message.assume_init() }
}

/// Checks a message that was copied, byte by byte, to its final address.
///
/// # Safety
///
/// All bytes of `message` are initialised.
#[inline]
pub unsafe fn assume_copied<T: ShmMessage>(message: &mut MaybeUninit<T>) -> Result<&mut T, Invalid> {
    // SAFETY: the caller initialised all bytes; a byte has no alignment.
    let bytes = unsafe { core::slice::from_raw_parts(message.as_ptr().cast::<u8>(), size_of::<T>()) };
    validate::<T>(bytes)?;
    // SAFETY: `ShmMessage` 3, by the line above.
    Ok(unsafe { message.assume_init_mut() })
}

/// Borrows a message in place.
///
/// # Errors
///
/// Returns the errors of [`read`]. Also fails if the bytes do not start at a multiple of the type's
/// alignment.
#[inline]
pub fn view<T: ShmMessage>(bytes: &[u8]) -> Result<&T, Invalid> {
    validate::<T>(bytes)?;
    aligned::<T>(bytes)?;
    // SAFETY: length, value (`ShmMessage` 3) and alignment were checked; `bytes` stays borrowed.
    Ok(unsafe { &*bytes.as_ptr().cast::<T>() })
}

/// Borrows a slice of messages in place.
///
/// # Errors
///
/// Returns the error of [`view`] for the first item that is wrong.
pub fn view_slice<T: ShmMessage>(bytes: &[u8]) -> Result<&[T], Invalid> {
    validate_slice::<T>(bytes)?;
    if bytes.is_empty() {
        return Ok(&[]);
    }
    aligned::<T>(bytes)?;
    let count = bytes.len().checked_div(size_of::<T>()).unwrap_or(0);
    // SAFETY: length, values (`ShmMessage` 3) and alignment were checked; `bytes` stays borrowed.
    Ok(unsafe { core::slice::from_raw_parts(bytes.as_ptr().cast::<T>(), count) })
}

fn aligned<T: ShmMessage>(bytes: &[u8]) -> Result<(), Invalid> {
    if bytes.as_ptr().cast::<T>().is_aligned() { Ok(()) } else { Err(Invalid::misaligned::<T>(bytes)) }
}

/// Items that expansions of the derive use. Not public API.
#[doc(hidden)]
pub mod private {
    pub use super::check::{no_drop, no_gap};
    pub use super::describe::*;
    pub use super::evolution::{Evolution, FieldEvolution, VariantEvolution};
    pub use super::field::*;
    pub use super::gaps::write_default;
    pub use super::{Prim, ShmMessage};
    pub use core::clone::Clone;
    pub use core::convert::{From, Into};
    pub use core::default::Default;
    pub use core::option::Option::{None, Some};
}
