//! Collects errors, so that one compilation shows all of them, and places the errors of constant evaluation.

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::Error;

#[derive(Default)]
pub struct Errors(Option<Error>, usize);

impl Errors {
    pub fn push(&mut self, error: Error) {
        self.1 += 1;
        match &mut self.0 {
            Some(all) => all.combine(error),
            None => self.0 = Some(error),
        }
    }

    /// Adds an error that underlines all of `tokens`.
    pub fn at(&mut self, tokens: impl ToTokens, message: impl std::fmt::Display) {
        self.push(Error::new_spanned(tokens, message));
    }

    pub fn at_span(&mut self, span: Span, message: impl std::fmt::Display) {
        self.push(Error::new(span, message));
    }

    /// Returns the number of errors so far.
    pub fn count(&self) -> usize {
        self.1
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub fn into_tokens(self) -> TokenStream {
        self.0.map_or_else(TokenStream::new, Error::into_compile_error)
    }
}

/// Returns the entry of `known` that `word` was probably meant to be.
pub fn did_you_mean<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = |a: &str, b: &str| {
        let (a, b): (Vec<_>, Vec<_>) =
            (a.to_lowercase().chars().collect(), b.to_lowercase().chars().collect());
        let mut row: Vec<usize> = (0..=b.len()).collect();
        for (i, x) in a.iter().enumerate() {
            let mut corner = i;
            row[0] = i + 1;
            for (j, y) in b.iter().enumerate() {
                let cost = corner + usize::from(x != y);
                corner = row[j + 1];
                row[j + 1] = cost.min(row[j] + 1).min(corner + 1);
            }
        }
        row[b.len()]
    };
    known
        .iter()
        .map(|k| (near(word, k), *k))
        .min()
        .filter(|(distance, k)| *distance <= 1 + k.len() / 3)
        .map(|(_, k)| k)
}

/// Returns the words as a list: `a`, `b` and `c`.
pub fn list(words: &[&str], and: &str) -> String {
    let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} {and} {last}", others.join(", ")),
        None => String::new(),
    }
}

/// Generates `function(arguments)`, underlined from the first token of `function` to `end`. A check that
/// fails during constant evaluation shows its error there.
pub fn call(function: TokenStream, arguments: TokenStream, end: Span) -> TokenStream {
    let mut arguments = Group::new(Delimiter::Parenthesis, arguments);
    arguments.set_span(end);
    function.into_iter().chain([TokenTree::Group(arguments)]).collect()
}
