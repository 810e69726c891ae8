//! What a channel with `wire: Python` has inside.

use super::expand::{carries, check, format, show};
use super::keys::End;
use super::parse::Channel;
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{Type, TypeSlice};

/// The constants and constructors of a channel with Python.
pub fn items(channel: &Channel) -> TokenStream {
    let kind = &channel.kind;
    let (make, slots, slot_size) = kind.pattern.python;
    let make = format_ident!("{make}");
    let value = |key: &str, default: TokenStream| channel.values.get(key).cloned().unwrap_or(default);
    let (name, slots) = (channel.name(), value("slots", slots.to_token_stream()));
    let slot_size = value("slot_size", quote!(__shm::wire::slot_size(Self::CARRIES, #slot_size)));
    let carries = carries(kind);
    let format = format(kind).map_or_else(|| quote!(__shm::Fixed), |format| format.to_token_stream());
    let ends = kind.pattern.ends.iter().map(|End { constructor, ty, receives, doc }| {
        let (make, end) = (format_ident!("{constructor}"), format_ident!("{ty}"));
        // What arrives has to be kept somewhere, so a slice arrives as a `Vec`.
        let messages = kind.messages.iter().enumerate().map(|(i, message)| match message {
            Type::Slice(TypeSlice { elem, .. }) if *receives == Some(i) => quote!(__shm::wire::Vec<#elem>),
            message => message.to_token_stream(),
        });
        let messages: Vec<_> = messages.collect();
        quote! {
            #[doc = #doc]
            pub fn #make() -> __shm::Result<__shm::python::#end<#(#messages,)* #format>, __shm::Error> {
                __shm::python::#end::open(Self::options())
            }
        }
    });
    quote! {
        /// The name, as Python has it.
        pub const NAME: &'static __shm::primitive::str = #name;
        /// How many slots the channel has, one of which always stays empty.
        pub const SLOTS: __shm::primitive::usize = #slots;
        /// How many bytes a slot has, four of which are the length of the message.
        pub const SLOT_SIZE: __shm::primitive::usize = #slot_size;
        #carries
        /// What the ends are opened with; an end can be opened with others, made of these.
        pub fn options() -> __shm::python::Options {
            __shm::wire::options(__shm::python::Options::#make(Self::NAME), Self::SLOTS, Self::SLOT_SIZE)
        }
        #(#ends)*
    }
}

pub fn checks(channel: &Channel) -> TokenStream {
    let (ident, values) = (&channel.ident, &channel.values);
    let who = ident.unraw().to_string();
    let mut checks = vec![check(channel, "name", "wire::name", channel.name(), quote!(#who, #ident::NAME))];
    if let Some(slots) = values.get("slots") {
        checks.push(check(channel, "slots", "wire::slots", slots, quote!(#who, #ident::SLOTS)));
    }
    for (i, message) in channel.kind.messages.iter().enumerate() {
        let (carries, shown) = (format_ident!("CARRIES{i}"), show(message));
        checks.push(check(channel, "message", "message", message, quote!(#who, #shown, #ident::#carries)));
        if let Some(size) = values.get("slot_size") {
            let arguments = quote!(#who, #shown, #ident::#carries, #ident::SLOT_SIZE);
            checks.push(check(channel, "slot_size", "wire::fits", size, arguments));
        }
    }
    checks.into_iter().collect()
}

/// `body` where the library can speak with Python, else words about that.
pub fn guarded(channel: &Channel, body: TokenStream) -> TokenStream {
    let (krate, wire) = (&channel.krate, &channel.values["wire"]);
    let span = wire.clone().into_iter().next().map_or_else(Span::call_site, |token| token.span());
    quote_spanned!(span=> #krate::__private::channel::with_python! { #body })
}
