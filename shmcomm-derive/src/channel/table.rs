//! Tables: `Robot: Table { name: "robot/state", battery: Battery, pose: Pose }`.
//!
//! Owns the keys of a table, from their tokens to their constants. Calls `parse` for the settings between them.

use super::checks;
use super::kind::{Kind, TABLE_SHAPE, TableKey, is_word};
use super::parse::{Channel, Entry, skip_value};
use super::parts::{carried, parameters, shared, shm};
use crate::errors::{Errors, list};
use crate::message::peel;
use crate::spans::{generated_ident, show};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use std::collections::BTreeMap;
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Attribute, Expr, LitStr, Result, Token, Type};

/// Settings of a table. Every other word is a key. The word `group` is a key too, unless a text follows, and `writers`
/// unless `One` or `Many` follows.
const SETTINGS: [&str; 3] = ["name", "group", "writers"];
/// Largest number of keys.
const MAX_KEYS: usize = 1024;

/// Parses the settings and keys in the braces of a table. Puts the keys into `kind`, and returns the settings.
pub fn entries(body: ParseStream, ident: &Ident, kind: &mut Kind, errors: &mut Errors) -> Result<Vec<Entry>> {
    let (mut entries, before) = (Vec::new(), errors.count());
    while !body.is_empty() {
        let attrs = body.call(Attribute::parse_outer)?;
        let Ok(name) = body.call(Ident::parse_any) else {
            errors.at_span(
                body.span(),
                "expected a key and the type of its values, such as `battery: Battery`",
            );
            skip_value(body)?;
            continue;
        };
        let word = name.unraw().to_string();
        if body.peek(Token![:]) {
            body.parse::<Token![:]>()?;
        } else {
            let what = if word == "name" { "value" } else { "Type" };
            errors.at_span(body.span(), format_args!("expected `:` after `{word}`: write `{word}: {what}`"));
            skip_value(body)?;
            continue;
        }
        if word == "wire" {
            errors.at(&name, "a table has no `wire`: the library of Python has no tables");
            skip_value(body)?;
            continue;
        }
        if word == "name" || (word == "group" && body.peek(LitStr)) {
            match body.parse::<Expr>() {
                Ok(value) => entries.push((name, Some(value))),
                Err(error) => {
                    let span = error.span();
                    errors.at_span(
                        span,
                        format_args!("`{word}` needs a constant expression as its value: {error}"),
                    );
                    skip_value(body)?;
                    continue;
                }
            }
        } else {
            match body.parse::<Type>() {
                Ok(ty) if word == "writers" && (is_word(&ty, "One") || is_word(&ty, "Many")) => {
                    kind.many_writers = is_word(&ty, "Many");
                }
                Ok(ty) => {
                    kind.messages.push(peel(&ty).clone());
                    kind.keys.push(TableKey { docs: docs(attrs, errors), name });
                }
                Err(error) => {
                    errors.at_span(
                        error.span(),
                        format_args!(
                            "`{word}` is a key of a table, so it needs the type of its values: `{word}: Battery`\n\
                             the settings of a table are {}",
                            list(&SETTINGS, "and")
                        ),
                    );
                    skip_value(body)?;
                    continue;
                }
            }
        }
        if !body.is_empty() && !body.peek(Token![,]) {
            errors.at_span(body.span(), format_args!("expected `,` after `{word}`: write {TABLE_SHAPE}"));
            skip_value(body)?;
            continue;
        }
        let _: Option<Token![,]> = body.parse()?;
    }
    check(ident, kind, errors, before);
    Ok(entries)
}

fn docs(attrs: Vec<Attribute>, errors: &mut Errors) -> Vec<Attribute> {
    let (docs, others): (Vec<_>, Vec<_>) = attrs.into_iter().partition(|attr| attr.path().is_ident("doc"));
    for other in others {
        errors.at(other, "a key takes documentation only: its index must be the same in all programs");
    }
    docs
}

/// Checks the names and the number of the keys.
fn check(ident: &Ident, kind: &Kind, errors: &mut Errors, before: usize) {
    if kind.keys.is_empty() && errors.count() == before {
        errors.at(ident, format_args!("table `{ident}` has no keys\nwrite {TABLE_SHAPE}"));
    }
    if kind.keys.len() > MAX_KEYS {
        errors.at(
            ident,
            format_args!("table `{ident}` has {} keys; a table takes at most {MAX_KEYS}", kind.keys.len()),
        );
    }
    let mut seen = BTreeMap::new();
    for TableKey { name, .. } in &kind.keys {
        let (word, constant) = (name.unraw().to_string(), constant(name).to_string());
        if is_reserved(&constant) {
            errors.at(
                name,
                format_args!(
                    "`{word}` is no name of a key: `{ident}::{constant}` belongs to the channel itself"
                ),
            );
        }
        if let Some(first) = seen.insert(constant.clone(), word.clone()) {
            let why = if first == word {
                format!("key `{word}` is declared twice")
            } else {
                format!("keys `{first}` and `{word}` would both be `{ident}::{constant}`")
            };
            errors.at(name, why);
        }
    }
}

