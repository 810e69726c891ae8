//! Parser of declarations such as
//!
//! ```text
//! /// Docs.
//! pub Telemetry: PubSub<Imu> { name: "robot/imu", slots: 256 }
//! ```
//!
//! Recovers from errors: a declaration that is incomplete still yields its struct and what is known of it, so
//! that an editor can complete the rest.

use super::attrs;
use super::keys::{GROW, IN_PLACE, KEYS, Key, PATTERNS, WIRES, Wire};
use super::kind::{self, Format, Kind};
use super::settings;
use super::table;
use super::template::{self, Template};
use crate::errors::{Errors, did_you_mean, list};
use crate::spans::show;
use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use std::collections::{BTreeMap, BTreeSet};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Expr, ExprLit, Lit, LitStr, Result, Token, Visibility};

pub struct Channel {
    pub krate: TokenStream,
    pub attrs: Vec<Attribute>,
    pub vis: Visibility,
    pub ident: Ident,
    /// Pattern and messages; empty if they could not be parsed.
    pub kind: Option<Kind>,
    pub wire: Wire,
    /// Values by key.
    pub values: BTreeMap<&'static str, TokenStream>,
    /// `true` if a request has a stream of replies.
    pub streams: bool,
    pub template: Option<Template>,
    /// `true` if the struct itself cannot exist.
    pub omitted: bool,
    /// `true` if the declaration has no error that was found so far; otherwise it is not checked further.
    pub complete: bool,
}

pub fn channels(input: TokenStream, errors: &mut Errors) -> Vec<Channel> {
    let mut channels = Vec::new();
    let parser = |input: ParseStream| {
        let krate;
        syn::bracketed!(krate in input);
        let krate: TokenStream = krate.parse()?;
        while !input.is_empty() {
            channels.extend(channel(&krate, input, errors)?);
        }
        Ok(())
    };
    if let Err(error) = parser.parse2(input) {
        errors.push(error);
    }
    duplicates(&mut channels, errors);
    channels
}

/// Parses a channel. After an error the input continues at the next channel.
fn channel(krate: &TokenStream, input: ParseStream, errors: &mut Errors) -> Result<Option<Channel>> {
    let before = errors.count();
    let (attrs, vis, ident) = match head(input) {
        Ok(head) => head,
        Err(error) => {
            errors.push(error);
            skip_declaration(input)?;
            return Ok(None);
        }
    };
    let mut channel = Channel {
        krate: krate.clone(),
        attrs,
        vis,
        ident,
        kind: None,
        wire: Wire::Native,
        values: BTreeMap::new(),
        streams: false,
        template: None,
        omitted: false,
        complete: false,
    };
    let (brace, entries) = match declared(input, &mut channel, errors) {
        Ok(declared) => declared,
        Err(error) => {
            // The pattern may have said it already.
            if errors.count() == before {
                errors.push(error);
            }
            skip_declaration(input)?;
            return Ok(Some(channel));
        }
    };
    fill(&mut channel, entries, errors);
    if channel.kind.is_some() && !channel.values.contains_key("name") && errors.count() == before {
        errors.at_span(
            brace,
            format_args!("channel `{}` has no name; write `name: \"robot/imu\"`", channel.ident),
        );
    }
    if let (Some(Kind { format: Format::Tail(slice), .. }), Wire::Python) = (&channel.kind, channel.wire) {
        errors.at(
            slice,
            "Python has no tails: let a codec write the whole message, such as `PubSub<Message, Pickle>`",
        );
        channel.kind = None;
    }
    channel.complete = errors.count() == before;
    Ok(Some(channel))
}

/// Parses attributes, visibility and identifier.
fn head(input: ParseStream) -> Result<(Vec<Attribute>, Visibility, Ident)> {
    let attrs = input.call(Attribute::parse_outer)?;
    let vis = input.parse()?;
    let ident: Ident = input.parse().map_err(|error| {
        let example = "`pub Telemetry: PubSub<Imu> { name: \"robot/imu\" }`";
        syn::Error::new(error.span(), format_args!("expected a channel: {example}"))
    })?;
    Ok((attrs, vis, ident))
}

