//! `channel! { ... }`.

mod expand;
mod keys;
mod parse;
mod python;
mod settings;

use crate::errors::Errors;
use proc_macro2::TokenStream;

pub fn expand(input: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let channels = parse::channels(input, &mut errors);
    let expansions = channels.iter().map(expand::channel).collect::<TokenStream>();
    let errors = errors.into_tokens();
    quote::quote!(#errors #expansions)
}
