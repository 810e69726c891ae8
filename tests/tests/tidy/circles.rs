//! Modules call each other in one direction.

use super::modules::{Crate, library};
use std::collections::{BTreeMap, BTreeSet};

/// A serializer calls the writers of its parts, which call it for nested values; a deserializer likewise.
const VISITORS: &str = "visitors of a codec";

/// Circles that are accepted: the folder, modules of the circle, and the reason.
const CIRCLES: [(&str, &[&str], &str); 7] = [
    ("codec/msgpack", &["guard", "wrapped"], VISITORS),
    ("codec/pickle", &["access", "array", "convert", "de", "objects"], VISITORS),
    ("codec/pickle", &["compound", "ser", "standard"], VISITORS),
    ("codec/pickle", &["numpy", "record"], VISITORS),
    ("codec/pickle", &["read", "stack"], VISITORS),
    (
        "codec/value",
        &[
            "address",
            "collections",
            "extension",
            "leaf",
            "number",
            "object_array",
            "records",
            "time",
            "wire",
            "wire_standard",
            "zone",
        ],
        VISITORS,
    ),
    ("codec/value", &["dtype", "ndarray"], VISITORS),
];

type Graph = BTreeMap<String, BTreeSet<String>>;

/// Returns for each folder which of its modules call which.
fn folders(library: &Crate) -> BTreeMap<String, Graph> {
    let mut all: BTreeMap<String, Graph> = BTreeMap::new();
    for edge in library.edges() {
        let common = edge.from.iter().zip(&edge.to).take_while(|(a, b)| a == b).count();
        // A module and its parent are one thing: the parent has what its children share.
        if let (Some(from), Some(to)) = (edge.from.get(common), edge.to.get(common)) {
            let folder = all.entry(edge.from[..common].join("/")).or_default();
            folder.entry(from.clone()).or_default().insert(to.clone());
        }
    }
    all
}

fn reached(graph: &Graph, from: &str) -> BTreeSet<String> {
    let (mut found, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(next) = open.pop() {
        for to in graph.get(next).into_iter().flatten() {
            if found.insert(to.clone()) {
                open.push(to);
            }
        }
    }
    found
}

/// Returns the sets of modules of a folder that reach each other.
fn circles(graph: &Graph) -> BTreeSet<BTreeSet<String>> {
    let all: BTreeMap<_, _> = graph.keys().map(|name| (name, reached(graph, name))).collect();
    let back = |from: &String, to: &String| all.get(to).is_some_and(|reached| reached.contains(from));
    all.iter()
        .map(|(from, reached)| reached.iter().filter(|to| back(from, to)).cloned().collect())
        .filter(|circle: &BTreeSet<String>| circle.len() > 1)
        .collect()
}

#[test]
fn modules_call_each_other_in_one_direction() {
    let (mut wrong, mut used) = (Vec::new(), BTreeSet::new());
    for (folder, graph) in folders(&library()) {
        for circle in circles(&graph) {
            let accepted = CIRCLES.iter().position(|(place, modules, _)| {
                *place == folder && circle.iter().map(String::as_str).eq(modules.iter().copied())
            });
            match accepted {
                Some(entry) => _ = used.insert(entry),
                None => wrong.push(format!("{folder}: {circle:?}")),
            }
        }
    }
    let stale = CIRCLES.iter().enumerate().filter(|(i, _)| !used.contains(i));
    wrong.extend(stale.map(|(_, entry)| format!("{entry:?} is no circle: remove the entry")));
    assert!(wrong.is_empty(), "circles:\n{}", wrong.join("\n"));
}

#[test]
fn lint_of_circles_finds_them_in_and_between_folders() {
    let circles_of = |a: &'static str, b: &'static str| {
        let load = move |file: &str| match file {
            "lib.rs" => Some("mod f;\nmod g;".to_owned()),
            "f/mod.rs" => Some("mod a;\nmod b;\npub use a::A;".to_owned()),
            "f/a.rs" => Some(a.to_owned()),
            "f/b.rs" => Some(b.to_owned()),
            "g.rs" => Some("use crate::f::A;".to_owned()),
            _ => None,
        };
        folders(&Crate::read(&load)).values().map(|graph| circles(graph).len()).sum::<usize>()
    };
    assert_eq!(circles_of("", "use super::a::A;"), 0);
    assert_eq!(circles_of("use super::b;", "use super::A;"), 1, "in a folder, through a re-export");
    assert_eq!(circles_of("use crate::g;", ""), 1, "between folders");
}
