//! Seats: who takes part, as written in the segment and as locked in its file.
//!
//! Owns the participants' entries, the locks of bytes that stand for their lives, and the events'
//! MODE words that follow from both. Calls `os` for the locks. Decides nothing about names.
//!
//! Byte `i` of the file is locked by the participant on seat `i` for as long as its mapping lives.
//! The entry says who that is, to show it; only the lock says whether it lives. Entries and MODE
//! words change under the registration lock, which is byte [`REGISTRATION`].

use super::{Place, Role};
use crate::fault::fault_point;
use crate::layout::{Discipline, Geometry, MAX_SEATS, Region, control, event, seat};
use crate::os;
use crate::sync::Ordering;
use crate::{Error, ErrorKind};
use std::fs::File;
use std::time::{Duration, Instant};

/// The byte that is locked while somebody joins, leaves, sweeps, or changes what the name stands
/// for. It may lie beyond the end of the file.
const REGISTRATION: u64 = 1 << 16;
const _: () = assert!(MAX_SEATS as u64 <= REGISTRATION);

/// How long to wait for the registration lock. Its holders run a few hundred instructions, so only
/// a stopped process takes this long; a dead one has lost the lock.
const PATIENCE: Duration = Duration::from_secs(5);

/// The registration lock of a segment. The kernel drops it if the process dies.
pub(super) struct Registration<'a> {
    file: &'a File,
}

impl<'a> Registration<'a> {
    /// Takes the lock on the open file description of `file`, waiting at most [`PATIENCE`].
    pub(super) fn wait(place: &Place, file: &'a File) -> Result<Self, Error> {
        Self::wait_for(place, file, PATIENCE)
    }

    pub(super) fn wait_for(place: &Place, file: &'a File, patience: Duration) -> Result<Self, Error> {
        let start = Instant::now();
        let mut pause = Duration::from_micros(20);
        loop {
            match Self::try_now(file) {
                Ok(Some(lock)) => return Ok(lock),
                Ok(None) if start.elapsed() < patience => {
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(Duration::from_millis(5));
                }
                Ok(None) => {
                    return Err(place.error(
                        ErrorKind::Os,
                        format!(
                            "some process has kept the registration lock of {} for {patience:?}; \
                             one that is stopped (by a debugger or SIGSTOP) while it joins does that: \
                             let it go on, or end it",
                            place.path().display()
                        ),
                    ));
                }
                Err(error) => return Err(super::system(place, "lock", error)),
            }
        }
    }

    pub(super) fn try_now(file: &'a File) -> std::io::Result<Option<Self>> {
        Ok(os::try_lock(file, REGISTRATION, 1)?.then_some(Registration { file }))
    }
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        // Nothing to be done if it fails: the kernel drops the lock with the file.
        let _ = os::unlock(self.file, REGISTRATION, 1);
    }
}

/// Takes seat `index` for the open file description of `file`; false if somebody has it.
pub(super) fn take(file: &File, index: u32) -> std::io::Result<bool> {
    os::try_lock(file, index.into(), 1)
}

pub(super) fn give_back(file: &File, index: u32) -> std::io::Result<()> {
    os::unlock(file, index.into(), 1)
}

/// Whether the participant on seat `index` lives. An unanswered question counts as yes: taking a
/// live one for dead would be worse.
pub(super) fn alive(file: &File, index: u32) -> bool {
    os::is_locked(file, index.into(), 1).unwrap_or(true)
}

/// Whether any other open file has a seat of this file, whatever its header says of their number.
pub(super) fn any_alive(file: &File) -> std::io::Result<bool> {
    os::is_locked(file, 0, MAX_SEATS.into())
}

