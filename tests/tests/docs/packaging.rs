//! Tests of what a new user builds and what a registry gets: the crates behind the first example, the metadata of
//! the published packages, their licences and their pages.

use crate::page::source;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The packages that are published.
const PUBLISHED: [&str; 5] = ["shmcomm", "shmcomm-cli", "shmcomm-derive", "shmcomm-record", "shmcomm-view"];

/// Addresses of the repository's files and folders on the web.
const FILES: [&str; 2] =
    ["https://github.com/shmcomm/shmcomm/blob/main/", "https://github.com/shmcomm/shmcomm/tree/main/"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[track_caller]
fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .arg("--offline")
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}

/// Names and versions of the packages that `cargo tree` prints, without those of this workspace.
#[track_caller]
fn tree(arguments: &[&str]) -> BTreeSet<(String, String)> {
    let lines = cargo(&[&["tree", "--prefix", "none"], arguments].concat());
    let foreign = lines.lines().filter(|line| !line.contains(" (/"));
    let package = |line: &str| {
        let (name, version) = line.split_once(' ')?;
        Some((name.to_owned(), version.split(' ').next()?.to_owned()))
    };
    foreign.filter_map(package).collect()
}

#[test]
fn quickstart_builds_the_library_alone() {
    let names = |packages: BTreeSet<(String, String)>| -> BTreeSet<String> {
        packages.into_iter().map(|(name, _)| name).collect()
    };
    let library = names(tree(&["-p", "shmcomm", "-e", "normal,build"]));
    let quickstart = names(tree(&["-p", "shmcomm-examples", "-e", "normal,build,dev"]));
    assert_eq!(quickstart, library, "the examples depend on more than the library does");
    let said = format!("builds the library and what it needs, {} small crates", quickstart.len());
    assert!(source("README.md").contains(&said), "README.md does not say: {said}");
    for heavy in ["tokio", "hdrhistogram", "env_logger", "serde", "futures-core"] {
        assert!(!quickstart.contains(heavy), "the quickstart builds {heavy}");
    }
}

/// A command at the root unifies the features of all default members.
#[test]
fn default_members_ask_for_no_features() {
    let said = cargo(&["tree", "--prefix", "none", "-e", "normal,build,dev", "-f", "{p} {f}"]);
    let library = said.lines().find(|line| line.starts_with("shmcomm v")).expect("the library is there");
    assert!(library.contains(") default,derive,python"), "{library}");
    assert!(library.ends_with("python") || library.ends_with("(*)"), "{library}");
    assert!(!said.contains("tokio"), "{said}");
}

#[test]
fn the_library_builds_one_version_of_each_crate() {
    // The derives of zerocopy, which a program asks for by a feature, have a `syn` of their own.
    let all = tree(&["-p", "shmcomm", "--all-features", "-e", "normal,build", "--prune", "zerocopy-derive"]);
    let names: Vec<_> = all.iter().map(|(name, _)| name).collect();
    let twice: Vec<_> =
        all.iter().filter(|(name, _)| names.iter().filter(|n| **n == name).count() > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

#[test]
fn published_packages_say_what_a_registry_shows() {
    let metadata = cargo(&["metadata", "--format-version", "1", "--no-deps"]);
    let metadata: Value = serde_json::from_str(&metadata).expect("metadata is JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let mut seen = 0;
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        if !PUBLISHED.contains(&name) {
            assert_eq!(package["publish"], serde_json::json!([]), "{name} must not be published");
            continue;
        }
        seen += 1;
        for key in
            ["description", "license", "repository", "homepage", "documentation", "readme", "rust_version"]
        {
            assert!(package[key].as_str().is_some_and(|value| !value.is_empty()), "{name} has no {key}");
        }
        for key in ["keywords", "categories"] {
            assert!(package[key].as_array().is_some_and(|list| !list.is_empty()), "{name} has no {key}");
        }
        assert_eq!(package["metadata"]["docs"]["rs"]["all-features"], true, "{name}: features are hidden");
        assert_eq!(package["documentation"], format!("https://docs.rs/{name}"));
    }
    assert_eq!(seen, PUBLISHED.len());
}

#[test]
fn published_packages_contain_licences_and_pages() {
    for package in PUBLISHED {
        let files = cargo(&["package", "--list", "--allow-dirty", "-p", package]);
        let root = if package == "shmcomm-cli" { "src/main.rs" } else { "src/lib.rs" };
        for file in ["LICENSE-MIT", "LICENSE-APACHE", "README.md", "Cargo.toml", root] {
            assert!(files.lines().any(|line| line == file), "{package} is packaged without {file}");
        }
        for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
            assert_eq!(source(&format!("{package}/{licence}")), source(licence), "{package}: {licence}");
        }
    }
}

/// A registry shows the page without the repository around it.
#[test]
fn links_of_packaged_pages_are_absolute() {
    for page in PUBLISHED.map(|package| match package {
        "shmcomm" => "README.md".to_owned(),
        package => format!("{package}/README.md"),
    }) {
        let page = page.as_str();
        let text = source(page);
        let links: Vec<_> = text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
        assert!(!links.is_empty());
        for link in links {
            assert!(link.starts_with("https://"), "{page}: {link} is relative");
            let Some(file) = FILES.iter().find_map(|prefix| link.strip_prefix(prefix)) else { continue };
            assert!(root().join(file.split('#').next().unwrap()).exists(), "{page}: {link} leads nowhere");
        }
    }
}
