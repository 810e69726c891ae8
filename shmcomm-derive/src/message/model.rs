//! Model of a message, checked as far as its source text allows.

use super::attrs::{self, Container, FieldAttrs, Missing, VariantAttrs, reprs};
use super::bounds;
use super::wording;
use crate::errors::Errors;
use crate::spans::generated_ident;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use std::collections::BTreeSet;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{
    Attribute, Data, DataEnum, DataStruct, DeriveInput, Expr, Fields, LitStr, Path, Type, WherePredicate,
};

/// Integers that may be the tag of an enum.
const PRIMS: [&str; 8] = ["u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64"];

pub struct Message<'a> {
    pub input: &'a DeriveInput,
    /// Path of `shmcomm`.
    pub krate: TokenStream,
    pub body: Body<'a>,
    pub remote: Option<Type>,
    /// Conditions under which a generic type is a message.
    pub bounds: Vec<WherePredicate>,
    /// Levels of lints that the author set.
    pub lint_levels: Vec<TokenStream>,
    /// `true` if serde encodes the message in another form than its declaration, or knows its parts by other
    /// names.
    pub encoded_otherwise: bool,
}

pub enum Body<'a> {
    Struct {
        fields: Vec<Field<'a>>,
        transparent: bool,
    },
    /// An enum without data.
    Enum {
        prim: Ident,
        variants: Vec<Variant<'a>>,
    },
    /// An enum with data.
    Choice {
        prim: Ident,
        variants: Vec<Variant<'a>>,
    },
}

pub struct Field<'a> {
    /// Field as patterns and expressions take it, marked as generated.
    pub member: TokenStream,
    /// Name that other programs see.
    pub name: String,
    pub named: bool,
    pub ty: &'a Type,
    /// First token to underline if the error is about the field, not its type.
    pub start: Span,
    /// Function that reads the field from the remote type.
    pub getter: Option<Path>,
    /// Value if the writer lacks the field.
    pub default: Option<Missing>,
    /// Earlier names of the field.
    pub aliases: Vec<String>,
}

pub struct Variant<'a> {
    /// Variant as written, marked as generated.
    pub ident: Ident,
    /// Name that other programs see.
    pub name: String,
    pub fields: Vec<Field<'a>>,
    /// Discriminant: the last explicit one, and the distance from it.
    pub value: (Option<&'a Expr>, usize),
    /// `true` if unknown values become this variant.
    pub other: bool,
    /// Earlier names of the variant.
    pub aliases: Vec<String>,
}

impl<'a> Message<'a> {
    /// Reads the message. Returns `None` for an input that cannot become a message in any way.
    pub fn read(input: &'a DeriveInput, errors: &mut Errors) -> Option<Self> {
        let Container { krate, bound, remote } = Container::read(&input.attrs, errors);
        let (body, field_bounds) = match &input.data {
            Data::Struct(data) => structure(input, data, errors),
            Data::Enum(data) => enumeration(input, data, errors),
            Data::Union(data) => {
                errors
                    .at(data.union_token, "a union does not say which of its fields is valid; use a struct");
                return None;
            }
        };
        lifetimes(input, errors);
        if krate.is_empty() {
            return None;
        }
        if let (Some(remote), Body::Enum { .. } | Body::Choice { .. }) = (&remote, &body) {
            errors.at(remote, "`remote` is for structs: convert an enum by a `From` that you write");
        }
        for field in body.fields() {
            if let (Some(getter), None) = (&field.getter, &remote) {
                errors
                    .at(getter, "a `getter` belongs to a struct with `#[shm(remote = \"path::to::Type\")]`");
            }
        }
        let types = body.fields().into_iter().map(|field| field.ty);
        let bounds = bounds::all(input, &krate, bound, types.zip(field_bounds));
        let lint_levels = attrs::lint_levels(all_attrs(input));
        let encoded_otherwise = encoded_otherwise(input, &body);
        Some(Message { input, krate, body, remote, bounds, lint_levels, encoded_otherwise })
    }
}

impl<'a> Body<'a> {
    /// Returns the fields, or the fields of all variants.
    pub fn fields(&self) -> Vec<&Field<'a>> {
        match self {
            Body::Struct { fields, .. } => fields.iter().collect(),
            Body::Enum { variants, .. } | Body::Choice { variants, .. } => {
                variants.iter().flat_map(|variant| &variant.fields).collect()
            }
        }
    }
}

