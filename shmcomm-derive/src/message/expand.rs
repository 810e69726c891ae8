//! Prints the impls.

use super::model::{self, Body, Field, Message, Variant};
use super::wording;
use crate::errors::{Errors, call};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{DeriveInput, Type, parse_quote};

pub fn message(message: &Message) -> TokenStream {
    match &message.body {
        Body::Struct(fields) => structure(message, fields),
        Body::Enum { prim, variants } => enumeration(message, prim, variants),
    }
}

fn structure(message: &Message, fields: &[Field]) -> TokenStream {
    let Message { input, krate, .. } = message;
    let ident = &input.ident;
    let shown = ident.unraw().to_string();

    let members = fields.iter().map(|f| &f.member);
    let described = fields.iter().map(|Field { member, name, ty, .. }| {
        let layout = describing(ty, quote!(LAYOUT));
        quote!(__shm::Field { name: #name, offset: __shm::offset_of!(Self, #member), schema: #layout })
    });
    let checked = fields.iter().map(|f| describing(f.ty, quote!(is_valid_at)));

    let mut generics = input.generics.clone();
    for param in generics.type_params_mut() {
        param.bounds.push(parse_quote!(__shm::ShmMessage));
    }
    let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
    // With parameters, the layout is known only where the type is used.
    let generic = !generics.params.is_empty();
    let checks = (!generic).then(|| checks(ident, fields));
    let otherwise = otherwise(message);

    quote! {
        #[allow(dead_code, non_upper_case_globals)]
        const _: () = {
            use #krate::__private::message as __shm;
            #[automatically_derived]
            unsafe impl #impl_generics __shm::ShmMessage for #ident #ty_generics #where_clause {
                const FIELDS: &'static [__shm::Field] = &[#(#described),*];
                const SCHEMA: &'static __shm::Schema = &__shm::struct_schema(
                    #shown, __shm::size_of::<Self>(), __shm::align_of::<Self>(),
                    __shm::needs_drop::<Self>(), #generic, Self::FIELDS,
                )#otherwise;
                #[inline]
                fn is_valid(bytes: &[u8]) -> bool {
                    bytes.len() == __shm::size_of::<Self>()
                        #(&& #checked(bytes, __shm::offset_of!(Self, #members)))*
                }
            }
            #checks
        };
    }
}

/// What is added to the schema of a type that serde encodes otherwise.
fn otherwise(message: &Message) -> Option<TokenStream> {
    message.encoded_otherwise.then(|| quote!(.encoded_otherwise()))
}

/// Each field is checked under its own tokens. The names of the constants appear in the errors.
fn checks(ident: &Ident, fields: &[Field]) -> TokenStream {
    let shown = ident.unraw().to_string();
    let schema = quote!(<#ident as __shm::ShmMessage>::SCHEMA);
    let named = fields.iter().all(|f| f.named);
    let gaps = fields.iter().enumerate().map(|(i, field)| {
        let constant = format_ident!("padding_after_{}", field.word);
        let check = call(
            quote_spanned!(field.start=> __shm::no_gap),
            quote!(#shown, #schema, #i, #named),
            field.ty.span(),
        );
        quote!(const #constant: () = #check;)
    });
    let drops = call(
        quote_spanned!(ident.span()=> __shm::no_drop),
        quote!(#shown, __shm::needs_drop::<#ident>(), <#ident as __shm::ShmMessage>::FIELDS),
        ident.span(),
    );
    quote! {
        const drop_glue: () = #drops;
        #(#gaps)*
    }
}

/// `what` of a field of type `ty`, under the tokens of the part that decides whether it is a message. The
/// expansion asks for more than one thing that way; the compiler shows equal errors once.
fn describing(ty: &Type, what: TokenStream) -> TokenStream {
    let (item, in_container) = wording::innermost(ty);
    let as_trait = Ident::new(wording::describing_trait(item, in_container), item.span());
    quote_spanned!(item.span()=> <#item as __shm::#as_trait<#ty>>::#what)
}

fn enumeration(message: &Message, prim: &Ident, variants: &[Variant]) -> TokenStream {
    let Message { input, krate, .. } = message;
    let ident = &input.ident;
    let shown = ident.unraw().to_string();
    let names = variants.iter().map(|v| &v.name);
    let kind = format_ident!("{}", prim.to_string().to_uppercase());
    let otherwise = otherwise(message);
    let prim = quote_spanned!(ident.span()=> __shm::primitive::#prim);
    // With the spans of the enum, because the compiler refuses the cast if it implements `Drop`.
    let values: Vec<_> = variants
        .iter()
        .map(|v| v.ident_at(ident.span()))
        .map(|v| quote_spanned!(ident.span()=> #ident::#v as #prim))
        .collect();
    quote! {
        const _: () = {
            use #krate::__private::message as __shm;
            const VARIANTS: &[__shm::Variant] = &[
                #(__shm::Variant { name: #names, value: #values as __shm::primitive::i128 }),*
            ];
            #[automatically_derived]
            unsafe impl __shm::ShmMessage for #ident {
                const SCHEMA: &'static __shm::Schema =
                    &__shm::enum_schema(#shown, __shm::size_of::<Self>(), __shm::Prim::#kind, VARIANTS)#otherwise;
                #[inline]
                fn is_valid(bytes: &[u8]) -> bool {
                    let __shm::Some(raw) = __shm::raw(bytes) else { return false };
                    let raw = <#prim>::from_ne_bytes(raw);
                    false #(|| raw == #values)*
                }
            }
        };
    }
}

/// An impl for an input that was rejected.
pub fn stand_in(input: &DeriveInput) -> TokenStream {
    if input.generics.lifetimes().next().is_some() {
        return TokenStream::new();
    }
    let krate = model::krate(&input.attrs, &mut Errors::default());
    let ident = &input.ident;
    let (impl_generics, ty_generics, where_clause) = input.generics.split_for_impl();
    quote! {
        const _: () = {
            use #krate::__private::message as __shm;
            #[automatically_derived]
            unsafe impl #impl_generics __shm::ShmMessage for #ident #ty_generics #where_clause {
                const SCHEMA: &'static __shm::Schema = &__shm::struct_schema("", 0, 1, false, false, &[]);
                fn is_valid(_: &[u8]) -> bool { false }
            }
        };
    }
}
