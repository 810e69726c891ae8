//! Names from the layouts of other processes, in a form fit to be printed.
//!
//! Owns their largest length. Calls nothing. Never panics.

use std::borrow::Cow;

/// Returns a name from outside in a form fit to be printed.
pub(super) fn shown(name: &str) -> Cow<'_, str> {
    const LONGEST: usize = 80;
    let plain = |c: char| !c.is_control() && c != '`';
    if name.len() <= LONGEST && name.chars().all(plain) {
        return name.into();
    }
    let cut = name.chars().map(|c| if plain(c) { c } else { '\u{fffd}' }).take(LONGEST).collect::<String>();
    if cut.len() < name.len() { format!("{cut}…").into() } else { cut.into() }
}