/// Reports lifetime parameters, unless a field of reference type is reported.
fn lifetimes(input: &DeriveInput, errors: &mut Errors) {
    let borrows = |ty: &Type| wording::never_inline(ty).is_some();
    let reported = match &input.data {
        Data::Struct(data) => data.fields.iter().any(|field| borrows(&field.ty)),
        Data::Enum(data) => data.variants.iter().flat_map(|v| &v.fields).any(|field| borrows(&field.ty)),
        Data::Union(_) => true,
    };
    if let (Some(lifetime), false) = (input.generics.lifetimes().next(), reported) {
        errors.at(
            &lifetime.lifetime,
            "a message borrows nothing: it has to make sense in every process\n\
             fix: remove the lifetime, and store values instead of references",
        );
    }
}

type FieldBounds = Vec<Option<attrs::Bound>>;

fn structure<'a>(
    input: &'a DeriveInput,
    data: &'a DataStruct,
    errors: &mut Errors,
) -> (Body<'a>, FieldBounds) {
    let reprs = reprs(&input.attrs);
    let has = |word: &str| reprs.iter().any(|(r, _)| r == word);
    // The compiler refuses an integer on a struct.
    let refused = reprs.iter().any(|(r, _)| PRIMS.contains(&r.as_str()) || r == "usize" || r == "isize");
    if !data.fields.is_empty() && !has("C") && !has("transparent") && !refused {
        let packed = reprs.iter().find(|(r, _)| r == "packed");
        let (word, span) = match packed {
            Some((_, span)) => ("C, packed", *span),
            None => ("C", input.ident.span()),
        };
        let (ident, above) = (&input.ident, if packed.is_some() { "instead" } else { "above the struct" });
        errors.at_span(
            span,
            format_args!(
                "`{ident}` needs `#[repr({word})]`: without `C`, Rust may order the fields anew in every program\n\
                 fix: write `#[repr({word})]` {above}"
            ),
        );
    }
    let mut bounds = Vec::new();
    let fields = fields(&data.fields, &mut bounds, errors);
    (Body::Struct { fields, transparent: has("transparent") }, bounds)
}

fn fields<'a>(fields: &'a Fields, bounds: &mut FieldBounds, errors: &mut Errors) -> Vec<Field<'a>> {
    let mut names = Names::new("field");
    let read = fields.iter().enumerate().map(|(i, field)| {
        let (member, word, start) = match &field.ident {
            Some(ident) => (generated_ident(ident).into_token_stream(), ident.unraw(), ident.span()),
            None => (syn::Member::from(i).to_token_stream(), format_ident!("f{i}"), field.ty.span()),
        };
        let attrs = FieldAttrs::read(&field.attrs, errors);
        let at = if field.ident.is_some() { word.span() } else { field.ty.span() };
        let name = names.take(attrs.rename.as_ref(), &word, at, errors);
        for alias in &attrs.aliases {
            names.reserve(alias, errors);
        }
        if let Some((part, problem)) = wording::never_inline(&field.ty) {
            errors.at(part, problem);
        }
        bounds.push(attrs.bound);
        let FieldAttrs { getter, default, aliases, .. } = attrs;
        let aliases = aliases.iter().map(LitStr::value).collect();
        Field { member, name, named: field.ident.is_some(), ty: &field.ty, start, getter, default, aliases }
    });
    read.collect()
}

