//! `channel! { ... }`.

mod attrs;
mod checks;
mod expand;
mod keys;
mod kind;
mod parse;
mod parts;
mod python;
mod settings;
mod table;
mod template;

use crate::errors::Errors;
use proc_macro2::TokenStream;

pub fn expand(input: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let channels = parse::channels(input, &mut errors);
    let expansions =
        channels.iter().filter(|channel| !channel.omitted).map(expand::channel).collect::<TokenStream>();
    let errors = errors.into_tokens();
    quote::quote!(#errors #expansions)
}
