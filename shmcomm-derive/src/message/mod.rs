//! `#[derive(ShmMessage)]`.

mod attrs;
mod bounds;
mod evolution;
mod expand;
mod model;
mod remote;
mod wording;

pub use wording::{heap_part, peel};

use crate::errors::Errors;
use proc_macro2::TokenStream;

pub fn derive(input: syn::DeriveInput) -> TokenStream {
    let mut errors = Errors::default();
    let message = model::Message::read(&input, &mut errors);
    match message {
        Some(message) if errors.is_empty() => expand::message(&message),
        // The impl is still made, so that its absence causes no further errors.
        Some(message) => {
            let stand_in = expand::stand_in(&message);
            let errors = errors.into_tokens();
            quote::quote!(#errors #stand_in)
        }
        None => errors.into_tokens(),
    }
}
