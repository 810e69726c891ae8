//! What a message is made of, checked as far as its text tells.

use super::wording;
use crate::errors::Errors;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use std::collections::BTreeSet;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Data, DataEnum, DataStruct, DeriveInput, GenericParam, LitStr, Path, Type};

pub struct Message<'a> {
    pub input: &'a DeriveInput,
    pub krate: TokenStream,
    pub body: Body<'a>,
    /// serde is told to encode it otherwise than its declaration says, or knows its parts by other names.
    pub encoded_otherwise: bool,
}

pub enum Body<'a> {
    Struct(Vec<Field<'a>>),
    Enum { prim: Ident, variants: Vec<Variant<'a>> },
}

pub struct Field<'a> {
    /// As `offset_of!` takes it.
    pub member: TokenStream,
    /// As a part of other identifiers.
    pub word: Ident,
    /// As other programs see it.
    pub name: String,
    pub named: bool,
    pub ty: &'a Type,
    /// The first token to underline when the error is about the field, not its type.
    pub start: Span,
}

pub struct Variant<'a> {
    pub ident: &'a Ident,
    /// As other programs see it.
    pub name: String,
}

impl Variant<'_> {
    pub fn ident_at(&self, span: Span) -> Ident {
        let mut ident = self.ident.clone();
        ident.set_span(span);
        ident
    }
}

impl<'a> Message<'a> {
    pub fn read(input: &'a DeriveInput, errors: &mut Errors) -> Option<Self> {
        let krate = krate(&input.attrs, errors);
        for param in &input.generics.params {
            if let GenericParam::Lifetime(l) = param {
                errors.at(l, "a message borrows nothing: it has to make sense in every process");
            }
        }
        let body = match &input.data {
            Data::Struct(data) => structure(input, data, errors),
            Data::Enum(data) => enumeration(input, data, errors),
            Data::Union(data) => {
                errors
                    .at(data.union_token, "a union does not say which of its fields is valid; use a struct");
                return None;
            }
        };
        Some(Message { input, krate, body, encoded_otherwise: encoded_otherwise(input) })
    }
}

