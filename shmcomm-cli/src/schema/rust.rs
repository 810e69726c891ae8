//! Declarations in Rust, with derived `ShmMessage` and the declaration of the channel.
//!
//! Owns the text. The generated code asserts the fingerprint, so it does not compile if it is not the layout
//! of the segment. Calls `types`.

use super::types::{self, Piece, Types};
use shmcomm::SegmentInfo;
use shmcomm::schema::{Layout, LayoutKind, Prim};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Words that cannot be names.
const RESERVED: [&str; 56] = [
    "abstract",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "pub",
    "ref",
    "return",
    "Self",
    "self",
    "static",
    "struct",
    "super",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "union",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
    "safe",
    "raw",
    "macro_rules",
];

/// Types of the library, and of the prelude, that a declaration must not hide.
const TAKEN: [&str; 15] = [
    "Encoded",
    "Pad",
    "ShmMessage",
    "ShmOption",
    "ShmString",
    "ShmVec",
    "Timestamp",
    "Option",
    "Some",
    "None",
    "Ok",
    "Err",
    "Box",
    "String",
    "Vec",
];

pub(super) fn code(segment: &SegmentInfo, types: &Types<'_>) -> String {
    let mut body = String::new();
    for (name, layout) in types.all() {
        match layout.kind() {
            LayoutKind::Enum { .. } => enumeration(&mut body, name, layout),
            _ => structure(&mut body, types, name, layout),
        }
    }
    if types.any(|kind| matches!(kind, LayoutKind::Opaque { .. })) {
        opaque(&mut body, types);
    }
    let known = !types.any(|kind| matches!(kind, LayoutKind::Opaque { .. }));
    for root in types.roots.iter().filter(|_| known) {
        let (ty, fingerprint) = (rust_type(types, root), root.fingerprint());
        let _ = writeln!(
            body,
            "const _: () = assert!(\n    <{ty} as ShmMessage>::SCHEMA.fingerprint == {fingerprint:#018x},\n    \
             \"this is not the layout of the channel\"\n);"
        );
    }
    channel(&mut body, segment, types);
    let mut used: BTreeSet<&str> = ["ShmMessage", "channel"].into();
    used.extend(
        ["Encoded", "Pad", "ShmOption", "ShmString", "ShmVec", "Timestamp"]
            .iter()
            .filter(|word| uses(&body, word)),
    );
    let used: Vec<&str> = used.into_iter().collect();
    format!("// {}\n\nuse shmcomm::{{{}}};\n\n{body}", super::title(segment), used.join(", "))
}

/// Returns `true` if the code uses a type of the library.
fn uses(body: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    body.match_indices(word)
        .any(|(at, _)| !body[..at].ends_with(part) && !body[at + word.len()..].starts_with(part))
}

fn safe(name: &str) -> String {
    if RESERVED.contains(&name) || TAKEN.contains(&name) { format!("{name}_") } else { name.to_owned() }
}

fn enumeration(text: &mut String, name: &str, layout: &Layout) {
    let LayoutKind::Enum { prim, variants, .. } = layout.kind() else { return };
    let repr = number(*prim);
    let _ = writeln!(text, "#[derive(Clone, Copy, Debug, PartialEq, Eq, ShmMessage)]\n#[repr({repr})]");
    let _ = writeln!(text, "pub enum {} {{", safe(name));
    for ((ident, value), variant) in types::variants(layout, &RESERVED).iter().zip(variants) {
        rename(text, ident, &variant.name);
        let _ = writeln!(text, "    {ident} = {value},");
    }
    text.push_str("}\n\n");
}

fn number(prim: Prim) -> &'static str {
    match prim {
        Prim::U8 => "u8",
        Prim::U16 => "u16",
        Prim::U32 => "u32",
        Prim::U64 => "u64",
        Prim::I8 => "i8",
        Prim::I16 => "i16",
        Prim::I32 => "i32",
        Prim::I64 => "i64",
        Prim::F32 => "f32",
        Prim::F64 => "f64",
    }
}

/// Keeps the name in the segment, if it is not the identifier.
fn rename(text: &mut String, ident: &str, name: &str) {
    if ident != name {
        let _ = writeln!(text, "    #[shm(rename = {name:?})]");
    }
}

