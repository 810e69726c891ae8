//! Attributes of a message and of its parts.

use crate::errors::{Errors, did_you_mean, list};
use crate::krate::{self, Found};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::parse::{Parse, Parser};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Expr, LitStr, Path, Result, Token, Type, WherePredicate};

/// Bounds that an author wrote: `#[shm(bound = "…")]`.
pub type Bound = Punctuated<WherePredicate, Token![,]>;

/// Attributes of a struct or an enum.
#[derive(Default)]
pub struct Container {
    /// Path of `shmcomm`.
    pub krate: TokenStream,
    /// Bounds that replace those of the derive.
    pub bound: Option<Bound>,
    /// Type of another crate that this type stands for.
    pub remote: Option<Type>,
}

/// Value of a field that the writer of a message lacks.
pub enum Missing {
    /// `#[shm(default)]`
    Default(Span),
    /// `#[shm(default = "expr")]`
    Expr(Box<Expr>),
}

/// Attributes of a field.
#[derive(Default)]
pub struct FieldAttrs {
    /// Name that other programs see, with the span of its literal.
    pub rename: Option<LitStr>,
    /// Bounds that replace those of the derive for this field.
    pub bound: Option<Bound>,
    /// Function that reads the field from the remote type.
    pub getter: Option<Path>,
    /// Value if the writer lacks the field.
    pub default: Option<Missing>,
    /// Earlier names of the field.
    pub aliases: Vec<LitStr>,
}

/// Attributes of a variant.
#[derive(Default)]
pub struct VariantAttrs {
    /// Name that other programs see, with the span of its literal.
    pub rename: Option<LitStr>,
    /// Earlier names of the variant.
    pub aliases: Vec<LitStr>,
    /// Variant that unknown values become.
    pub other: Option<Span>,
}

impl Container {
    pub fn read(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut container = Container::default();
        let mut path = None;
        each(attrs, &["crate", "bound", "remote"], "a message", errors, |key, meta, _| {
            match key {
                "crate" => path = Some(parsed::<Path>(meta)?.into_token_stream()),
                "bound" => container.bound = Some(bound(meta)?),
                _ => container.remote = Some(parsed(meta)?),
            }
            Ok(())
        });
        container.krate = path.unwrap_or_else(|| match krate::find() {
            Found::Named(name) => krate::path(&name),
            Found::Unknown => quote!(::shmcomm),
            Found::Missing => {
                errors.at_span(
                    Span::call_site(),
                    "`shmcomm` is no dependency of this crate\n\
                     fix: add it to `Cargo.toml`, or name the path to it: `#[shm(crate = \"path::to::shmcomm\")]`",
                );
                TokenStream::new()
            }
        });
        container
    }
}

impl FieldAttrs {
    pub fn read(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut field = FieldAttrs::default();
        let keys = ["rename", "default", "alias", "bound", "getter"];
        each(attrs, &keys, "a field", errors, |key, meta, ident| {
            match key {
                "rename" => field.rename = Some(literal(meta)?),
                "bound" => field.bound = Some(bound(meta)?),
                "getter" => field.getter = Some(parsed(meta)?),
                "alias" => field.aliases.push(literal(meta)?),
                _ if meta.input.peek(Token![=]) => field.default = Some(Missing::Expr(parsed(meta)?)),
                _ => field.default = Some(Missing::Default(ident.span())),
            }
            Ok(())
        });
        field
    }
}

impl VariantAttrs {
    pub fn read(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut variant = VariantAttrs::default();
        each(attrs, &["rename", "alias", "other"], "a variant", errors, |key, meta, ident| {
            match key {
                "rename" => variant.rename = Some(literal(meta)?),
                "alias" => variant.aliases.push(literal(meta)?),
                _ => variant.other = Some(ident.span()),
            }
            Ok(())
        });
        variant
    }
}

