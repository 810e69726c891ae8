//! Pattern of a channel, with its messages and their format: `PubSub<Imu>`.

use super::keys::{FORMATS, PATTERNS, Pattern, TABLE};
use crate::errors::{Errors, did_you_mean, list};
use crate::message::peel;
use proc_macro2::Ident;
use syn::ext::IdentExt;
use syn::{Attribute, GenericArgument, PathArguments, PathSegment, Type, TypeSlice};

/// The parts of `PubSub<Imu>`.
pub struct Kind {
    pub pattern: &'static Pattern,
    /// Identifier as written, for hover and "go to definition".
    pub ident: Ident,
    /// The types of the messages, or of the keys of a table.
    pub messages: Vec<Type>,
    pub format: Format,
    /// The keys of a table.
    pub keys: Vec<TableKey>,
    /// `true` if several writers may store a key of the table.
    pub many_writers: bool,
}

/// A key of a table.
pub struct TableKey {
    pub name: Ident,
    /// Its documentation.
    pub docs: Vec<Attribute>,
}

pub enum Format {
    Fixed,
    Tail(TypeSlice),
    /// A codec of this library, by its name.
    Known(Ident),
    Codec(Box<Type>),
}

impl Kind {
    /// Returns `true` if this is a table.
    pub fn is_table(&self) -> bool {
        self.pattern.word == TABLE
    }

    /// Returns `true` if a message has the name `channel`.
    pub fn is_named_as(&self, channel: &Ident) -> bool {
        self.messages.iter().any(|message| matches!(message, Type::Path(path) if path.path.is_ident(channel)))
    }
}

impl Format {
    pub fn is_tail(&self) -> bool {
        matches!(self, Format::Tail(..))
    }
}

/// Reads the last segment of the path of a pattern.
pub fn read(last: &PathSegment, errors: &mut Errors) -> Option<Kind> {
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
                GenericArgument::Type(ty) => messages.push(peel(ty).clone()),
                other => {
                    errors.at(other, format_args!("expected a type: `{shape}`"));
                    return None;
                }
            }
        }
    }
    if word == TABLE {
        if !matches!(last.arguments, PathArguments::None) {
            errors.at(
                last,
                format_args!("the keys of a table stand between its settings\nwrite {TABLE_SHAPE}"),
            );
            return None;
        }
        return Some(Kind {
            pattern,
            ident: last.ident.clone(),
            messages,
            format: Format::Fixed,
            keys: Vec::new(),
            many_writers: false,
        });
    }
    let with_codec = shape.replace('>', ", Msgpack>");
    if messages.len() < pattern.messages || messages.len() > pattern.messages + 1 {
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
        // Formats of this library need no import.
        Some(Type::Path(path)) if FORMATS.iter().any(|word| path.path.is_ident(word)) => {
            Format::Known(path.path.segments[0].ident.clone())
        }
        Some(ty) => Format::Codec(Box::new(ty)),
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
    Some(Kind { pattern, ident: last.ident.clone(), messages, format, keys: Vec::new(), many_writers: false })
}

/// The form of a table, for errors about it.
pub const TABLE_SHAPE: &str = "`Robot: Table { name: \"robot/state\", battery: Battery, pose: [f64; 3] }`";

pub fn is_word(ty: &Type, word: &str) -> bool {
    matches!(ty, Type::Path(p) if p.path.get_ident().is_some_and(|i| i == word))
}
