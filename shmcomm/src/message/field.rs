//! Compile errors about a field whose type is no message.
//!
//! Each of these traits holds for a type `Self` inside a field of type `W` exactly if both are
//! [`ShmMessage`]s. It then describes `W`. Only this crate can make a [`Described`], so no crate makes one of the
//! traits hold for another type. The derive guesses from the spelling of a type which text would
//! help, and requires that trait. A wrong guess makes the error less helpful, never incorrect.
//! `do_not_recommend` makes the compiler report the trait that was required instead of the missing
//! `ShmMessage`.

use super::ShmMessage;
use super::describe::Described;

macro_rules! wordings {
    ($($Trait:ident: $message:literal, $label:literal, $($note:literal),*;)*) => {$(
        #[doc = concat!("Text of a compile error. Do not implement it. (", $label, ")")]
        #[diagnostic::on_unimplemented(message = $message, label = $label, $(note = $note),*)]
        pub trait $Trait<W = Self> {
            #[doc(hidden)]
            const LAYOUT: Described<W>;
        }
        #[diagnostic::do_not_recommend]
        impl<T: ShmMessage, W: ShmMessage> $Trait<W> for T {
            const LAYOUT: Described<W> = Described::MESSAGE;
        }
    )*};
}

wordings! {
    FixedLayout:
        "`{Self}` has no fixed layout to share between processes",
        "not a `ShmMessage`",
        "if `{Self}` is yours, put `#[derive(ShmMessage)]` and `#[repr(C)]` on it (enums: `#[repr(u8)]`)",
        "if it comes from another crate, wrap it in `shmcomm::message::Foreign<T>` (features `zerocopy`, `bytemuck`), or describe it with a struct that has `#[shm(remote = \"path::to::Type\")]`",
        "or let serde encode the whole message: `PubSub<M, Msgpack>`";
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
