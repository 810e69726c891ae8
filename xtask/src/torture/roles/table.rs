//! Tables: a writer of three keys, and readers without a seat.
//!
//! The writer stores number `n` in the first key, then in the second, then a large value of `n` in the third. So a set of
//! one instant has falling numbers. Numbers rise over all writers of the round.
//!
//! In the scene of shared keys, several writers store one key in turn.

use super::sets::Set;
use super::tasks::within;
use super::{Pace, TURN, leaves_nothing, open};
use crate::life::{Life, Wrong, wrong};
use shmcomm::{
    AnyKey, Channel, Latest, LoadError, Opener, StoreError, Table, TableReader, TableWaitTimeoutError,
    channel,
};
use shmcomm_tests::{Large, Proof, Small};
use std::sync::atomic::Ordering::Relaxed;

channel! {
    /// Three keys, stored in this order.
    State: Table { name: "state", first: Small, second: Small, large: Large }
    /// A key that all writers store.
    Shared: Table { name: "shared", writers: Many, large: Large }
}

fn shared(life: &Life) -> Result<Opener<Table<Shared>>, Wrong> {
    let channel = Channel::<Table<Shared>>::try_new(life.channel.clone())?;
    Ok(channel.many_writers().namespace("").connect_timeout(TURN))
}

/// Stores numbers in the key that other writers store too.
pub fn write_shared(life: &mut Life) -> Result<(), Wrong> {
    leaves_nothing(life, |life| {
        let table = shared(life)?;
        let Some(mut large) = open(life, || table.clone().writer(Shared::LARGE))? else { return Ok(()) };
        let mut pace = Pace::new(life);
        let mut last = 0;
        while !life.is_over() {
            pace.next(life);
            let number = life.round().next.fetch_add(1, Relaxed);
            match large.store(&Large::new(number)) {
                Ok(version) if version <= last => {
                    return Err(format!("version {version} was stored after {last}").into());
                }
                Ok(version) => {
                    last = version;
                    life.sent();
                }
                // The other writer was stopped in the middle of a store.
                Err(StoreError::Busy { .. }) => {}
                Err(error) => return Err(wrong("store", error)),
            }
        }
        Ok(())
    })
}

/// Loads the shared key, and checks that versions rise and values are whole.
pub fn read_shared(life: &mut Life) -> Result<(), Wrong> {
    leaves_nothing(life, |life| {
        let table = shared(life)?;
        let Some(mut reader) = open(life, || table.clone().reader())? else { return Ok(()) };
        let mut last = 0;
        while !life.is_over() {
            match reader.load(Shared::LARGE) {
                Ok(Some(found)) => {
                    let version = found.version;
                    check(life, Some(found))?;
                    // The versions of a new segment start at 1.
                    if version != last {
                        last = version;
                        life.received();
                    }
                }
                Ok(None) | Err(LoadError::Busy { .. }) => {}
                Err(error) => return Err(wrong("load", error)),
            }
            match reader.wait_timeout(AnyKey, TURN) {
                Ok(()) | Err(TableWaitTimeoutError::Timeout) => {}
                Err(error) => return Err(wrong("wait for a change", error)),
            }
        }
        Ok(())
    })
}

/// Checks a shared key that no other process uses.
pub fn audit_shared(life: &mut Life) -> Result<(), Wrong> {
    let table = shared(life)?;
    let mut writers = [table.clone().writer(Shared::LARGE)?, table.clone().writer(Shared::LARGE)?];
    let mut reader = table.reader()?;
    for number in 0..4 {
        let version = writers[number as usize % 2].store(&Large::new(number))?;
        let found = reader.load(Shared::LARGE)?.ok_or("the stored value is missing")?;
        if (found.version, found.value.number, found.value.is_whole()) != (version, number, true) {
            return Err(format!("the auditor stored {number} and loaded {}", found.value.number).into());
        }
    }
    Ok(())
}

fn table(life: &Life) -> Result<Opener<Table<State>>, Wrong> {
    let channel = Channel::<Table<State>>::try_new(life.channel.clone())?;
    Ok(channel.namespace("").connect_timeout(TURN))
}

