//! The parts of an expansion that channels of both wires have.
//!
//! Owns the description of messages, the format and the parameters of a name. Calls nothing that expands a channel.

use super::kind::{Format, Kind};
use super::parse::Channel;
use super::template::{Parameter, Template};
use crate::message::heap_part;
use crate::spans::written;
use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::TypeSlice;
use syn::spanned::Spanned;

/// Returns the path of the items that expansions use.
pub fn shm(channel: &Channel) -> TokenStream {
    let krate = &channel.krate;
    quote!(#krate::__private::channel)
}

/// Adds the group of the declaration to a descriptor, if there is one.
pub fn shared(channel: &Channel, descriptor: TokenStream) -> TokenStream {
    let shm = shm(channel);
    match channel.values.get("group") {
        Some(group) => quote!(#shm::shared(#descriptor, #group)),
        None => descriptor,
    }
}

/// Generates the parameters of a template, and the name that they give.
pub fn parameters(shm: &TokenStream, template: &Template) -> (TokenStream, TokenStream) {
    let parameters = template.parameters.iter().map(|Parameter { name, ty }| match ty {
        Some(ty) => quote!(#name: #ty),
        None => quote!(#name: impl #shm::Display),
    });
    let (texts, names) = (&template.texts, template.parameters.iter().map(|parameter| &parameter.name));
    (quote!(#(#parameters),*), quote!(#shm::instance_name(&[#(#texts),*], &[#(&#names),*])))
}

/// Generates constants that describe the types of the messages, one by one and together.
pub fn carries(shm: &TokenStream, kind: &Kind, streams: bool) -> TokenStream {
    let consts = (0..).map(|i: usize| format_ident!("CARRIES{i}"));
    let carried = carried(shm, kind);
    let all = match &kind.format {
        Format::Tail(_) => quote!(#shm::with_tail(Self::CARRIES0, Self::CARRIES1)),
        _ if streams => quote!(#shm::streamed(#shm::exchange(Self::CARRIES0, Self::CARRIES1))),
        _ if kind.messages.len() == 2 => quote!(#shm::exchange(Self::CARRIES0, Self::CARRIES1)),
        _ => quote!(Self::CARRIES0),
    };
    quote! {
        #(const #consts: #shm::MessageInfo = #carried;)*
        const CARRIES: #shm::MessageInfo = #all;
    }
}

/// Generates the description of each message type. Only this code requires the traits of a type, hence one
/// error. Equal types are required once.
pub fn carried(shm: &TokenStream, kind: &Kind) -> Vec<TokenStream> {
    let codec = match &kind.format {
        Format::Codec(codec) => Some((codec.to_token_stream(), codec.span())),
        Format::Known(word) => Some((written(quote!(__shmcomm_channel::#word), word.span()), word.span())),
        Format::Fixed | Format::Tail(_) => None,
    };
    let mut carried = Vec::new();
    for (i, m) in kind.messages.iter().enumerate() {
        if i > 0 && m.to_token_stream().to_string() == kind.messages[0].to_token_stream().to_string() {
            carried.push(quote!(Self::CARRIES0));
            continue;
        }
        carried.push(match &codec {
            Some((codec, span)) => {
                let carries = quote_spanned!(*span=> <#codec as __shmcomm_channel::Carry<#m>>::CARRIES);
                quote! {{
                    use #shm as __shmcomm_channel;
                    use #shm::Unknown as _;
                    #shm::at_most(#carries, <#shm::Longest<#m, #codec>>::BYTES)
                }}
            }
            None => match heap_part(m) {
                Some((part, words)) => {
                    let holds = format_ident!("Message{words}");
                    quote_spanned!(part.span()=> <#m as #shm::#holds<#part>>::CARRIES)
                }
                None => quote_spanned!(m.span()=> <#m as #shm::FixedMessage>::CARRIES),
            },
        });
    }
    if let Format::Tail(TypeSlice { elem, .. }) = &kind.format {
        carried.push(quote_spanned!(elem.span()=> <#elem as #shm::TailItem>::CARRIES));
    }
    carried
}

/// Generates the third parameter of the pattern: the tail or the codec.
pub fn format(shm: &TokenStream, kind: &Kind) -> Option<TokenStream> {
    match &kind.format {
        Format::Fixed => None,
        Format::Tail(slice) => Some(slice.to_token_stream()),
        Format::Known(word) => Some(quote!(#shm::#word)),
        Format::Codec(codec) => Some(codec.to_token_stream()),
    }
}
