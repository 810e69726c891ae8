//! [`Counts`]: the counters of one channel in one direction, and [`Registry`], the counters of all.
//!
//! Owns their numbers, and the reasons for which channels are refused. Reports a change of a reason once, on standard
//! error. Never blocks for longer than a copy.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Way of a channel through the bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    Export,
    Import,
}

impl Direction {
    pub fn name(self) -> &'static str {
        match self {
            Direction::Export => "export",
            Direction::Import => "import",
        }
    }
}

/// Counters since the start of the bridge.
#[derive(Debug, Default)]
pub struct Counts {
    /// Messages that crossed: handed to zenoh, or published on this host.
    pub messages: AtomicU64,
    /// Their bytes.
    pub bytes: AtomicU64,
    /// Messages that did not come: overwritten before the exporter received them, or lost in the network.
    pub lost: AtomicU64,
    /// Messages that a limit of the rate left out.
    pub skipped: AtomicU64,
    /// Messages that came from the network and are not messages of the channel.
    pub invalid: AtomicU64,
    /// Messages that came twice.
    pub repeated: AtomicU64,
    /// Jobs that return to their queue although the other host may have them.
    pub uncertain: AtomicU64,
    /// Messages that the local end refused, because it has no room or an error.
    pub refused: AtomicU64,
}

/// Adds to a counter.
pub fn add(counter: &AtomicU64, number: u64) {
    if number > 0 {
        counter.fetch_add(number, Relaxed);
    }
}

type Key = (Direction, String);

/// The counters of all channels.
#[derive(Debug, Default)]
pub struct Registry {
    counts: Mutex<BTreeMap<Key, Arc<Counts>>>,
    refusals: Mutex<BTreeMap<Key, String>>,
    /// Keys and descriptions from the network that no bridge sends.
    pub hostile: AtomicU64,
    /// Connected zenoh nodes.
    pub peers: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry {
    /// Returns the counters of a channel.
    pub fn counts(&self, direction: Direction, channel: &str) -> Arc<Counts> {
        lock(&self.counts).entry((direction, channel.to_owned())).or_default().clone()
    }

    /// Records why a channel is refused.
    pub fn refuse(&self, direction: Direction, channel: &str, why: &str) {
        let why: String = why.chars().take(400).flat_map(char::escape_debug).collect();
        let why = why.replace("\\\"", "\"").replace("\\'", "'");
        let before = lock(&self.refusals).insert((direction, channel.to_owned()), why.clone());
        if before.as_ref() != Some(&why) {
            note(&format!("{} of `{channel}` is refused: {why}", direction.name()));
        }
    }

    /// Forgets why a channel was refused.
    pub fn accept(&self, direction: Direction, channel: &str) {
        lock(&self.refusals).remove(&(direction, channel.to_owned()));
    }

    pub fn all(&self) -> Vec<(Direction, String, Arc<Counts>)> {
        lock(&self.counts).iter().map(|((way, name), counts)| (*way, name.clone(), counts.clone())).collect()
    }

    pub fn refusals(&self) -> Vec<(Direction, String, String)> {
        lock(&self.refusals).iter().map(|((way, name), why)| (*way, name.clone(), why.clone())).collect()
    }
}

/// Prints a line for the user.
pub fn note(text: &str) {
    eprintln!("shmcomm-bridge: {text}");
}
