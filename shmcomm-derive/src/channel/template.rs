//! Names with parameters: `"robot/{id}/imu"` gives `instance(id)`.

use crate::errors::Errors;
use proc_macro2::Ident;
use syn::{LitStr, Type};

/// A name with parameters.
pub struct Template {
    /// Text before each parameter, and after the last one.
    pub texts: Vec<String>,
    pub parameters: Vec<Parameter>,
}

pub struct Parameter {
    pub name: Ident,
    /// Type that the author gave, as in `{id: u8}`.
    pub ty: Option<Type>,
}

const SHAPE: &str = "several names have the form `name: \"robot/{id}/imu\"`, and `Imu::instance(7)` opens one of them; \
                     `{id: u8}` gives the parameter a type";

/// Returns the template if the name has braces. Reports braces that form no parameter.
pub fn read(literal: &LitStr, errors: &mut Errors) -> Option<Template> {
    let name = literal.value();
    if !name.contains(['{', '}']) {
        return None;
    }
    match parse(&name, literal) {
        Ok(template) => Some(template),
        Err(problem) => {
            errors.at(literal, format_args!("{problem}\n{SHAPE}"));
            None
        }
    }
}

fn parse(name: &str, literal: &LitStr) -> Result<Template, String> {
    let (mut texts, mut parameters, mut rest) = (Vec::new(), Vec::<Parameter>::new(), name);
    while let Some(open) = rest.find(['{', '}']) {
        if rest.as_bytes()[open] == b'}' {
            return Err("there is a `}` without its `{` in the name".into());
        }
        let (text, after) = rest.split_at(open);
        let Some(close) = after.find('}') else {
            return Err("there is a `{` without its `}` in the name".into());
        };
        let inside = &after[1..close];
        let (word, ty) = match inside.split_once(':') {
            Some((word, ty)) => (word.trim(), Some(ty.trim())),
            None => (inside.trim(), None),
        };
        let ident = syn::parse_str::<Ident>(word)
            .map_err(|_| format!("`{{{inside}}}` in the name is no parameter"))?;
        if parameters.iter().any(|p| p.name == ident) {
            return Err(format!("the parameter `{word}` is twice in the name"));
        }
        let ty = match ty {
            None => None,
            Some(ty) => {
                let ty = LitStr::new(ty, literal.span());
                Some(ty.parse().map_err(|_| format!("`{}` in the name is no type", ty.value()))?)
            }
        };
        texts.push(text.to_owned());
        let name = Ident::new(word, literal.span().resolved_at(proc_macro2::Span::call_site()));
        parameters.push(Parameter { name, ty });
        rest = &after[close + 1..];
    }
    texts.push(rest.to_owned());
    Ok(Template { texts, parameters })
}

impl Template {
    /// Returns a name that the template gives, for the checks at compile time.
    pub fn example(&self) -> String {
        self.texts.join("0")
    }
}

/// Explains a name that is not constant.
pub fn not_constant(of: &str) -> String {
    format!("`{of}!` makes a name at run time, and the name of a channel is a constant\n{SHAPE}")
}
