//! Classes of Python's ctypes, for programs without numpy.
//!
//! Owns the text. Sizes are asserted when the module is imported. Calls `types`.

use super::c::parts;
use super::numpy::{self, RESERVED};
use super::types::{self, Piece, Types};
use shmcomm::SegmentInfo;
use shmcomm::schema::{Layout, LayoutKind, Prim};
use std::fmt::Write as _;

/// Names that a class of ctypes has itself.
const CLASS: [&str; 6] = ["_fields_", "_pack_", "_anonymous_", "_as_parameter_", "_layout_", "_align_"];

struct Writer<'t> {
    types: &'t Types<'t>,
    text: String,
    done: Vec<String>,
}

pub(super) fn code(segment: &SegmentInfo, types: &Types<'_>) -> String {
    let mut out = Writer { types, text: String::new(), done: Vec::new() };
    for (name, layout) in types.all() {
        match layout.kind() {
            LayoutKind::Enum { .. } => numpy::enumeration(&mut out.text, &safe(name), layout),
            _ => out.structure(&safe(name), layout),
        }
    }
    for (root, part) in types.roots.iter().zip(parts(segment)) {
        let ty = out.ctype(root);
        let class = format!("{}{}", part[..1].to_uppercase(), &part[1..]);
        let _ = writeln!(out.text, "{class}_ = {ty}\nassert ctypes.sizeof({class}_) == {}", root.size());
    }
    let imports = if types.any(|kind| matches!(kind, LayoutKind::Enum { .. })) {
        "import ctypes\nimport enum"
    } else {
        "import ctypes"
    };
    format!(
        "# {}\n# Read a message with `Name.from_buffer_copy(data)`, write one with `bytes(name)`.\n{imports}\n\n\n{}",
        super::title(segment),
        out.text
    )
}

fn safe(name: &str) -> String {
    if RESERVED.contains(&name) { format!("{name}_") } else { name.to_owned() }
}

fn number(prim: Prim) -> &'static str {
    match prim {
        Prim::U8 => "ctypes.c_uint8",
        Prim::U16 => "ctypes.c_uint16",
        Prim::U32 => "ctypes.c_uint32",
        Prim::U64 => "ctypes.c_uint64",
        Prim::I8 => "ctypes.c_int8",
        Prim::I16 => "ctypes.c_int16",
        Prim::I32 => "ctypes.c_int32",
        Prim::I64 => "ctypes.c_int64",
        Prim::F32 => "ctypes.c_float",
        Prim::F64 => "ctypes.c_double",
    }
}

