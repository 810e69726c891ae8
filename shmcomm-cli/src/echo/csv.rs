//! Comma-separated values.
//!
//! Owns the columns: those of the first message, so that every row has the same. The crate `csv` quotes. Calls
//! `message`. Never cuts a value.

use super::message::{Message, Part};
use shmcomm::schema::{Value, ValueRef};
use std::io;

/// Arrays up to this length have a column for each item; longer ones, and lists, have one column with JSON.
pub const ITEMS: usize = 64;

/// Paths of the columns.
pub struct Columns(Vec<String>);

impl Columns {
    /// Returns the columns of a message: the given paths, else those of the layout, else those of the message.
    pub fn of(message: &Message<'_>, fields: &[String], layout: &[String]) -> Self {
        if !fields.is_empty() {
            return Columns(fields.to_vec());
        }
        let mut all = layout.to_vec();
        if let Message::Tree(value) = message {
            of_tree(value, String::new(), &mut all);
        }
        Columns(all)
    }

    pub fn head(&self) -> io::Result<Vec<u8>> {
        // A message that is a single value has no field name.
        let names = self.0.iter().map(|path| if path.is_empty() { "value" } else { path });
        record(["position", "observed"].into_iter().chain(names))
    }

    pub fn row(&self, position: u64, observed: f64, message: &Message<'_>) -> io::Result<Vec<u8>> {
        let cells = self.0.iter().map(|path| cell(message.at(path)));
        record([position.to_string(), format!("{observed:.6}")].into_iter().chain(cells))
    }
}

fn record<T: AsRef<[u8]>>(fields: impl Iterator<Item = T>) -> io::Result<Vec<u8>> {
    let mut writer = ::csv::WriterBuilder::new().from_writer(Vec::new());
    writer.write_record(fields)?;
    writer.into_inner().map_err(|error| error.into_error())
}

fn cell(part: Option<Part<'_>>) -> String {
    match part {
        None | Some(Part::View(ValueRef::Null) | Part::Tree(Value::Null)) => String::new(),
        Some(Part::View(ValueRef::Text(text) | ValueRef::Enum { name: text, .. })) => text.to_owned(),
        Some(Part::View(ValueRef::Char(c))) => c.into(),
        Some(Part::Tree(Value::Text(text))) => text.clone(),
        // Lists are JSON.
        Some(Part::View(view)) => view.to_string(),
        Some(Part::Tree(value)) => value.to_string(),
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn of_tree(value: &Value, path: String, all: &mut Vec<String>) {
    match value {
        Value::Map(parts) if !parts.is_empty() => {
            for (name, part) in parts {
                of_tree(part, join(&path, name), all);
            }
        }
        _ => all.push(path),
    }
}