/// Whether anybody takes part, under the registration lock: who does has an entry and its lock. An entry
/// alone is one of the dead. A lock alone is that of one that has left, held for the moment by a child
/// that copied the open file while it was mapped and has yet to exec.
pub(super) fn any_seated(region: &Region, geometry: &Geometry, probe: &File) -> bool {
    (0..geometry.seats).any(|index| {
        // Relaxed: written under the registration lock, which is held.
        region.u32(geometry.seat(index) + seat::ROLE).load(Ordering::Relaxed) != 0 && alive(probe, index)
    })
}

/// What a participant has written about itself.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) seat: u32,
    pub(crate) role: Role,
    pub(crate) pid: u32,
    /// Nanoseconds since the Unix epoch.
    pub(crate) joined: i64,
    pub(crate) name: String,
    /// Position it reads next.
    pub(crate) position: u64,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) lost: u64,
    pub(crate) skipped: u64,
    pub(crate) invalid: u64,
    pub(crate) redelivered: u64,
    pub(crate) cut: u64,
}

/// The entry of seat `index`, if somebody has written one.
pub(super) fn read(region: &Region, geometry: &Geometry, index: u32) -> Option<Entry> {
    let at = geometry.seat(index);
    // [entry read] pairs with [entry written].
    let role = Role::from_u32(region.u32(at + seat::ROLE).load(Ordering::Acquire))?;
    // Relaxed: counters and texts to look at, each word for itself.
    let word = |offset| region.u64(at + offset).load(Ordering::Relaxed);
    let mut name = Vec::with_capacity(seat::NAME_LEN);
    for offset in (seat::NAME..seat::NAME + seat::NAME_LEN).step_by(8) {
        name.extend(word(offset).to_ne_bytes());
    }
    let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    Some(Entry {
        seat: index,
        role,
        // Relaxed: as above.
        pid: region.u32(at + seat::PID).load(Ordering::Relaxed),
        joined: word(seat::JOINED) as i64,
        name: String::from_utf8_lossy(&name[..end]).into_owned(),
        position: word(seat::POSITION),
        messages: word(seat::MESSAGES),
        bytes: word(seat::BYTES),
        lost: word(seat::LOST),
        skipped: word(seat::SKIPPED),
        invalid: word(seat::INVALID),
        redelivered: word(seat::REDELIVERED),
        cut: word(seat::CUT),
    })
}

/// What a channel has sent since its segment was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    /// The position that is written next.
    pub(crate) head: u64,
}

/// In figures to show. Several publishers count for themselves, and the segment for those that have left.
pub(super) fn sent(region: &Region, geometry: &Geometry) -> Sent {
    // Relaxed, here and below: each word for itself.
    let word = |at| region.u64(at).load(Ordering::Relaxed);
    let (messages, bytes, head) = (word(control::MESSAGES), word(control::BYTES), word(control::HEAD));
    match geometry.discipline {
        Discipline::Queue => return Sent { messages, bytes, head },
        Discipline::Copied | Discipline::Pinned => {
            // Saturating: others write these words, and may write anything.
            return Sent { messages: head.saturating_sub(word(control::HOLES)), bytes, head };
        }
        Discipline::SharedCopied | Discipline::SharedPinned => {}
    }
    let seats = || (0..geometry.publishers).map(|index| geometry.seat(index));
    let head = seats().map(|at| word(at + seat::POSITION)).fold(head, u64::max);
    let bytes = seats().map(|at| word(at + seat::BYTES)).fold(bytes, u64::wrapping_add);
    // Each position of such a ring is a message.
    Sent { messages: head, bytes, head }
}

/// Writes the entry of this process on a seat that it holds.
pub(super) fn write(region: &Region, geometry: &Geometry, index: u32, role: Role) {
    clear(region, geometry, index);
    let at = geometry.seat(index);
    let name = os::process_name();
    let mut bytes = [0; seat::NAME_LEN];
    let name = shortened(&name, bytes.len()).as_bytes();
    bytes[..name.len()].copy_from_slice(name);
    // Relaxed, here and below: published by the role.
    for (offset, chunk) in (seat::NAME..).step_by(8).zip(bytes.chunks_exact(8)) {
        let word = u64::from_ne_bytes(chunk.try_into().expect("eight bytes"));
        region.u64(at + offset).store(word, Ordering::Relaxed);
    }
    region.u64(at + seat::JOINED).store(os::wall_clock() as u64, Ordering::Relaxed);
    region.u32(at + seat::PID).store(os::pid(), Ordering::Relaxed);
    fault_point!("seat.named");
    // [entry written] pairs with [entry read].
    region.u32(at + seat::ROLE).store(role as u32, Ordering::Release);
}

