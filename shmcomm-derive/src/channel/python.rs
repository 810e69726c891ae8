//! Content of a channel with `wire: Python`.

use super::keys::End;
use super::kind::{Kind, is_word};
use super::parse::Channel;
use super::parts::{carries, format, parameters, shm};
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Type, TypeSlice};

/// Generates the constants and constructors of a channel with Python.
pub fn items(channel: &Channel, kind: &Kind) -> TokenStream {
    let shm = shm(channel);
    let (make, slots, slot_size) = kind.pattern.python;
    let make = format_ident!("{make}");
    let value = |key: &str, default: TokenStream| channel.values.get(key).cloned().unwrap_or(default);
    let (name, slots) = (channel.name(), value("slots", slots.to_token_stream()));
    let slot_size = value("slot_size", quote!(#shm::wire::slot_size(Self::CARRIES, #slot_size)));
    let carries = carries(&shm, kind, false);
    let open = match &channel.template {
        Some(template) => {
            let (parameters, name) = parameters(&shm, template);
            quote! {
                /// Returns the options that open the ends of the channel with these parameters in its name.
                #[inline]
                pub fn instance(#parameters) -> #shm::python::Options {
                    #shm::wire::options(#shm::python::Options::#make(#name), Self::SLOTS, Self::SLOT_SIZE)
                }
            }
        }
        None => {
            let ends = ends(&shm, kind);
            quote! {
                /// Returns the options that open the ends. An end can be opened with other options, made from
                /// these.
                #[inline]
                pub fn options() -> #shm::python::Options {
                    #shm::wire::options(#shm::python::Options::#make(Self::NAME), Self::SLOTS, Self::SLOT_SIZE)
                }
                #ends
            }
        }
    };
    quote! {
        /// Name of the channel, as Python has it.
        pub const NAME: &'static #shm::primitive::str = #name;
        /// Number of slots, one of which always stays empty.
        pub const SLOTS: #shm::primitive::usize = #slots;
        /// Size of a slot in bytes, four of which are the length of the message.
        pub const SLOT_SIZE: #shm::primitive::usize = #slot_size;
        #carries
        #open
    }
}

fn ends(shm: &TokenStream, kind: &Kind) -> TokenStream {
    let format = format(shm, kind).unwrap_or_else(|| quote!(#shm::Fixed));
    let end = |End { constructor, ty, receives, doc }: &End| {
        let (make, end) = (format_ident!("{constructor}"), format_ident!("{ty}"));
        // A message without a size is received in its owned form.
        let messages = kind.messages.iter().enumerate().map(|(i, message)| match message {
            Type::Slice(TypeSlice { elem, .. }) if *receives == Some(i) => quote!(#shm::wire::Vec<#elem>),
            message if *receives == Some(i) && is_word(message, "str") => quote!(#shm::wire::String),
            message => message.to_token_stream(),
        });
        quote! {
            #[doc = #doc]
            #[inline]
            pub fn #make() -> #shm::Result<#shm::python::#end<#(#messages,)* #format>, #shm::Error> {
                #shm::python::#end::open(Self::options())
            }
        }
    };
    kind.pattern.ends.iter().map(end).collect()
}

/// Wraps `body` so that without the Python feature of the library a compile error replaces it.
pub fn guarded(channel: &Channel, body: TokenStream) -> TokenStream {
    let krate = &channel.krate;
    let wire = channel.values.get("wire").cloned().unwrap_or_default();
    let span = wire.into_iter().next().map_or_else(Span::call_site, |token| token.span());
    quote_spanned!(span=> #krate::__private::channel::with_python! { #body })
}
