//! Known-wrong variants of the library, which the torture must detect.
//!
//! Owns the list of the variants that processes can show. The models detect the variants that differ only in
//! memory ordering, or for a few nanoseconds: see `fault` in the library.

use super::harm::Mode;
use super::life::Wrong;
use super::scene::SCENES;
use super::{Options, Stage, process};

/// The variants, and the scene that must show each of them.
const MUTANTS: &[(&str, &str)] = &[
    ("no validation", "copied"),
    ("recovery trusts the head", "copied"),
    ("no owner test", "pinned"),
    ("no stamp test", "pinned"),
    ("claim ignores readers", "pinned"),
    ("queue acknowledge first", "jobs"),
    ("queue no redelivery", "jobs"),
    ("queue recovers ready", "jobs"),
    ("queue ignore relocation", "jobs"),
    ("queue pass writing", "jobs"),
    ("queue cancel frees claimed", "plain"),
];

/// Rounds in which a variant must show. The rarest needed 32 rounds on one machine, and more than 60 on a busy one.
const CHANCES: u64 = 150;

/// Checks that every known-wrong variant is detected: a torture that every variant survives proves nothing.
pub fn refute(options: &Options) -> Result<bool, Wrong> {
    let mut stage = Stage::new(options)?;
    let mut survived = 0;
    for (variant, name) in MUTANTS {
        let scene = SCENES.iter().find(|scene| scene.name == *name).ok_or(format!("no scene {name}"))?;
        // SAFETY: there is no other thread.
        unsafe { std::env::set_var("SHMCOMM_MUTANT", variant) };
        let found = (0..CHANCES).find_map(|round| stage.play(scene, Mode::of(round)));
        if process::interrupted() {
            return Err("interrupted".into());
        }
        let shown = found.as_deref().map(|why| why.chars().take(110).collect::<String>());
        println!("{variant:<28} {}", shown.as_deref().unwrap_or("WAS NOT FOUND"));
        survived += u32::from(found.is_none());
    }
    Ok(survived == 0)
}
