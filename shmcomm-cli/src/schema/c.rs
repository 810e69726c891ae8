//! A header for C11 and later.
//!
//! Owns the text. Sizes and offsets are asserted, so the header does not compile where its layout would differ.
//! Calls `types`.

use super::types::{self, Piece, Types};
use shmcomm::SegmentInfo;
use shmcomm::schema::{Layout, LayoutKind};
use std::fmt::Write as _;

/// Words that cannot be names, in C or C++.
const RESERVED: [&str; 60] = [
    "auto",
    "bool",
    "break",
    "case",
    "char",
    "class",
    "const",
    "continue",
    "default",
    "delete",
    "do",
    "double",
    "else",
    "enum",
    "explicit",
    "extern",
    "false",
    "float",
    "for",
    "friend",
    "goto",
    "if",
    "inline",
    "int",
    "long",
    "mutable",
    "namespace",
    "new",
    "operator",
    "private",
    "protected",
    "public",
    "register",
    "restrict",
    "return",
    "short",
    "signed",
    "sizeof",
    "static",
    "struct",
    "switch",
    "template",
    "this",
    "throw",
    "true",
    "try",
    "typedef",
    "typename",
    "union",
    "unsigned",
    "using",
    "virtual",
    "void",
    "volatile",
    "while",
    "asm",
    "catch",
    "nullptr",
    "alignas",
    "linux",
];

/// Declarations that were written, by name and text.
struct Writer<'t> {
    types: &'t Types<'t>,
    text: String,
    done: Vec<String>,
}

pub(super) fn code(segment: &SegmentInfo, types: &Types<'_>) -> String {
    let guard = format!("SHMCOMM_{}_H", types::identifier(&segment.channel).to_uppercase());
    let mut out = Writer { types, text: String::new(), done: Vec::new() };
    for (name, layout) in types.all() {
        match layout.kind() {
            LayoutKind::Enum { .. } => out.enumeration(name, layout),
            _ => out.structure(name, layout),
        }
    }
    for (root, part) in types.roots.iter().zip(parts(segment)) {
        let fingerprint = root.fingerprint();
        let (ty, dimensions) = out.declare(root);
        let _ = writeln!(
            out.text,
            "/* The {part}: {}, fingerprint {fingerprint:#018x}. */\ntypedef {ty} {}_{part}{dimensions};\n",
            comment(&root.to_string()),
            types::identifier(&segment.channel)
        );
    }
    format!(
        "/* {} */\n#ifndef {guard}\n#define {guard}\n\n#include <assert.h>\n#include <stdbool.h>\n#include <stddef.h>\n\
         #include <stdint.h>\n\n#ifdef __cplusplus\n#define SHM_ASSERT static_assert\n#define SHM_ALIGN alignas\n#else\n\
         #define SHM_ASSERT _Static_assert\n#define SHM_ALIGN _Alignas\n#endif\n\n{}#endif\n",
        comment(&super::title(segment)),
        out.text
    )
}

/// Returns the names of the messages of a channel.
pub(super) fn parts(segment: &SegmentInfo) -> [&'static str; 2] {
    match (segment.pattern, segment.codec) {
        ("request/reply" | "request/stream", _) => ["request", "reply"],
        (_, "header and tail") => ["header", "item"],
        _ => ["message", "more"],
    }
}

fn comment(text: &str) -> String {
    text.replace("*/", "* /")
}

