//! Reads
//!
//! ```text
//! /// Docs.
//! pub Telemetry: PubSub<Imu> { name: "robot/imu", slots: 256 }
//! ```

use super::keys::{FORMATS, KEYS, Key, PATTERNS, Pattern, WIRES, Wire};
use super::settings;
use crate::errors::{Errors, did_you_mean, list};
use proc_macro2::{Ident, TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{
    Attribute, GenericArgument, Lit, LitStr, PathArguments, PathSegment, Result, Token, Type, TypeSlice,
    Visibility,
};

pub struct Channel {
    pub krate: TokenStream,
    pub attrs: Vec<Attribute>,
    pub vis: Visibility,
    pub ident: Ident,
    pub kind: Kind,
    pub wire: Wire,
    /// By key.
    pub values: BTreeMap<&'static str, TokenStream>,
}

/// `PubSub<Imu>`, in parts.
pub struct Kind {
    pub pattern: &'static Pattern,
    /// Its spelling, for hover and "go to definition".
    pub ident: Ident,
    pub messages: Vec<Type>,
    pub format: Format,
}

pub enum Format {
    Fixed,
    Tail(TypeSlice),
    Codec(Type),
}

pub fn channels(input: TokenStream, errors: &mut Errors) -> Vec<Channel> {
    let mut channels = Vec::new();
    let parser = |input: ParseStream| {
        let krate;
        syn::bracketed!(krate in input);
        let krate: TokenStream = krate.parse()?;
        while !input.is_empty() {
            if let Some(channel) = channel(&krate, input, errors)? {
                channels.push(channel);
            }
        }
        Ok(())
    };
    if let Err(error) = parser.parse2(input) {
        errors.push(error);
    }
    duplicates(&mut channels, errors);
    channels
}

/// `Err` if the rest of the input cannot be told apart any more, `None` if only this channel is lost.
fn channel(krate: &TokenStream, input: ParseStream, errors: &mut Errors) -> Result<Option<Channel>> {
    let attrs = input.call(Attribute::parse_outer)?;
    let vis = input.parse()?;
    let ident: Ident = input.parse().map_err(|e| {
        let example = "`pub Telemetry: PubSub<Imu> { name: \"robot/imu\" }`";
        syn::Error::new(e.span(), format_args!("expected a channel: {example}"))
    })?;
    input.parse::<Token![:]>().map_err(|e| {
        let words = format_args!("expected `:` and a pattern: `{ident}: PubSub<Message> {{ .. }}`");
        syn::Error::new(e.span(), words)
    })?;
    let path: syn::Path = input.parse()?;
    let kind = path.segments.last().and_then(|last| kind(last, errors));

    let mut entries = Vec::new();
    let body;
    let brace = syn::braced!(body in input);
    while !body.is_empty() {
        entries.push(entry(&body, errors)?);
    }
    let _: Option<Token![,]> = input.parse()?;
    let _: Option<Token![;]> = input.parse()?;

    let Some(wire) = wire(&entries, errors) else { return Ok(None) };
    let mut values = BTreeMap::new();
    for (key, value) in entries {
        insert(&key, value, &ident, kind.as_ref(), wire, &mut values, errors);
    }
    if !values.contains_key("name") {
        errors.at_span(
            brace.span.close(),
            format_args!("channel `{ident}` has no name; write `name: \"robot/imu\"`"),
        );
        return Ok(None);
    }
    if let (Some(Kind { format: Format::Tail(slice), .. }), Wire::Python) = (&kind, wire) {
        errors.at(
            slice,
            "Python has no tails: let a codec write the whole message, such as `PubSub<Message, Pickle>`",
        );
        return Ok(None);
    }
    Ok(kind.map(|kind| Channel { krate: krate.clone(), attrs, vis, ident, kind, wire, values }))
}

type Entry = (Ident, TokenStream);

/// `key: tokens up to the next comma`.
fn entry(body: ParseStream, errors: &mut Errors) -> Result<Entry> {
    let key = body.call(Ident::parse_any)?;
    if body.peek(Token![=]) {
        let equals: Token![=] = body.parse()?;
        errors.at(equals, format_args!("write `{key}: value`"));
    } else {
        body.parse::<Token![:]>()?;
    }
    let mut value = TokenStream::new();
    while !body.is_empty() && !body.peek(Token![,]) {
        value.extend([body.parse::<TokenTree>()?]);
    }
    let _: Option<Token![,]> = body.parse()?;
    Ok((key, value))
}

/// Decides which keys there are, so it is looked for before the others are looked at.
fn wire(entries: &[Entry], errors: &mut Errors) -> Option<Wire> {
    let Some((_, value)) = entries.iter().find(|(key, value)| key == "wire" && !value.is_empty()) else {
        return Some(Wire::Native);
    };
    let word = value.to_string();
    let wire = WIRES.iter().find(|(known, _)| *known == word).map(|(_, wire)| *wire);
    if wire.is_none() {
        let words = WIRES.map(|(word, _)| word);
        let hint = did_you_mean(&word, &words).map_or(String::new(), |w| format!("; did you mean `{w}`?"));
        errors.at(value, format_args!("`{word}` is no wire{hint}\nuse {}", list(&words, "or")));
    }
    wire
}

fn insert(
    key: &Ident,
    value: TokenStream,
    channel: &Ident,
    kind: Option<&Kind>,
    wire: Wire,
    values: &mut BTreeMap<&'static str, TokenStream>,
    errors: &mut Errors,
) {
    let word = key.unraw().to_string();
    let Some(known) = KEYS.iter().find(|k| k.word == word) else {
        unknown_key(key, &word, kind, wire, errors);
        return;
    };
    if let Some(kind) = kind.filter(|kind| !known.fits(kind.pattern, kind.format.is_tail(), wire)) {
        let (whose, this) = (known.whose(), kind.pattern.shape);
        let with = if wire == Wire::Python { " with `wire: Python`" } else { "" };
        errors.at(key, format_args!("`{word}` is a key of {whose}, not of `{this}`{with}"));
    } else if value.is_empty() {
        errors.at(key, format_args!("`{word}` needs a value"));
    } else if let Some(value) = settings::value(known.word, value, errors)
        && values.insert(known.word, value).is_some()
    {
        errors.at(key, format_args!("`{word}` of channel `{channel}` is given twice"));
    }
}

fn unknown_key(key: &Ident, word: &str, kind: Option<&Kind>, wire: Wire, errors: &mut Errors) {
    let fits = |k: &&Key| kind.is_none_or(|kind| k.fits(kind.pattern, kind.format.is_tail(), wire));
    let known: Vec<_> = KEYS.iter().filter(fits).map(|k| k.word).collect();
    let hint = did_you_mean(word, &known).map_or(String::new(), |k| format!("; did you mean `{k}`?"));
    let whose = kind.map_or("a channel".into(), |kind| format!("a `{}` channel", kind.pattern.word));
    errors.at(key, format_args!("unknown key `{word}`{hint}\n{whose} takes {}", list(&known, "and")));
}

fn kind(last: &PathSegment, errors: &mut Errors) -> Option<Kind> {
    let word = last.ident.unraw().to_string();
    let Some(pattern) = PATTERNS.iter().find(|p| p.word == word) else {
        let hint = did_you_mean(&word, &PATTERNS.each_ref().map(|p| p.word))
            .map_or(String::new(), |k| format!("; did you mean `{k}`?"));
        let shapes = list(&PATTERNS.each_ref().map(|p| p.shape), "or");
        errors.at(&last.ident, format_args!("`{word}` is no pattern{hint}\nuse {shapes}"));
        return None;
    };
    let shape = pattern.shape;
    let mut messages = Vec::new();
    if let PathArguments::AngleBracketed(arguments) = &last.arguments {
        for argument in &arguments.args {
            match argument {
                GenericArgument::Type(ty) => messages.push(ty.clone()),
                other => errors.at(other, format_args!("expected a type: `{shape}`")),
            }
        }
    }
    if messages.len() < pattern.messages || messages.len() > pattern.messages + 1 {
        let with_codec = shape.replace('>', ", Msgpack>");
        errors.at(last, format_args!("expected `{shape}`, or with a codec `{with_codec}`"));
        return None;
    }
    let format = if messages.len() > pattern.messages { messages.pop() } else { None };
    let format = match format {
        None => Format::Fixed,
        Some(Type::Slice(slice)) if pattern.tail => Format::Tail(slice),
        Some(ty @ Type::Slice(_)) => {
            errors
                .at(&ty, format_args!("a tail of items is for `PubSub<Header, [Item]>`, not for `{shape}`"));
            return None;
        }
        Some(ty) if is_word(&ty, "Fixed") => Format::Fixed,
        // Ours need no import.
        Some(ty) if FORMATS.iter().any(|word| is_word(&ty, word)) => {
            Format::Codec(syn::parse_quote_spanned!(ty.span()=> __shm::#ty))
        }
        Some(ty) => Format::Codec(ty),
    };
    for message in &messages {
        if let (Type::Slice(_), Format::Fixed | Format::Tail(_)) = (message, &format) {
            let cure = if pattern.tail {
                "put a header before it: `PubSub<Header, [Item]>`"
            } else {
                "use an array or a `shmcomm::ShmVec`"
            };
            errors.at(message, format_args!("a slice has no fixed size, so it is no message\n{cure}"));
            return None;
        }
    }
    Some(Kind { pattern, ident: last.ident.clone(), messages, format })
}

fn is_word(ty: &Type, word: &str) -> bool {
    matches!(ty, Type::Path(p) if p.path.get_ident().is_some_and(|i| i == word))
}

impl Format {
    pub fn is_tail(&self) -> bool {
        matches!(self, Format::Tail(..))
    }
}

/// The string, if `tokens` is nothing but a string literal.
pub fn literal(tokens: &TokenStream) -> Option<LitStr> {
    match syn::parse2(tokens.clone()) {
        Ok(Lit::Str(s)) => Some(s),
        _ => None,
    }
}

fn duplicates(channels: &mut Vec<Channel>, errors: &mut Errors) {
    let mut idents = BTreeSet::new();
    // Channels under a `cfg` may well exclude each other.
    let conditional = |channel: &Channel| channel.attrs.iter().any(|a| a.path().is_ident("cfg"));
    channels.retain(|channel| {
        let new = conditional(channel) || idents.insert(channel.ident.to_string());
        if !new {
            errors.at(&channel.ident, format_args!("channel `{}` is declared twice", channel.ident));
        }
        new
    });
    let mut seen: BTreeMap<_, &Channel> = BTreeMap::new();
    for channel in channels.iter().filter(|channel| !conditional(channel)) {
        let Some(name) = literal(channel.name()).map(|name| name.value()) else { continue };
        // With Python each pattern has segments of its own.
        let segment = match channel.wire {
            Wire::Native => ("", name.clone()),
            Wire::Python => (channel.kind.pattern.word, name.clone()),
        };
        if let Some(first) = seen.get(&segment) {
            let (a, b) = (&first.ident, &channel.ident);
            errors.at(
                channel.name(),
                format_args!("`{a}` and `{b}` have the same name {name:?}; they would share one segment"),
            );
            errors.at(first.name(), format_args!("{name:?} is first used here, by `{a}`"));
        } else {
            seen.insert(segment, channel);
        }
    }
}

impl Channel {
    /// Nothing is a channel without one.
    pub fn name(&self) -> &TokenStream {
        &self.values["name"]
    }

    /// The name as the docs show it.
    pub fn shown_name(&self) -> String {
        literal(self.name()).map_or_else(|| self.name().to_string(), |l| l.value())
    }
}
