//! Structured dtypes of numpy.
//!
//! Owns the text. Texts are bytes, because numpy's `S` strips zeros; lists and options have their length
//! beside their items. Calls `types`.

use super::c::parts;
use super::types::{self, Piece, Types};
use shmcomm::SegmentInfo;
use shmcomm::schema::{Layout, LayoutKind};
use std::fmt::Write as _;

/// Words that cannot be names, and names that the module uses.
pub(super) const RESERVED: [&str; 44] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def",
    "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is",
    "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while", "with", "yield", "np",
    "ctypes", "enum", "struct", "match", "case", "type", "str", "bytes",
];

pub(super) fn code(segment: &SegmentInfo, types: &Types<'_>) -> String {
    let mut body = String::new();
    if types.any(|kind| matches!(kind, LayoutKind::Enum { .. })) {
        body += "import enum\n\n";
    }
    body += "import numpy as np\n\n";
    for (name, layout) in types.all() {
        match layout.kind() {
            LayoutKind::Enum { .. } => enumeration(&mut body, &safe(name), layout),
            _ => {
                let _ = writeln!(body, "{} = {}\n", safe(name), structure(types, layout));
            }
        }
    }
    for (root, part) in types.roots.iter().zip(parts(segment)) {
        let _ = writeln!(body, "{part} = np.dtype({})", dtype(types, root));
        let _ = writeln!(body, "assert {part}.itemsize == {}", root.size());
    }
    body += "\n\ndef text(field):\n    \"\"\"Returns the text of a ShmString.\"\"\"\n    \
             return bytes(field[\"bytes\"][: field[\"len\"]]).decode()\n\n\n\
             def items(field):\n    \"\"\"Returns the items of a ShmVec that are in use.\"\"\"\n    \
             return field[\"items\"][: field[\"len\"]]\n";
    format!("# {}\n{body}", super::title(segment))
}

fn safe(name: &str) -> String {
    let own = ["text", "items", "message", "header", "item", "request", "reply"];
    if RESERVED.contains(&name) || own.contains(&name) { format!("{name}_") } else { name.to_owned() }
}

/// Writes an `IntEnum`, with the dtype of its numbers in the name of the class and `_dtype`.
pub(super) fn enumeration(text: &mut String, name: &str, layout: &Layout) {
    let _ = writeln!(text, "class {name}(enum.IntEnum):");
    let variants = types::variants(layout, &RESERVED);
    // `mro` and names with two underscores have a meaning in the class.
    let variants = variants.iter().map(|(ident, value)| match ident.as_str() {
        "mro" | "name" | "value" => (format!("{ident}_"), value),
        _ if ident.starts_with('_') => (format!("x{ident}"), value),
        _ => (ident.clone(), value),
    });
    for (ident, value) in variants {
        let _ = writeln!(text, "    {ident} = {value}");
    }
    text.push_str("\n\n");
}

fn structure(types: &Types<'_>, layout: &Layout) -> String {
    let (mut names, mut formats, mut offsets) = (Vec::new(), Vec::new(), Vec::new());
    for piece in types::pieces(layout, &[]) {
        let Piece::Field { field, name } = piece else { continue };
        names.push(format!("{name:?}"));
        formats.push(dtype(types, &field.layout));
        offsets.push(field.offset.to_string());
    }
    record(&names, &formats, &offsets, layout.size())
}

fn record(names: &[String], formats: &[String], offsets: &[String], size: usize) -> String {
    format!(
        "np.dtype({{\n    \"names\": [{}],\n    \"formats\": [{}],\n    \"offsets\": [{}],\n    \"itemsize\": {size},\n}})",
        names.join(", "),
        formats.join(", "),
        offsets.join(", ")
    )
}

fn dtype(types: &Types<'_>, layout: &Layout) -> String {
    let quoted = |code: &str| format!("{code:?}");
    let word = if cfg!(target_endian = "little") { "<u4" } else { ">u4" };
    match layout.kind() {
        LayoutKind::Prim(prim) | LayoutKind::Enum { prim, .. } => quoted(prim.code()),
        LayoutKind::Bool => quoted("?"),
        LayoutKind::Char => quoted(word),
        LayoutKind::Timestamp => quoted(&word.replace("u4", "M8[ns]")),
        LayoutKind::Struct { .. } => safe(types.name(layout)),
        LayoutKind::Array { item, len } => format!("({}, ({len},))", dtype(types, item)),
        LayoutKind::Str { capacity } => {
            format!("[(\"len\", {word:?}), (\"bytes\", \"u1\", ({capacity},))]")
        }
        LayoutKind::List { item, capacity, offset } => {
            let items = format!("({}, ({capacity},))", dtype(types, item));
            tagged(["len", "items"], &items, *offset, layout.size(), word)
        }
        LayoutKind::Maybe { item, offset } => {
            tagged(["is_some", "value"], &dtype(types, item), *offset, layout.size(), word)
        }
        _ => quoted(&format!("V{}", layout.size())),
    }
}

fn tagged(names: [&str; 2], of: &str, offset: usize, size: usize, word: &str) -> String {
    let [tag, value] = names;
    format!(
        "{{\"names\": [{tag:?}, {value:?}], \"formats\": [{word:?}, {of}], \"offsets\": [0, {offset}], \"itemsize\": {size}}}"
    )
}