/// Passes each key inside `#[shm(…)]` to `read`. Reports unknown keys and keys without the right value.
fn each(
    attrs: &[Attribute],
    keys: &[&str],
    of: &str,
    errors: &mut Errors,
    mut read: impl FnMut(&str, &ParseNestedMeta, &Ident) -> Result<()>,
) {
    for attr in attrs.iter().filter(|a| is(a.path(), "shm")) {
        let result = attr.parse_nested_meta(|meta| {
            let ident = match meta.path.get_ident() {
                Some(ident) => ident.clone(),
                None => return Err(meta.error(format_args!("{of} takes {}", list(keys, "and")))),
            };
            let word = ident.unraw().to_string();
            if keys.contains(&word.as_str()) {
                let flag = matches!(word.as_str(), "default" | "other");
                if !flag && !meta.input.peek(Token![=]) {
                    let example = example(&word);
                    errors
                        .at(&ident, format_args!("`{word}` needs a value: `#[shm({word} = \"{example}\")]`"));
                    return Ok(());
                }
                return read(&word, &meta, &ident);
            }
            let hint = did_you_mean(&word, keys).map_or(String::new(), |k| format!("; did you mean `{k}`?"));
            errors.at(&ident, format_args!("unknown key `{word}`{hint}\n{of} takes {}", list(keys, "and")));
            // The value belongs to the unknown key.
            if meta.input.peek(Token![=]) {
                meta.value()?.parse::<Expr>()?;
            }
            Ok(())
        });
        if let Err(error) = result {
            errors.push(error);
        }
    }
}

/// Returns a value that an author could write.
fn example(key: &str) -> &'static str {
    match key {
        "crate" => "path::to::shmcomm",
        "bound" => "T: ShmMessage",
        "remote" => "path::to::Type",
        "getter" => "path::to::function",
        "default" => "expression",
        _ => "name",
    }
}

/// Parses the text of the string after `=`.
fn parsed<T: Parse>(meta: &ParseNestedMeta) -> Result<T> {
    let text = literal(meta)?;
    text.parse().map_err(|error| malformed(meta, text.span(), &error))
}

fn bound(meta: &ParseNestedMeta) -> Result<Bound> {
    let text = literal(meta)?;
    text.parse_with(Bound::parse_terminated).map_err(|error| malformed(meta, text.span(), &error))
}

/// Parses the string after `=`.
fn literal(meta: &ParseNestedMeta) -> Result<LitStr> {
    let value = meta.value()?;
    value.parse().map_err(|error: syn::Error| malformed(meta, error.span(), &error))
}

fn malformed(meta: &ParseNestedMeta, span: Span, error: &syn::Error) -> syn::Error {
    let key = meta.path.to_token_stream().to_string();
    let example = example(&key);
    syn::Error::new(span, format_args!("{error}\nthe value has the form `#[shm({key} = \"{example}\")]`"))
}

/// Returns the attributes that set levels of lints, for the generated code. `expect` becomes `allow`: the
/// generated code need not contain what the author expects.
pub fn lint_levels<'a>(attrs: impl Iterator<Item = &'a Attribute>) -> Vec<TokenStream> {
    attrs
        .filter_map(|attr| {
            let level = attr.path().get_ident()?;
            let level = match level.to_string().as_str() {
                "expect" => Ident::new("allow", level.span()),
                "allow" | "warn" | "deny" | "forbid" => level.clone(),
                _ => return None,
            };
            let lints = attr.meta.require_list().ok()?;
            // A reason belongs to the place where the author gave it.
            let parser = Punctuated::<syn::Meta, Token![,]>::parse_terminated;
            let lints = parser.parse2(lints.tokens.clone()).ok()?;
            let lints = lints.iter().filter(|lint| lint.require_path_only().is_ok());
            Some(quote_spanned!(attr.span()=> #[#level(#(#lints),*)]))
        })
        .collect()
}

/// Returns the words inside every `repr`, including `r#repr`, which the compiler obeys as well.
pub fn reprs(attrs: &[Attribute]) -> Vec<(String, Span)> {
    let mut words = Vec::new();
    for attr in attrs.iter().filter(|a| is(a.path(), "repr")) {
        // The compiler reports errors in here.
        let _ = attr.parse_nested_meta(|meta| {
            if let Some(ident) = meta.path.get_ident() {
                words.push((ident.unraw().to_string(), ident.span()));
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

pub fn is(path: &Path, name: &str) -> bool {
    path.get_ident().is_some_and(|i| i.unraw() == name)
}
