//! [`Rules`]: what a reader declares about its own fields and variants.
//!
//! Owns the rules under the path of each part, and their collection from a schema. Calls the functions that make
//! default values, which are code of the user; it runs when the rules are collected, under no lock.

use crate::message::{FieldEvolution, Kind, Schema};
use std::collections::BTreeMap;

/// Rules under the path of a field. The path of a variant is that of its enum, `::` and its name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules(pub(super) BTreeMap<String, Rule>);

/// Rules of one part.
#[derive(Clone, Debug, Default)]
pub(super) struct Rule {
    /// Earlier names.
    pub(super) aliases: Vec<String>,
    /// Bytes of the value for a writer that lacks the field.
    pub(super) default: Option<Box<[u8]>>,
    /// `true` for the variant that unknown variants become.
    pub(super) other: bool,
}

impl Rules {
    /// Collects the rules of a type and of all its parts.
    pub(crate) fn of(schema: &Schema) -> Self {
        let mut rules = Rules::default();
        rules.collect(schema, "");
        rules
    }

    pub(super) fn at(&self, place: &str) -> Option<&Rule> {
        self.0.get(place)
    }

    fn collect(&mut self, schema: &Schema, place: &str) {
        let evolution = schema.evolution();
        match &schema.kind {
            Kind::Struct { fields } => {
                for field in *fields {
                    self.field(field.name, field.schema, place, evolution.fields);
                }
            }
            Kind::Array { item, .. } | Kind::List { item, .. } => self.collect(item, &items(place)),
            Kind::Maybe { item, .. } => self.collect(item, &inside(place)),
            Kind::Choice { variants, .. } => {
                for variant in *variants {
                    let declared = evolution.variants.iter().find(|rule| rule.name == variant.name);
                    let place = case(place, variant.name);
                    for field in variant.fields {
                        self.field(
                            field.name,
                            field.schema,
                            &place,
                            declared.map_or(&[], |rule| rule.fields),
                        );
                    }
                }
            }
            _ => {}
        }
        for variant in evolution.variants {
            let rule = Rule { aliases: owned(variant.aliases), default: None, other: variant.other };
            self.0.insert(case(place, variant.name), rule);
        }
    }

    fn field(&mut self, name: &str, schema: &Schema, place: &str, declared: &[FieldEvolution]) {
        let place = field(place, name);
        if let Some(rule) = declared.iter().find(|rule| rule.name == name) {
            let default = rule.default.map(|write| {
                let mut bytes = vec![0; schema.size].into_boxed_slice();
                write(&mut bytes);
                bytes
            });
            self.0.insert(place.clone(), Rule { aliases: owned(rule.aliases), default, other: false });
        }
        self.collect(schema, &place);
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// Returns the path of a field.
pub(super) fn field(place: &str, name: &str) -> String {
    if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
}

/// Returns the path of the items of a list.
pub(super) fn items(place: &str) -> String {
    format!("{place}[]")
}

/// Returns the path of the value of an option.
pub(super) fn inside(place: &str) -> String {
    format!("{place}?")
}

/// Returns the path of a variant.
pub(super) fn case(place: &str, name: &str) -> String {
    format!("{place}::{name}")
}
