//! The rules of `ARCHITECTURE.md` that a reader of the sources can check: layers, unsafe code, the
//! import of atomics, module headers, lengths of files, and the licences of what is depended on.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Calls go from higher to lower layers, or stay within a module.
const LAYERS: [(&str, u32); 19] = [
    ("sync", 0),
    ("os", 0),
    ("error", 0),
    ("fault", 0),
    ("layout", 1),
    ("segment", 2),
    ("ring", 2),
    ("wait", 2),
    ("message", 3),
    ("codec", 3),
    ("counts", 3),
    ("stats", 3),
    ("waitset", 3),
    ("pubsub", 4),
    ("pushpull", 4),
    ("reqrep", 4),
    ("python", 4),
    ("channel", 5),
    ("fuzz", 5),
];

/// Modules of one layer that may call each other all the same, with the reason.
const NEIGHBOURS: [(&str, &str, &str); 7] = [
    ("fault", "os", "a process may be made to die at a fault point"),
    ("fault", "sync", "known-wrong variants weaken orderings"),
    ("os", "error", "system calls are reported as set-up errors"),
    ("os", "sync", "the futex is an atomic word"),
    ("error", "os", "a refusal of the system is a source"),
    ("codec", "message", "how long an encoded message gets follows from its schema"),
    ("segment", "wait", "whoever leaves or replaces a segment wakes its sleepers"),
];

/// Where unsafe code is allowed, as prefixes of paths below `shmcomm/src`.
const UNSAFE: [&str; 11] = [
    "os/",
    "segment/",
    "ring/slot",
    "ring/keep.rs",
    "ring/receive.rs",
    "ring/broadcast/slot",
    "ring/queue/slot",
    "layout/region.rs",
    "message/",
    "python/raw.rs",
    "sync.rs",
];

/// More than one can hold in the head.
const LONGEST: usize = 600;