impl Writer<'_> {
    /// Returns the type of a declaration, and what stands behind the name.
    fn declare(&mut self, layout: &Layout) -> (String, String) {
        match layout.kind() {
            LayoutKind::Prim(prim) => (types::c_number(*prim).to_owned(), String::new()),
            LayoutKind::Bool => ("bool".to_owned(), String::new()),
            LayoutKind::Char => ("uint32_t".to_owned(), String::new()),
            LayoutKind::Timestamp => ("int64_t".to_owned(), String::new()),
            LayoutKind::Enum { .. } => (self.types.name(layout).to_owned(), String::new()),
            LayoutKind::Struct { .. } => (format!("struct {}", self.types.name(layout)), String::new()),
            LayoutKind::Array { item, len } => {
                let (ty, dimensions) = self.declare(item);
                (ty, format!("[{len}]{dimensions}"))
            }
            LayoutKind::Str { capacity } => {
                let name = format!("ShmString{capacity}");
                let body = format!(
                    "    uint8_t len[4]; /* uint32_t, not aligned: copy it with memcpy */\n    char bytes[{capacity}];\n"
                );
                (self.helper(&name, &body, layout), String::new())
            }
            LayoutKind::List { item, capacity, offset } => {
                let name = format!("ShmVec{capacity}_{}", self.short(item));
                let body = self.tagged("len", "items", *offset, item, Some(*capacity), layout);
                (self.helper(&name, &body, layout), String::new())
            }
            LayoutKind::Maybe { item, offset } => {
                let name = format!("ShmOption_{}", self.short(item));
                let body = self.tagged("is_some", "value", *offset, item, None, layout);
                (self.helper(&name, &body, layout), String::new())
            }
            LayoutKind::Opaque { .. } => {
                let name = format!("Opaque{}Align{}", layout.size(), layout.align());
                let body = format!("    SHM_ALIGN({}) uint8_t bytes[{}];\n", layout.align(), layout.size());
                (self.helper(&name, &body, layout), String::new())
            }
            _ => ("uint8_t".to_owned(), format!("[{}]", layout.size())),
        }
    }

    /// Returns the name of a type as a part of another name.
    fn short(&mut self, layout: &Layout) -> String {
        let (ty, dimensions) = self.declare(layout);
        let dimensions = dimensions.replace('[', "x").replace(']', "");
        types::identifier(&(ty.trim_start_matches("struct ").trim_end_matches("_t").to_owned() + &dimensions))
    }

    /// Returns the body of a list or an option: a word, a gap, and the items.
    fn tagged(
        &mut self,
        tag: &str,
        value: &str,
        offset: usize,
        item: &Layout,
        capacity: Option<usize>,
        whole: &Layout,
    ) -> String {
        let (ty, dimensions) = self.declare(item);
        let mut body = match whole.align() {
            4.. => format!("    uint32_t {tag};\n"),
            _ => format!("    uint8_t {tag}[4]; /* uint32_t, not aligned: copy it with memcpy */\n"),
        };
        if offset > 4 {
            let _ = writeln!(body, "    uint8_t gap[{}];", offset - 4);
        }
        let number = capacity.unwrap_or(1);
        if number * item.size() > 0 {
            let many = capacity.map_or_else(String::new, |capacity| format!("[{capacity}]"));
            let _ = writeln!(body, "    {ty} {value}{many}{dimensions};");
        }
        let end = offset + number * item.size();
        if whole.size() > end {
            let _ = writeln!(body, "    uint8_t end[{}];", whole.size() - end);
        }
        body
    }

    /// Declares a struct of the library once, and returns its type.
    fn helper(&mut self, name: &str, body: &str, layout: &Layout) -> String {
        let body = if layout.size() == 0 { String::new() } else { body.replace("    char bytes[0];\n", "") };
        if !self.done.iter().any(|done| done == name) {
            self.done.push(name.to_owned());
            // Several headers may declare the same type.
            let _ = writeln!(
                self.text,
                "#ifndef SHM_HAS_{name}\n#define SHM_HAS_{name}\nstruct {name} {{\n{body}}};\n\
                 SHM_ASSERT(sizeof(struct {name}) == {}, \"size of {name}\");\n#endif\n",
                layout.size()
            );
        }
        format!("struct {name}")
    }

    fn enumeration(&mut self, name: &str, layout: &Layout) {
        let LayoutKind::Enum { prim, .. } = layout.kind() else { return };
        let ty = types::c_number(*prim);
        self.guard(name, layout);
        let _ = writeln!(self.text, "typedef {ty} {name};");
        for (variant, value) in types::variants(layout, &[]) {
            let literal = match value {
                // The literal of the smallest number would overflow before its sign.
                _ if value == i128::from(i64::MIN) => "(-INT64_C(9223372036854775807) - 1)".to_owned(),
                _ if value < 0 => format!("(-INT64_C({}))", value.unsigned_abs()),
                _ => format!("UINT64_C({value})"),
            };
            let _ = writeln!(self.text, "#define {name}_{variant} (({name}){literal})");
        }
        self.text.push_str("#endif\n\n");
    }

    /// Starts the declaration of a type that several headers may have: the same type is declared once.
    fn guard(&mut self, name: &str, layout: &Layout) {
        let guard = format!("SHM_HAS_{name}_{:016x}", layout.fingerprint());
        let _ = writeln!(self.text, "#ifndef {guard}\n#define {guard}");
    }

    fn structure(&mut self, name: &str, layout: &Layout) {
        let (mut body, mut checks) = (String::new(), String::new());
        let pieces = types::pieces(layout, &RESERVED);
        let taken = |name: &str| {
            pieces.iter().any(|piece| matches!(piece, Piece::Field { name: known, .. } if known == name))
        };
        let mut align = match pieces
            .iter()
            .map(|piece| if let Piece::Field { field, .. } = piece { field.layout.align() } else { 1 })
            .max()
        {
            Some(natural) if natural >= layout.align() => String::new(),
            _ => format!("SHM_ALIGN({}) ", layout.align()),
        };
        for piece in &pieces {
            let first = std::mem::take(&mut align);
            match piece {
                Piece::Gap { offset, len } => {
                    let name = types::unique(format!("pad{offset}"), taken);
                    let _ = writeln!(body, "    {first}uint8_t {name}[{len}];");
                }
                // A part without bytes cannot be declared.
                Piece::Field { field, name } if field.layout.size() == 0 => {
                    let _ = writeln!(body, "    /* {name}: no bytes */");
                    align = first;
                }
                Piece::Field { field, name: ident } => {
                    let (ty, dimensions) = self.declare(&field.layout);
                    let note = match field.layout.kind() {
                        LayoutKind::Timestamp => " /* nanoseconds since 1970-01-01 UTC */",
                        LayoutKind::Char => " /* Unicode scalar value */",
                        _ => "",
                    };
                    let _ = writeln!(body, "    {first}{ty} {ident}{dimensions};{note}");
                    let _ = writeln!(
                        checks,
                        "SHM_ASSERT(offsetof(struct {name}, {ident}) == {}, \"offset of {name}.{ident}\");",
                        field.offset
                    );
                }
            }
        }
        self.guard(name, layout);
        let _ = writeln!(
            self.text,
            "struct {name} {{\n{body}}};\nSHM_ASSERT(sizeof(struct {name}) == {}, \"size of {name}\");\n{checks}#endif\n",
            layout.size()
        );
    }
}
