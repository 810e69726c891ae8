//! Values that are more than an expression: words of a list, and durations like `10ms`.

use super::keys::OVERFLOWS;
use crate::errors::{Errors, did_you_mean, list};
use proc_macro2::{TokenStream, TokenTree};
use quote::quote_spanned;
use syn::Lit;
use syn::spanned::Spanned;

/// Units of a duration, and the constructors of `Duration` that take them.
const UNITS: [(&str, &str); 4] =
    [("ns", "from_nanos"), ("us", "from_micros"), ("ms", "from_millis"), ("s", "from_secs")];

/// The expression that the value of `key` stands for; nothing if it stands for none.
pub fn value(key: &str, value: TokenStream, errors: &mut Errors) -> Option<TokenStream> {
    match key {
        "overflow" => overflow(value, errors),
        "patience" | "expect_every" => duration(value, errors),
        _ => Some(value),
    }
}

fn overflow(value: TokenStream, errors: &mut Errors) -> Option<TokenStream> {
    let word = value.to_string();
    if OVERFLOWS.contains(&word.as_str()) {
        return Some(quote_spanned!(value.span()=> __shm::Overflow::#value));
    }
    let hint = did_you_mean(&word, &OVERFLOWS).map_or(String::new(), |w| format!("; did you mean `{w}`?"));
    let words = list(&OVERFLOWS, "or");
    errors.at(value, format_args!("`{word}` is not what a publisher can do{hint}\nuse {words}"));
    None
}

/// A literal with a unit. Anything that is no literal is an expression of type `Duration`.
fn duration(value: TokenStream, errors: &mut Errors) -> Option<TokenStream> {
    let mut trees = value.clone().into_iter();
    let (Some(TokenTree::Literal(literal)), None) = (trees.next(), trees.next()) else {
        return Some(value);
    };
    let (span, shown) = (literal.span(), literal.to_string());
    if let Lit::Int(number) = Lit::new(literal)
        && let Some((_, make)) = UNITS.iter().find(|(unit, _)| *unit == number.suffix())
        && let Ok(number) = number.base10_digits().parse::<u64>()
    {
        let make = proc_macro2::Ident::new(make, span);
        return Some(quote_spanned!(span=> __shm::Duration::#make(#number)));
    }
    errors.at(
        value,
        format_args!(
            "`{shown}` is no duration\n\
             write a whole number with its unit, such as `500us`, `10ms` or `2s`, or an expression of type `Duration`"
        ),
    );
    None
}
