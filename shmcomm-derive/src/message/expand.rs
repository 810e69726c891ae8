//! Generates the impls.
//!
//! The generated code declares no item with a name, and imports nothing, so it captures no name of the author.
//! What soundness depends on is checked by the types of the library, not by the path that leads to it.

use super::evolution;
use super::model::{self, Body, Field, Message, Variant};
use super::remote;
use super::wording;
use crate::errors::call;
use crate::spans::{generated, generated_ident, written};
use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use std::collections::BTreeSet;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{ImplGenerics, TypeGenerics, WhereClause};

pub fn message(message: &Message) -> TokenStream {
    let Message { input, krate, body, lint_levels, .. } = message;
    let shm = quote!(#krate::__private::message);
    let generics = generics(message);
    let parts = generics.split_for_impl();
    let name = input.ident.unraw().to_string();
    // A generic type has a known layout only at its use.
    let generic = !input.generics.params.is_empty();
    let otherwise = message.encoded_otherwise;
    let (evolution, evolving) = evolution::declared(&shm, body);
    let (items, checks) = match body {
        Body::Struct { fields, transparent } => {
            let make = format_ident!("{}", if *transparent { "transparent" } else { "structure" });
            let parts = structure_parts(&shm, fields);
            let items = quote! {
                const FIELDS: &'static [#shm::Part<Self>] = #parts;
                const LAYOUT: #shm::Layout<Self> =
                    unsafe { #shm::#make(#name, #generic, #otherwise, Self::FIELDS) } #evolving;
            };
            (items, (!generic).then(|| checks(&shm, message, &name, fields)))
        }
        Body::Enum { prim, variants } => {
            let prim = prim_of(&shm, prim);
            let cases = variants
                .iter()
                .map(|Variant { ident, name, .. }| quote!(unsafe { #shm::unit(#prim, #name, Self::#ident) }));
            let items = quote! {
                const VARIANTS: &'static [#shm::Case<Self>] = &[#(#cases),*];
                const LAYOUT: #shm::Layout<Self> =
                    unsafe { #shm::enumeration(#name, #prim, #otherwise, Self::VARIANTS) } #evolving;
            };
            (items, (!generic).then(|| drops(&shm, message, &name)))
        }
        Body::Choice { prim, variants } => {
            let items = choice(&shm, &name, generic, otherwise, prim, variants, &evolving);
            (items, (!generic).then(|| drops(&shm, message, &name)))
        }
    };
    let implementation = implementation(message, &shm, parts, quote!(#evolution #items));
    let remote = remote::conversions(message);
    quote! {
        #(#lint_levels)*
        const _: () = {
            #implementation
            #remote
        };
        #checks
    }
}

/// Returns the generics of the impl, with its conditions.
fn generics(message: &Message) -> syn::Generics {
    let mut generics = message.input.generics.clone();
    if !message.bounds.is_empty() {
        generics.make_where_clause().predicates.extend(message.bounds.iter().cloned());
    }
    generics
}

fn implementation(
    message: &Message,
    shm: &TokenStream,
    (generics, arguments, conditions): (ImplGenerics, TypeGenerics, Option<&WhereClause>),
    items: TokenStream,
) -> TokenStream {
    let ident = generated_ident(&message.input.ident);
    quote! {
        #[automatically_derived]
        unsafe impl #generics #shm::ShmMessage for #ident #arguments #conditions {
            #items
        }
    }
}

/// Generates the fields of a struct, and a pattern that fails to compile if the struct has other fields.
fn structure_parts(shm: &TokenStream, fields: &[Field]) -> TokenStream {
    let members = fields.iter().map(|f| &f.member);
    let mut described = Described::default();
    let parts: Vec<_> = fields
        .iter()
        .map(|Field { member, name, ty, .. }| {
            let description = described.field(shm, ty);
            quote! {
                unsafe {
                    let __shmcomm_field: *const #ty = &raw const (*__shmcomm_at).#member;
                    #shm::field(#name, __shmcomm_at, __shmcomm_field, #description)
                }
            }
        })
        .collect();
    quote! {{
        let __shmcomm_place = #shm::place::<Self>();
        let __shmcomm_at = __shmcomm_place.as_ptr();
        if false {
            let Self { #(#members: _),* } = unsafe { &*__shmcomm_at };
        }
        &[#(#parts),*]
    }}
}

/// Generates the items of an enum with data. The compiler matches a value with the tag of each variant, which
/// proves that the tag selects the variant and yields the places of its fields.
fn choice(
    shm: &TokenStream,
    name: &str,
    generic: bool,
    otherwise: bool,
    prim: &Ident,
    variants: &[Variant],
    evolving: &Option<TokenStream>,
) -> TokenStream {
    let mut described = Described::default();
    let (mut fields, mut cases, mut start) = (Vec::new(), Vec::new(), 0_usize);
    for Variant { ident, name, fields: parts, value, .. } in variants {
        let value = model::value(*value);
        let tagged = quote!(#shm::tagged::<Self>(#shm::tag::#prim(#value)));
        for Field { member, name, ty, .. } in parts {
            let description = described.field(shm, ty);
            fields.push(quote! {
                match #tagged.as_ptr() {
                    __shmcomm_at => match unsafe { &*__shmcomm_at } {
                        Self::#ident { #member: __shmcomm_field, .. } => unsafe {
                            let __shmcomm_field: *const #ty = &raw const *__shmcomm_field;
                            #shm::field(#name, __shmcomm_at, __shmcomm_field, #description)
                        },
                        _ => #shm::another_variant(#name),
                    },
                }
            });
        }
        let members = parts.iter().map(|field| &field.member);
        let count = Literal::usize_unsuffixed(parts.len());
        let first = Literal::usize_unsuffixed(start);
        start += parts.len();
        cases.push(quote! {
            unsafe {
                #shm::case::<Self>(
                    #name,
                    #shm::tag::#prim(#value),
                    match &*#tagged.as_ptr() {
                        Self::#ident { #(#members: _),* } => true,
                        _ => false,
                    },
                    Self::FIELDS, #first, #count,
                )
            }
        });
    }
    let prim = prim_of(shm, prim);
    quote! {
        const FIELDS: &'static [#shm::Part<Self>] = &[#(#fields),*];
        const VARIANTS: &'static [#shm::Case<Self>] = &[#(#cases),*];
        const LAYOUT: #shm::Layout<Self> =
            unsafe { #shm::choice(#name, #prim, #generic, #otherwise, Self::VARIANTS) } #evolving;
    }
}

fn prim_of(shm: &TokenStream, prim: &Ident) -> TokenStream {
    let kind = format_ident!("{}", prim.to_string().to_uppercase());
    quote!(#shm::Prim::#kind)
}

/// Types that are messages, unless the author gave these names to other types.
const PRIMITIVES: [&str; 12] =
    ["u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64", "f32", "f64", "bool", "Timestamp"];

/// Descriptions of field types, under the tokens of the part that decides whether the type is a message.
#[derive(Default)]
struct Described {
    /// Deciding parts that were required before.
    required: BTreeSet<String>,
}

impl Described {
    /// Generates the description of a field. Of equal deciding parts only the first is required, so that a type
    /// that is no message is one error.
    fn field(&mut self, shm: &TokenStream, ty: &syn::Type) -> TokenStream {
        let (item, in_container) = wording::innermost(ty);
        let word = item.to_token_stream().to_string();
        if !PRIMITIVES.contains(&word.as_str()) && !self.required.insert(word) {
            return quote! {{
                use #shm::Unreported as _;
                <#shm::Described<#ty>>::REPORTED
            }};
        }
        let span = item.span();
        let as_trait = Ident::new(wording::describing_trait(item, in_container), generated(span));
        quote_spanned!(generated(span)=> <#item as #shm::#as_trait<#ty>>::LAYOUT)
    }
}

/// Generates a check of each field under its own tokens.
fn checks(shm: &TokenStream, message: &Message, name: &str, fields: &[Field]) -> TokenStream {
    let ident = generated_ident(&message.input.ident);
    let named = fields.iter().all(|f| f.named);
    let gaps = fields.iter().enumerate().map(|(i, field)| {
        let check = call(
            written(quote!(#shm::no_gap), field.start),
            quote!(#name, <#ident as #shm::ShmMessage>::SCHEMA, #i, #named),
            field.ty.span(),
        );
        quote!(const _: () = #check;)
    });
    let drops = drops(shm, message, name);
    quote!(#drops #(#gaps)*)
}

fn drops(shm: &TokenStream, message: &Message, name: &str) -> TokenStream {
    let ident = generated_ident(&message.input.ident);
    let span: Span = message.input.ident.span();
    let function = written(quote!(#shm::no_drop), span);
    let check = call(function, quote!(#name, #shm::of::<#ident>()), span);
    quote!(const _: () = #check;)
}

/// Generates an impl for an input that was rejected, so that its absence causes no further errors. The types of
/// its fields are required all the same, so that all of their errors come at once.
pub fn stand_in(message: &Message) -> TokenStream {
    let Message { input, krate, body, lint_levels, .. } = message;
    if input.generics.lifetimes().next().is_some() {
        return TokenStream::new();
    }
    let shm = quote!(#krate::__private::message);
    let generics = generics(message);
    let fields = body.fields();
    let mut described = Described::default();
    let required = fields
        .iter()
        .filter(|field| wording::never_inline(field.ty).is_none())
        .map(|field| described.field(&shm, field.ty));
    let items = quote! {
        const LAYOUT: #shm::Layout<Self> = {
            #(let _ = #required;)*
            #shm::rejected()
        };
    };
    let implementation = implementation(message, &shm, generics.split_for_impl(), items);
    quote!(#(#lint_levels)* const _: () = { #implementation };)
}