#[test]
fn calls_go_down_only() {
    let layers: BTreeMap<_, _> = LAYERS.into_iter().collect();
    let mut wrong = Vec::new();
    for (path, text) in sources("shmcomm/src") {
        let Some(from) = module(&path).filter(|_| !relative(&path, "shmcomm/src").contains("tests")) else {
            continue;
        };
        let Some(&level) = layers.get(from.as_str()) else {
            wrong.push(format!("{}: module `{from}` has no layer", path.display()));
            continue;
        };
        for (number, line) in code_lines(&text) {
            for to in calls(line) {
                let neighbour = NEIGHBOURS.iter().any(|(a, b, _)| *a == from && *b == to);
                let fine = to == from || neighbour || layers.get(to.as_str()).is_some_and(|l| *l < level);
                if layers.contains_key(to.as_str()) && !fine {
                    wrong.push(format!("{}:{number}: `{from}` may not call `{to}`: {line}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsafe_code_stays_where_it_is_proved() {
    let mut wrong = Vec::new();
    for (path, text) in sources("shmcomm/src") {
        let below = relative(&path, "shmcomm/src");
        // Tests may; their blocks are argued like the others.
        if below.contains("tests") || UNSAFE.iter().any(|allowed| below.starts_with(allowed)) {
            continue;
        }
        for (number, line) in code_lines(&text) {
            let marked = ["unsafe {", "unsafe impl", "unsafe fn", "unsafe trait", "unsafe extern"];
            if marked.iter().any(|m| line.contains(m)) && !line.contains("unsafe_code") {
                wrong.push(format!("{}:{number}: {line}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "unsafe code outside its places:\n{}", wrong.join("\n"));
}

#[test]
fn atomics_come_from_one_place() {
    let mut wrong = Vec::new();
    for (path, text) in sources("shmcomm/src") {
        let below = relative(&path, "shmcomm/src");
        if below == "sync.rs" || below.contains("tests") || below.contains("model") {
            continue;
        }
        for (number, line) in code_lines(&text) {
            if line.contains("sync::atomic") && !line.contains("crate::sync") {
                wrong.push(format!("{}:{number}: {line}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "atomics not from `crate::sync`:\n{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is_and_can_be_held_in_the_head() {
    let mut wrong = Vec::new();
    for root in ["shmcomm/src", "shmcomm-derive/src", "tests", "examples", "ui-tests/src", "xtask/src"] {
        for (path, text) in sources(root) {
            // The mistakes that the UI tests compile are the shortest files that show them.
            let first = text.lines().find(|l| !l.starts_with("#!")).unwrap_or("");
            if !first.starts_with("//!") {
                wrong.push(format!("{}: does not start with `//!`", path.display()));
            }
            let lines = text.lines().count();
            if lines > LONGEST {
                wrong.push(format!("{}: {lines} lines; {LONGEST} is the most", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_is_left_unfinished() {
    let marks = [
        ["TO", "DO"],
        ["FIX", "ME"],
        ["XX", "X:"],
        ["todo", "!("],
        ["unimplemented", "!("],
        ["#[ig", "nore"],
    ];
    let mut wrong = Vec::new();
    for root in ["shmcomm", "shmcomm-derive", "tests", "examples", "ui-tests", "xtask", "docs"] {
        for (path, text) in sources(root) {
            for (number, line) in text.lines().enumerate() {
                if marks.iter().any(|m| line.contains(&m.concat())) {
                    wrong.push(format!("{}:{}: {line}", path.display(), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn dependencies_are_freely_licensed() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--all-features"])
        .current_dir(root())
        .output()
        .expect("cargo metadata runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("metadata is JSON");
    let accepted = [
        "MIT",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "ISC",
        "Zlib",
        "Unicode-3.0",
        "Unlicense",
        "CC0-1.0",
        "0BSD",
        "BSL-1.0",
    ];
    let mut wrong = Vec::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let licence = package["license"].as_str().unwrap_or("none").replace('/', " OR ");
        // A choice is fine if one of its options is; what is joined must be fine in every part.
        let option_fine = |option: &str| {
            option.split(" AND ").all(|part| {
                let part = part.trim().trim_matches(['(', ')']);
                accepted.contains(&part.split(" WITH ").next().unwrap_or(part).trim())
            })
        };
        if !licence.split(" OR ").any(|o| option_fine(o.trim().trim_matches(['(', ')']))) {
            wrong.push(format!("{}: {licence}", package["name"]));
        }
    }
    assert!(wrong.is_empty(), "licences to look at:\n{}", wrong.join("\n"));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_path_buf()
}

fn relative(path: &Path, below: &str) -> String {
    path.strip_prefix(root().join(below)).unwrap_or(path).to_string_lossy().into_owned()
}

/// The Rust files below `start`, but for the inputs of UI tests.
fn sources(start: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open = vec![root().join(start)];
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                let name = entry.file_name();
                if name != "target" && name != "ui" && name != "corpus" {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).expect("sources are UTF-8");
                found.push((path, text));
            }
        }
    }
    found.sort();
    found
}

/// The module of the first level that a file of the library belongs to; `None` for `lib.rs`.
fn module(path: &Path) -> Option<String> {
    let below = relative(path, "shmcomm/src");
    let first = below.split('/').next()?.trim_end_matches(".rs").to_string();
    (first != "lib").then_some(first)
}

/// Lines that are not comments, with their numbers.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(i, l)| (i + 1, l.trim())).filter(|(_, l)| !l.starts_with("//"))
}

/// The modules that a line names as `crate::module`.
fn calls(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in line.match_indices("crate::") {
        let rest = &line[at + "crate::".len()..];
        let names = rest.strip_prefix('{').map_or(rest, |list| list);
        for name in names.split([',', '}']).take(if names.len() == rest.len() { 1 } else { usize::MAX }) {
            let name: String = name.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            found.push(name);
        }
    }
    found
}
