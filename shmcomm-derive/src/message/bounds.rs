//! Conditions under which a generic type is a message.

use super::attrs::Bound;
use super::wording;
use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use std::collections::BTreeSet;
use syn::{DeriveInput, Type, WherePredicate, parse_quote};

/// Returns the conditions. Each type parameter must hold no borrowed data. Each field type that mentions a
/// parameter must be a message, unless the author wrote other bounds.
pub fn all<'a>(
    input: &DeriveInput,
    krate: &TokenStream,
    container: Option<Bound>,
    fields: impl Iterator<Item = (&'a Type, Option<Bound>)>,
) -> Vec<WherePredicate> {
    let parameters: Vec<&Ident> = input.generics.type_params().map(|ty| &ty.ident).collect();
    let mut bounds: Vec<WherePredicate> = parameters.iter().map(|p| parse_quote!(#p: 'static)).collect();
    if let Some(bound) = container {
        bounds.extend(bound);
        return bounds;
    }
    let mut seen = BTreeSet::new();
    for (field, bound) in fields {
        if let Some(bound) = bound {
            bounds.extend(bound);
        } else if let Some(ty) = bounded(field, &parameters)
            && seen.insert(ty.to_token_stream().to_string())
        {
            bounds.push(parse_quote!(#ty: #krate::__private::message::ShmMessage));
        }
    }
    bounds
}

/// Returns the type to bound for a field: the item of arrays and of containers, if it mentions a parameter.
fn bounded<'a>(field: &'a Type, parameters: &[&Ident]) -> Option<&'a Type> {
    let (item, _) = wording::innermost(field);
    let reported = wording::describing_trait(item, false) != "FixedLayout";
    (!reported && mentions(item.to_token_stream(), parameters)).then_some(item)
}

/// Returns `true` if the tokens contain one of the parameters.
fn mentions(tokens: TokenStream, parameters: &[&Ident]) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => parameters.contains(&&ident),
        TokenTree::Group(group) => mentions(group.stream(), parameters),
        _ => false,
    })
}
