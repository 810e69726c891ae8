//! Definitions of ROS 2, with all types of one message in one text, as recordings hold them.
//!
//! Owns the text. `write` and `read` go through the same fields in the same order. Calls `names` and `shape`.

use super::super::{Form, shape};
use crate::names;
use shmcomm::message::{Prim, Std};
use shmcomm::schema::{Layout, LayoutCase, LayoutField, LayoutKind};
use std::fmt::Write as _;

/// Line between two definitions.
const SEPARATOR: &str = "================================================================================";
/// Field of a message without values: a message of ROS 2 has at least one.
const EMPTY: &str = "uint8 structure_needs_at_least_one_member\n";

#[derive(Default)]
struct Writer {
    /// Names of the first definitions.
    roots: Vec<String>,
    /// Definitions besides the first: names and texts.
    more: Vec<(String, String)>,
    wide: bool,
    times: bool,
    durations: bool,
}

/// Returns the definitions of the messages of a channel, separated by `---` as in `.srv` files, then those of
/// their parts.
pub fn definitions(roots: &[Layout]) -> String {
    let name = |root: &Layout| match (root.kind(), root.name()) {
        (LayoutKind::Struct { .. }, Some(name)) => Some(names::type_name(name)),
        _ => None,
    };
    // Several roots are parts of a service, which has another name.
    let reserved = if let [root] = roots { name(root).into_iter().collect() } else { Vec::new() };
    let mut out = Writer { roots: reserved, ..Writer::default() };
    let texts: Vec<_> = roots.iter().map(|root| out.root(root)).collect();
    out.finish(texts.join("---\n"))
}

/// Returns the name of the message of a channel, without a package, and its definition.
pub(in crate::encoding) fn schema(channel: &str, form: &Form, wide: bool) -> (String, String) {
    let name = match form {
        Form::Fixed(layout) => match (layout.kind(), layout.name()) {
            (LayoutKind::Struct { .. }, Some(name)) => names::type_name(name),
            _ => names::type_of_channel(channel),
        },
        _ => names::type_of_channel(channel),
    };
    // A part of that name gets a number: readers find a definition by its name.
    let mut out = Writer { roots: vec![name.clone()], wide, ..Writer::default() };
    let body = match form {
        Form::Fixed(layout) => out.root(layout),
        Form::Tail { header, item } => {
            let mut body = String::new();
            out.field(&mut body, &mut Vec::new(), "header", header);
            if !shape::is_void(item) {
                let item = out.item(item);
                let _ = writeln!(body, "{item}[] tail");
            }
            body
        }
        _ => String::new(),
    };
    (name, out.finish(if body.is_empty() { EMPTY.to_owned() } else { body }))
}

pub(super) fn number(prim: Prim) -> &'static str {
    match prim {
        Prim::U8 => "uint8",
        Prim::U16 => "uint16",
        Prim::U32 => "uint32",
        Prim::U64 => "uint64",
        Prim::I8 => "int8",
        Prim::I16 => "int16",
        Prim::I32 => "int32",
        Prim::I64 => "int64",
        Prim::F32 => "float32",
        Prim::F64 => "float64",
    }
}

impl Writer {
    fn root(&mut self, layout: &Layout) -> String {
        match layout.kind() {
            LayoutKind::Struct { fields, .. } => self.structure(fields),
            _ => {
                let mut body = String::new();
                self.field(&mut body, &mut Vec::new(), "value", layout);
                if body.is_empty() { EMPTY.to_owned() } else { body }
            }
        }
    }

    fn finish(self, mut text: String) -> String {
        for (name, body) in &self.more {
            let _ = write!(text, "{SEPARATOR}\nMSG: shmcomm/{name}\n{body}");
        }
        for (used, name) in [(self.times, "Time"), (self.durations, "Duration")] {
            if used {
                let _ =
                    write!(text, "{SEPARATOR}\nMSG: builtin_interfaces/{name}\nint32 sec\nuint32 nanosec\n");
            }
        }
        text
    }

    fn structure(&mut self, fields: &[LayoutField]) -> String {
        let (mut body, mut constants) = (String::new(), Vec::new());
        for (name, field) in shape::named(fields) {
            self.field(&mut body, &mut constants, &name, &field.layout);
        }
        if body.is_empty() { EMPTY.to_owned() } else { body }
    }

    fn field(&mut self, body: &mut String, constants: &mut Vec<String>, name: &str, layout: &Layout) {
        if shape::is_void(layout) {
            return;
        }
        if let Some((prim, variants)) = shape::variants_of(layout) {
            let all = variants.iter().map(|variant| (variant.name.as_str(), variant.value));
            constant(body, constants, name, number(prim), all);
        }
        let ty = self.ty(layout);
        let _ = writeln!(body, "{ty} {name}");
    }

