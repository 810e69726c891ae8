//! Values that are not plain expressions: words of a list, durations like `10ms`, and sizes like `1 MiB`.

use super::keys::{GROW, OVERFLOWS, REPLIES, UNITS};
use crate::errors::{Errors, did_you_mean, list};
use crate::spans::located;
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::{Expr, ExprLit, Lit, UnOp};

/// Units of a duration, and the constructors of `Duration` that take them.
const TIMES: [(&str, &str); 4] =
    [("ns", "from_nanos"), ("us", "from_micros"), ("ms", "from_millis"), ("s", "from_secs")];

/// Returns the expression that the value of `key` stands for, or nothing if it stands for none.
pub fn value(key: &str, value: Expr, krate: &TokenStream, errors: &mut Errors) -> Option<TokenStream> {
    match key {
        "overflow" => overflow(&value, krate, errors),
        "replies" => replies(&value, errors),
        "patience" | "expect_every" => duration(&value, krate, errors),
        GROW => size(&value, errors),
        _ => Some(value.into_token_stream()),
    }
}

/// Returns the expression inside the invisible groups that fragments of `macro_rules!` leave.
pub fn peel(value: &Expr) -> &Expr {
    match value {
        Expr::Group(group) => peel(&group.expr),
        Expr::Paren(paren) => peel(&paren.expr),
        _ => value,
    }
}

/// Returns the value if it is a single word.
pub fn word(value: &Expr) -> Option<&Ident> {
    match peel(value) {
        Expr::Path(path) if path.qself.is_none() => path.path.get_ident(),
        _ => None,
    }
}

/// Takes one of the words, or any expression. A word in the form of a variant is meant to be one of the words.
fn overflow(value: &Expr, krate: &TokenStream, errors: &mut Errors) -> Option<TokenStream> {
    let shown = match (word(value), peel(value)) {
        (Some(word), _) => {
            let text = word.to_string();
            if OVERFLOWS.contains(&text.as_str()) {
                let path = located(quote!(#krate::__private::channel::Overflow), word.span());
                return Some(quote!(#path::#word));
            }
            let constant = !text.contains(|c: char| c.is_lowercase());
            if constant {
                return Some(value.to_token_stream());
            }
            text
        }
        (None, Expr::Lit(literal)) => literal.to_token_stream().to_string(),
        (None, _) => return Some(value.to_token_stream()),
    };
    let hint = did_you_mean(&shown, &OVERFLOWS).map_or(String::new(), |w| format!("; did you mean `{w}`?"));
    let words = list(&OVERFLOWS, "or");
    errors.at(
        value,
        format_args!(
            "`{shown}` is not what a publisher can do{hint}\nuse {words}, or an expression of type `Overflow`"
        ),
    );
    None
}

/// Takes one of the words. The ends have other types with streams, so an expression cannot decide.
fn replies(value: &Expr, errors: &mut Errors) -> Option<TokenStream> {
    let shown = word(value).map_or_else(|| value.to_token_stream().to_string(), Ident::to_string);
    if REPLIES.contains(&shown.as_str()) {
        return Some(word(value)?.to_token_stream());
    }
    let hint = did_you_mean(&shown, &REPLIES).map_or(String::new(), |w| format!("; did you mean `{w}`?"));
    let words = list(&REPLIES, "or");
    errors.at(value, format_args!("`{shown}` is no number of replies{hint}\nuse {words}"));
    None
}

/// Takes a whole number, also with a unit such as `MiB`. A value that is not a literal is an expression of type `usize`.
fn size(value: &Expr, errors: &mut Errors) -> Option<TokenStream> {
    let Expr::Lit(ExprLit { lit, .. }) = peel(value) else { return Some(value.to_token_stream()) };
    match lit {
        Lit::Int(number) if number.suffix().is_empty() || number.suffix() == "usize" => {
            return Some(value.to_token_stream());
        }
        Lit::Int(number) => {
            if let Some(bytes) = in_bytes(number.base10_digits(), number.suffix()) {
                let mut literal = proc_macro2::Literal::u64_unsuffixed(bytes);
                literal.set_span(lit.span());
                return Some(literal.into_token_stream());
            }
        }
        _ => {}
    }
    let shown = lit.to_token_stream().to_string();
    errors.at(
        value,
        format_args!("`{shown}` is no size\nwrite a whole number of bytes, also with its unit: `65536`, `64 KiB`, `1 MiB`"),
    );
    None
}

/// Returns the number of bytes of a size with its unit.
fn in_bytes(digits: &str, unit: &str) -> Option<u64> {
    let (_, bytes) = UNITS.iter().find(|(known, _)| *known == unit)?;
    digits.parse::<u64>().ok()?.checked_mul(*bytes)
}

/// Returns the size that a number and the unit behind it stand for, as a literal with that unit.
pub fn with_size_unit(value: Expr, unit: &Ident) -> Expr {
    match peel(&value) {
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) if number.suffix().is_empty() => {
            let text = format!("{}{unit}", number.base10_digits());
            let literal = syn::LitInt::new(&text, number.span());
            Expr::Lit(ExprLit { attrs: Vec::new(), lit: Lit::Int(literal) })
        }
        _ => value,
    }
}

/// Takes a literal with a unit. A value that is not a literal is an expression of type `Duration`.
fn duration(value: &Expr, krate: &TokenStream, errors: &mut Errors) -> Option<TokenStream> {
    let shown = match peel(value) {
        Expr::Lit(ExprLit { lit, .. }) => {
            if let Some(duration) = with_unit(lit, krate) {
                return Some(duration);
            }
            lit.to_token_stream().to_string()
        }
        Expr::Unary(unary) if matches!((&unary.op, peel(&unary.expr)), (UnOp::Neg(_), Expr::Lit(_))) => {
            format!("-{}", unary.expr.to_token_stream())
        }
        _ => return Some(value.to_token_stream()),
    };
    errors.at(
        value,
        format_args!(
            "`{shown}` is no duration\n\
             write a whole number with its unit, such as `500us`, `10ms` or `2s`, or an expression of type `Duration`"
        ),
    );
    None
}

fn with_unit(lit: &Lit, krate: &TokenStream) -> Option<TokenStream> {
    let Lit::Int(number) = lit else { return None };
    let (_, make) = TIMES.iter().find(|(unit, _)| *unit == number.suffix())?;
    let number = number.base10_digits().parse::<u64>().ok()?;
    let make = quote::format_ident!("{make}");
    Some(
        located(quote!(#krate::__private::channel::Duration::#make), lit.span())
            .into_iter()
            .chain(located(quote!((#number)), lit.span()))
            .collect(),
    )
}