fn enumeration<'a>(
    input: &'a DeriveInput,
    data: &'a DataEnum,
    errors: &mut Errors,
) -> (Body<'a>, FieldBounds) {
    let reprs = reprs(&input.attrs);
    let prim = reprs.iter().find(|(r, _)| PRIMS.contains(&r.as_str()));
    let has_data = data.variants.iter().any(|v| !v.fields.is_empty());
    let refused = reprs.iter().any(|(r, _)| r == "transparent" || r == "packed");
    if data.variants.is_empty() {
        errors.at(
            &input.ident,
            format_args!("`{}` has no variants, so there is no value to send", input.ident),
        );
    } else if prim.is_none() && !refused {
        let platform = reprs.iter().find(|(r, _)| r == "usize" || r == "isize" || r == "C");
        let span = platform.map_or(input.ident.span(), |(_, span)| *span);
        let also = if has_data { " or `#[repr(C, u8)]`" } else { "" };
        let fix = match platform {
            Some(_) => "instead".into(),
            None => format!("above `enum {}`", input.ident),
        };
        errors.at_span(
            span,
            format_args!(
                "`{}` needs `#[repr(u8)]`, or another integer of fixed size, so that its variants are the same numbers everywhere\n\
                 fix: write `#[repr(u8)]`{also} {fix}",
                input.ident
            ),
        );
    }
    if let (Some((_, span)), false) = (reprs.iter().find(|(r, _)| r == "align"), has_data) {
        errors.at_span(*span, format_args!("`{}` has padding: leave `align` out of its `repr`", input.ident));
    }
    let mut names = Names::new("variant");
    let mut bounds = Vec::new();
    let mut value = (None, 0);
    let mut others = 0;
    let variants = data.variants.iter().map(|variant| {
        let attrs = VariantAttrs::read(&variant.attrs, errors);
        let word = variant.ident.unraw();
        let name = names.take(attrs.rename.as_ref(), &word, word.span(), errors);
        for alias in &attrs.aliases {
            names.reserve(alias, errors);
        }
        if let Some(other) = attrs.other {
            others += 1;
            if !variant.fields.is_empty() {
                errors.at_span(other, "unknown values become a variant without data");
            } else if others == 2 {
                errors.at_span(other, "unknown values become one variant: `other` is given twice");
            }
        }
        let fields = fields(&variant.fields, &mut bounds, errors);
        if let Some((_, explicit)) = &variant.discriminant {
            value = (Some(explicit), 0);
        }
        let this = value;
        value.1 += 1;
        Variant {
            ident: generated_ident(&variant.ident),
            name,
            fields,
            value: this,
            other: attrs.other.is_some(),
            aliases: attrs.aliases.iter().map(LitStr::value).collect(),
        }
    });
    let variants = variants.collect();
    let prim = Ident::new(prim.map_or("u8", |(word, _)| word), Span::call_site());
    let body = if has_data { Body::Choice { prim, variants } } else { Body::Enum { prim, variants } };
    (body, bounds)
}

/// Names of fields or variants, with `rename` applied.
struct Names {
    of: &'static str,
    seen: BTreeSet<String>,
}

impl Names {
    fn new(of: &'static str) -> Self {
        Names { of, seen: BTreeSet::new() }
    }

    fn take(&mut self, rename: Option<&LitStr>, word: &Ident, at: Span, errors: &mut Errors) -> String {
        let name = rename.map_or_else(|| word.to_string(), LitStr::value);
        let at = rename.map_or(at, LitStr::span);
        if name.is_empty() {
            errors.at_span(at, format_args!("a {} needs a name that other programs can use", self.of));
        } else if !self.seen.insert(name.clone()) {
            errors.at_span(at, format_args!("two {}s would be called `{name}` in other programs", self.of));
        }
        name
    }

    /// Takes an earlier name. It must not be the name of another part.
    fn reserve(&mut self, alias: &LitStr, errors: &mut Errors) {
        if alias.value().is_empty() {
            errors.at(alias, format_args!("an earlier name of a {} is not empty", self.of));
        } else if !self.seen.insert(alias.value()) {
            errors.at(alias, format_args!("two {}s would be called `{}`", self.of, alias.value()));
        }
    }
}

fn all_attrs(input: &DeriveInput) -> impl Iterator<Item = &Attribute> {
    let parts: Vec<&[Attribute]> = match &input.data {
        Data::Struct(data) => data.fields.iter().map(|field| &field.attrs[..]).collect(),
        Data::Enum(data) => {
            let fields = data.variants.iter().flat_map(|v| &v.fields).map(|field| &field.attrs[..]);
            data.variants.iter().map(|variant| &variant.attrs[..]).chain(fields).collect()
        }
        Data::Union(_) => Vec::new(),
    };
    input.attrs.iter().chain(parts.into_iter().flatten())
}

/// Returns `true` if the input or a part of it has `#[serde(…)]`, or if a part is renamed. Serde also knows the
/// field of a transparent struct by its name, which the schema leaves out.
fn encoded_otherwise(input: &DeriveInput, body: &Body) -> bool {
    let renamed = |attr: &Attribute| {
        let mut renamed = false;
        let _ = attr.parse_nested_meta(|meta| {
            renamed |= attrs::is(&meta.path, "rename");
            Ok(())
        });
        renamed
    };
    let other = |attr: &Attribute| {
        attrs::is(attr.path(), "serde") || (attrs::is(attr.path(), "shm") && renamed(attr))
    };
    let named = matches!(body, Body::Struct { fields, transparent: true } if fields.iter().any(|f| f.named));
    named || all_attrs(input).any(other)
}

/// Returns the discriminant as an expression.
pub fn value((explicit, distance): (Option<&Expr>, usize)) -> TokenStream {
    let distance = proc_macro2::Literal::usize_unsuffixed(distance);
    match explicit {
        Some(explicit) => quote_spanned!(explicit.span()=> (#explicit) + #distance),
        None => quote!(#distance),
    }
}