/// Stores rising numbers in all keys.
pub fn write(life: &mut Life) -> Result<(), Wrong> {
    leaves_nothing(life, |life| {
        let table = table(life)?;
        let Some(mut first) = open(life, || table.clone().writer(State::FIRST))? else { return Ok(()) };
        let Some(mut second) = open(life, || table.clone().writer(State::SECOND))? else { return Ok(()) };
        let Some(mut large) = open(life, || table.clone().writer(State::LARGE))? else { return Ok(()) };
        let mut pace = Pace::new(life);
        while !life.is_over() {
            pace.next(life);
            let number = life.round().next.fetch_add(1, Relaxed);
            first.store(&Small::new(number))?;
            second.store(&Small::new(number))?;
            large.store(&Large::new(number))?;
            life.sent();
            life.fork(|_| match first.store(&Small::new(0)) {
                Err(StoreError::Forked) => Ok(()),
                other => Err(format!("a store in the child of a fork gave {other:?}").into()),
            })?;
        }
        Ok(())
    })
}

/// Waits for a change, loads each key and sets of keys, and checks the values.
pub fn read(life: &mut Life) -> Result<(), Wrong> {
    leaves_nothing(life, |life| {
        let table = table(life)?;
        let Some(mut reader) = open(life, || table.clone().reader())? else { return Ok(()) };
        let mut set = Set::of(life, &reader)?;
        let mut last = 0;
        while !life.is_over() {
            let number = match reader.load(State::LARGE) {
                Ok(found) => check(life, found)?,
                Err(LoadError::Busy { .. }) => 0,
                Err(error) => return Err(wrong("load", error)),
            };
            // A new segment has no value at first.
            if number > 0 && number < last {
                return Err(format!("reordered: value {number} after {last}").into());
            }
            if number > last {
                last = number;
                life.received();
            }
            match reader.load_set((State::FIRST, State::SECOND, State::LARGE)) {
                Ok((first, second, large)) => {
                    let numbers = [check(life, first)?, check(life, second)?, check(life, large)?];
                    if !numbers.is_sorted_by(|a, b| a >= b) {
                        return Err(format!("a set of no instant: {numbers:?}").into());
                    }
                }
                Err(LoadError::Busy { .. }) => {}
                Err(error) => return Err(wrong("load a set", error)),
            }
            wait(life, &mut reader, &mut set)?;
        }
        Ok(())
    })
}

/// Waits for one turn until a key was stored: in a task, in a set, or in this thread.
fn wait(life: &mut Life, reader: &mut TableReader<State>, set: &mut Set) -> Result<(), Wrong> {
    let wrong = |error| wrong("wait for a change", error);
    if life.tasks {
        within(reader.wait_async(AnyKey), TURN).transpose().map_err(wrong)?;
    } else if life.sets {
        set.wait()?;
    } else {
        match reader.wait_timeout((State::FIRST, State::LARGE), TURN) {
            Ok(()) | Err(TableWaitTimeoutError::Timeout) => {}
            Err(error) => return Err(format!("wait for a change: {error}").into()),
        }
    }
    life.rest(20);
    Ok(())
}

/// Returns the number of a value, counted from 1; 0 if there is none.
fn check<const W: usize>(life: &Life, found: Option<Latest<Proof<W>>>) -> Result<u64, Wrong> {
    let Some(found) = found else { return Ok(0) };
    let number = found.value.number;
    if !found.value.is_whole() {
        return Err(format!("torn: value {number}").into());
    }
    if number >= life.round().next.load(Relaxed) {
        return Err(format!("invented: value {number}").into());
    }
    Ok(number + 1)
}

/// Checks a table that no other process uses: a reader finds what the auditor stores.
pub fn audit(life: &mut Life) -> Result<(), Wrong> {
    let table = table(life)?;
    let mut writer = table.clone().writer(State::LARGE)?;
    let mut reader = table.reader()?;
    for number in 0..4 {
        let version = writer.store(&Large::new(number))?;
        let found = reader.load(State::LARGE)?.ok_or("the stored value is missing")?;
        if (found.version, found.value.number, found.value.is_whole()) != (version, number, true) {
            return Err(format!("the auditor stored {number} and loaded {}", found.value.number).into());
        }
    }
    Ok(())
}
