//! [`EventFd`] and [`PollSet`] on macOS: a pipe, and a kqueue with the files of the user.
//!
//! Owns their descriptors. Calls `ready` to read events. Knows nothing of the polling thread.
//!
//! `kqueue(2)`: the descriptor of a kqueue is readable while it has an event, and other event loops can wait for it. An
//! event without `EV_CLEAR` stays while its condition is met. A kqueue is not inherited by the child of a fork, so the
//! number of its descriptor may belong to another file there.
//!
//! The set has no timer of its own: the caller's thread makes the pipe ready.

use super::ready::{self, Event};
use crate::os::Ready;
use rustix::event::kqueue::{self, EventFilter, EventFlags};
use rustix::fs::{FileType, OFlags};
use rustix::io::{Errno, FdFlags};
use std::io;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;

/// A descriptor that threads make ready, and one thread makes not ready again.
#[derive(Debug)]
pub(crate) struct EventFd {
    out: OwnedFd,
    into: OwnedFd,
}

impl EventFd {
    pub(crate) fn new() -> io::Result<Self> {
        let (out, into) = io::pipe()?;
        let pipe = EventFd { out: out.into(), into: into.into() };
        for end in [&pipe.out, &pipe.into] {
            let flags = rustix::fs::fcntl_getfl(end)?;
            rustix::fs::fcntl_setfl(end, flags | OFlags::NONBLOCK)?;
        }
        Ok(pipe)
    }

    /// Makes the descriptor ready.
    pub(crate) fn notify(&self) {
        // The write fails only with a full pipe; then the descriptor is ready.
        let _ = rustix::io::write(&self.into, &[1]);
    }

    /// Makes the descriptor not ready.
    pub(crate) fn reset(&self) {
        // A pipe holds at most 64 KiB; bytes that arrive meanwhile may stay.
        let _ = (0..64).find(|_| rustix::io::read(&self.out, &mut [0; 1024]) != Ok(1024));
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.out.as_fd()
    }
}

/// Has no values: the caller makes the pipe ready when a timer is due.
#[derive(Debug)]
pub(crate) enum TimerFd {}

impl TimerFd {
    /// Returns `None`.
    pub(crate) fn new() -> io::Result<Option<Self>> {
        Ok(None)
    }

    pub(crate) fn set(&self, _left: Option<Duration>) {
        match *self {}
    }
}

impl AsFd for TimerFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match *self {}
    }
}

/// Files of a poller without a descriptor of its own. Is never made: macOS always has kqueue.
#[derive(Clone, Debug)]
#[allow(dead_code, reason = "Linux makes one if a sandbox refuses epoll")]
pub(crate) struct FileList(());

impl FileList {
    /// Returns `false`.
    pub(crate) fn is_ready(&self, _from: u64) -> bool {
        false
    }
}

/// Longest sleep that is passed to the system, which refuses very long ones. A longer one ends early.
const LONGEST: Duration = Duration::from_secs(3600);

/// File descriptors to wait for.
#[derive(Debug)]
pub(crate) struct PollSet {
    queue: ManuallyDrop<OwnedFd>,
    /// The process that has the queue.
    pid: u32,
}

impl PollSet {
    /// Makes a poller of one file, with a number.
    pub(crate) fn new(first: impl AsFd, number: u64, what: Ready) -> io::Result<Self> {
        let queue = kqueue::kqueue()?;
        rustix::io::fcntl_setfd(&queue, FdFlags::CLOEXEC)?;
        let mut set = PollSet { queue: ManuallyDrop::new(queue), pid: crate::os::pid() };
        set.add(first, number, what)?;
        Ok(set)
    }

    /// Adds a file, with a number. It stays until [`PollSet::remove`], or until it is closed.
    pub(crate) fn add(&mut self, fd: impl AsFd, number: u64, what: Ready) -> io::Result<()> {
        let fd = fd.as_fd();
        // Same error as on Linux for files that are always ready.
        if matches!(
            FileType::from_raw_mode(rustix::fs::fstat(fd)?.st_mode),
            FileType::RegularFile | FileType::Directory
        ) {
            return Err(Errno::PERM.into());
        }
        for (wanted, write) in [(what.read, false), (what.write, true)] {
            if wanted && let Err(error) = self.change(fd, write, EventFlags::ADD, number) {
                self.remove(fd, number);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Removes a file that was added with that number.
    pub(crate) fn remove(&mut self, fd: impl AsFd, number: u64) {
        for write in [false, true] {
            // The call fails if the set does not have the file for this.
            let _ = self.change(fd.as_fd(), write, EventFlags::DELETE, number);
        }
    }

    fn change(&self, fd: BorrowedFd<'_>, write: bool, flags: EventFlags, number: u64) -> io::Result<()> {
        let fd = fd.as_raw_fd();
        let filter = if write { EventFilter::Write(fd) } else { EventFilter::Read(fd) };
        let data = std::ptr::without_provenance_mut(number as usize);
        let changes = [kqueue::Event::new(filter, flags, data)];
        let mut none: [MaybeUninit<kqueue::Event>; 0] = [];
        // SAFETY: the descriptor is open; the kernel removes its events when it is closed.
        unsafe { kqueue::kevent(&*self.queue, &changes, &mut none, Some(Duration::ZERO))? };
        Ok(())
    }

    /// Returns up to 256 events. They stay in the queue while their conditions are met.
    fn events(&self, room: usize, timeout: Duration) -> io::Result<Vec<Event>> {
        let mut buffer = [const { MaybeUninit::<kqueue::Event>::uninit() }; 256];
        let buffer = &mut buffer[..room.min(256)];
        // SAFETY: nothing is added.
        let (events, _) = match unsafe { kqueue::kevent(&*self.queue, &[], buffer, Some(timeout)) } {
            Err(Errno::INTR) => return Ok(Vec::new()),
            result => result?,
        };
        let event = |event: &kqueue::Event| Event {
            number: event.udata().addr() as u64,
            write: matches!(event.filter(), EventFilter::Write(_)),
            ended: event.flags().intersects(EventFlags::EOF | EventFlags::ERROR),
        };
        Ok(events.iter().map(event).collect())
    }

    /// Blocks until a file is ready, or the timeout is over.
    pub(crate) fn sleep(&self, timeout: Duration) -> io::Result<()> {
        self.events(1, timeout.min(LONGEST)).map(drop)
    }

    /// Calls `found` for up to 256 ready files, without blocking. A file is ready for everything if it is broken or
    /// its other end is closed.
    pub(crate) fn ready(&self, mut found: impl FnMut(u64, Ready)) -> io::Result<()> {
        for (number, ready) in ready::merge(self.events(256, Duration::ZERO)?) {
            found(number, ready);
        }
        Ok(())
    }

    /// Returns the descriptor that is ready while one of the files is.
    pub(crate) fn exported(&self) -> Result<BorrowedFd<'_>, &FileList> {
        Ok(self.queue.as_fd())
    }
}

impl Drop for PollSet {
    fn drop(&mut self) {
        if self.pid == crate::os::pid() {
            // SAFETY: not used after this.
            unsafe { ManuallyDrop::drop(&mut self.queue) };
        }
    }
}
