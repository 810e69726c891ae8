//! Calls go from higher to lower layers.

use super::modules::{Crate, Edge, library};
use super::sources::root;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// The layer of each module. Calls go from higher to lower layers, or stay within a module.
const LAYERS: [(&str, u32); 30] = [
    ("sync", 0),
    ("os", 0),
    ("error", 0),
    ("escape", 0),
    ("fault", 0),
    ("plural", 0),
    ("records", 0),
    ("layout", 1),
    ("segment", 2),
    ("ring", 2),
    ("wait", 2),
    ("message", 3),
    ("codec", 3),
    ("schema", 3),
    ("counts", 3),
    ("check_pace", 3),
    ("stats", 3),
    ("waitset", 3),
    ("queue_end", 4),
    ("pubsub", 4),
    ("pushpull", 4),
    ("reqrep", 4),
    ("table", 4),
    ("python", 4),
    ("channel", 5),
    ("debug", 5),
    ("dynamic", 5),
    ("generic", 5),
    ("serialize", 5),
    ("fuzz", 5),
];

/// Modules of one layer of which the first calls the second, with the reason.
const NEIGHBOURS: [(&str, &str, &str); 13] = [
    ("fault", "os", "a process may be made to die at a fault point"),
    ("fault", "sync", "known-wrong variants weaken orderings"),
    ("os", "sync", "the futex is an atomic word"),
    ("records", "escape", "texts of other processes are in the log"),
    ("error", "escape", "texts of other processes are in errors"),
    ("error", "plural", "numbers of messages are in errors"),
    ("codec", "message", "the maximum length of an encoded message follows from its schema"),
    ("schema", "message", "a layout is the owned twin of a schema, and parsed by its grammar"),
    ("schema", "codec", "values of a codec convert to values of any message"),
    ("pushpull", "queue_end", "what pusher, puller, requester and replier share"),
    ("reqrep", "queue_end", "what pusher, puller, requester and replier share"),
    ("segment", "ring", "a program without an end can read the backlog of a queue"),
    ("segment", "wait", "a participant that leaves or replaces a segment wakes its sleepers"),
];

/// Returns the calls that go up, modules without a layer, and entries of `neighbours` without a call.
fn wrong_calls(edges: &BTreeSet<Edge>, neighbours: &[(&str, &str, &str)]) -> Vec<String> {
    let layers: BTreeMap<_, _> = LAYERS.into_iter().collect();
    let (mut wrong, mut used) = (Vec::new(), BTreeSet::new());
    for edge in edges {
        // The root re-exports: it is above all layers.
        let (Some(from), Some(to)) = (edge.from.first(), edge.to.first()) else { continue };
        let (from, to) = (from.as_str(), to.as_str());
        if from == to || from == "__private" {
            continue;
        }
        let (Some(above), Some(below)) = (layers.get(from), layers.get(to)) else {
            wrong.push(format!("{}: `{from}` or `{to}` has no layer", edge.place));
            continue;
        };
        let neighbour = neighbours.iter().position(|(a, b, _)| *a == from && *b == to);
        used.extend(neighbour);
        if neighbour.is_none() && above <= below {
            wrong.push(format!("{}: `{from}` must not call `{to}`", edge.place));
        }
    }
    let stale = neighbours.iter().enumerate().filter(|(i, _)| !used.contains(i));
    wrong.extend(stale.map(|(_, (a, b, _))| format!("`{a}` does not call `{b}`: remove the entry")));
    wrong
}

#[test]
fn calls_go_down_only() {
    let library = library();
    let mut wrong = wrong_calls(&library.edges(), &NEIGHBOURS);
    // `fuzz` is built by the fuzzer only.
    let missing = LAYERS.iter().filter(|(name, _)| !library.0.contains_key(&vec![(*name).to_owned()]));
    wrong.extend(missing.map(|(name, _)| format!("no module has the name `{name}`: remove its layer")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn layers_are_those_of_the_architecture() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("the page");
    let mut wrong = Vec::new();
    for (module, layer) in LAYERS.iter().filter(|(module, _)| *module != "fuzz") {
        let mut rows = page.lines().filter(|line| line.trim_start().starts_with(&format!("{layer}  ")));
        if !rows.any(|row| row.split_whitespace().any(|word| word == *module)) {
            wrong.push(format!("`{module}` is not in layer {layer} of ARCHITECTURE.md"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Returns the wrong calls of a library in which `layout` and `pubsub` have these sources.
fn wrong_in(layout: &str, inner: &str) -> usize {
    let load = |file: &str| match file {
        "lib.rs" => Some("mod layout;\nmod pubsub;\npub use pubsub::Publisher;".to_owned()),
        "layout/mod.rs" => Some(layout.to_owned()),
        "layout/inner.rs" => Some(inner.to_owned()),
        "pubsub.rs" => Some("use crate::layout;\npub struct Publisher;".to_owned()),
        _ => None,
    };
    wrong_calls(&Crate::read(&load).edges(), &[]).len()
}

#[test]
fn lint_of_layers_finds_every_form_of_a_call() {
    let inner = "mod inner;\n";
    assert_eq!(wrong_in(inner, ""), 0);
    assert_eq!(wrong_in("use crate::Publisher;\nmod inner;", ""), 1, "a re-export");
    assert_eq!(wrong_in("use crate::{\n    pubsub,\n};\nmod inner;", ""), 1, "more than one line");
    assert_eq!(wrong_in(inner, "use super::super::pubsub;"), 1, "two levels up");
    assert_eq!(wrong_in(inner, "use super::super::Publisher as P;"), 1, "another name");
    assert_eq!(wrong_in(inner, "fn f() { crate::pubsub::f() }"), 1, "a path in code");
    assert_eq!(wrong_in(inner, "fn f() { assert!(crate::Publisher::new()) }"), 1, "a path in a macro");
    assert_eq!(wrong_in(inner, "#[cfg(test)]\nmod tests { use crate::pubsub; }"), 0, "tests call everything");
    assert_eq!(wrong_in("use crate::pubsub::*;\nmod inner;", ""), 1, "a glob");
}

#[test]
fn lint_of_layers_finds_stale_entries() {
    assert_eq!(wrong_calls(&BTreeSet::new(), &[("os", "error", "no call")]).len(), 1);
}
