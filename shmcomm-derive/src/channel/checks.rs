//! Generates the checks of a channel that need the compiler: sizes, names and counts, under the tokens concerned.

use super::keys::{GROW, IN_PLACE};
use super::kind::{Format, Kind};
use super::parse::Channel;
use super::parts::shm;
use crate::errors::call;
use crate::spans::{generated_ident, show, written};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;

/// Generates the checks of a channel between programs that use this library.
pub fn native(channel: &Channel, kind: &Kind) -> TokenStream {
    let values = &channel.values;
    let ident = generated_ident(&channel.ident);
    let who = ident.unraw().to_string();
    let shown: Vec<_> = kind.messages.iter().map(show).collect();
    let mut checks = vec![name(channel, "name", &ident, &who)];
    if let Some(slots) = values.get("slots") {
        checks.push(check(channel, "slots", slots, quote!(#who, #ident::SLOTS)));
    }
    if let Some(group) = values.get("group") {
        checks.push(check(channel, "group", group, quote!(#who, #group)));
    }
    if let Some(period) = values.get("expect_every") {
        checks.push(check(channel, "expect_every", period, quote!(#who, #ident::EXPECT_EVERY)));
    }
    if let Some(seats) = values.get("seats") {
        checks.push(check(channel, "seats", seats, quote!(#who, #ident::SEATS)));
    }
    if let Some(window) = values.get("window").filter(|_| channel.streams) {
        checks.push(check(channel, "window", window, quote!(#who, #ident::WINDOW)));
    }
    if let Some(publishers) = values.get("publishers") {
        let count = quote!(#ident::PUBLISHERS);
        checks.push(check(channel, "publishers", publishers, quote!(#who, #count)));
        checks.push(check(channel, "seats_beside", publishers, quote!(#who, #count, #ident::SEATS)));
        if let Some(overflow) = values.get("overflow") {
            checks.push(check(channel, "one_waits", overflow, quote!(#who, #count, #ident::OVERFLOW)));
        }
    }
    if let Some(grow) = values.get(GROW) {
        let arguments = quote!(#who, #ident::CARRIES, #ident::SLOT_SIZE, #ident::GROW);
        checks.push(check(channel, "grow", grow, arguments));
        checks.push(check(channel, "grows_alone", grow, quote!(#who, #ident::PUBLISHERS)));
    }
    if let Some(in_place) = values.get(IN_PLACE) {
        let longest = values.get(GROW).map_or(quote!(#ident::SLOT_SIZE), |_| quote!(#ident::GROW));
        let seats = values.get("seats").map_or(quote!(0), |_| quote!(#ident::SEATS));
        let arguments = quote!(#who, #ident::IN_PLACE, #longest, #ident::SLOTS, #ident::PUBLISHERS, #seats);
        checks.push(check(channel, "in_place", in_place, arguments));
    }
    let items = match &kind.format {
        Format::Tail(slice) => Some((&*slice.elem, show(&slice.elem))),
        _ => None,
    };
    let all = kind.messages.iter().zip(&shown).chain(items.iter().map(|(item, shown)| (*item, shown)));
    for (i, (message, shown)) in all.enumerate() {
        let carries = format_ident!("CARRIES{i}");
        checks.push(check(channel, "message", message, quote!(#who, #shown, #ident::#carries)));
    }
    if let Some((item, shown_item)) = &items {
        let header = &shown[0];
        checks.push(check(channel, "tail", item, quote!(#header, #shown_item, #ident::CARRIES)));
        if !values.contains_key("max_len") && !values.contains_key("slot_size") {
            checks.push(check(channel, "has_max_len", item, quote!(#who, #shown_item)));
        }
    }
    if let Some(max_len) = values.get("max_len") {
        let arguments = quote!(#who, #ident::CARRIES, #ident::MAX_LEN, #ident::SLOT_SIZE);
        checks.push(check(channel, "tail_fits", max_len, arguments));
    }
    let encoded = matches!(kind.format, Format::Codec(_) | Format::Known(_));
    for (i, (message, shown)) in kind.messages.iter().zip(&shown).enumerate() {
        let carries = format_ident!("CARRIES{i}");
        match values.get("slot_size") {
            Some(size) => {
                let arguments = quote!(#who, #shown, #ident::#carries, #ident::SLOT_SIZE);
                checks.push(check(channel, "fits", size, arguments));
            }
            None if encoded => {
                checks.push(check(channel, "has_slot_size", message, quote!(#who, #shown, #ident::#carries)));
            }
            None => {}
        }
    }
    checks.into_iter().collect()
}

/// Generates the checks of a channel with Python.
pub fn python(channel: &Channel, kind: &Kind) -> TokenStream {
    let values = &channel.values;
    let ident = generated_ident(&channel.ident);
    let who = ident.unraw().to_string();
    // The lock file of a queue leaves fewer bytes for its name.
    let queue = kind.pattern.python.0 == "pushpull";
    let function = if queue { "wire::queue_name" } else { "wire::name" };
    let mut checks = vec![name(channel, function, &ident, &who)];
    if let Some(slots) = values.get("slots") {
        checks.push(check(channel, "wire::slots", slots, quote!(#who, #ident::SLOTS)));
    }
    for (i, message) in kind.messages.iter().enumerate() {
        let (carries, shown) = (format_ident!("CARRIES{i}"), show(message));
        checks.push(check(channel, "message", message, quote!(#who, #shown, #ident::#carries)));
        if let Some(size) = values.get("slot_size") {
            let arguments = quote!(#who, #shown, #ident::#carries, #ident::SLOT_SIZE);
            checks.push(check(channel, "wire::fits", size, arguments));
        }
    }
    checks.into_iter().collect()
}

/// Generates the check of the name. A template is checked with a digit for each parameter.
fn name(channel: &Channel, function: &str, ident: &Ident, who: &str) -> TokenStream {
    let arguments = match &channel.template {
        Some(template) => {
            let example = template.example();
            quote!(#who, #example)
        }
        None => quote!(#who, #ident::NAME),
    };
    check(channel, function, channel.name(), arguments)
}

/// Generates a constant that fails to evaluate if `function(arguments)` does, underlining `tokens`.
fn check(channel: &Channel, function: &str, tokens: impl ToTokens, arguments: TokenStream) -> TokenStream {
    let shm = shm(channel);
    let mut trees = tokens.into_token_stream().into_iter();
    let start = trees.next().map_or_else(Span::call_site, |t| t.span());
    let end = trees.last().map_or(start, |t| t.span());
    let function = function.split("::").map(|word| format_ident!("{word}"));
    let call = call(written(quote!(__shmcomm_checks::#(#function)::*), start), arguments, end);
    quote! {
        const _: () = {
            use #shm as __shmcomm_checks;
            #call
        };
    }
}