fn structure<'a>(input: &'a DeriveInput, data: &'a DataStruct, errors: &mut Errors) -> Body<'a> {
    let reprs = reprs(&input.attrs);
    if !reprs.iter().any(|r| r == "C" || r == "transparent") {
        errors.at(
            &input.ident,
            format_args!(
                "`{0}` needs `#[repr(C)]`: without it Rust may order the fields anew in every program\n\
                 fix: write `#[repr(C)]` above `struct {0}`",
                input.ident
            ),
        );
    }
    if data.fields.is_empty() {
        errors.at(&input.ident, format_args!("`{}` has no fields, so there is nothing to send", input.ident));
    }
    let mut names = Names::new("field");
    let fields = data.fields.iter().enumerate().map(|(i, field)| {
        let (member, word, start) = match &field.ident {
            Some(ident) => (quote!(#ident), ident.unraw(), ident.span()),
            None => (syn::Member::from(i).to_token_stream(), format_ident!("f{i}"), field.ty.span()),
        };
        let name = names.read(&field.attrs, &word, errors);
        if let Some((part, problem)) = wording::never_inline(&field.ty) {
            errors.at(part, problem);
        }
        Field { member, word, name, named: field.ident.is_some(), ty: &field.ty, start }
    });
    Body::Struct(fields.collect())
}

fn enumeration<'a>(input: &'a DeriveInput, data: &'a DataEnum, errors: &mut Errors) -> Body<'a> {
    const PRIMS: [&str; 8] = ["u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64"];
    let reprs = reprs(&input.attrs);
    let prim = reprs.iter().find(|r| PRIMS.contains(&r.as_str()));
    if prim.is_none() {
        errors.at(&input.ident, format_args!(
            "`{0}` needs `#[repr(u8)]`, or another integer of fixed size, so that its variants are the same numbers everywhere\n\
             fix: write `#[repr(u8)]` above `enum {0}`", input.ident));
    }
    if reprs.iter().any(|r| r == "align") {
        errors
            .at(&input.ident, format_args!("`{}` has padding: leave `align` out of its `repr`", input.ident));
    }
    if data.variants.is_empty() {
        errors.at(
            &input.ident,
            format_args!("`{}` has no variants, so there is no value to send", input.ident),
        );
    }
    if !input.generics.params.is_empty() {
        errors.at(&input.generics, "an enum without data needs no generic parameters");
    }
    let mut names = Names::new("variant");
    let variants = data.variants.iter().map(|variant| {
        if !variant.fields.is_empty() {
            errors.at(&variant.fields, format_args!(
                "variant `{}` carries data; a message holds only enums without\n\
                 fix: make it a struct with an enum field for the kind, and a field for each part of the data", variant.ident));
        }
        let name = names.read(&variant.attrs, &variant.ident.unraw(), errors);
        Variant { ident: &variant.ident, name }
    });
    let variants = variants.collect();
    Body::Enum { prim: Ident::new(prim.map_or("u8", String::as_str), input.ident.span()), variants }
}

/// The names of fields or variants, `rename` considered.
struct Names {
    of: &'static str,
    seen: BTreeSet<String>,
}

impl Names {
    fn new(of: &'static str) -> Self {
        Names { of, seen: BTreeSet::new() }
    }

    fn read(&mut self, attrs: &[Attribute], word: &Ident, errors: &mut Errors) -> String {
        let (mut name, mut at) = (word.to_string(), None);
        for attr in attrs.iter().filter(|a| is(a.path(), "shm")) {
            let read = attr.parse_nested_meta(|meta| {
                if meta.path.is_ident("rename") {
                    let literal = meta.value()?.parse::<LitStr>()?;
                    name = literal.value();
                    at = Some(literal.span());
                    return Ok(());
                }
                Err(meta.error(format_args!("unknown key; a {} takes `#[shm(rename = \"...\")]`", self.of)))
            });
            if let Err(error) = read {
                errors.push(error);
            }
        }
        let at = at.unwrap_or_else(|| word.span());
        if name.is_empty() {
            errors.at_span(at, format_args!("a {} needs a name that other programs can use", self.of));
        } else if !self.seen.insert(name.clone()) {
            errors.at_span(at, format_args!("two {}s would be called `{name}` in other programs", self.of));
        }
        name
    }
}

/// The words inside every `repr`, `r#repr` included: the compiler obeys that one as well.
fn reprs(attrs: &[Attribute]) -> Vec<String> {
    let mut words = Vec::new();
    for attr in attrs.iter().filter(|a| is(a.path(), "repr")) {
        // Errors in here are the compiler's to report.
        let _ = attr.parse_nested_meta(|meta| {
            if let Some(ident) = meta.path.get_ident() {
                words.push(ident.unraw().to_string());
            }
            if meta.input.peek(syn::token::Paren) {
                let inner;
                syn::parenthesized!(inner in meta.input);
                inner.parse::<TokenStream>()?;
            }
            Ok(())
        });
    }
    words
}

/// Whether a part of the input, or the whole, has `#[serde(…)]`, or a part has `#[shm(rename = "…")]`.
fn encoded_otherwise(input: &DeriveInput) -> bool {
    let parts: Vec<&[Attribute]> = match &input.data {
        Data::Struct(data) => data.fields.iter().map(|field| &field.attrs[..]).collect(),
        Data::Enum(data) => data.variants.iter().map(|variant| &variant.attrs[..]).collect(),
        Data::Union(_) => Vec::new(),
    };
    let has = |attrs: &[Attribute], name| attrs.iter().any(|a| is(a.path(), name));
    has(&input.attrs, "serde") || parts.iter().any(|attrs| has(attrs, "serde") || has(attrs, "shm"))
}

/// Where `shmcomm` is, `#[shm(crate = "...")]` considered.
pub fn krate(attrs: &[Attribute], errors: &mut Errors) -> TokenStream {
    let mut krate = quote!(::shmcomm);
    for attr in attrs.iter().filter(|a| is(a.path(), "shm")) {
        let read = attr.parse_nested_meta(|meta| {
            if meta.path.is_ident("crate") {
                let path: LitStr = meta.value()?.parse()?;
                let path: Path = path.parse()?;
                krate = quote!(#path);
                return Ok(());
            }
            Err(meta.error("unknown key; a message takes `#[shm(crate = \"path::to::shmcomm\")]`"))
        });
        if let Err(error) = read {
            errors.push(error);
        }
    }
    krate
}

fn is(path: &Path, name: &str) -> bool {
    path.get_ident().is_some_and(|i| i.unraw() == name)
}
