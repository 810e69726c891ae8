//! All dependencies are freely licensed.

use super::sources::root;
use std::process::Command;

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
    assert!(wrong.is_empty(), "licences that must be checked:\n{}", wrong.join("\n"));
}
