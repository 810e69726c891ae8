//! File descriptors to poll, on Linux: those of others, a bell and a clock.
//!
//! Owns the system calls. Knows nothing of who polls.

use super::Ready;
use rustix::event::{EventfdFlags, PollFd, PollFlags, epoll};
use rustix::io::Errno;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

fn spec(time: Duration) -> Timespec {
    Timespec { tv_sec: time.as_secs().try_into().unwrap_or(i64::MAX as _), tv_nsec: time.subsec_nanos() as _ }
}

/// Something to poll that threads make ready, and one makes not ready again.
#[derive(Debug)]
pub(crate) struct Bell {
    fd: OwnedFd,
}

impl Bell {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Bell { fd: rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)? })
    }

    /// Makes it ready.
    pub(crate) fn ring(&self) {
        // Refused only where 2^64 - 2 rings were not heard, and then it is ready.
        let _ = rustix::io::write(&self.fd, &1u64.to_ne_bytes());
    }

    /// Makes it not ready.
    pub(crate) fn hush(&self) {
        // Refused where it is not ready.
        let _ = rustix::io::read(&self.fd, &mut [0; 8]);
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Something to poll that is ready from a time on.
#[derive(Debug)]
pub(crate) struct Clock {
    fd: OwnedFd,
}

impl Clock {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        Ok(Clock { fd: rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags)? })
    }

    /// Ready in so long, and not before; never with `None`.
    pub(crate) fn set(&self, left: Option<Duration>) {
        // Zero would take it off.
        let value = left.map_or(Duration::ZERO, |left| left.max(Duration::from_nanos(1)));
        let time = Itimerspec { it_interval: spec(Duration::ZERO), it_value: spec(value) };
        // Refused only for times that are none.
        let _ = rustix::time::timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &time);
    }
}

impl AsFd for Clock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// File descriptors to wait for; it is one itself, ready while one of them is.
#[derive(Debug)]
pub(crate) struct Poller {
    fd: OwnedFd,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Poller { fd: epoll::create(epoll::CreateFlags::CLOEXEC)? })
    }

    /// Adds a file, under a number. It stays until [`Poller::remove`], or until all its descriptors
    /// are closed.
    pub(crate) fn add(&self, fd: impl AsFd, number: u64, what: Ready) -> io::Result<()> {
        let mut flags = epoll::EventFlags::empty();
        flags.set(epoll::EventFlags::IN | epoll::EventFlags::RDHUP, what.read);
        flags.set(epoll::EventFlags::OUT, what.write);
        Ok(epoll::add(&self.fd, fd, epoll::EventData::new_u64(number), flags)?)
    }

    pub(crate) fn remove(&self, fd: impl AsFd) {
        // Refused where it is not there.
        let _ = epoll::delete(&self.fd, fd);
    }

    /// Blocks until one is ready, or the time is over.
    pub(crate) fn sleep(&self, timeout: Duration) -> io::Result<()> {
        match rustix::event::poll(&mut [PollFd::new(&self.fd, PollFlags::IN)], Some(&spec(timeout))) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Calls `found` with those that are ready, up to 256 of them, without blocking. A file whose other
    /// end is gone, or that is broken, is ready for everything.
    pub(crate) fn look(&self, mut found: impl FnMut(u64, Ready)) -> io::Result<()> {
        let mut room = [MaybeUninit::uninit(); 256];
        let events = match epoll::wait(&self.fd, &mut room, Some(&spec(Duration::ZERO))) {
            Ok((events, _)) => events,
            Err(Errno::INTR) => return Ok(()),
            Err(errno) => return Err(errno.into()),
        };
        for event in events {
            let flags = event.flags;
            let broken = flags.intersects(epoll::EventFlags::HUP | epoll::EventFlags::ERR);
            let read = broken || flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::RDHUP);
            let write = broken || flags.contains(epoll::EventFlags::OUT);
            found(event.data.u64(), Ready { read, write });
        }
        Ok(())
    }
}

impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
