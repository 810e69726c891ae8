//! Compile errors about a message of a channel that holds a type which is no message: `Stamped<String>`.
//!
//! Each of these traits holds for a message, whatever `I` is. `macro@crate::channel` guesses from the spelling of the type
//! arguments which part `I` is no message, and requires the trait with the text that helps. A wrong guess makes
//! the error less helpful, never incorrect.

use super::pattern::MessageInfo;
use crate::message::ShmMessage;

macro_rules! wordings {
    ($($Trait:ident: $label:literal, $($note:literal),*;)*) => {$(
        #[doc = concat!("Text of a compile error. Do not implement it. (", $label, ")")]
        #[diagnostic::on_unimplemented(
            message = "`{I}` cannot be part of a message, so `{Self}` has no fixed layout",
            label = $label,
            $(note = $note,)*
            note = "or let serde encode the whole message: `PubSub<{Self}, Msgpack>` with a `slot_size`"
        )]
        pub trait $Trait<I: ?Sized> {
            #[doc(hidden)]
            const CARRIES: MessageInfo;
        }
        #[diagnostic::do_not_recommend]
        impl<M: ShmMessage, I: ?Sized> $Trait<I> for M {
            const CARRIES: MessageInfo = MessageInfo::fixed::<M>();
        }
    )*};
}

wordings! {
    MessageInlineText: "use `shmcomm::ShmString<N>`", "`ShmString<N>` stores up to N bytes of UTF-8 inside the message";
    MessageInlineList: "use `shmcomm::ShmVec<T, N>` or `[T; N]`", "for one long tail of items declare the channel as `PubSub<Header, [T]>`";
    MessageInlineMap: "use `shmcomm::ShmVec<Entry, N>`", "a message has no pointers to the heap of a process";
    MessageInlineValue: "store the value itself", "a message holds its parts by value";
    MessageFixedWidth: "use `u32`, `u64`, `i32` or `i64`", "a message has one size for every program that attaches";
    MessageTaggedOption: "use `shmcomm::ShmOption<T>`", "`ShmOption<T>` is a tag followed by the value, in every language";
    MessagePortableTime: "use `shmcomm::Timestamp`", "`Timestamp` is i64 nanoseconds since the Unix epoch";
    MessagePortableSpan: "use `Duration`, `i64` nanoseconds or `f64` seconds", "its bytes mean nothing to another program";
    MessagePlainData: "use the plain value", "counters and locks shared between processes are no messages";
    MessageNamedParts: "use a `#[repr(C)]` struct", "Rust may reorder the parts of a tuple";
}
