//! The keys of a table, for `info`.
//!
//! Owns their facts and their columns. Observes without a seat. Never prints.

use crate::failure::Failure;
use crate::table::{Cell, Column, Table};
use crate::tone::Tone;
use crate::units;
use serde::Serialize;
use shmcomm::{LoadError, SegmentInfo, TableObserver, Timestamp};
use std::time::Duration;

/// Facts about a key.
#[derive(Serialize)]
pub struct Key {
    key: String,
    r#type: String,
    version: u64,
    /// Time of the last store, in seconds since the Unix epoch.
    time: Option<f64>,
    /// Number of writers that are alive.
    writers: usize,
    pid: Option<u32>,
    process: Option<String>,
    alive: bool,
}

/// Returns the facts about all keys; none if the segment has a problem.
pub fn of(segment: &SegmentInfo) -> Result<Vec<Key>, Failure> {
    if segment.problem.is_some() {
        return Ok(Vec::new());
    }
    let mut table = TableObserver::open(&segment.channel)?;
    let mut keys = Vec::new();
    for index in 0..table.keys().len() {
        let field = &table.keys()[index];
        let (key, r#type) = (field.name.escape_debug().to_string(), field.layout.to_string());
        let writers = table.writers(index).iter().filter(|writer| writer.alive).count();
        let writer = table.writer(index);
        let time = match table.load(index) {
            Ok(value) => value.map(|value| value.time().as_secs_f64()),
            // A store is younger than a moment.
            Err(LoadError::Busy { .. }) => Some(Timestamp::now().as_secs_f64()),
            Err(error) => return Err(Failure::Failed(error.to_string())),
        };
        keys.push(Key {
            key,
            r#type,
            version: table.version(index),
            time,
            writers,
            pid: writer.as_ref().map(|writer| writer.pid),
            alive: writer.as_ref().is_some_and(|writer| writer.alive),
            process: writer.map(|writer| writer.process),
        });
    }
    Ok(keys)
}

/// Returns the keys under headings.
pub fn table(keys: &[Key]) -> Table {
    let column = |heading, right, expendable| Column { heading, right, expendable };
    let mut table = Table::new([
        column("KEY", false, 0),
        column("TYPE", false, 3),
        column("VERSION", true, 0),
        column("STORED", true, 2),
        column("WRITER", false, 0),
        column("STATE", false, 1),
    ]);
    let now = Timestamp::now().as_secs_f64();
    for key in keys {
        let age = key.time.map(|time| units::time(Duration::from_secs_f64((now - time).max(0.0))));
        let writer = match (&key.process, key.pid) {
            (Some(process), Some(pid)) if key.writers > 1 => {
                Cell::new(format!("{process} ({pid}), and {} more", key.writers - 1))
            }
            (Some(process), Some(pid)) => Cell::new(format!("{process} ({pid})")),
            _ => Cell::none(),
        };
        let state = match (key.pid, key.alive) {
            (None, _) => Cell::none(),
            (_, true) => Cell::new("alive").tone(Tone::Good),
            (_, false) => Cell::new("dead").tone(Tone::Bad),
        };
        table.push(vec![
            Cell::new(key.key.clone()),
            Cell::new(key.r#type.clone()),
            Cell::both(units::grouped(key.version), key.version),
            age.map_or_else(Cell::none, |age| {
                Cell::both(format!("{age} ago"), format!("{:.3}", key.time.unwrap_or(0.0)))
            }),
            writer,
            state,
        ]);
    }
    table
}