/// Parses the pattern and the keys. Returns the closing brace with the keys.
fn declared(input: ParseStream, channel: &mut Channel, errors: &mut Errors) -> Result<(Span, Vec<Entry>)> {
    let ident = &channel.ident;
    let shape = format!("`{ident}: PubSub<Message> {{ name: \"robot/imu\" }}`");
    if input.peek(Token![:]) {
        input.parse::<Token![:]>()?;
    } else {
        return Err(syn::Error::new(input.span(), format_args!("expected `:` and a pattern: {shape}")));
    }
    if input.is_empty() || input.peek(syn::token::Brace) {
        return Err(syn::Error::new(input.span(), format_args!("expected a pattern: {shape}")));
    }
    let path: syn::Path = input
        .parse()
        .map_err(|error| syn::Error::new(error.span(), format_args!("expected a pattern: {shape}")))?;
    let pattern = PATTERNS.iter().find(|p| path.segments.last().is_some_and(|s| s.ident == p.word));
    let pattern = pattern.map_or("PubSub<Message>", |pattern| pattern.shape);
    if input.peek(syn::token::Paren) {
        return Err(syn::Error::new(
            path_span(&path),
            format_args!("messages stand between `<` and `>`: write `{pattern}`"),
        ));
    }
    channel.kind = path.segments.last().and_then(|last| kind::read(last, errors));
    if channel.kind.as_ref().is_some_and(|kind| kind.is_named_as(ident)) {
        errors.at_span(
            ident.span(),
            format_args!(
                "channel `{ident}` has the name of its message, and both would be types\n\
                 give the channel another name: `{0}Feed: {1} {{ .. }}`",
                ident.unraw(),
                show(&path)
            ),
        );
        channel.omitted = true;
    }
    if !input.peek(syn::token::Brace) {
        let pattern = show(&path);
        let span = if input.is_empty() { path_span(&path) } else { input.span() };
        return Err(syn::Error::new(
            span,
            format_args!("expected keys in braces: `{ident}: {pattern} {{ name: \"robot/imu\" }}`"),
        ));
    }
    let body;
    let brace = syn::braced!(body in input);
    let mut entries = Vec::new();
    let mut separators = true;
    if let Some(kind) = channel.kind.as_mut().filter(|kind| kind.is_table()) {
        entries = table::entries(&body, ident, kind, errors)?;
    }
    while !body.is_empty() {
        entries.extend(entry(&body, &mut separators, errors)?);
    }
    let _: Option<Token![,]> = input.parse()?;
    let _: Option<Token![;]> = input.parse()?;
    Ok((brace.span.close(), entries))
}

fn path_span(path: &syn::Path) -> Span {
    path.segments.last().map_or_else(Span::call_site, |last| last.ident.span())
}

