//! Opens a segment for a reader without a seat, from the declaration of its program.
//!
//! Owns the wait for the segment, and the check that it is the declared one. Calls `inspect` and `view`. Never takes a
//! lock, never stores a word.

use super::inspect::{self, Found, Intact};
use super::open::stopped;
use super::open_error::half_made;
use super::retry::{Retry, Search};
use super::{ChannelPath, Role, Spec, View, name, seats};
use crate::error::{Error, ErrorKind};
use crate::os::CURES;

/// Waits for the segment that `spec` declares, and maps it for loads only.
pub(crate) fn observe(spec: &Spec) -> Result<View, Error> {
    let place = spec.place()?;
    let mut retry = Retry::new(spec.connect_timeout);
    let mut search = Search::from_start();
    loop {
        // The error, and `true` if it is final. If no writer is alive, a starting writer may replace the segment.
        let (error, last) = match inspect::find(&place)? {
            Found::Nothing => {
                if search.finds(&place, retry.waited(), retry.is_over()) {
                    retry.again(&place)?;
                    continue;
                }
                (not_found(&place, &retry), false)
            }
            Found::LeadsNowhere { why, .. } => (place.error(ErrorKind::NotFound, why), false),
            Found::HalfMade { len } => (half_made(&place, len, &retry), false),
            Found::Damaged { file, why, .. } => {
                (inspect::damaged(&place, &why), seats::any_alive(&file).unwrap_or(true))
            }
            Found::Intact(found) => match inspect::usable(&found, spec, Role::Writer) {
                Ok(_) => match current(place.clone(), *found)? {
                    Some(view) => return Ok(view),
                    None => (not_found(&place, &retry), false),
                },
                Err(mismatch) => {
                    let alive = seats::any_alive(&found.file).unwrap_or(true);
                    (mismatch.refuse(&place, !alive), alive)
                }
            },
        };
        if last {
            return Err(error);
        }
        stopped(&place, spec)?;
        if retry.pause().is_none() {
            return Err(error);
        }
    }
}

/// Maps the segment that `spec` declares, without waiting. Returns `None` if there is none.
pub(crate) fn observe_now(spec: &Spec) -> Result<Option<View>, Error> {
    let place = spec.place()?;
    match inspect::find(&place)? {
        Found::Nothing | Found::LeadsNowhere { .. } | Found::HalfMade { .. } => Ok(None),
        Found::Damaged { why, .. } => Err(inspect::damaged(&place, &why)),
        Found::Intact(found) => match inspect::usable(&found, spec, Role::Writer) {
            Ok(_) => current(place, *found),
            Err(mismatch) => Err(mismatch.refuse(&place, false)),
        },
    }
}

/// Maps a segment. Returns `None` if it was left by its last writer, which died before it removed the name.
fn current(place: ChannelPath, found: Intact) -> Result<Option<View>, Error> {
    Ok(Some(View::of(place, found)?).filter(|view| !view.is_superseded()))
}

fn not_found(place: &ChannelPath, retry: &Retry) -> Error {
    place.error(
        ErrorKind::NotFound,
        format!(
            "no segment at {} {}; open a writer of the table first, check the name and the namespace, \
             or allow more time with `connect_timeout`. {}: share it, or set {} to a directory that both see",
            place.path().display(),
            retry.tried(),
            CURES.two_directories,
            name::DIR_VARIABLE
        ),
    )
}
