//! [`Participant`]: who takes part in a channel, as plain values to show.
//!
//! Owns the public form of a seat's [`Entry`]. Never decides anything.

use super::{Entry, Role, seats};
use crate::layout::{Discipline, Geometry, Region};
use std::time::SystemTime;

/// A participant of a channel. All but `alive` is what it says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Participant {
    /// Its place in the segment's table.
    pub seat: u32,
    /// What it does.
    pub role: Role,
    /// Its process, as numbered in its own pid namespace.
    pub pid: u32,
    /// The short name of its process.
    pub process: String,
    /// When it came.
    pub joined: SystemTime,
    /// Whether it lives, by the kernel's word. The dead are listed until somebody cleans up after them.
    pub alive: bool,
    /// Messages received, or sent by one that sends.
    pub messages: u64,
    /// Bytes of these messages.
    pub bytes: u64,
    /// Subscribers: positions published that it has not come to yet.
    pub lag: Option<u64>,
    /// Subscribers: messages overwritten before it came to them.
    pub lost: u64,
    /// Subscribers: messages passed over on purpose, by `latest`.
    pub skipped: u64,
    /// Messages refused because their bytes were no valid value.
    pub invalid: u64,
    /// Subscribers of a channel whose publisher waits: how often it went on without this one, because
    /// this one had not received anything for as long as its patience says.
    pub cut: u64,
    /// Pullers and repliers: messages received that somebody else had before and did not finish.
    pub redelivered: u64,
}

impl Participant {
    pub(super) fn new(region: &Region, geometry: &Geometry, entry: Entry, alive: bool) -> Self {
        let head = seats::sent(region, geometry).head;
        let lags = entry.role == Role::Subscriber && geometry.discipline != Discipline::Queue;
        Participant {
            seat: entry.seat,
            role: entry.role,
            pid: entry.pid,
            process: entry.name,
            joined: super::list::time(entry.joined),
            alive,
            messages: entry.messages,
            bytes: entry.bytes,
            lag: lags.then(|| head.saturating_sub(entry.position)),
            lost: entry.lost,
            skipped: entry.skipped,
            invalid: entry.invalid,
            cut: entry.cut,
            redelivered: entry.redelivered,
        }
    }
}
