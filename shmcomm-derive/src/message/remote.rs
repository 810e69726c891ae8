//! Conversions between a struct and the type of another crate that it stands for.

use super::model::{Body, Field, Message};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

/// Generates the conversions of a struct with `#[shm(remote = "…")]`. With a getter, the author writes the way
/// back.
pub fn conversions(message: &Message) -> Option<TokenStream> {
    let remote = message.remote.as_ref()?;
    let Body::Struct { fields, .. } = &message.body else { return None };
    let ident = crate::spans::generated_ident(&message.input.ident);
    let krate = &message.krate;
    let shm = quote!(#krate::__private::message);
    let (generics, arguments, conditions) = message.input.generics.split_for_impl();
    let values = fields.iter().map(|Field { member, getter, ty, .. }| match getter {
        Some(getter) => {
            quote_spanned!(getter.span()=> #member: #shm::Into::<#ty>::into(#getter(&__shmcomm_remote)))
        }
        None => quote!(#member: #shm::Clone::clone(&__shmcomm_remote.#member)),
    });
    let members: Vec<_> = fields.iter().map(|field| &field.member).collect();
    let back = fields.iter().all(|field| field.getter.is_none()).then(|| {
        quote! {
            #[automatically_derived]
            impl #generics #shm::From<#ident #arguments> for #remote #conditions {
                fn from(__shmcomm_local: #ident #arguments) -> Self {
                    let mut __shmcomm_remote = <#remote as #shm::Default>::default();
                    #(__shmcomm_remote.#members = __shmcomm_local.#members;)*
                    __shmcomm_remote
                }
            }
        }
    });
    Some(quote! {
        #[automatically_derived]
        impl #generics #shm::From<#remote> for #ident #arguments #conditions {
            fn from(__shmcomm_remote: #remote) -> Self {
                #ident { #(#values),* }
            }
        }
        #back
    })
}
