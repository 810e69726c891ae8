//! Seats: the participants, as written in the segment and as locked in its file.
//!
//! Owns the participants' entries, the queries of their locks, and the events' MODE words that follow from
//! both. Calls `os` to query locks; `registration` takes them. Decides nothing about names.
//!
//! The participant on seat `i` locks byte `i` of the file while its mapping lives. The entry describes that
//! participant, for display; only the lock shows that it lives. Entries and MODE words change under the
//! registration lock: see [`registration`](super::registration).

use super::Role;
use crate::escape::escape;
use crate::fault::fault_point;
use crate::layout::{Discipline, Geometry, MAX_SEATS, Region, control, event, seat};
use crate::os::{self, File};
use crate::sync::Ordering;

/// Returns `true` if the participant on seat `index` lives. Returns `true` also if the query fails: taking a
/// live participant for dead would be worse.
pub(super) fn alive(file: &File, index: u32) -> bool {
    os::is_locked(file, index.into(), 1).unwrap_or(true)
}

/// Returns `true` if any other open file has a seat of this file, whatever number of seats its header gives.
pub(super) fn any_alive(file: &File) -> std::io::Result<bool> {
    os::is_locked(file, 0, MAX_SEATS.into())
}

/// Returns `true` if a participant has an entry and its lock. The caller holds the registration lock. An
/// entry without a lock belongs to a dead participant. A lock without an entry belongs to a participant that
/// has left. A child holds it that copied the open file while it was mapped and has yet to exec.
pub(super) fn any_seated(region: &Region, geometry: &Geometry, liveness: &File) -> bool {
    (0..geometry.seats).any(|index| {
        // Relaxed: stored under the registration lock, which is held.
        region.u32(geometry.seat(index) + seat::ROLE).load(Ordering::Relaxed) != 0 && alive(liveness, index)
    })
}

/// Entry that a participant has written about itself.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) seat: u32,
    pub(crate) role: Role,
    pub(crate) pid: u32,
    /// Nanoseconds since the Unix epoch.
    pub(crate) joined: i64,
    /// Control characters are escaped.
    pub(crate) name: String,
    /// Position that it reads next.
    pub(crate) position: u64,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) lost: u64,
    pub(crate) skipped: u64,
    pub(crate) invalid: u64,
    pub(crate) redelivered: u64,
    pub(crate) evictions: u64,
}

/// Returns the entry of seat `index`, if a participant has written one.
pub(super) fn read(region: &Region, geometry: &Geometry, index: u32) -> Option<Entry> {
    let at = geometry.seat(index);
    // [entry read] pairs with [entry written].
    let role = Role::from_u32(region.u32(at + seat::ROLE).load(Ordering::Acquire))?;
    // Relaxed: counters and texts for display, each word independent.
    let word = |offset| region.u64(at + offset).load(Ordering::Relaxed);
    let mut name = Vec::with_capacity(seat::NAME_LEN);
    for offset in (seat::NAME..seat::NAME + seat::NAME_LEN).step_by(8) {
        name.extend(word(offset).to_ne_bytes());
    }
    let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    Some(Entry {
        seat: index,
        role,
        // Relaxed: for display, each word independent.
        pid: region.u32(at + seat::PID).load(Ordering::Relaxed),
        joined: word(seat::JOINED) as i64,
        name: escape(String::from_utf8_lossy(&name[..end])),
        position: word(seat::POSITION),
        messages: word(seat::MESSAGES),
        bytes: word(seat::BYTES),
        lost: word(seat::LOST),
        skipped: word(seat::SKIPPED),
        invalid: word(seat::INVALID),
        redelivered: word(seat::REDELIVERED),
        evictions: word(seat::EVICTIONS),
    })
}

/// Counts of the messages that a channel has sent since its segment was created.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    /// The position that is written next.
    pub(crate) head: u64,
}

