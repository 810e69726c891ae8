//! Prints a channel: a unit struct, its constants and its constructors. What differs with Python is in `python`.

use super::keys::{End, Wire};
use super::parse::{Channel, Format, Kind};
use super::python;
use crate::errors::call;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{PathArguments, Type, TypeSlice};

pub fn channel(channel: &Channel) -> TokenStream {
    let Channel { krate, attrs, vis, ident, .. } = channel;
    let docs = docs(channel);
    let cfg: Vec<_> = attrs.iter().filter(|a| a.path().is_ident("cfg")).collect();
    let (items, checks) = match channel.wire {
        Wire::Native => (native(channel), checks(channel)),
        Wire::Python => (python::items(channel), python::checks(channel)),
    };
    let body = quote! {
        #(#cfg)*
        #[allow(dead_code, non_upper_case_globals)]
        const _: () = {
            use #krate::__private::channel as __shm;

            impl #ident {
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

/// The constants and constructors of a channel between programs that use this library.
fn native(channel: &Channel) -> TokenStream {
    let kind = &channel.kind;
    let carries = carries(kind);
    let value = |key: &str, default: TokenStream| channel.values.get(key).cloned().unwrap_or(default);
    let slots = if kind.messages.len() == 2 { quote!(16) } else { quote!(64) };
    let (name, slots) = (channel.name(), value("slots", slots));
    let (seats, redeliver) = (value("seats", quote!(128)), value("redeliver", quote!(false)));
    let publishers = value("publishers", quote!(1));
    let max_len = channel.values.get("max_len").map(|max_len| {
        quote! {
            /// How many items a tail may have.
            pub const MAX_LEN: __shm::primitive::usize = #max_len;
        }
    });
    let (terms, descriptor) = terms(
        channel,
        quote! {
            __shm::declare(
                Self::NAME, Self::SLOTS, Self::SLOT_SIZE, Self::SEATS, Self::PUBLISHERS, #redeliver, Self::CARRIES
            )
        },
    );
    let slot_size = match channel.values.get("slot_size") {
        Some(slot_size) => slot_size.clone(),
        None if max_len.is_some() => quote!(__shm::tail_size(Self::CARRIES, Self::MAX_LEN)),
        None => quote!(__shm::slot_size(Self::CARRIES)),
    };
    let pattern = pattern(kind);
    let (messages, format) = (&kind.messages, format(kind));
    let ends = kind.pattern.ends.iter().map(|End { constructor, ty, doc, .. }| {
        let (make, end) = (format_ident!("{constructor}"), format_ident!("{ty}"));
        quote! {
            #[doc = #doc]
            pub fn #make() -> __shm::Result<__shm::#end<#(#messages,)* #format>, __shm::Error> {
                Self::open().#make()
            }
        }
    });
    quote! {
        /// The name, without namespace.
        pub const NAME: &'static __shm::primitive::str = #name;
        /// How many messages the channel holds.
        pub const SLOTS: __shm::primitive::usize = #slots;
        #max_len
        /// How many bytes a message may take.
        pub const SLOT_SIZE: __shm::primitive::usize = #slot_size;
        const SEATS: __shm::primitive::usize = #seats;
        const PUBLISHERS: __shm::primitive::usize = #publishers;
        #terms
        #carries
        /// The channel as a value.
        pub const CHANNEL: __shm::Channel<#pattern> = #descriptor;

        /// The channel with other settings than declared: `open().namespace("sim")`.
        pub fn open() -> __shm::Opener<#pattern> { Self::CHANNEL.open() }
        #(#ends)*
    }
}

/// What the declaration says of how the two ends get on with each other, as constants, and the descriptor
/// with it.
fn terms(channel: &Channel, descriptor: TokenStream) -> (TokenStream, TokenStream) {
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
    let duration = || quote!(__shm::Duration);
    let overflow = constant(
        "overflow",
        "OVERFLOW",
        quote!(__shm::Overflow),
        "What the publisher does when a slot is needed again that subscribers have not read.",
        quote!(__shm::Overflow::Overwrite),
    );
    let patience = constant(
        "patience",
        "PATIENCE",
        duration(),
        "How long a subscriber that receives nothing may hold up a publisher that waits.",
        quote!(__shm::PATIENCE),
    );
    let expect_every = constant(
        "expect_every",
        "EXPECT_EVERY",
        duration(),
        "How often subscribers expect a message.",
        quote!(__shm::Duration::ZERO),
    );
    if terms.is_empty() {
        return (terms, descriptor);
    }
    (terms, quote!(__shm::between(#descriptor, #overflow, #patience, #expect_every)))
}

/// Constants that describe the types of the messages, one by one and together.
pub fn carries(kind: &Kind) -> TokenStream {
    let consts = (0..).map(|i: usize| format_ident!("CARRIES{i}"));
    let carried = carried(kind);
    let all = match &kind.format {
        Format::Tail(_) => quote!(__shm::with_tail(Self::CARRIES0, Self::CARRIES1)),
        _ if kind.messages.len() == 2 => quote!(__shm::exchange(Self::CARRIES0, Self::CARRIES1)),
        _ => quote!(Self::CARRIES0),
    };
    quote! {
        #(const #consts: __shm::Carries = #carried;)*
        const CARRIES: __shm::Carries = #all;
    }
}

/// What describes each type of message: the only place that asks for what it has to be, hence one error.
fn carried(kind: &Kind) -> Vec<TokenStream> {
    let messages = kind.messages.iter().map(|m| match &kind.format {
        Format::Codec(codec) => {
            let carries = quote_spanned!(codec.span()=> <#codec as __shm::Carry<#m>>::CARRIES);
            quote!(__shm::at_most(#carries, {
                #[allow(unused_imports)]
                use __shm::Unknown as _;
                <__shm::Longest<#m, #codec>>::BYTES
            }))
        }
        _ => quote_spanned!(m.span()=> <#m as __shm::FixedMessage>::CARRIES),
    });
    let item = match &kind.format {
        Format::Tail(TypeSlice { elem, .. }) => {
            Some(quote_spanned!(elem.span()=> <#elem as __shm::TailItem>::CARRIES))
        }
        _ => None,
    };
    messages.chain(item).collect()
}

/// `PubSub<Imu>`, in full.
fn pattern(kind: &Kind) -> TokenStream {
    let Kind { ident, messages, .. } = kind;
    let format = format(kind);
    quote!(__shm::#ident<#(#messages,)* #format>)
}

pub fn format(kind: &Kind) -> Option<Type> {
    match &kind.format {
        Format::Fixed => None,
        Format::Tail(slice) => Some(Type::Slice(slice.clone())),
        Format::Codec(codec) => Some(codec.clone()),
    }
}

fn checks(channel: &Channel) -> TokenStream {
    let Channel { ident, kind, values, .. } = channel;
    let who = ident.unraw().to_string();
    let shown: Vec<_> = kind.messages.iter().map(show).collect();
    let mut checks = vec![check(channel, "name", "name", channel.name(), quote!(#who, #ident::NAME))];
    if let Some(slots) = values.get("slots") {
        checks.push(check(channel, "slots", "slots", slots, quote!(#who, #ident::SLOTS)));
    }
    if let Some(period) = values.get("expect_every") {
        let arguments = quote!(#who, #ident::EXPECT_EVERY);
        checks.push(check(channel, "expect_every", "expect_every", period, arguments));
    }
    if let Some(seats) = values.get("seats") {
        checks.push(check(channel, "seats", "seats", seats, quote!(#who, #ident::SEATS)));
    }
    if let Some(publishers) = values.get("publishers") {
        let count = quote!(#ident::PUBLISHERS);
        checks.push(check(channel, "publishers", "publishers", publishers, quote!(#who, #count)));
        checks.push(check(channel, "seats", "seats_beside", publishers, quote!(#who, #count, #ident::SEATS)));
        if let Some(overflow) = values.get("overflow") {
            let arguments = quote!(#who, #count, #overflow);
            checks.push(check(channel, "overflow", "one_waits", overflow, arguments));
        }
    }
    let items = match &kind.format {
        Format::Tail(slice) => Some((&*slice.elem, show(&slice.elem))),
        _ => None,
    };
    let all = kind.messages.iter().zip(&shown).chain(items.iter().map(|(item, shown)| (*item, shown)));
    for (i, (message, shown)) in all.enumerate() {
        let carries = format_ident!("CARRIES{i}");
        checks.push(check(channel, "message", "message", message, quote!(#who, #shown, #ident::#carries)));
    }
    if let Some((item, shown_item)) = &items {
        let header = &shown[0];
        checks.push(check(channel, "tail", "tail", item, quote!(#header, #shown_item, #ident::CARRIES)));
        if !values.contains_key("max_len") && !values.contains_key("slot_size") {
            checks.push(check(channel, "max_len", "has_max_len", item, quote!(#who, #shown_item)));
        }
    }
    if let Some(max_len) = values.get("max_len") {
        let arguments = quote!(#who, #ident::CARRIES, #ident::MAX_LEN, #ident::SLOT_SIZE);
        checks.push(check(channel, "max_len", "tail_fits", max_len, arguments));
    }
    for (i, (message, shown)) in kind.messages.iter().zip(&shown).enumerate() {
        let carries = format_ident!("CARRIES{i}");
        let size = values.get("slot_size");
        checks.push(match size {
            Some(size) => check(
                channel,
                "slot_size",
                "fits",
                size,
                quote!(#who, #shown, #ident::#carries, #ident::SLOT_SIZE),
            ),
            None => {
                check(channel, "slot_size", "has_slot_size", message, quote!(#who, #shown, #ident::#carries))
            }
        });
    }
    checks.into_iter().collect()
}

/// A constant that fails to evaluate if `function(arguments)` does, underlining `tokens`. The error
/// shows its name.
pub fn check(
    channel: &Channel,
    what: &str,
    function: &str,
    tokens: impl ToTokens,
    arguments: TokenStream,
) -> TokenStream {
    let mut trees = tokens.into_token_stream().into_iter();
    let start = trees.next().map_or_else(Span::call_site, |t| t.span());
    let end = trees.last().map_or(start, |t| t.span());
    let function = function.split("::").map(|word| Ident::new(word, start));
    let call = call(quote_spanned!(start=> __shm::#(#function)::*), arguments, end);
    let constant = format_ident!("{what}_of_{}", channel.ident.unraw());
    quote!(const _: () = { const #constant: () = #call; };)
}

fn docs(channel: &Channel) -> Vec<String> {
    let link = |ty: &Type| match ty {
        Type::Path(p) if p.path.segments.iter().all(|s| matches!(s.arguments, PathArguments::None)) => {
            format!("[`{}`]", show(ty))
        }
        _ => format!("`{}`", show(ty)),
    };
    let messages = channel.kind.messages.iter().map(link).collect::<Vec<_>>().join(" → ");
    let format = format(&channel.kind).map_or(String::new(), |format| format!(", `{}`", show(&format)));
    let documented = channel.attrs.iter().any(|a| a.path().is_ident("doc"));
    let gap = documented.then(String::new);
    let (title, name) = (channel.kind.pattern.title, channel.shown_name());
    let with = if channel.wire == Wire::Python { " with Python" } else { "" };
    gap.into_iter().chain([format!(" {title} channel `{name}`{with}: {messages}{format}.")]).collect()
}

/// A type as its author would write it.
pub fn show(ty: &Type) -> String {
    let text = quote!(#ty).to_string().replace("__shm :: ", "");
    let pairs = [(" :: ", "::"), (" < ", "<"), ("< ", "<"), (" >", ">"), (" , ", ", "), (" ;", ";")];
    pairs.iter().fold(text, |text, (from, to)| text.replace(from, to))
}
