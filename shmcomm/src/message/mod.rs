//! Messages: types that mean the same bytes in every process.
//!
//! Owns the trait [`ShmMessage`], the inline types that replace `String`, `Vec` and `Option` inside a
//! message, the layout [`Schema`] that travels with a channel, and the checked way from bytes to values.
//! Calls nothing but `core` and `std`; never touches a segment.
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
mod diff;
mod explain;
pub mod field;
#[cfg(feature = "zerocopy")]
mod foreign;
#[cfg(not(loom))]
pub(crate) mod in_place;
mod inline;
pub(crate) mod json;
mod parse;
mod primitive;
pub mod schema;
pub(crate) mod text;

pub use explain::Invalid;
#[cfg(feature = "zerocopy")]
pub use foreign::{Foreign, foreign_tag};
pub use inline::{CapacityError, Pad, ShmOption, ShmString, ShmVec, Timestamp};
pub use schema::{Field, Kind, Prim, Schema, Variant};

use core::mem::MaybeUninit;

/// A type that means the same bytes in every process.
///
/// Derive it. The derive accepts structs with `#[repr(C)]` (or `transparent`, `C, packed`, `C,
/// align(N)`) and enums without data with `#[repr(u8)]` or another integer of fixed size; fields are
/// numbers, `bool`, `char`, arrays, other messages, and the inline types [`ShmString`], [`ShmVec`],
/// [`ShmOption`], [`Timestamp`] and [`Pad`]. Whatever does not fit is a compile error that says what to
/// write instead.
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
/// Of an implementation whose [`Schema::is_sound`] is true, everybody may rely on:
///
/// 1. every byte of a value is initialised: there is no padding;
/// 2. a value holds no pointer, handle or interior mutability, and dropping it does nothing;
/// 3. if [`is_valid`](ShmMessage::is_valid) returns true for `size_of::<Self>()` bytes, they are a
///    valid value; where the schema says `any_bits` every byte pattern is, where it says `zero_valid` the
///    one of zeros is;
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
    /// Size, alignment, fields and fingerprint.
    const SCHEMA: &'static Schema;

    /// The schema as one line of JSON, as stored in a segment. Types follow numpy (`"<f4"`, `"|b1"`,
    /// `"<M8[ns]"`), so that fifteen lines of Python make a dtype of it.
    const SCHEMA_JSON: &'static str = json::Text::<Self>::JSON;

    #[doc(hidden)]
    const FIELDS: &'static [Field] = &[];

    /// Whether `bytes` are exactly `size_of::<Self>()` bytes that form a value.
    fn is_valid(bytes: &[u8]) -> bool;
}

/// The format of channels whose messages are sent as they are: each a [`ShmMessage`].
#[derive(Clone, Copy, Debug)]
pub enum Fixed {}

/// Fails to evaluate if `T` is no message after all, which for a generic type shows only where its
/// parameters are known. Whoever relies on the contract of [`ShmMessage`] evaluates it first.
pub(crate) const fn require_sound<T: ShmMessage>() {
    check::sound(T::SCHEMA.name, T::SCHEMA);
}

/// The bytes of a message.
pub const fn as_bytes<T: ShmMessage>(message: &T) -> &[u8] {
    const { require_sound::<T>() };
    // SAFETY: `ShmMessage` 1 and 2: all bytes are initialised, and none changes while borrowed.
    unsafe { core::slice::from_raw_parts(core::ptr::from_ref(message).cast(), size_of::<T>()) }
}

/// The bytes of many messages.
pub const fn slice_as_bytes<T: ShmMessage>(messages: &[T]) -> &[u8] {
    const { require_sound::<T>() };
    // SAFETY: `ShmMessage` 1 and 2, and there is nothing between the items of a slice.
    unsafe { core::slice::from_raw_parts(messages.as_ptr().cast(), size_of_val(messages)) }
}

/// Whether `bytes` are a `T`; if not, which part of them is wrong.
///
/// No time is spent where every bit pattern is valid.
#[inline]
pub fn validate<T: ShmMessage>(bytes: &[u8]) -> Result<(), Invalid> {
    const { require_sound::<T>() };
    if bytes.len() == size_of::<T>() && (T::SCHEMA.any_bits || T::is_valid(bytes)) {
        return Ok(());
    }
    Err(Invalid::of::<T>(bytes))
}

/// Whether `bytes` are any number of `T`s; if not, which part of which item is wrong.
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

/// Copies a message out of bytes that nobody writes to any more.
///
/// # Errors
///
/// The length is wrong, or a part of the bytes is no value of its type: the error names that part.
#[inline]
pub fn read<T: ShmMessage>(bytes: &[u8]) -> Result<T, Invalid> {
    validate::<T>(bytes)?;
    // SAFETY: `validate` checked the length and, by `ShmMessage` 3, the value. It may be unaligned.
    Ok(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

/// Checks a message that was copied, byte by byte, to where it shall stay.
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

/// Looks at a message in place.
///
/// # Errors
///
/// As [`read`], and if the bytes do not start at a multiple of the type's alignment.
#[inline]
pub fn view<T: ShmMessage>(bytes: &[u8]) -> Result<&T, Invalid> {
    validate::<T>(bytes)?;
    aligned::<T>(bytes)?;
    // SAFETY: length, value (`ShmMessage` 3) and alignment were checked; `bytes` stays borrowed.
    Ok(unsafe { &*bytes.as_ptr().cast::<T>() })
}

/// Looks at many messages in place.
///
/// # Errors
///
/// As [`view`], for whichever item is wrong first.
pub fn view_slice<T: ShmMessage>(bytes: &[u8]) -> Result<&[T], Invalid> {
    validate_slice::<T>(bytes)?;
    aligned::<T>(bytes)?;
    let count = bytes.len().checked_div(size_of::<T>()).unwrap_or(0);
    // SAFETY: length, values (`ShmMessage` 3) and alignment were checked; `bytes` stays borrowed.
    Ok(unsafe { core::slice::from_raw_parts(bytes.as_ptr().cast::<T>(), count) })
}

fn aligned<T: ShmMessage>(bytes: &[u8]) -> Result<(), Invalid> {
    if bytes.as_ptr().cast::<T>().is_aligned() { Ok(()) } else { Err(Invalid::misaligned::<T>(bytes)) }
}

/// What expansions of the derive call. Not public API.
#[doc(hidden)]
pub mod private {
    pub use super::check::{no_drop, no_gap};
    pub use super::field::*;
    pub use super::schema::{enum_schema, struct_schema};
    pub use super::{Field, Prim, Schema, ShmMessage, Variant};
    pub use core::mem::{align_of, needs_drop, offset_of, size_of};
    pub use core::option::Option::Some;
    pub use core::primitive;

    /// The discriminant of an enum of `SIZE` bytes.
    #[inline(always)]
    pub fn raw<const SIZE: usize>(bytes: &[u8]) -> core::option::Option<[u8; SIZE]> {
        bytes.try_into().ok()
    }
}