/// Returns the counts of sent messages, for display. Each of several publishers counts in its own entry, and so does each
/// writer of a table. The control words count for participants that have left.
pub(super) fn sent(region: &Region, geometry: &Geometry) -> Sent {
    // Relaxed, here and below: each word is independent.
    let word = |at| region.u64(at).load(Ordering::Relaxed);
    let (messages, bytes, head) = (word(control::MESSAGES), word(control::BYTES), word(control::HEAD));
    match geometry.discipline {
        Discipline::Queue => return Sent { messages, bytes, head },
        Discipline::Copied | Discipline::Pinned => {
            // Saturating: other processes write these words, and may write any value.
            return Sent { messages: head.saturating_sub(word(control::HOLES)), bytes, head };
        }
        Discipline::MultiCopied | Discipline::MultiPinned => {}
        Discipline::Table => {
            // The seats behind those of the keys are for the writers of keys that several writers store.
            let seats = (0..geometry.seats).map(|index| geometry.seat(index));
            let sum = |sum: u64, count| sum.wrapping_add(count);
            let messages = seats.clone().map(|at| word(at + seat::MESSAGES)).fold(messages, sum);
            let bytes = seats.map(|at| word(at + seat::BYTES)).fold(bytes, sum);
            return Sent { messages, bytes, head: 0 };
        }
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
    // Relaxed, here and below: published by the store of the role.
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

/// Clears an entry.
pub(super) fn clear(region: &Region, geometry: &Geometry, index: u32) {
    let at = geometry.seat(index);
    for offset in (0..seat::SIZE).step_by(8) {
        // Release, for the word with the role: [entry written] pairs with [entry read], so a process that
        // finds the seat left sees everything that was done from it. Readers of an entry that is being
        // cleared see a part of it, as they do while its counters change.
        region.u64(at + offset).store(0, Ordering::Release);
        fault_point!("seat.clearing");
    }
}

/// Sets the MODE word of each event: not 0 if a live participant may sleep in it, else 0. The caller holds
/// the registration lock. `liveness` is a file without locks on seats, and `myself` a seat that counts as live
/// or as left. The sleepers of a table have no seat, and keep its MODE word themselves: see `wait::lease`.
pub(super) fn update_modes(region: &Region, geometry: &Geometry, liveness: &File, myself: (u32, bool)) {
    if geometry.discipline == Discipline::Table {
        return;
    }
    let mut sleepers = [false; 3];
    for index in 0..geometry.seats {
        let at = geometry.seat(index);
        // Relaxed: stored under the registration lock, which is held.
        let Some(role) = Role::from_u32(region.u32(at + seat::ROLE).load(Ordering::Relaxed)) else {
            continue;
        };
        // Relaxed: stored under the registration lock, which is held.
        if region.u32(at + seat::MAY_SLEEP).load(Ordering::Relaxed) == 0 {
            continue;
        }
        let wanted = role.sleeps_in();
        let news = sleepers.iter().zip(wanted).any(|(known, wanted)| wanted && !known);
        let live = || if index == myself.0 { myself.1 } else { alive(liveness, index) };
        if news && live() {
            for (known, wanted) in sleepers.iter_mut().zip(wanted) {
                *known |= wanted;
            }
        }
    }
    for (base, sleeper) in EVENTS.into_iter().zip(sleepers) {
        let mode = region.u32(base + event::MODE);
        // Relaxed: the sleepers' bounded sleeps cover a waker that has not seen the word yet; see `wait`. A
        // word that is set stays unchanged: `wait` may have marked it as seen.
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

/// Wakes every sleeper in the segment, so that it checks the state.
pub(super) fn wake_all(region: &Region, geometry: Option<&Geometry>) {
    let wake = |at| {
        let word = region.u32(at);
        // A system call changed the state before this; [woken] pairs with the load in `wait`.
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
        // Relaxed: a participant that takes a seat later than this reads the state first.
        if region.u32(at + seat::ROLE).load(Ordering::Relaxed) != 0 {
            wake(at + seat::FUTEX);
        }
    }
}

/// Returns the longest prefix of `text` that fits into `limit` bytes.
fn shortened(text: &str, limit: usize) -> &str {
    let end = (0..=limit.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
    &text[..end.unwrap_or(0)]
}
