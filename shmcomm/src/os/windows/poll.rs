//! [`EventFd`] and [`PollSet`]: what a thread sleeps in that waits for more channels than one call takes.
//!
//! Owns events without a name. Calls `event`. Never holds a file: Windows has no descriptors to wait for in a set.

use super::OwnedFd;
use super::event::SystemEvent;
use crate::os::Ready;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// An event that stays ready from a notification to a reset.
#[derive(Debug)]
pub(crate) struct EventFd(Arc<SystemEvent>);

impl EventFd {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(EventFd(Arc::new(SystemEvent::new(None)?)))
    }

    pub(crate) fn notify(&self) {
        self.0.set();
    }

    pub(crate) fn reset(&self) {
        self.0.reset();
    }
}

/// A set with one event.
#[derive(Debug)]
pub(crate) struct PollSet {
    event: Arc<SystemEvent>,
    number: u64,
}

impl PollSet {
    pub(crate) fn new(first: &EventFd, number: u64, _what: Ready) -> io::Result<Self> {
        Ok(PollSet { event: first.0.clone(), number })
    }

    /// Is never called: [`OwnedFd`] has no values.
    pub(crate) fn remove(&mut self, fd: &OwnedFd, _number: u64) {
        match *fd {}
    }

    /// Sleeps until the event is ready, at most `timeout`.
    pub(crate) fn sleep(&self, timeout: Duration) -> io::Result<()> {
        self.event.wait(timeout);
        Ok(())
    }

    /// Calls `found` with the number of the event if it is ready.
    pub(crate) fn ready(&self, mut found: impl FnMut(u64, Ready)) -> io::Result<()> {
        if self.event.wait(Duration::ZERO) {
            found(self.number, Ready { read: true, write: false });
        }
        Ok(())
    }
}
