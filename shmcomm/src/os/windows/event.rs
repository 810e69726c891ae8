//! [`Event`]: an event of the system, and the [`Pair`] of events that stands for a word.
//!
//! Owns their handles and names. Calls `security`. Never touches a word.

use super::{check, security};
use std::io;
use std::ptr::null;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use windows_sys::Win32::Foundation::{CloseHandle, HANDLE, WAIT_OBJECT_0};
use windows_sys::Win32::System::Threading::{
    CreateEventW, INFINITE, ResetEvent, SetEvent, WaitForMultipleObjects,
};

/// An event that stays set until it is reset.
#[derive(Debug)]
pub(super) struct Event(HANDLE);

// SAFETY: a handle of the process, which its threads share.
unsafe impl Send for Event {}
// SAFETY: as for `Send`: the system synchronizes its uses.
unsafe impl Sync for Event {}

impl Event {
    /// Makes an event, or opens the event that has the name.
    pub(super) fn new(name: Option<&str>) -> io::Result<Self> {
        let name: Option<Vec<u16>> = name.map(|name| name.encode_utf16().chain([0]).collect());
        let attributes = security::for_events()?;
        let name = name.as_ref().map_or(null(), |name| name.as_ptr());
        // SAFETY: the name is null or ends with a zero; the attributes are never freed.
        let handle = unsafe { CreateEventW(attributes.as_ptr(), 1, 0, name) };
        check((!handle.is_null()).into()).map(|()| Event(handle))
    }

    pub(super) fn set(&self) {
        // SAFETY: an open handle.
        unsafe { SetEvent(self.0) };
    }

    pub(super) fn reset(&self) {
        // SAFETY: an open handle.
        unsafe { ResetEvent(self.0) };
    }

    pub(super) fn handle(&self) -> HANDLE {
        self.0
    }

    /// Waits until it is set, at most some milliseconds. Returns `true` if it is set.
    pub(super) fn wait(&self, milliseconds: u32) -> bool {
        // SAFETY: one open handle.
        unsafe { WaitForMultipleObjects(1, &raw const self.0, 0, milliseconds) == WAIT_OBJECT_0 }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: this value's own handle, not used again.
        unsafe { CloseHandle(self.0) };
    }
}

/// Rounds up to milliseconds.
pub(super) fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_micros().div_ceil(1000)).unwrap_or(INFINITE).min(INFINITE - 1)
}

/// Events of a word, for even and odd expected values.
#[derive(Clone, Debug)]
pub(super) struct Pair([Arc<Event>; 2]);

impl Pair {
    /// Returns the events that all processes of this user find by the name, in all sessions.
    pub(super) fn named(name: &str) -> io::Result<Self> {
        let event = |parity| Event::new(Some(&format!("Global\\{name}-{parity}")));
        Ok(Pair([Arc::new(event(0)?), Arc::new(event(1)?)]))
    }

    /// Returns the events of a word of this process.
    pub(super) fn private(address: usize) -> io::Result<Self> {
        const TABLE: usize = 64;
        static KNOWN: [OnceLock<Pair>; TABLE] = [const { OnceLock::new() }; TABLE];
        let known = &KNOWN[address / 8 % TABLE];
        if let Some(pair) = known.get() {
            return Ok(pair.clone());
        }
        let made = Pair([Arc::new(Event::new(None)?), Arc::new(Event::new(None)?)]);
        Ok(known.get_or_init(|| made).clone())
    }

    /// Wakes the sleepers in both.
    pub(super) fn set(&self) {
        self.0.iter().for_each(|event| event.set());
    }

    /// Returns the event in which a thread sleeps that expects `value`.
    pub(super) fn expecting(&self, value: u32) -> &Arc<Event> {
        &self.0[value as usize % 2]
    }
}
