//! [`Message`]: an observed message, as a view of its bytes or as a tree.
//!
//! Owns the paths to parts: `pose.xyz[2]`, `header.width`, `tail[3]`. Calls the library's views. Never panics
//! on any message.

use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use shmcomm::schema::{Layout, LayoutKind, ListRef, Value, ValueRef};
use shmcomm::{Description, DynMessage, ObservedMessage, Timestamp, ValueError};

/// A message.
pub enum Message<'m> {
    /// A fixed layout, perhaps with a tail.
    View { head: ValueRef<'m>, tail: Option<ListRef<'m>> },
    /// A message of a codec.
    Tree(Value),
}

/// A part of a message.
#[derive(Clone, Copy)]
pub enum Part<'m> {
    View(ValueRef<'m>),
    Tree(&'m Value),
}

impl<'m> Message<'m> {
    /// Reads an observed message.
    pub fn of(seen: &ObservedMessage<'m>) -> Result<Self, ValueError> {
        match seen.view() {
            Some(head) => Ok(Message::View { head, tail: seen.tail() }),
            None => seen.value().map(Message::Tree),
        }
    }

    /// Reads a message that an end received.
    pub fn received(seen: &'m DynMessage) -> Result<Self, ValueError> {
        match seen.view() {
            Some(head) => Ok(Message::View { head, tail: seen.tail() }),
            None => seen.value().map(Message::Tree),
        }
    }

    /// Returns the part at a path. The fields of a header need no `header.` in front.
    pub fn at(&self, path: &str) -> Option<Part<'_>> {
        match self {
            Message::Tree(value) => tree_at(value, path).map(Part::Tree),
            Message::View { head, tail: None } => head.at(path).map(Part::View),
            Message::View { head, tail: Some(tail) } => {
                let below = |name: &str| {
                    let rest = path.strip_prefix(name)?;
                    (rest.is_empty() || rest.starts_with(['.', '['])).then_some(rest)
                };
                let in_header = || head.at(below("header")?);
                let in_tail = || ValueRef::List(*tail).at(below("tail")?);
                head.at(path).or_else(in_tail).or_else(in_header).map(Part::View)
            }
        }
    }
}

/// Serializes as JSON consumers expect it: a message with a tail is a map of `header` and `tail`.
impl Serialize for Message<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Message::Tree(value) => value.serialize(serializer),
            Message::View { head, tail: None } => head.serialize(serializer),
            Message::View { head, tail: Some(tail) } => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("header", head)?;
                map.serialize_entry("tail", &ValueRef::List(*tail))?;
                map.end()
            }
        }
    }
}

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Part::View(view) => view.serialize(serializer),
            Part::Tree(value) => value.serialize(serializer),
        }
    }
}

/// Returns the part of a tree at a path. The longest name that fits is taken, as for views.
fn tree_at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    let path = path.strip_prefix('.').unwrap_or(path);
    if path.is_empty() {
        return Some(value);
    }
    if let Some(parts) = value.as_map() {
        let mut fits: Vec<_> = parts
            .iter()
            .filter_map(|(name, part)| Some((name.len(), part, path.strip_prefix(name.as_str())?)))
            .filter(|(_, _, rest)| rest.is_empty() || rest.starts_with(['.', '[']))
            .collect();
        fits.sort_by_key(|(len, _, _)| std::cmp::Reverse(*len));
        return fits.into_iter().find_map(|(_, part, rest)| tree_at(part, rest));
    }
    let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
    tree_at(value.item(index.parse().ok()?)?, rest)
}

/// Returns the paths of all fields of a channel, for errors and columns. Arrays longer than `most` and lists
/// are one path.
pub fn paths(what: &Description, most: usize) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(layout) = what.message().or(what.header()) {
        leaves(layout, "", most, &mut all);
    }
    if what.tail().is_some() {
        all.push("tail".to_owned());
    }
    all
}

fn leaves(layout: &Layout, path: &str, most: usize, all: &mut Vec<String>) {
    match layout.kind() {
        LayoutKind::Struct { fields, .. } => {
            for field in fields {
                let dot = if path.is_empty() { "" } else { "." };
                leaves(&field.layout, &format!("{path}{dot}{}", field.name), most, all);
            }
        }
        LayoutKind::Array { item, len } if *len <= most => {
            for index in 0..*len {
                leaves(item, &format!("{path}[{index}]"), most, all);
            }
        }
        _ => all.push(path.to_owned()),
    }
}

/// Checks that a path can lead to a part of the channel's messages. Returns `None` if only the messages tell.
pub fn exists(what: &Description, path: &str) -> Option<bool> {
    let head = what.message().or(what.header())?;
    let mut found = leads(head, path);
    if let Some(item) = what.tail() {
        let tail = path.strip_prefix("tail");
        found |= tail.is_some_and(|rest| rest.is_empty() || leads_into(item, rest));
        found |= path.strip_prefix("header").is_some_and(|rest| leads(head, rest));
    }
    Some(found)
}

fn leads(layout: &Layout, path: &str) -> bool {
    let path = path.strip_prefix('.').unwrap_or(path);
    if path.is_empty() {
        return true;
    }
    match layout.kind() {
        LayoutKind::Struct { fields, .. } => fields.iter().any(|field| {
            let rest = path.strip_prefix(field.name.as_str());
            rest.is_some_and(|rest| {
                (rest.is_empty() || rest.starts_with(['.', '['])) && leads(&field.layout, rest)
            })
        }),
        LayoutKind::Array { item, len } => {
            index(path).is_some_and(|(at, rest)| at < *len && leads(item, rest))
        }
        LayoutKind::List { item, capacity, .. } => {
            index(path).is_some_and(|(at, rest)| at < *capacity && leads(item, rest))
        }
        LayoutKind::Maybe { item, .. } => leads(item, path),
        _ => false,
    }
}

fn leads_into(item: &Layout, path: &str) -> bool {
    index(path).is_some_and(|(_, rest)| leads(item, rest))
}

fn index(path: &str) -> Option<(usize, &str)> {
    let (number, rest) = path.strip_prefix('[')?.split_once(']')?;
    Some((number.parse().ok()?, rest))
}

/// Returns a time as people read it: UTC, to the microsecond.
pub fn time(time: Timestamp) -> String {
    let mut text = time.to_string();
    // `2026-11-29T10:59:34.324881000Z`: the last four characters are nanoseconds and the zone.
    text.truncate(text.len().saturating_sub(4));
    text
}
