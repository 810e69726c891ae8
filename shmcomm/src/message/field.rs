//! The words of the error about a field whose type is no message.
//!
//! Each of these traits holds for a type `Self` inside a field of type `W` exactly if both are
//! [`ShmMessage`]s, and then describes `W`. (They are `unsafe`, so that nobody makes one hold for
//! another type: the derive relies on them.) The derive guesses from the spelling of a type which words
//! would help and asks for that trait; a wrong guess costs helpfulness, never correctness.
//! `do_not_recommend` makes the compiler report the trait that was asked for instead of the
//! missing `ShmMessage`.

use super::{Schema, ShmMessage};

macro_rules! wordings {
    ($($Trait:ident: $message:literal, $label:literal, $($note:literal),*;)*) => {$(
        #[doc = concat!("Words of an error. Not to be implemented. (", $label, ")")]
        ///
        /// # Safety
        ///
        /// Holds for messages alone, by the one impl here.
        #[diagnostic::on_unimplemented(message = $message, label = $label, $(note = $note),*)]
        pub unsafe trait $Trait<W = Self> {
            #[doc(hidden)]
            const LAYOUT: &'static Schema;
            #[doc(hidden)]
            fn is_valid_at(bytes: &[u8], offset: usize) -> bool;
        }
        // SAFETY: `T` and `W` are messages, and what is said is about `W`.
        #[diagnostic::do_not_recommend]
        unsafe impl<T: ShmMessage, W: ShmMessage> $Trait<W> for T {
            const LAYOUT: &'static Schema = W::SCHEMA;
            #[inline(always)]
            fn is_valid_at(bytes: &[u8], offset: usize) -> bool {
                W::SCHEMA.any_bits || W::is_valid(&bytes[offset..offset + size_of::<W>()])
            }
        }
    )*};
}

wordings! {
    FixedLayout:
        "`{Self}` has no fixed layout to share between processes",
        "not a `ShmMessage`",
        "if `{Self}` is yours, put `#[derive(ShmMessage)]` and `#[repr(C)]` on it (enums: `#[repr(u8)]`)",
        "if it comes from another crate, store what readers need of it in plain fields, or let serde encode the whole message: `PubSub<M, Msgpack>`";
    InlineItem:
        "`{Self}` has no fixed layout, so `{W}` has none",
        "not a `ShmMessage`",
        "if `{Self}` is yours, put `#[derive(ShmMessage)]` and `#[repr(C)]` on it (enums: `#[repr(u8)]`)";
    InlineText:
        "`{Self}` keeps its text on the heap of this process, out of reach for others",
        "use `shmcomm::ShmString<N>`",
        "`ShmString<N>` stores up to N bytes of UTF-8 inside the message",
        "or let serde encode the whole message: `PubSub<M, Msgpack>`";
    InlineList:
        "`{Self}` keeps its items on the heap of this process, out of reach for others",
        "use `shmcomm::ShmVec<T, N>` or `[T; N]`",
        "for one long tail of items declare the channel as `PubSub<Header, [T]>`",
        "or let serde encode the whole message: `PubSub<M, Msgpack>`";
    InlineMap:
        "`{Self}` lives on the heap of this process, out of reach for others",
        "use `shmcomm::ShmVec<Entry, N>`",
        "or let serde encode the whole message: `PubSub<M, Msgpack>`";
    InlineValue:
        "`{Self}` points to memory of this process, out of reach for others",
        "store the value itself",
        "a message holds its parts by value";
    FixedWidth:
        "`{Self}` has 4 bytes in some programs and 8 in others",
        "use `u32`, `u64`, `i32` or `i64`",
        "a message has one size for every program that attaches";
    PortableInt:
        "`{Self}` has no counterpart in other languages, and not one alignment in all of Rust's versions",
        "use `[u64; 2]`",
        "other programs have to find every field at the same offset";
    NeverZero:
        "`{Self}` has a value that it must never take, which other programs do not know of",
        "use the plain integer",
        "check for zero where the message is read";
    TaggedOption:
        "`{Self}` has no fixed layout: Rust chooses where to put its tag",
        "use `shmcomm::ShmOption<T>`",
        "`ShmOption<T>` is a tag followed by the value, in every language";
    PortableTime:
        "`{Self}` is opaque: its bytes mean nothing to another program",
        "use `shmcomm::Timestamp`",
        "`Timestamp` is i64 nanoseconds since the Unix epoch, `datetime64[ns]` in numpy";
    PortableSpan:
        "`{Self}` is opaque: its bytes mean nothing to another program",
        "use `i64` nanoseconds or `f64` seconds",
        "say the unit in the field's name: `timeout_ns`, `timeout_s`";
    PlainData:
        "`{Self}` changes behind a shared reference; a message is written once and then only read",
        "use the plain value",
        "counters and locks shared between processes are no messages";
    NamedParts:
        "the tuple `{Self}` has no fixed layout: Rust may reorder its parts",
        "use a `#[repr(C)]` struct",
        "a struct also gives the parts names that other languages can use";
}
