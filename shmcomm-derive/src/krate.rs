//! Path of `shmcomm` in the crate that is being compiled.

use proc_macro2::TokenStream;
use quote::quote;

/// Crate name of the library.
const NAME: &str = "shmcomm";

/// Result of the search for the library among the dependencies.
pub enum Found {
    /// By this name, which Cargo passes to the compiler.
    Named(String),
    /// The crate has dependencies, and the library is not among them.
    Missing,
    /// The compiler was called in an unknown way, or the crate is the library itself.
    Unknown,
}

/// Finds the name in the arguments of the compiler. A dependency may have another name in `Cargo.toml`.
pub fn find() -> Found {
    let arguments: Vec<String> = std::env::args_os().filter_map(|a| a.into_string().ok()).collect();
    search(&arguments, std::env::var_os("CARGO_MANIFEST_DIR").is_some())
}

fn search(arguments: &[String], by_cargo: bool) -> Found {
    let after = |flag: &'static str| {
        arguments.iter().enumerate().filter_map(move |(i, argument)| match argument.strip_prefix(flag)? {
            "" => arguments.get(i + 1).map(String::as_str),
            joined => joined.strip_prefix('='),
        })
    };
    if after("--crate-name").any(|name| name == NAME) {
        return Found::Unknown;
    }
    let mut other = None;
    let mut any = false;
    for dependency in after("--extern") {
        let (name, path) = dependency.split_once('=').unwrap_or((dependency, ""));
        // Options such as `priv` and `noprelude` stand before the name.
        let name = name.rsplit(':').next().unwrap_or(name);
        if name == NAME {
            return Found::Named(NAME.into());
        }
        let file = path.rsplit(['/', '\\']).next().unwrap_or("");
        let file = file.strip_prefix("lib").unwrap_or(file);
        if file.strip_prefix(NAME).is_some_and(|rest| rest.starts_with(['-', '.'])) {
            other = Some(name.to_owned());
        }
        any = true;
    }
    match other {
        Some(name) => Found::Named(name),
        None if any && by_cargo => Found::Missing,
        None => Found::Unknown,
    }
}

/// Returns the path `::name`.
pub fn path(name: &str) -> TokenStream {
    let name = quote::format_ident!("{name}");
    quote!(::#name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(arguments: &str, by_cargo: bool) -> Option<String> {
        let arguments: Vec<_> = arguments.split(' ').map(str::to_owned).collect();
        match search(&arguments, by_cargo) {
            Found::Named(name) => Some(name),
            Found::Missing => Some("missing".into()),
            Found::Unknown => None,
        }
    }

    #[test]
    fn renamed_dependency_is_found() {
        let rest = "rustc --crate-name app --extern log=/d/liblog-1.rlib";
        let with = |dependency: &str| found(&format!("{rest} {dependency}"), true);
        assert_eq!(with("--extern shmcomm=/d/libshmcomm-1.rlib").as_deref(), Some("shmcomm"));
        assert_eq!(with("--extern renamed=/d/libshmcomm-1.rmeta").as_deref(), Some("renamed"));
        assert_eq!(with("--extern=priv:renamed=/d/libshmcomm.rlib").as_deref(), Some("renamed"));
        assert_eq!(with("--extern facade=/d/libshmcomm_facade-1.rlib").as_deref(), Some("missing"));
    }

    #[test]
    fn unknown_call_gives_no_verdict() {
        assert_eq!(found("rustc main.rs", true), None);
        assert_eq!(found("rustc --crate-name app --extern log=/d/liblog.rlib", false), None);
        assert_eq!(found("rustc --crate-name shmcomm --extern log=/d/liblog.rlib", true), None);
    }
}
