//! Attributes of a channel that belong to all of its items, not to its struct only.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Attribute, Meta, Token};

/// Returns the attributes for the items other than the struct: conditions and levels of lints. A channel may be
/// deprecated; its own items may name it all the same. `expect` becomes `allow`.
pub fn reaching(attrs: &[Attribute]) -> TokenStream {
    attrs.iter().filter_map(|attr| content(&attr.meta)).map(|meta| quote!(#[#meta])).collect()
}

fn content(meta: &Meta) -> Option<TokenStream> {
    let word = meta.path().get_ident()?.to_string();
    match (word.as_str(), meta) {
        ("cfg" | "allow" | "warn" | "deny" | "forbid", _) => Some(meta.to_token_stream()),
        ("expect", Meta::List(list)) => {
            let lints: Vec<_> =
                parts(&list.tokens)?.into_iter().filter(|lint| matches!(lint, Meta::Path(_))).collect();
            let allow = Ident::new("allow", proc_macro2::Span::call_site());
            Some(quote!(#allow(#(#lints),*)))
        }
        ("deprecated", _) => Some(quote!(allow(deprecated))),
        ("cfg_attr", Meta::List(list)) => {
            // The condition need not have the form of an attribute.
            let (condition, rest) = split(list.tokens.clone());
            let rest: Vec<_> = parts(&rest)?.iter().filter_map(content).collect();
            (!rest.is_empty()).then(|| quote!(cfg_attr(#condition, #(#rest),*)))
        }
        _ => None,
    }
}

fn parts(tokens: &TokenStream) -> Option<Vec<Meta>> {
    let parts = Punctuated::<Meta, Token![,]>::parse_terminated.parse2(tokens.clone()).ok()?;
    Some(parts.into_iter().collect())
}

/// Splits at the first comma.
fn split(tokens: TokenStream) -> (TokenStream, TokenStream) {
    let mut tokens = tokens.into_iter();
    let is_comma = |token: &proc_macro2::TokenTree| matches!(token, proc_macro2::TokenTree::Punct(p) if p.as_char() == ',');
    let first = tokens.by_ref().take_while(|token| !is_comma(token)).collect();
    (first, tokens.collect())
}

/// Returns `true` if the channel exists under a condition only.
pub fn is_conditional(attrs: &[Attribute]) -> bool {
    attrs.iter().any(|attr| attr.path().is_ident("cfg") || attr.path().is_ident("cfg_attr"))
}
