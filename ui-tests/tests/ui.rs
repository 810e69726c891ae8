//! The words of compile errors, one small file for each mistake, beside the text that rustc prints.
//!
//! Those texts are partly rustc's own, so they are compared on one version of it alone. Accept new ones with
//! `TRYBUILD=overwrite cargo test -p shmcomm-ui-tests`.

use std::process::Command;

/// The version that the texts were printed by.
const BLESSED: &str = "rustc 1.95.0 ";

#[test]
fn mistakes_are_explained_where_they_are_made() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().expect("rustc runs");
    let version = String::from_utf8_lossy(&version.stdout);
    if !version.starts_with(BLESSED) {
        let found = version.trim();
        assert!(
            std::env::var_os("CI").is_none_or(|ci| ci != "true"),
            "this test needs {BLESSED}, found {found}"
        );
        eprintln!("\n*** SKIPPED: the texts are of {BLESSED}, this is {found} ***\n");
        return;
    }
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/message/*.rs");
    cases.compile_fail("tests/channel/*.rs");
}
