//! The schema of a table: a struct without padding, whose fields are the keys.
//!
//! Owns the offsets of the fields, at compile time. Calls `schema`. Never describes a Rust type: a table exists only as
//! the values of its keys.

use super::schema::{Field, Kind, Schema};
use super::text::Text;

const fn any_bytes(_: &[u8]) -> bool {
    // The value of each key is checked as a message of its own type.
    true
}

/// Returns the fields of a table, one for each key with the schema of its values.
#[track_caller]
pub(crate) const fn fields<const N: usize>(keys: [(&'static str, &'static Schema); N]) -> [Field; N] {
    let mut fields = [Field { name: "", offset: 0, schema: &PAD, check: any_bytes }; N];
    let (mut i, mut offset) = (0, 0);
    while i < N {
        let (name, schema) = keys[i];
        if matches!(schema.kind, Kind::Pad) {
            Text::new().str("key ").code(name).str(" is padding, which has no value").panic();
        }
        fields[i] = Field { name, offset, schema, check: any_bytes };
        offset += schema.size;
        i += 1;
    }
    fields
}

static PAD: Schema = Schema::pad(0);

/// Returns the schema of a table.
pub(crate) const fn table(name: &'static str, fields: &'static [Field]) -> Schema {
    let size = match fields {
        [.., last] => last.offset + last.schema.size,
        [] => 0,
    };
    Schema::new(name, size, 1, Kind::Struct { fields })
}

impl Schema {
    /// Returns the fields of a struct or a table; none for other types.
    pub(crate) const fn fields(&self) -> &'static [Field] {
        match self.kind {
            Kind::Struct { fields } => fields,
            _ => &[],
        }
    }
}
