//! Generates what a message declares for writers of other layouts.

use super::attrs::Missing;
use super::model::{Body, Field, Variant};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

/// Returns the constant of the declarations, and the call that adds it to the layout; `None` if there are none.
pub fn declared(shm: &TokenStream, body: &Body) -> (Option<TokenStream>, Option<TokenStream>) {
    let (fields, variants) = match body {
        Body::Struct { fields, .. } => (declared_fields(shm, fields), Vec::new()),
        Body::Enum { variants, .. } | Body::Choice { variants, .. } => {
            (Vec::new(), variants.iter().filter_map(|variant| declared_variant(shm, variant)).collect())
        }
    };
    if fields.is_empty() && variants.is_empty() {
        return (None, None);
    }
    let constant = quote! {
        const EVOLUTION: #shm::Evolution =
            #shm::Evolution { fields: &[#(#fields),*], variants: &[#(#variants),*] };
    };
    (Some(constant), Some(quote!(.evolving(Self::EVOLUTION))))
}

fn declared_fields(shm: &TokenStream, fields: &[Field]) -> Vec<TokenStream> {
    fields.iter().filter_map(|field| declared_field(shm, field)).collect()
}

fn declared_field(shm: &TokenStream, field: &Field) -> Option<TokenStream> {
    let Field { name, ty, aliases, default, .. } = field;
    let value = match default {
        None if aliases.is_empty() => return None,
        None => None,
        Some(Missing::Default(span)) => {
            Some(quote_spanned!(crate::spans::generated(*span)=> <#ty as #shm::Default>::default()))
        }
        Some(Missing::Expr(expr)) => Some(quote_spanned!(expr.span()=> #expr)),
    };
    let default = match value {
        None => quote!(#shm::None),
        Some(value) => quote! {
            #shm::Some(|__shmcomm_out| {
                let __shmcomm_value: #ty = #value;
                #shm::write_default::<#ty>(&__shmcomm_value, __shmcomm_out)
            })
        },
    };
    Some(quote!(#shm::FieldEvolution { name: #name, aliases: &[#(#aliases),*], default: #default }))
}

fn declared_variant(shm: &TokenStream, variant: &Variant) -> Option<TokenStream> {
    let Variant { name, aliases, other, fields, .. } = variant;
    let fields = declared_fields(shm, fields);
    (*other || !aliases.is_empty() || !fields.is_empty()).then(|| {
        quote! {
            #shm::VariantEvolution {
                name: #name, aliases: &[#(#aliases),*], other: #other, fields: &[#(#fields),*],
            }
        }
    })
}