fn structure(text: &mut String, types: &Types<'_>, name: &str, layout: &Layout) {
    let pieces = types::pieces(layout, &RESERVED);
    let natural = pieces.iter().map(|piece| match piece {
        Piece::Field { field, .. } => field.layout.align(),
        Piece::Gap { .. } => 1,
    });
    let align = match natural.max().unwrap_or(1) {
        natural if natural < layout.align() => format!(", align({})", layout.align()),
        _ => String::new(),
    };
    let _ = writeln!(
        text,
        "#[derive(Clone, Copy, Debug, ShmMessage)]\n#[repr(C{align})]\npub struct {} {{",
        safe(name)
    );
    let taken = |name: &str| {
        pieces.iter().any(|piece| matches!(piece, Piece::Field { name: known, .. } if known == name))
    };
    for piece in &pieces {
        match piece {
            Piece::Gap { offset, len } => {
                let name = types::unique(format!("_pad{offset}"), taken);
                let _ = writeln!(text, "    pub {name}: Pad<{len}>,");
            }
            Piece::Field { field, name } => {
                rename(text, name, &field.name);
                let _ = writeln!(text, "    pub {name}: {},", rust_type(types, &field.layout));
            }
        }
    }
    text.push_str("}\n\n");
}

fn rust_type(types: &Types<'_>, layout: &Layout) -> String {
    match layout.kind() {
        LayoutKind::Struct { .. } | LayoutKind::Enum { .. } => safe(types.name(layout)),
        LayoutKind::Array { item, len } => format!("[{}; {len}]", rust_type(types, item)),
        LayoutKind::List { capacity, .. } if marker(layout).is_some() => {
            let marker = marker(layout).unwrap_or_default();
            format!("Encoded<shmcomm::codec::Value, shmcomm::codec::{marker}, {capacity}>")
        }
        LayoutKind::List { item, capacity, .. } => format!("ShmVec<{}, {capacity}>", rust_type(types, item)),
        LayoutKind::Maybe { item, .. } => format!("ShmOption<{}>", rust_type(types, item)),
        LayoutKind::Opaque { .. } => opaque_name(layout),
        // Numbers, texts, times: `Display` writes the type in Rust.
        _ => layout.to_string(),
    }
}

/// Returns the type of the codec of an encoded value, if it is one of the library.
fn marker(layout: &Layout) -> Option<&'static str> {
    match layout.codec()? {
        "msgpack" => Some("Msgpack"),
        "pickle" => Some("Pickle"),
        _ => None,
    }
}

fn opaque_name(layout: &Layout) -> String {
    format!("Opaque{}Align{}", layout.size(), layout.align())
}

/// Declares types of other crates as bytes: only their size and alignment are known.
fn opaque(text: &mut String, types: &Types<'_>) {
    fn within(layout: &Layout, found: &mut BTreeSet<(usize, usize)>) {
        match layout.kind() {
            LayoutKind::Opaque { .. } => {
                found.insert((layout.size(), layout.align()));
            }
            LayoutKind::Array { item, .. }
            | LayoutKind::List { item, .. }
            | LayoutKind::Maybe { item, .. } => {
                within(item, found);
            }
            LayoutKind::Struct { fields, .. } => fields.iter().for_each(|field| within(&field.layout, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    types.roots.iter().for_each(|root| within(root, &mut found));
    for (size, align) in found {
        let _ = writeln!(
            text,
            "// A type of another crate (`shmcomm::Foreign`): replace it by that type, so that the layouts agree.\n\
             #[derive(Clone, Copy, Debug, ShmMessage)]\n#[repr(C, align({align}))]\n\
             pub struct Opaque{size}Align{align} {{\n    pub bytes: [u8; {size}],\n}}\n"
        );
    }
}

/// Declares the channel, with the settings of its segment.
fn channel(text: &mut String, segment: &SegmentInfo, types: &Types<'_>) {
    let all: Vec<String> = types.roots.iter().map(|root| rust_type(types, root)).collect();
    let (pattern, mut keys) = match (segment.pattern, segment.codec, &all[..]) {
        ("publish/subscribe", "header and tail", [header, item]) => {
            let items = (segment.slot_size as usize).saturating_sub(types.roots[0].size())
                / types.roots[1].size().max(1);
            (format!("PubSub<{header}, [{item}]>"), format!(", max_len: {items}"))
        }
        ("publish/subscribe", _, [one, ..]) => (format!("PubSub<{one}>"), String::new()),
        ("push/pull", _, [one, ..]) => (format!("PushPull<{one}>"), String::new()),
        (_, _, [request, reply, ..]) => (format!("ReqRep<{request}, {reply}>"), String::new()),
        _ => return,
    };
    if segment.publishers > 1 {
        let _ = write!(keys, ", publishers: {}", segment.publishers);
    }
    if segment.waits {
        keys += ", overflow: Wait";
    }
    let (name, slots) = (&segment.channel, segment.slots);
    let _ = writeln!(
        text,
        "\nchannel! {{\n    pub TheChannel: {pattern} {{ name: {name:?}, slots: {slots}{keys} }}\n}}"
    );
}