/// Skips the rest of a declaration: up to its braces, or up to a separator.
fn skip_declaration(input: ParseStream) -> Result<()> {
    while !input.is_empty() {
        // The start of another declaration.
        if input.peek(Token![pub]) || input.peek(Token![#]) {
            return Ok(());
        }
        match input.parse::<TokenTree>()? {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => break,
            // A key after the separator belongs to the declaration whose braces are missing.
            TokenTree::Punct(punct) if matches!(punct.as_char(), ';' | ',') && !at_key(input) => break,
            _ => {}
        }
    }
    let _: Option<Token![,]> = input.parse()?;
    let _: Option<Token![;]> = input.parse()?;
    Ok(())
}

fn at_key(input: ParseStream) -> bool {
    let word = input.fork().call(Ident::parse_any);
    word.is_ok_and(|word| KEYS.iter().any(|key| word == key.word)) && input.peek2(Token![:])
}

pub type Entry = (Ident, Option<Expr>);

/// The separators of keys, for errors about them.
const SEPARATED: &str = "keys are separated by `,`: `{ name: \"robot/imu\", slots: 64 }`";

/// Parses `key: value` and the comma after it. Returns a key without a value if the value has an error, which is
/// reported. `separators` is `false` after a wrong separator was reported.
fn entry(body: ParseStream, separators: &mut bool, errors: &mut Errors) -> Result<Option<Entry>> {
    let Ok(key) = body.call(Ident::parse_any) else {
        errors.at_span(body.span(), "expected a key and its value, such as `slots: 64`");
        skip_value(body)?;
        return Ok(None);
    };
    if body.peek(Token![=>]) {
        let arrow: Token![=>] = body.parse()?;
        errors.at(arrow, format_args!("write `{key}: value`"));
    } else if body.peek(Token![=]) {
        let equals: Token![=] = body.parse()?;
        errors.at(equals, format_args!("write `{key}: value`"));
    } else if body.peek(Token![:]) {
        body.parse::<Token![:]>()?;
    } else if body.is_empty() || body.peek(Token![,]) {
        // An unknown key is reported as such.
        let _: Option<Token![,]> = body.parse()?;
        return Ok(Some((key, None)));
    } else {
        errors.at_span(body.span(), format_args!("expected `:` after `{key}`: write `{key}: value`"));
    }
    if body.is_empty() || body.peek(Token![,]) {
        let _: Option<Token![,]> = body.parse()?;
        return Ok(Some((key, None)));
    }
    let value = match body.parse::<Expr>() {
        Ok(value) if key == GROW && body.peek(syn::Ident) && !body.peek2(Token![:]) => {
            // The unit of a size is a word of its own: `1 MiB`.
            settings::with_size_unit(value, &body.parse()?)
        }
        Ok(value) => value,
        Err(error) => {
            errors.at_span(
                error.span(),
                format_args!("`{key}` needs a constant expression as its value: {error}"),
            );
            skip_value(body)?;
            return Ok(None);
        }
    };
    if body.peek(Token![;]) {
        let semicolon: Token![;] = body.parse()?;
        if core::mem::take(separators) {
            errors.at(semicolon, SEPARATED);
        }
        if !(body.peek(syn::Ident::peek_any) && body.peek2(Token![:])) {
            // Not a key: an item of Rust, for example.
            body.parse::<TokenStream>()?;
        }
    } else if !body.is_empty() && !body.peek(Token![,]) {
        if core::mem::take(separators) {
            errors.at_span(body.span(), format_args!("expected `,` after the value of `{key}`\n{SEPARATED}"));
        }
        // A key may follow whose comma is missing; anything else belongs to the value.
        if !(body.peek(syn::Ident::peek_any) && body.peek2(Token![:]) && !body.peek2(Token![::])) {
            skip_value(body)?;
            return Ok(Some((key, Some(value))));
        }
    }
    let _: Option<Token![,]> = body.parse()?;
    Ok(Some((key, Some(value))))
}

/// Skips up to the next separator, and that as well.
pub fn skip_value(body: ParseStream) -> Result<()> {
    while !body.is_empty() {
        if let TokenTree::Punct(punct) = body.parse()?
            && matches!(punct.as_char(), ',' | ';')
        {
            break;
        }
    }
    Ok(())
}

/// Checks the keys and takes their values.
fn fill(channel: &mut Channel, entries: Vec<Entry>, errors: &mut Errors) {
    // The wire decides which keys exist.
    let wire = entries.iter().find(|(key, value)| key == "wire" && value.is_some());
    if let Some((_, Some(value))) = wire {
        match wire_of(value, errors) {
            Some(wire) => channel.wire = wire,
            None => return,
        }
    }
    let keys: Vec<_> = entries.iter().map(|(key, _)| key.clone()).collect();
    for (key, value) in entries {
        insert(&key, value, channel, errors);
    }
    check_replies(channel, &keys, errors);
}

/// Checks the keys that depend on the number of replies to a request.
fn check_replies(channel: &mut Channel, keys: &[Ident], errors: &mut Errors) {
    let streams = channel.values.remove("replies").is_some_and(|value| value.to_string() == "Stream");
    channel.streams = streams;
    let given = |word: &str| keys.iter().find(|key| key.unraw() == word && channel.values.contains_key(word));
    if let Some(key) = given("redeliver").filter(|_| streams) {
        errors.at(
            key,
            "`redeliver` cannot be combined with `replies: Stream`: another replier would begin the stream again, \
             behind replies that the requester has already received\n\
             leave out `redeliver`; a requester that gets `PeerDied` can ask again",
        );
    }
    if let Some(key) = given("window").filter(|_| !streams) {
        errors.at(
            key,
            "`window` is the number of unread replies of a stream, and a request of this channel has one reply\n\
             add `replies: Stream`, or leave out `window`",
        );
    }
}

fn wire_of(value: &Expr, errors: &mut Errors) -> Option<Wire> {
    let word =
        settings::word(value).map_or_else(|| value.to_token_stream().to_string(), |word| word.to_string());
    let wire = WIRES.iter().find(|(known, _)| *known == word).map(|(_, wire)| *wire);
    if wire.is_none() {
        let words = WIRES.map(|(word, _)| word);
        let hint = did_you_mean(&word, &words).map_or(String::new(), |w| format!("; did you mean `{w}`?"));
        errors.at(value, format_args!("`{word}` is no wire{hint}\nuse {}", list(&words, "or")));
    }
    wire
}

fn insert(key: &Ident, value: Option<Expr>, channel: &mut Channel, errors: &mut Errors) {
    let word = key.unraw().to_string();
    let (kind, wire) = (channel.kind.as_ref(), channel.wire);
    let Some(known) = KEYS.iter().find(|k| k.word == word) else {
        unknown_key(key, &word, kind, wire, errors);
        return;
    };
    if let Some(kind) = kind.filter(|kind| !known.fits(kind.pattern, kind.format.is_tail(), wire)) {
        let (whose, this) = (known.whose(), kind.pattern.shape);
        let with = if wire == Wire::Python { " with `wire: Python`" } else { "" };
        let why = match known.word {
            GROW => {
                "\na request and its reply share a slot of a fixed size: set `slot_size` to the longest message"
            }
            IN_PLACE => "\njobs, requests and replies are in place at every size: leave it out",
            _ => "",
        };
        let why = if kind.is_table() || wire == Wire::Python { "" } else { why };
        errors.at(key, format_args!("`{word}` is a key of {whose}, not of `{this}`{with}{why}"));
        return;
    }
    let Some(value) = value else {
        errors.at(key, format_args!("`{word}` needs a value: write `{word}: {}`", known.example));
        return;
    };
    if known.word == "name" && !name(&value, channel, errors) {
        return;
    }
    if let Some(value) = settings::value(known.word, value, &channel.krate, errors)
        && channel.values.insert(known.word, value).is_some()
    {
        errors.at(key, format_args!("`{word}` of channel `{}` is given twice", channel.ident));
    }
}

/// Reads the parameters of a name. Returns `false` for a name that is no constant, which is reported.
fn name(value: &Expr, channel: &mut Channel, errors: &mut Errors) -> bool {
    match settings::peel(value) {
        Expr::Macro(call) if call.mac.path.segments.last().is_some_and(|s| s.ident == "format") => {
            errors.at(&call.mac.path, template::not_constant("format"));
            return false;
        }
        Expr::Lit(ExprLit { lit: Lit::Str(literal), .. }) => {
            channel.template = template::read(literal, errors);
        }
        _ => {}
    }
    true
}

fn unknown_key(key: &Ident, word: &str, kind: Option<&Kind>, wire: Wire, errors: &mut Errors) {
    let fits = |k: &&Key| kind.is_none_or(|kind| k.fits(kind.pattern, kind.format.is_tail(), wire));
    let known: Vec<_> = KEYS.iter().filter(fits).map(|k| k.word).collect();
    let hint = did_you_mean(word, &known).map_or(String::new(), |k| format!("; did you mean `{k}`?"));
    let whose = kind.map_or("a channel".into(), |kind| format!("a `{}` channel", kind.pattern.word));
    errors.at(key, format_args!("unknown key `{word}`{hint}\n{whose} takes {}", list(&known, "and")));
}

/// Returns the string if `tokens` are a single string literal.
pub fn literal(tokens: &TokenStream) -> Option<LitStr> {
    let value: Expr = syn::parse2(tokens.clone()).ok()?;
    match settings::peel(&value) {
        Expr::Lit(ExprLit { lit: Lit::Str(literal), .. }) => Some(literal.clone()),
        _ => None,
    }
}

fn duplicates(channels: &mut Vec<Channel>, errors: &mut Errors) {
    let mut idents = BTreeSet::new();
    // Channels under a condition may exclude each other.
    let conditional = |channel: &Channel| attrs::is_conditional(&channel.attrs);
    channels.retain(|channel| {
        let new = conditional(channel) || idents.insert(channel.ident.to_string());
        if !new {
            errors.at(&channel.ident, format_args!("channel `{}` is declared twice", channel.ident));
        }
        new
    });
    let mut seen: BTreeMap<_, (&Channel, &TokenStream)> = BTreeMap::new();
    for channel in channels.iter().filter(|channel| !conditional(channel)) {
        let (Some(kind), Some(tokens)) = (&channel.kind, channel.values.get("name")) else { continue };
        let Some(name) = literal(tokens).map(|name| name.value()) else { continue };
        // With Python each pattern has its own segments.
        let group = channel.values.get("group").map(TokenStream::to_string);
        let segment = match channel.wire {
            Wire::Native => ("", group, name.clone()),
            Wire::Python => (kind.pattern.word, None, name.clone()),
        };
        if let Some((first, first_name)) = seen.get(&segment) {
            let (a, b) = (&first.ident, &channel.ident);
            errors.at(
                tokens,
                format_args!("`{a}` and `{b}` have the same name {name:?}; they would share one segment"),
            );
            errors.at(first_name, format_args!("{name:?} is first used here, by `{a}`"));
        } else {
            seen.insert(segment, (channel, tokens));
        }
    }
}

impl Channel {
    /// Returns the name; an empty one if the declaration has none.
    pub fn name(&self) -> TokenStream {
        self.values.get("name").cloned().unwrap_or_else(|| "".to_token_stream())
    }

    /// Returns the name as the docs show it.
    pub fn shown_name(&self) -> String {
        let name = self.name();
        literal(&name).map_or_else(|| name.to_string(), |l| l.value())
    }
}
