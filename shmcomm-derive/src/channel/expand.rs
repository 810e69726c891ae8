//! Generates the code of a channel: a unit struct, its constants and its constructors. Code that differs with
//! Python is in `python`, the checks are in `checks`.
//!
//! The generated code declares no item with a name beside the struct, so it captures no name of the author. What it
//! imports begins with `__shmcomm`.

use super::keys::{End, GROW, IN_PLACE, Wire};
use super::kind::{Format, Kind};
use super::parse::Channel;
use super::parts::{carries, format, parameters, shared, shm};
use super::template::Template;
use super::{attrs, checks, python, table};
use crate::spans::{generated_ident, show};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::{PathArguments, Type};

pub fn channel(channel: &Channel) -> TokenStream {
    let Channel { krate, attrs, vis, ident, .. } = channel;
    let docs = docs(channel);
    let reaching = attrs::reaching(attrs);
    let (items, checks) = match (&channel.kind, channel.wire) {
        (None, _) => (TokenStream::new(), TokenStream::new()),
        (Some(kind), _) if kind.is_table() => table::items(channel, kind),
        (Some(kind), Wire::Native) => (native(channel, kind), checks::native(channel, kind)),
        (Some(kind), Wire::Python) => (python::items(channel, kind), checks::python(channel, kind)),
    };
    let is_table = channel.kind.as_ref().is_some_and(Kind::is_table);
    let checks = (channel.complete || is_table).then_some(checks);
    let this = generated_ident(ident);
    let body = quote! {
        #reaching
        const _: () = {
            impl #this {
                #items
            }
            #checks
        };
    };
    let body = match channel.wire {
        Wire::Native => body,
        Wire::Python => python::guarded(channel, body),
    };
    quote! {
        #(#attrs)*
        #(#[doc = #docs])*
        #[derive(
            #krate::__private::channel::Clone,
            #krate::__private::channel::Copy,
            #krate::__private::channel::Debug,
        )]
        #vis struct #ident;
        #body
    }
}

