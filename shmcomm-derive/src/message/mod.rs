//! `#[derive(ShmMessage)]`.

mod expand;
mod model;
mod wording;

use crate::errors::Errors;
use proc_macro2::TokenStream;

pub fn derive(input: syn::DeriveInput) -> TokenStream {
    let mut errors = Errors::default();
    let message = model::Message::read(&input, &mut errors);
    match message {
        Some(message) if errors.is_empty() => expand::message(&message),
        // The impl is still made, so that its absence causes no further errors.
        _ => {
            let stand_in = expand::stand_in(&input);
            let errors = errors.into_tokens();
            quote::quote!(#errors #stand_in)
        }
    }
}