    fn ty(&mut self, layout: &Layout) -> String {
        match layout.kind() {
            LayoutKind::Array { .. } => {
                let (number, item) = shape::flat(layout);
                format!("{}[{number}]", self.item(item))
            }
            LayoutKind::List { item, capacity, .. } => {
                format!("{}[<={}]", self.item(item), (*capacity).max(1))
            }
            LayoutKind::Maybe { item, .. } => format!("{}[<=1]", self.item(item)),
            LayoutKind::Std(Std::OptionNonZero(prim)) => format!("{}[<=1]", number(*prim)),
            LayoutKind::Pad
            | LayoutKind::Opaque { .. }
            | LayoutKind::Std(Std::U128 | Std::I128 | Std::Ipv4Addr | Std::Ipv6Addr) => {
                format!("uint8[{}]", layout.size())
            }
            _ => self.item(layout),
        }
    }

    /// Returns a type that an array may have. Lists, options and bytes get a helper message.
    fn item(&mut self, layout: &Layout) -> String {
        match layout.kind() {
            LayoutKind::Prim(prim) | LayoutKind::Enum { prim, .. } | LayoutKind::Std(Std::NonZero(prim)) => {
                number(*prim).to_owned()
            }
            LayoutKind::Bool => "bool".to_owned(),
            LayoutKind::Char => "uint32".to_owned(),
            LayoutKind::Timestamp if self.wide => "int64".to_owned(),
            LayoutKind::Timestamp => {
                self.times = true;
                "builtin_interfaces/Time".to_owned()
            }
            LayoutKind::Std(Std::Duration) if self.wide => {
                self.add("LongDuration", "uint64 sec\nuint32 nanosec\n".to_owned())
            }
            LayoutKind::Std(Std::Duration) => {
                self.durations = true;
                "builtin_interfaces/Duration".to_owned()
            }
            LayoutKind::Str { capacity } => format!("string<={}", (*capacity).max(1)),
            LayoutKind::Struct { name, fields } => {
                let body = self.structure(fields);
                self.add(&names::type_name(name), body)
            }
            LayoutKind::Choice { name, prim, variants } => {
                let body = self.choice(name, *prim, variants);
                self.add(&names::type_name(name), body)
            }
            _ => {
                let mut body = String::new();
                match layout.kind() {
                    // An item without a value is still an item.
                    _ if shape::is_void(layout) => body.push_str(EMPTY),
                    _ => {
                        let ty = self.ty(layout);
                        let _ = writeln!(body, "{ty} value");
                    }
                }
                self.add("Item", body)
            }
        }
    }

    fn choice(&mut self, name: &str, prim: Prim, variants: &[LayoutCase]) -> String {
        let (mut body, mut constants) = (String::new(), Vec::new());
        let all = variants.iter().map(|variant| (variant.name.as_str(), variant.value));
        constant(&mut body, &mut constants, "kind", number(prim), all);
        let _ = writeln!(body, "{} kind", number(prim));
        let fields = names::all_unique(
            std::iter::once("kind").chain(variants.iter().map(|variant| variant.name.as_str())),
        );
        for (variant, field) in variants.iter().zip(fields.iter().skip(1)) {
            if shape::visible(variant.fields()).next().is_some() {
                let content = self.structure(variant.fields());
                let full = format!("{}{}", names::type_name(name), names::type_name(&variant.name));
                let content = self.add(&full, content);
                let _ = writeln!(body, "{content}[<=1] {field}");
            }
        }
        body
    }

    /// Adds a definition, and returns its full name. Equal definitions are one.
    fn add(&mut self, base: &str, body: String) -> String {
        let stem = |name: &str| name.trim_end_matches(|c: char| c.is_ascii_digit()) == base || name == base;
        let known = self.more.iter().find(|(name, text)| stem(name) && *text == body);
        let name = match known {
            Some((name, _)) => name.clone(),
            None => {
                let taken = |name: &str| {
                    let mut more = self.more.iter().map(|(known, _)| known);
                    self.roots.iter().any(|root| root == name) || more.any(|known| known == name)
                };
                let mut all =
                    (1..).map(|number| if number == 1 { base.to_owned() } else { format!("{base}{number}") });
                let name = all.find(|name| !taken(name)).unwrap_or_default();
                self.more.push((name.clone(), body));
                name
            }
        };
        format!("shmcomm/{name}")
    }
}

/// Writes the constants of an enum before its field.
fn constant<'v>(
    body: &mut String,
    constants: &mut Vec<String>,
    field: &str,
    ty: &str,
    variants: impl Iterator<Item = (&'v str, i128)>,
) {
    for (variant, value) in variants {
        let base = format!("{field}_{}", names::field_name(variant)).to_uppercase();
        let name = names::unique(base, |name| constants.iter().any(|known| known == name));
        let _ = writeln!(body, "{ty} {name}={value}");
        constants.push(name);
    }
}