/// Generates the constants and constructors of a channel between programs that use this library.
///
/// Constructors are `#[inline]`: the compiler makes code only for the called ones.
fn native(channel: &Channel, kind: &Kind) -> TokenStream {
    let shm = shm(channel);
    let carries = carries(&shm, kind, channel.streams);
    let value = |key: &str, default: TokenStream| channel.values.get(key).cloned().unwrap_or(default);
    let slots = match kind.pattern.word {
        "ReqRep" => quote!(#shm::REQUESTS),
        "PubSub" => {
            let seats = channel.values.get("seats").map_or(quote!(0), |_| quote!(Self::SEATS));
            quote!(#shm::pubsub_slots(Self::SLOT_SIZE, #seats))
        }
        _ => quote!(#shm::SLOTS),
    };
    let (name, slots) = (channel.name(), value("slots", slots));
    let (seats, redeliver) = (value("seats", quote!(#shm::SEATS)), value("redeliver", quote!(false)));
    let publishers = value("publishers", quote!(#shm::PUBLISHERS));
    let max_len = channel.values.get("max_len").map(|max_len| {
        quote! {
            /// Maximum number of items in a tail.
            pub const MAX_LEN: #shm::primitive::usize = #max_len;
        }
    });
    let (terms, descriptor) = terms(
        channel,
        quote! {
            #shm::declare(
                Self::NAME, Self::SLOTS, Self::SLOT_SIZE, Self::SEATS, Self::PUBLISHERS, #redeliver, Self::CARRIES
            )
        },
    );
    let keys = channel.values.keys();
    let window = channel.streams.then(|| value("window", quote!(#shm::WINDOW)));
    let descriptor = match &window {
        Some(_) => quote!(#shm::windowed(#descriptor, Self::WINDOW)),
        None => descriptor,
    };
    let window = window.map(|window| {
        quote! {
            /// Number of replies of one request that may be unread.
            pub const WINDOW: #shm::primitive::usize = #window;
        }
    });
    let grow = channel.values.get(GROW).map(|grow| {
        quote! {
            /// Largest size in bytes to which the slots grow.
            pub const GROW: #shm::primitive::usize = #grow;
        }
    });
    let descriptor = match &grow {
        Some(_) => quote!(#shm::growing(#descriptor, Self::GROW)),
        None => descriptor,
    };
    let in_place = channel.values.get(IN_PLACE).map(|in_place| {
        quote! {
            /// `true` if messages of every size are in place, `false` if they are copied.
            pub const IN_PLACE: #shm::primitive::bool = #in_place;
        }
    });
    let descriptor = match &in_place {
        Some(_) => quote!(#shm::placed(#descriptor, Self::IN_PLACE)),
        None => descriptor,
    };
    let descriptor = shared(channel, quote!(#shm::asked(#descriptor, &[#(#keys),*])));
    let slot_size = match channel.values.get("slot_size") {
        Some(slot_size) => slot_size.clone(),
        None if max_len.is_some() => quote!(#shm::tail_size(Self::CARRIES, Self::MAX_LEN)),
        None => quote!(#shm::slot_size(Self::CARRIES)),
    };
    let pattern = pattern(&shm, kind, channel.streams);
    let open = match &channel.template {
        Some(template) => instance(&shm, template, &pattern, &descriptor),
        None => {
            let ends = ends(&shm, kind, channel.streams);
            quote! {
                /// Channel as a value.
                pub const CHANNEL: #shm::Channel<#pattern> = #descriptor;

                /// Returns an opener with settings for this run of the program: `open().namespace("sim")`.
                #[inline]
                pub fn open() -> #shm::Opener<#pattern> { Self::CHANNEL.open() }
                #ends
            }
        }
    };
    quote! {
        /// Name of the channel, without namespace.
        pub const NAME: &'static #shm::primitive::str = #name;
        /// Number of messages that the channel holds.
        pub const SLOTS: #shm::primitive::usize = #slots;
        #max_len
        /// Maximum size of a message in bytes.
        pub const SLOT_SIZE: #shm::primitive::usize = #slot_size;
        #window
        #grow
        #in_place
        const SEATS: #shm::primitive::usize = #seats;
        const PUBLISHERS: #shm::primitive::usize = #publishers;
        #terms
        #carries
        #open
    }
}

/// Generates the constructors of both ends.
fn ends(shm: &TokenStream, kind: &Kind, streams: bool) -> TokenStream {
    let (messages, format) = (&kind.messages, format(shm, kind));
    let end = |End { constructor, ty, doc, .. }: &End| {
        let prefix = if streams { "Stream" } else { "" };
        let (make, end) = (format_ident!("{constructor}"), format_ident!("{prefix}{ty}"));
        quote! {
            #[doc = #doc]
            #[inline]
            pub fn #make() -> #shm::Result<#shm::#end<#(#messages,)* #format>, #shm::Error> {
                Self::open().#make()
            }
        }
    };
    kind.pattern.ends.iter().map(end).collect()
}

/// Generates the function that opens one of the channels of a template.
fn instance(
    shm: &TokenStream,
    template: &Template,
    pattern: &TokenStream,
    descriptor: &TokenStream,
) -> TokenStream {
    let (parameters, name) = parameters(shm, template);
    quote! {
        /// Returns an opener of the channel with these parameters in its name. It has all settings of the
        /// declaration. A parameter that makes the name invalid is an error when an end is opened.
        #[inline]
        pub fn instance(#parameters) -> #shm::Opener<#pattern> {
            const { #shm::named(#descriptor) }.open(#name)
        }
    }
}

/// Generates the flow-control settings of the declaration as constants, and the descriptor with these
/// settings.
fn terms(channel: &Channel, descriptor: TokenStream) -> (TokenStream, TokenStream) {
    let shm = shm(channel);
    let mut terms = TokenStream::new();
    let mut constant = |key: &str, name: &str, ty: TokenStream, doc: &str, default: TokenStream| match channel
        .values
        .get(key)
    {
        Some(value) => {
            let name = format_ident!("{name}");
            terms.extend(quote! {
                #[doc = #doc]
                pub const #name: #ty = #value;
            });
            quote!(Self::#name)
        }
        None => default,
    };
    let duration = || quote!(#shm::Duration);
    let overflow = constant(
        "overflow",
        "OVERFLOW",
        quote!(#shm::Overflow),
        "What the publisher does when a slot is needed again that subscribers have not read.",
        quote!(#shm::Overflow::Overwrite),
    );
    let patience = constant(
        "patience",
        "PATIENCE",
        duration(),
        "How long a subscriber that receives nothing may hold up a publisher that waits.",
        quote!(#shm::PATIENCE),
    );
    let expect_every = constant(
        "expect_every",
        "EXPECT_EVERY",
        duration(),
        "How often subscribers expect a message.",
        quote!(#shm::Duration::ZERO),
    );
    if terms.is_empty() {
        return (terms, descriptor);
    }
    (terms, quote!(#shm::between(#descriptor, #overflow, #patience, #expect_every)))
}

/// Generates `PubSub<Imu>` with full paths.
pub fn pattern(shm: &TokenStream, kind: &Kind, streams: bool) -> TokenStream {
    let Kind { ident, messages, .. } = kind;
    let format = format(shm, kind);
    let streamed = streams.then(|| Ident::new("ReqStream", ident.span()));
    let ident = streamed.as_ref().unwrap_or(ident);
    quote!(#shm::#ident<#(#messages,)* #format>)
}

fn docs(channel: &Channel) -> Vec<String> {
    let Some(kind) = &channel.kind else { return Vec::new() };
    let link = |ty: &Type| match ty {
        Type::Path(p) if p.path.segments.iter().all(|s| matches!(s.arguments, PathArguments::None)) => {
            format!("[`{}`]", show(ty))
        }
        _ => format!("`{}`", show(ty)),
    };
    let messages = if kind.is_table() {
        table::described(kind)
    } else {
        kind.messages.iter().map(link).collect::<Vec<_>>().join(" → ")
    };
    let format = match &kind.format {
        Format::Fixed => String::new(),
        Format::Tail(slice) => format!(", `{}`", show(slice)),
        Format::Known(word) => format!(", `{word}`"),
        Format::Codec(codec) => format!(", `{}`", show(codec)),
    };
    let documented = channel.attrs.iter().any(|a| a.path().is_ident("doc"));
    let gap = documented.then(String::new);
    let stream = if channel.streams { " (stream)" } else { "" };
    let (title, name) = (kind.pattern.title, channel.shown_name());
    let with = if channel.wire == Wire::Python { " with Python" } else { "" };
    gap.into_iter().chain([format!(" {title} channel `{name}`{with}: {messages}{stream}{format}.")]).collect()
}