fn is_reserved(constant: &str) -> bool {
    let numbered =
        constant.strip_prefix("CARRIES").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()));
    numbered || matches!(constant, "NAME" | "CHANNEL" | "FIELDS")
}

/// Returns the constant of a key: `BATTERY` for `battery`.
fn constant(key: &Ident) -> Ident {
    let mut constant = format_ident!("{}", key.unraw().to_string().to_uppercase());
    constant.set_span(key.span());
    constant
}

/// Generates the constants and constructors of a table, and the implementation that makes it one.
pub fn items(channel: &Channel, kind: &Kind) -> (TokenStream, TokenStream) {
    let shm = shm(channel);
    let this = generated_ident(&channel.ident);
    let (title, name) = (this.unraw().to_string(), channel.name());
    let words: Vec<_> = kind.keys.iter().map(|key| key.name.unraw().to_string()).collect();
    let types = &kind.messages;
    let consts: Vec<_> = (0..types.len()).map(|i| format_ident!("CARRIES{i}")).collect();
    let carried = carried(&shm, kind);
    let keys = kind.keys.iter().zip(types).zip(&words).enumerate().map(|(i, ((key, ty), word))| {
        let (constant, docs, index) = (constant(&key.name), &key.docs, i as u32);
        let doc = format!(" Key `{word}`.");
        let gap = (!docs.is_empty()).then(|| quote!(#[doc = ""]));
        quote! {
            #(#docs)*
            #gap
            #[doc = #doc]
            pub const #constant: #shm::Key<#this, #ty> = #shm::Key::new(#index, #word);
        }
    });
    let layout = quote!(<Self as #shm::TableKeys>::LAYOUT);
    let mut descriptor = shared(channel, quote!(#shm::declare_table::<#this>(Self::NAME, #layout)));
    if kind.many_writers {
        descriptor = quote!(#shm::many_writers(#descriptor));
    }
    let open = match &channel.template {
        Some(template) => {
            let (parameters, name) = parameters(&shm, template);
            quote! {
                /// Returns an opener of the table with these parameters in its name. A parameter that makes the name
                /// invalid is an error when an end is opened.
                #[inline]
                pub fn instance(#parameters) -> #shm::Opener<#shm::Table<#this>> {
                    const { #shm::named(#descriptor) }.open(#name)
                }
            }
        }
        None => quote! {
            /// Channel as a value.
            pub const CHANNEL: #shm::Channel<#shm::Table<#this>> = #descriptor;

            /// Returns an opener with settings for this run of the program: `open().namespace("sim")`.
            #[inline]
            pub fn open() -> #shm::Opener<#shm::Table<#this>> { Self::CHANNEL.open() }

            /// Opens the writer of a key.
            #[inline]
            pub fn writer<__V: #shm::ShmMessage>(
                key: #shm::Key<#this, __V>,
            ) -> #shm::Result<#shm::TableWriter<#this, __V>, #shm::Error> {
                Self::open().writer(key)
            }

            /// Opens a reader of all keys.
            #[inline]
            pub fn reader() -> #shm::Result<#shm::TableReader<#this>, #shm::Error> {
                Self::open().reader()
            }
        },
    };
    let items = quote! {
        /// Name of the channel, without namespace.
        pub const NAME: &'static #shm::primitive::str = #name;
        #(const #consts: #shm::MessageInfo = #carried;)*
        const FIELDS: &'static [#shm::Field] = &#shm::fields([#((#words, Self::#consts)),*]);
        #(#keys)*
        #open
    };
    let table = quote! {
        impl #shm::TableKeys for #this {
            const LAYOUT: &'static #shm::Schema = &#shm::table_schema(#title, Self::FIELDS);
        }
    };
    let checks = checks::native(channel, kind);
    (items, if channel.complete { quote!(#table #checks) } else { table })
}

/// Describes the keys for the documentation.
pub fn described(kind: &Kind) -> String {
    let key = |(key, ty): (&TableKey, &Type)| format!("`{}: {}`", key.name.unraw(), show(ty));
    kind.keys.iter().zip(&kind.messages).map(key).collect::<Vec<_>>().join(", ")
}