/// Empties an entry.
pub(super) fn clear(region: &Region, geometry: &Geometry, index: u32) {
    let at = geometry.seat(index);
    for offset in (0..seat::SIZE).step_by(8) {
        // Release, for the word with the role: [entry written] pairs with [entry read], so whoever
        // finds the seat left finds all that was done from it. Readers of an entry that is being
        // emptied see some of it, as they do while its counters move.
        region.u64(at + offset).store(0, Ordering::Release);
        fault_point!("seat.clearing");
    }
}

/// Sets the MODE word of each event to whether a live participant may sleep in it. Under the
/// registration lock; `probe` is a file without locks on seats, `myself` a seat to count as live,
/// or as gone.
pub(super) fn update_modes(region: &Region, geometry: &Geometry, probe: &File, myself: (u32, bool)) {
    let mut sleepers = [false; 3];
    for index in 0..geometry.seats {
        let at = geometry.seat(index);
        // Relaxed: written under the registration lock, which is held.
        let Some(role) = Role::from_u32(region.u32(at + seat::ROLE).load(Ordering::Relaxed)) else {
            continue;
        };
        // Relaxed: as above.
        if region.u32(at + seat::MAY_SLEEP).load(Ordering::Relaxed) == 0 {
            continue;
        }
        let wanted = role.sleeps_in();
        let news = sleepers.iter().zip(wanted).any(|(known, wanted)| wanted && !known);
        let live = || if index == myself.0 { myself.1 } else { alive(probe, index) };
        if news && live() {
            for (known, wanted) in sleepers.iter_mut().zip(wanted) {
                *known |= wanted;
            }
        }
    }
    for (base, sleeper) in EVENTS.into_iter().zip(sleepers) {
        let mode = region.u32(base + event::MODE);
        // Relaxed: what a waker does before it has seen the word is covered by the sleepers' bounded
        // sleeps; see `wait`. A word that is set stays as it is: `wait` may have marked it as seen.
        if !sleeper {
            mode.store(0, Ordering::Relaxed);
        } else if mode.load(Ordering::Relaxed) == 0 {
            mode.store(1, Ordering::Relaxed);
        }
        fault_point!("seat.moded");
    }
}

/// The events in the order of [`Role::sleeps_in`].
const EVENTS: [usize; 3] = [control::ITEMS, control::ROOM, control::REPLIES];

/// Wakes everybody who sleeps in the segment, so that they look at its state.
pub(super) fn wake_all(region: &Region, geometry: Option<&Geometry>) {
    let wake = |at| {
        let word = region.u32(at);
        // The state was changed by a system call before this; [woken] pairs with `wait`'s load.
        word.fetch_add(1, Ordering::Release);
        fault_point!("wake.all");
        os::futex_wake(word, u32::MAX);
    };
    for base in EVENTS {
        wake(base + event::FUTEX);
    }
    let Some(geometry) = geometry else { return };
    for index in 0..geometry.seats {
        let at = geometry.seat(index);
        // Relaxed: a seat taken later than this belongs to somebody who reads the state first.
        if region.u32(at + seat::ROLE).load(Ordering::Relaxed) != 0 {
            wake(at + seat::FUTEX);
        }
    }
}

/// As much of `text` as fits into `limit` bytes.
fn shortened(text: &str, limit: usize) -> &str {
    let end = (0..=limit.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
    &text[..end.unwrap_or(0)]
}
