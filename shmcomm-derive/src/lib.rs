//! Macros of `shmcomm`; use them through that crate.
//!
//! Both macros work in three steps, one file each: read the input into a checked model and collect
//! every error found on the way (`parse`, `model`), choose the words of the errors that only the
//! compiler can find (`wording`), then print the model (`expand`). What only the compiler knows (sizes,
//! offsets, trait impls) is checked by code the expansion contains, with the spans of the tokens it is
//! about.

mod channel;
mod errors;
mod message;

use proc_macro::TokenStream;

/// Makes a struct or an enum a message that every process reads alike.
///
/// Structs need `#[repr(C)]` (or `transparent`, `C, packed`), enums `#[repr(u8)]` or another integer.
///
/// - `#[shm(rename = "...")]` on a field or a variant: the name that other programs see.
/// - `#[shm(crate = "...")]` on the type: the path of `shmcomm`, if it is not `::shmcomm`.
#[proc_macro_derive(ShmMessage, attributes(shm))]
pub fn shm_message(input: TokenStream) -> TokenStream {
    message::derive(syn::parse_macro_input!(input)).into()
}

/// `channel!` of `shmcomm`, which passes its own path in front of the input.
#[doc(hidden)]
#[proc_macro]
pub fn channel(input: TokenStream) -> TokenStream {
    channel::expand(input.into()).into()
}
