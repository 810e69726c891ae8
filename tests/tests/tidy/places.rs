//! Unsafe code and atomics stand in their places only.

use super::sources::{code_lines, relative, sources};
use std::collections::BTreeSet;

/// Prefixes of the paths below `shmcomm/src` that may contain unsafe code.
const UNSAFE: [&str; 11] = [
    "os/",
    "segment/",
    "ring/slot",
    "ring/guard.rs",
    "ring/flavor/receive.rs",
    "ring/queue/slot",
    "layout/region.rs",
    "layout/prefetch.rs",
    "message/",
    "python/v1/raw.rs",
    "sync.rs",
];

#[test]
fn unsafe_code_stays_where_it_is_proved() {
    let (mut wrong, mut used) = (Vec::new(), BTreeSet::<&str>::new());
    for (path, text) in sources("shmcomm/src") {
        let below = relative(&path, "shmcomm/src");
        if code_lines(&text).any(|(_, line)| is_unsafe(line)) {
            used.extend(UNSAFE.into_iter().filter(|allowed| below.starts_with(allowed)));
        }
        // Tests may; each block has its reasons as well.
        if below.contains("tests") || UNSAFE.iter().any(|allowed| below.starts_with(allowed)) {
            continue;
        }
        for (number, line) in code_lines(&text) {
            if is_unsafe(line) {
                wrong.push(format!("{}:{number}: {line}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "unsafe code outside its places:\n{}", wrong.join("\n"));
    let stale: Vec<_> = UNSAFE.iter().filter(|allowed| !used.contains(**allowed)).collect();
    assert!(stale.is_empty(), "places without unsafe code: {stale:?}");
}

/// Returns `true` if the line starts unsafe code.
fn is_unsafe(line: &str) -> bool {
    let marked = ["unsafe {", "unsafe impl", "unsafe fn", "unsafe trait", "unsafe extern"];
    marked.iter().any(|m| line.contains(m)) && !line.contains("unsafe_code")
}

#[test]
fn lint_of_unsafe_code_finds_a_block() {
    assert!(is_unsafe("let x = unsafe { *p };"));
    assert!(!is_unsafe("#![allow(unsafe_code)]"));
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
