//! Macros of `shmcomm`; use them through that crate.
//!
//! Both macros work in three steps, one file each. First they read the input into a checked model and collect
//! every error found on the way (`parse`, `model`). Then they choose the text of the errors that only the
//! compiler can find (`wording`). Last they print the model (`expand`). Sizes, offsets and trait impls are
//! known only to the compiler. The expansion contains code that checks them, with the spans of the tokens
//! concerned.

mod channel;
mod errors;
mod krate;
mod message;
mod spans;

use proc_macro::TokenStream;

/// Makes a struct or an enum a message that every process reads the same way.
///
/// Structs with fields need `#[repr(C)]` (or `transparent`, `C, packed`, `C, align(N)`). Enums, with or without data,
/// need `#[repr(u8)]` or another integer of fixed size; those with data may have `#[repr(C, u8)]`. A `transparent`
/// struct has the layout and the fingerprint of the type that it wraps.
///
/// The derive refuses padding between and after fields, types that use the heap, references, and types that implement
/// `Drop`. The errors say what to write instead. It also refuses a type that an attribute macro changes after it.
///
/// A derived type gives up its private invariants: see the section of this name at the trait `ShmMessage`.
///
/// # Attributes of the type
///
/// | attribute | meaning |
/// |---|---|
/// | `#[shm(crate = "path::to::shmcomm")]` | path of `shmcomm`. The derive finds a dependency that was renamed in `Cargo.toml` by itself. A crate that uses `shmcomm` through a facade needs the path |
/// | `#[shm(bound = "T: ShmMessage")]` | conditions of a generic message. By default, each field type that mentions a parameter must be a message, and a `PhantomData` needs nothing |
/// | `#[shm(remote = "path::to::Type")]` | the struct stands for a type of another crate. Gives `From` in both directions: fields are copied, and the way back starts with `Default` of the remote type |
///
/// # Attributes of fields and variants
///
/// | attribute | on | meaning |
/// |---|---|---|
/// | `#[shm(rename = "name")]` | field, variant | name that other programs see |
/// | `#[shm(bound = "…")]` | field | conditions in place of those that the field would add |
/// | `#[shm(getter = "path::to::function")]` | field of a remote struct | function from a reference to the remote type to the value. The author then writes the `From` for the way back |
#[proc_macro_derive(ShmMessage, attributes(shm))]
pub fn shm_message(input: TokenStream) -> TokenStream {
    message::derive(syn::parse_macro_input!(input)).into()
}

/// Implements `channel!` of `shmcomm`, which passes its own path in front of the input.
#[doc(hidden)]
#[proc_macro]
pub fn channel(input: TokenStream) -> TokenStream {
    channel::expand(input.into()).into()
}
