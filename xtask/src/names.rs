//! Names of the fault points, read from the sources.
//!
//! Owns the search for `fault_point!("…")` below `shmcomm/src`. Never stores a list.

use std::fs;
use std::io;
use std::path::Path;

/// Path of the repository.
pub const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Prefix of the names that only the models have.
const MODEL: &str = "model.";

/// Returns the names that the program was built with, if they were given.
#[allow(dead_code, reason = "the command that searches its own build has fault points")]
pub fn built_in() -> Option<Vec<String>> {
    option_env!("SHMCOMM_FAULT_NAMES").map(|names| names.split(',').map(str::to_owned).collect())
}

/// Returns the name of every fault point that a process can reach, in order, each once.
pub fn all() -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let mut names = Vec::new();
    search(&Path::new(ROOT).join("shmcomm/src"), &mut names)?;
    names.sort();
    names.dedup();
    if names.is_empty() {
        return Err("there is no fault point in shmcomm/src".into());
    }
    Ok(names)
}

fn search(folder: &Path, names: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            search(&path, names)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)?;
            for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
                for (at, _) in line.match_indices("fault_point!(\"") {
                    let name = line[at..].split('"').nth(1).unwrap_or_default();
                    if !name.starts_with(MODEL) {
                        names.push(name.to_owned());
                    }
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_name_is_an_area_and_a_step() {
        for name in super::all().expect("the sources are there") {
            let letters = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase());
            assert!(
                name.split_once('.').is_some_and(|(area, step)| letters(area) && letters(step)),
                "{name}"
            );
        }
    }
}
