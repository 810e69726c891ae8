//! Conversion of the events of a kqueue to the readiness of files.
//!
//! Owns the rules of the conversion. Never calls the system.
//!
//! A kqueue reports reading and writing of a file as two events. `EV_EOF` is set if the other end is closed, or the
//! file is broken (`kqueue(2)`). Such a file counts as ready for everything.

use crate::os::Ready;

/// An event of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    /// Number with which the file was added.
    pub(super) number: u64,
    /// `true` for `EVFILT_WRITE`, `false` for `EVFILT_READ`.
    pub(super) write: bool,
    /// `EV_EOF` or `EV_ERROR`.
    pub(super) ended: bool,
}

/// Returns each file of the events once, in the order of the events.
pub(super) fn merge(events: impl IntoIterator<Item = Event>) -> Vec<(u64, Ready)> {
    let mut files: Vec<(u64, Ready)> = Vec::new();
    for Event { number, write, ended } in events {
        let found = Ready { read: !write || ended, write: write || ended };
        match files.iter_mut().find(|(known, _)| *known == number) {
            Some((_, ready)) => {
                *ready = Ready { read: ready.read || found.read, write: ready.write || found.write };
            }
            None => files.push((number, found)),
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_is_reported_once_with_both_events() {
        let event = |number, write, ended| Event { number, write, ended };
        let ready = |read, write| Ready { read, write };
        let events =
            [event(7, false, false), event(9, true, false), event(7, true, false), event(8, false, true)];
        assert_eq!(merge(events), [(7, ready(true, true)), (9, ready(false, true)), (8, ready(true, true))]);
        assert_eq!(merge([]), []);
    }
}
