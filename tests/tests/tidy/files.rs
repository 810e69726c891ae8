//! Each file has a header and at most 500 lines, and nothing is left unfinished.

use super::sources::sources;

/// Limit of the number of lines in a file.
const LONGEST: usize = 500;

#[test]
fn files_have_a_header_and_at_most_500_lines() {
    let mut wrong = Vec::new();
    for root in [
        "benches-compare/src",
        "fuzz/fuzz_targets",
        "measure",
        "shmcomm/src",
        "shmcomm-derive/src",
        "tests",
        "examples",
        "ui-tests/src",
        "xtask/src",
        "shmcomm-cli/src",
        "shmcomm-cli/tests",
        "shmcomm-bridge",
        "shmcomm-record",
        "shmcomm-view",
    ] {
        for (path, text) in sources(root) {
            wrong.extend(faults_of_a_file(&text).map(|fault| format!("{}: {fault}", path.display())));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Returns what is wrong with the header and the length of a file.
fn faults_of_a_file(text: &str) -> impl Iterator<Item = String> {
    let first = text.lines().find(|l| !l.starts_with("#!")).unwrap_or("");
    let header = (!first.starts_with("//!")).then(|| "does not start with `//!`".to_owned());
    let lines = text.lines().count();
    let long = (lines > LONGEST).then(|| format!("{lines} lines; {LONGEST} is the limit"));
    header.into_iter().chain(long)
}

#[test]
fn lint_of_files_finds_headers_and_lengths() {
    assert_eq!(faults_of_a_file(&format!("//! Header.\n{}", "\n".repeat(LONGEST - 1))).count(), 0);
    assert_eq!(faults_of_a_file(&format!("//! Header.\n{}", "\n".repeat(LONGEST))).count(), 1);
    assert_eq!(faults_of_a_file("use std::fs;\n").count(), 1);
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
    for root in [
        "shmcomm",
        "shmcomm-derive",
        "tests",
        "examples",
        "ui-tests",
        "xtask",
        "shmcomm-cli",
        "shmcomm-record",
        "shmcomm-view",
        "docs",
    ] {
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
