//! [`SystemEvent`]: an event of the system, and the [`Pair`] of events that stands for a word.
//!
//! Owns their handles and names. Calls `security`. Never touches a word.

use super::security::Attributes;
use super::{check, security};
use std::io;
use std::ptr::null;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use windows_sys::Win32::Foundation::{CloseHandle, HANDLE, WAIT_OBJECT_0, WAIT_TIMEOUT};
use windows_sys::Win32::System::Threading::{
    CreateEventW, INFINITE, ResetEvent, SetEvent, WaitForMultipleObjects,
};

/// An event that stays set until it is reset.
#[derive(Debug)]
pub(super) struct SystemEvent(HANDLE);

// SAFETY: a handle of the process, which its threads share.
unsafe impl Send for SystemEvent {}
// SAFETY: as for `Send`: the system synchronizes its uses.
unsafe impl Sync for SystemEvent {}

impl SystemEvent {
    /// Makes an event, or opens the event that has the name.
    pub(super) fn new(name: Option<&str>) -> io::Result<Self> {
        let name: Option<Vec<u16>> = name.map(|name| name.encode_utf16().chain([0]).collect());
        let name = name.as_ref().map_or(null(), |name| name.as_ptr());
        let create = |attributes: &Attributes| {
            // SAFETY: the name is null or ends with a zero; the attributes are never freed.
            let handle = unsafe { CreateEventW(attributes.as_ptr(), 1, 0, name) };
            check((!handle.is_null()).into()).map(|()| SystemEvent(handle))
        };
        create(security::for_events()?).or_else(|_| create(security::for_events_of_low_integrity()?))
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

    /// Waits until it is set, or for `timeout`, which is rounded up. Returns `true` if it is set.
    pub(super) fn wait(&self, timeout: Duration) -> bool {
        let end = Instant::now().checked_add(timeout);
        let mut left = timeout;
        loop {
            // SAFETY: one open handle.
            match unsafe { WaitForMultipleObjects(1, &raw const self.0, 0, milliseconds(left)) } {
                WAIT_TIMEOUT => {}
                result => return result == WAIT_OBJECT_0,
            }
            // The system may end a wait before its time.
            left = end.map_or(timeout, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return false;
            }
        }
    }
}

impl Drop for SystemEvent {
    fn drop(&mut self) {
        // SAFETY: this value's own handle, not used again.
        unsafe { CloseHandle(self.0) };
    }
}

/// Rounds up to milliseconds. A wait of this length may end up to one tick of the system's timer early.
pub(super) fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(INFINITE).min(INFINITE - 1)
}

/// Events of a word, for even and odd expected values.
#[derive(Clone, Debug)]
pub(super) struct Pair([Arc<SystemEvent>; 2]);

impl Pair {
    /// Returns the events that all processes of this user find by the name, in all sessions.
    pub(super) fn named(name: &str) -> io::Result<Self> {
        let event = |parity| SystemEvent::new(Some(&format!("Global\\{name}-{parity}")));
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
        let made = Pair([Arc::new(SystemEvent::new(None)?), Arc::new(SystemEvent::new(None)?)]);
        Ok(known.get_or_init(|| made).clone())
    }

    /// Wakes the sleepers in both.
    pub(super) fn set(&self) {
        self.0.iter().for_each(|event| event.set());
    }

    /// Returns the event in which a thread sleeps that expects `value`.
    pub(super) fn expecting(&self, value: u32) -> &Arc<SystemEvent> {
        &self.0[value as usize % 2]
    }
}
