//! Spans of generated code, and the text of written code.
//!
//! A token with the span of the author's code counts as written by the author: lints fire on it. A token that
//! is only located there counts as generated.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;

/// Returns a span at the location of `span` that marks its token as generated.
pub fn generated(span: Span) -> Span {
    span.resolved_at(Span::call_site())
}

/// Returns `ident`, marked as generated.
pub fn generated_ident(ident: &Ident) -> Ident {
    let mut ident = ident.clone();
    ident.set_span(generated(ident.span()));
    ident
}

/// Returns generated tokens, located at `span`.
pub fn located(tokens: TokenStream, span: Span) -> TokenStream {
    let at = |mut token: TokenTree| {
        token.set_span(token.span().located_at(span));
        token
    };
    tokens.into_iter().map(at).collect()
}

/// Returns tokens as if the author had written them at `span`, so that an error underlines them alone. No lint may
/// apply to the path that they form.
pub fn written(tokens: TokenStream, span: Span) -> TokenStream {
    let at = |mut token: TokenTree| {
        token.set_span(span);
        token
    };
    tokens.into_iter().map(at).collect()
}

/// Returns a type as its author would write it.
pub fn show(ty: &impl ToTokens) -> String {
    let text = ty.to_token_stream().to_string();
    let pairs = [(" :: ", "::"), (" < ", "<"), ("< ", "<"), (" >", ">"), (" , ", ", "), (" ;", ";")];
    pairs.iter().fold(text, |text, (from, to)| text.replace(from, to))
}
