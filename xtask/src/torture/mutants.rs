//! Known-wrong variants of the library, which the torture has to refute.
//!
//! Owns the list of those that show in processes. What differs only in the order of memory, or for a few
//! nanoseconds, is for the models, whose variants these are: see `fault` in the library.

use super::harm::Mode;
use super::life::Wrong;
use super::scene::SCENES;
use super::{Options, Stage, process};

/// The variants, and the scene that has to show each of them.
const MUTANTS: &[(&str, &str)] = &[
    ("no second look", "copied"),
    ("adoption trusts the head", "copied"),
    ("no owner test", "pinned"),
    ("no stamp test", "pinned"),
    ("claim ignores readers", "pinned"),
    ("queue acknowledge first", "jobs"),
    ("queue no redelivery", "jobs"),
    ("queue reap ready", "jobs"),
    ("queue ignore carry", "jobs"),
    ("queue pass writing", "jobs"),
    ("queue cancel frees claimed", "plain"),
];

/// Rounds in which a variant has to show.
const CHANCES: u64 = 40;

/// Sees that what is known to be wrong is found: a torture that everything survives proves nothing.
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