impl Writer<'_> {
    /// Returns the expression of a type; declares helper classes first.
    fn ctype(&mut self, layout: &Layout) -> String {
        match layout.kind() {
            LayoutKind::Prim(prim) | LayoutKind::Enum { prim, .. } => number(*prim).to_owned(),
            LayoutKind::Bool => "ctypes.c_bool".to_owned(),
            LayoutKind::Char => "ctypes.c_uint32".to_owned(),
            LayoutKind::Timestamp => "ctypes.c_int64".to_owned(),
            LayoutKind::Struct { .. } => safe(self.types.name(layout)),
            LayoutKind::Array { item, len } => format!("({} * {len})", self.ctype(item)),
            LayoutKind::Str { capacity } => {
                let name = format!("ShmString{capacity}");
                let fields = format!(
                    "        (\"_len\", ctypes.c_uint8 * 4),\n        (\"_bytes\", ctypes.c_uint8 * {capacity}),\n"
                );
                let accessors = "\n    def __str__(self):\n        \
                     return bytes(self._bytes[: int.from_bytes(self._len, \"little\")]).decode()\n\n    \
                     def set(self, text):\n        data = text.encode()\n        \
                     self._len[:] = len(data).to_bytes(4, \"little\")\n        self._bytes[: len(data)] = data\n";
                self.helper(name, &fields, accessors, layout)
            }
            LayoutKind::List { item, capacity, offset } => {
                let of = self.ctype(item);
                let name = format!("ShmVec{capacity}_{}", types::identifier(&of.replace("ctypes.c_", "")));
                let fields =
                    tagged(*offset, &format!("{of} * {capacity}"), "items", capacity * item.size(), layout);
                let accessors = "\n    @property\n    def items(self):\n        \
                                 return self._items[: int.from_bytes(self._len, \"little\")]\n";
                self.helper(name, &fields, accessors, layout)
            }
            LayoutKind::Maybe { item, offset } => {
                let of = self.ctype(item);
                let name = format!("ShmOption_{}", types::identifier(&of.replace("ctypes.c_", "")));
                let fields = tagged(*offset, &of, "value", item.size(), layout);
                let accessors = "\n    @property\n    def value(self):\n        \
                                 return self._value if any(self._len) else None\n";
                self.helper(name, &fields, accessors, layout)
            }
            _ => format!("(ctypes.c_uint8 * {})", layout.size()),
        }
    }

    fn helper(&mut self, name: String, fields: &str, accessors: &str, layout: &Layout) -> String {
        if !self.done.contains(&name) {
            let _ = writeln!(
                self.text,
                "class {name}(ctypes.Structure):\n    _fields_ = [\n{fields}    ]\n{accessors}\n\n\
                 assert ctypes.sizeof({name}) == {}\n\n",
                layout.size()
            );
            self.done.push(name.clone());
        }
        name
    }

    fn structure(&mut self, name: &str, layout: &Layout) {
        let mut fields = String::new();
        let reserved: Vec<&str> = RESERVED.iter().chain(&CLASS).copied().collect();
        let pieces = types::pieces(layout, &reserved);
        let taken = |name: &str| {
            pieces.iter().any(|piece| matches!(piece, Piece::Field { name: known, .. } if known == name))
        };
        for piece in &pieces {
            match piece {
                Piece::Gap { offset, len } => {
                    let name = types::unique(format!("_pad{offset}"), taken);
                    let _ = writeln!(fields, "        ({name:?}, ctypes.c_uint8 * {len}),");
                }
                Piece::Field { field, name } => {
                    let ty = self.ctype(&field.layout);
                    let note = match field.layout.kind() {
                        LayoutKind::Timestamp => "  # nanoseconds since 1970-01-01 UTC".to_owned(),
                        LayoutKind::Char => "  # a Unicode scalar value".to_owned(),
                        LayoutKind::Enum { .. } => format!("  # {}", safe(self.types.name(&field.layout))),
                        _ => String::new(),
                    };
                    let _ = writeln!(fields, "        ({name:?}, {ty}),{note}");
                }
            }
        }
        let _ = writeln!(
            self.text,
            "class {name}(ctypes.Structure):\n    _fields_ = [\n{fields}    ]\n\n\nassert ctypes.sizeof({name}) == {}",
            layout.size()
        );
        for piece in &pieces {
            if let Piece::Field { field, name: ident } = piece {
                let _ = writeln!(self.text, "assert {name}.{ident}.offset == {}", field.offset);
            }
        }
        self.text.push_str("\n\n");
    }
}

/// Returns the fields of a list or an option: a word, a gap, and the items.
fn tagged(offset: usize, of: &str, name: &str, len: usize, whole: &Layout) -> String {
    let mut fields = "        (\"_len\", ctypes.c_uint8 * 4),\n".to_owned();
    if offset > 4 {
        let _ = writeln!(fields, "        (\"_gap\", ctypes.c_uint8 * {}),", offset - 4);
    }
    let _ = writeln!(fields, "        (\"_{name}\", {of}),");
    if whole.size() > offset + len {
        let _ = writeln!(fields, "        (\"_end\", ctypes.c_uint8 * {}),", whole.size() - offset - len);
    }
    fields
}
