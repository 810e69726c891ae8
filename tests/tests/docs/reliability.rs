//! All tests that `docs/reliability.md`, with its matrix, and `docs/security.md` name exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// As many faults as the matrix has to have.
const ROWS: usize = 50;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join("docs").join(name)).unwrap()
}

/// The tests that a text names: `file::test` between backticks.
fn named(text: &str) -> Vec<(&str, &str)> {
    let spans = text.split('`').skip(1).step_by(2);
    spans.filter_map(|span| span.split_once(".rs::")).collect()
}

/// Returns `true` if the file has a test of that name.
fn is_there(file: &str, test: &str) -> bool {
    let file = format!("{file}.rs");
    let [test_file, any_file] =
        ["tests/tests", ""].map(|folder| fs::read_to_string(root().join(folder).join(&file)));
    let Ok(text) = test_file.or(any_file) else { return false };
    let Some((before, _)) = text.split_once(&format!("fn {test}(")) else { return false };
    // Between the attribute and the function there may be others.
    let mut attributes = before.trim_end().lines().rev().take_while(|line| line.trim().starts_with("#["));
    attributes.any(|line| line.trim() == "#[test]")
}

#[test]
fn every_test_that_is_named_exists() {
    let mut missing = Vec::new();
    let mut count = 0;
    for name in ["reliability.md", "security.md"] {
        let text = page(name);
        // Code blocks have backticks of their own.
        let text: String = text.split("```").step_by(2).collect();
        for (file, test) in named(&text) {
            count += 1;
            // Names that are cut short stand for themselves.
            if !test.ends_with('…') && !is_there(file, test) {
                missing.push(format!("docs/{name}: {file}.rs::{test}"));
            }
        }
    }
    assert!(missing.is_empty(), "tests that are named and not there:\n{}", missing.join("\n"));
    assert!(count > 100, "only {count} tests are named");
}

#[test]
fn matrix_has_its_rows_and_each_its_test() {
    let text = page("reliability.md");
    let (_, rest) = text.split_once("\n## The fault matrix\n").expect("the matrix");
    let (matrix, _) = rest.split_once("\n## ").expect("what follows it");
    let rows: Vec<Vec<&str>> = matrix
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| fault |"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert!(rows.len() >= ROWS, "{} rows", rows.len());
    let mut faults = BTreeSet::new();
    for row in &rows {
        assert_eq!(row.len(), 3, "{row:?}");
        assert!(row.iter().all(|cell| !cell.is_empty()), "{row:?}");
        assert!(!named(row[2]).is_empty(), "nothing provokes: {}", row[0]);
        assert!(faults.insert(row[0]), "twice: {}", row[0]);
    }
}

#[test]
fn tests_are_found_by_file_and_name() {
    assert!(is_there("docs/reliability", "tests_are_found_by_file_and_name"));
    assert!(is_there("shmcomm/src/segment/tests/process", "death_at_any_step_leaves_a_channel_that_works"));
    assert!(!is_there("docs/reliability", "named"), "a function that is no test");
    assert!(!is_there("docs/reliability", "tests_that_do_not_exist"));
    assert!(!is_there("no_such_file", "tests_are_found_by_file_and_name"));
    assert_eq!(named("see `a.rs::b`, `c/d.rs::e` and `f`"), [("a", "b"), ("c/d", "e")]);
}
