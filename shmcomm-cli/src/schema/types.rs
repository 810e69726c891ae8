//! [`Types`]: the named types of messages, each once, parts before their users.
//!
//! Owns the names. Names in a segment are not unique, and may be any text; names here are unique and valid in
//! every language except for reserved words. Calls the rules of `shmcomm-record`.

use shmcomm::schema::{Layout, LayoutField, LayoutKind};
pub use shmcomm_record::names::{identifier, unique};

/// Types that need a declaration.
pub struct Types<'l> {
    /// Messages of the channel: one, or header and item, or request and reply.
    pub roots: &'l [Layout],
    named: Vec<(String, &'l Layout)>,
}

/// A part of a struct in memory.
pub enum Piece<'l> {
    /// Bytes without meaning, at an offset.
    Gap {
        offset: usize,
        len: usize,
    },
    Field {
        field: &'l LayoutField,
        name: String,
    },
}

impl<'l> Types<'l> {
    /// Collects the structs and enums below the messages.
    pub fn of(roots: &'l [Layout]) -> Self {
        let mut types = Types { roots, named: Vec::new() };
        for root in roots {
            types.collect(root);
        }
        types
    }

    fn collect(&mut self, layout: &'l Layout) {
        match layout.kind() {
            LayoutKind::Array { item, .. }
            | LayoutKind::List { item, .. }
            | LayoutKind::Maybe { item, .. } => {
                self.collect(item);
            }
            LayoutKind::Struct { fields, .. } => {
                for field in fields {
                    self.collect(&field.layout);
                }
                self.add(layout);
            }
            LayoutKind::Enum { .. } => self.add(layout),
            _ => {}
        }
    }

    /// Adds a type. Types of one name and different contents get a number.
    fn add(&mut self, layout: &'l Layout) {
        if self.named.iter().any(|(_, known)| *known == layout) {
            return;
        }
        let base = identifier(layout.name().unwrap_or("Type"));
        let name = unique(base, |name| self.named.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)));
        self.named.push((name, layout));
    }

    /// Returns all types, parts before their users.
    pub fn all(&self) -> impl Iterator<Item = (&str, &'l Layout)> {
        self.named.iter().map(|(name, layout)| (name.as_str(), *layout))
    }

    /// Returns the name of a struct or enum.
    pub fn name(&self, layout: &Layout) -> &str {
        let found = self.named.iter().find(|(_, known)| *known == layout);
        found.map_or("Type", |(name, _)| name)
    }

    /// Returns `true` if a layout has a part of that kind.
    pub fn any(&self, wanted: fn(&LayoutKind) -> bool) -> bool {
        fn within(layout: &Layout, wanted: fn(&LayoutKind) -> bool) -> bool {
            wanted(layout.kind())
                || match layout.kind() {
                    LayoutKind::Array { item, .. }
                    | LayoutKind::List { item, .. }
                    | LayoutKind::Maybe { item, .. } => within(item, wanted),
                    LayoutKind::Struct { fields, .. } => {
                        fields.iter().any(|field| within(&field.layout, wanted))
                    }
                    _ => false,
                }
        }
        self.roots.iter().any(|root| within(root, wanted))
    }
}

/// Returns the parts of a struct in memory, with the gaps between them. Field names are unique identifiers
/// that are not reserved.
pub fn pieces<'l>(layout: &'l Layout, reserved: &[&str]) -> Vec<Piece<'l>> {
    let LayoutKind::Struct { fields, .. } = layout.kind() else { return Vec::new() };
    let (mut pieces, mut names, mut at) = (Vec::new(), Vec::<String>::new(), 0);
    for field in fields {
        if field.offset > at {
            pieces.push(Piece::Gap { offset: at, len: field.offset - at });
        }
        let base = identifier(&field.name);
        let base = if reserved.contains(&base.as_str()) { base + "_" } else { base };
        let name = unique(base, |name| names.iter().any(|known| known == name));
        names.push(name.clone());
        pieces.push(Piece::Field { field, name });
        at = field.offset + field.layout.size();
    }
    if layout.size() > at {
        pieces.push(Piece::Gap { offset: at, len: layout.size() - at });
    }
    pieces
}

/// Returns unique identifiers for the variants of an enum.
pub fn variants(layout: &Layout, reserved: &[&str]) -> Vec<(String, i128)> {
    let LayoutKind::Enum { variants, .. } = layout.kind() else { return Vec::new() };
    let mut names: Vec<(String, i128)> = Vec::new();
    for variant in variants {
        let base = identifier(&variant.name);
        let base = if reserved.contains(&base.as_str()) { base + "_" } else { base };
        let name = unique(base, |name| names.iter().any(|(known, _)| known == name));
        names.push((name, variant.value));
    }
    names
}

/// Returns the name of the type of a number in C.
pub fn c_number(prim: shmcomm::schema::Prim) -> &'static str {
    use shmcomm::schema::Prim;
    match prim {
        Prim::U8 => "uint8_t",
        Prim::U16 => "uint16_t",
        Prim::U32 => "uint32_t",
        Prim::U64 => "uint64_t",
        Prim::I8 => "int8_t",
        Prim::I16 => "int16_t",
        Prim::I32 => "int32_t",
        Prim::I64 => "int64_t",
        Prim::F32 => "float",
        Prim::F64 => "double",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_one_name_are_told_apart() {
        let text = r#"[{"size":16,"name":"Outer","align":8,"fields":[
            {"name":"a","offset":0,"of":{"size":4,"name":"P","align":4,"fields":[
                {"name":"x","offset":0,"of":{"size":4,"type":"<f4"}}]}},
            {"name":"b","offset":8,"of":{"size":8,"name":"P","align":8,"fields":[
                {"name":"x","offset":0,"of":{"size":8,"type":"<f8"}}]}}]}]"#;
        let layouts = Layout::parse(text).unwrap();
        let types = Types::of(&layouts);
        assert_eq!(types.all().map(|(name, _)| name).collect::<Vec<_>>(), ["P", "P_2", "Outer"]);
        let gaps = pieces(&layouts[0], &[])
            .into_iter()
            .filter(|piece| matches!(piece, Piece::Gap { offset: 4, len: 4 }));
        assert_eq!(gaps.count(), 1);
    }
}
