//! File descriptors to poll, on Linux: those of the user, an eventfd and a timerfd.
//!
//! Owns the system calls, and their replacements if a sandbox refuses them: a pipe for eventfd, `poll` for
//! epoll. The caller replaces timerfd. Knows nothing of the polling thread.

use super::Ready;
use rustix::event::{EventfdFlags, PollFd, PollFlags, epoll};
use rustix::fs::FileType;
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

fn spec(time: Duration) -> Timespec {
    Timespec { tv_sec: time.as_secs().try_into().unwrap_or(i64::MAX as _), tv_nsec: time.subsec_nanos() as _ }
}

/// Returns `true` if a sandbox refused the system call, or the kernel does not have it.
fn is_refusal(errno: Errno) -> bool {
    matches!(errno, Errno::PERM | Errno::ACCESS | Errno::NOSYS)
}

/// A descriptor that threads make ready, and one thread makes not ready again.
#[derive(Debug)]
pub(crate) enum EventFd {
    Native(OwnedFd),
    /// Used if eventfd is refused.
    Pipe {
        out: OwnedFd,
        into: OwnedFd,
    },
}

impl EventFd {
    pub(crate) fn new() -> io::Result<Self> {
        match rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK) {
            Ok(fd) => Ok(EventFd::Native(fd)),
            Err(errno) if is_refusal(errno) => {
                let (out, into) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
                Ok(EventFd::Pipe { out, into })
            }
            Err(errno) => Err(errno.into()),
        }
    }

    /// Makes the descriptor ready.
    pub(crate) fn notify(&self) {
        // The write fails only after 2^64 - 2 unread writes, or with a full pipe; then the descriptor is
        // ready.
        let _ = match self {
            EventFd::Native(fd) => rustix::io::write(fd, &1u64.to_ne_bytes()),
            EventFd::Pipe { into, .. } => rustix::io::write(into, &[1]),
        };
    }

    /// Makes the descriptor not ready.
    pub(crate) fn reset(&self) {
        // The read fails if the descriptor is not ready.
        match self {
            EventFd::Native(fd) => _ = rustix::io::read(fd, &mut [0; 8]),
            // A pipe holds 64 KiB; bytes that arrive meanwhile may stay.
            EventFd::Pipe { out, .. } => {
                _ = (0..64).find(|_| rustix::io::read(out, &mut [0; 1024]) != Ok(1024))
            }
        }
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            EventFd::Native(fd) | EventFd::Pipe { out: fd, .. } => fd.as_fd(),
        }
    }
}

/// A descriptor that is ready from a given time on.
#[derive(Debug)]
pub(crate) struct TimerFd {
    fd: OwnedFd,
}

impl TimerFd {
    /// Returns `None` if timerfd is refused.
    pub(crate) fn new() -> io::Result<Option<Self>> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        match rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags) {
            Ok(fd) => Ok(Some(TimerFd { fd })),
            Err(errno) if is_refusal(errno) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Makes the descriptor ready after `left`, and not before; never with `None`.
    pub(crate) fn set(&self, left: Option<Duration>) {
        // Zero would disarm the timer.
        let value = left.map_or(Duration::ZERO, |left| left.max(Duration::from_nanos(1)));
        let time = Itimerspec { it_interval: spec(Duration::ZERO), it_value: spec(value) };
        // The call fails only for invalid times.
        let _ = rustix::time::timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &time);
    }
}

impl AsFd for TimerFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// File descriptors to wait for.
#[derive(Debug)]
pub(crate) enum PollSet {
    /// An epoll descriptor, which is ready while one of the files is.
    Epoll(OwnedFd),
    /// Used if epoll is refused.
    List(FileList),
}

/// Files of a poller without epoll, as duplicates.
#[derive(Clone, Debug, Default)]
pub(crate) struct FileList(Arc<Mutex<Vec<Listed>>>);

impl FileList {
    fn files(&self) -> MutexGuard<'_, Vec<Listed>> {
        // A panic leaves the list unchanged.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns `true` if a file with at least that number is ready, without blocking.
    pub(crate) fn is_ready(&self, from: u64) -> bool {
        let mut ready = false;
        let polled = poll_each(&self.files(), |number, _| ready |= number >= from);
        // The wait that follows reports the error.
        ready || polled.is_err()
    }
}

#[derive(Debug)]
struct Listed {
    fd: OwnedFd,
    number: u64,
    what: Ready,
}

impl PollSet {
    /// Makes a poller of one file, with a number.
    pub(crate) fn new(first: impl AsFd, number: u64, what: Ready) -> io::Result<Self> {
        let mut poller = match epoll::create(epoll::CreateFlags::CLOEXEC) {
            Ok(fd) => PollSet::Epoll(fd),
            Err(errno) if is_refusal(errno) => PollSet::List(FileList::default()),
            Err(errno) => return Err(errno.into()),
        };
        // A sandbox may allow some of the three calls and refuse another.
        let added = poller.add(&first, number, what);
        let works = added.is_ok() && poller.ready(|_, _| ()).is_ok();
        if !works && matches!(poller, PollSet::Epoll(_)) {
            poller = PollSet::List(FileList::default());
            poller.add(&first, number, what)?;
        }
        Ok(poller)
    }

    /// Adds a file, with a number. It stays until [`PollSet::remove`], or until all its descriptors are
    /// closed.
    pub(crate) fn add(&mut self, fd: impl AsFd, number: u64, what: Ready) -> io::Result<()> {
        match self {
            PollSet::Epoll(epoll) => {
                let mut flags = epoll::EventFlags::empty();
                flags.set(epoll::EventFlags::IN | epoll::EventFlags::RDHUP, what.read);
                flags.set(epoll::EventFlags::OUT, what.write);
                Ok(epoll::add(epoll, fd, epoll::EventData::new_u64(number), flags)?)
            }
            PollSet::List(list) => {
                let fd = fd.as_fd().try_clone_to_owned()?;
                // Same error as from epoll for files that are always ready.
                let kind = FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode);
                if matches!(kind, FileType::RegularFile | FileType::Directory) {
                    return Err(Errno::PERM.into());
                }
                list.files().push(Listed { fd, number, what });
                Ok(())
            }
        }
    }

    /// Removes a file that was added with that number.
    pub(crate) fn remove(&mut self, fd: impl AsFd, number: u64) {
        match self {
            // The call fails if the file is not in the set.
            PollSet::Epoll(epoll) => _ = epoll::delete(epoll, fd),
            PollSet::List(list) => list.files().retain(|listed| listed.number != number),
        }
    }

    /// Blocks until a file is ready, or the timeout is over.
    pub(crate) fn sleep(&self, timeout: Duration) -> io::Result<()> {
        match self {
            PollSet::Epoll(epoll) => poll(&mut [PollFd::new(epoll, PollFlags::IN)], timeout),
            PollSet::List(list) => poll(&mut entries(&list.files()), timeout),
        }
    }

    /// Calls `found` for up to 256 ready files, without blocking. A file is ready for everything if it is
    /// broken or its other end is closed.
    pub(crate) fn ready(&self, mut found: impl FnMut(u64, Ready)) -> io::Result<()> {
        let epoll = match self {
            PollSet::Epoll(epoll) => epoll,
            PollSet::List(list) => return poll_each(&list.files(), found),
        };
        let mut room = [MaybeUninit::uninit(); 256];
        let events = match epoll::wait(epoll, &mut room, Some(&spec(Duration::ZERO))) {
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

    /// Returns the descriptor that is ready while one of the files is. Without epoll, returns the files.
    pub(crate) fn exported(&self) -> Result<BorrowedFd<'_>, &FileList> {
        match self {
            PollSet::Epoll(epoll) => Ok(epoll.as_fd()),
            PollSet::List(list) => Err(list),
        }
    }
}

/// Calls `found` for the ready files, without blocking.
fn poll_each(list: &[Listed], mut found: impl FnMut(u64, Ready)) -> io::Result<()> {
    let mut polled = entries(list);
    poll(&mut polled, Duration::ZERO)?;
    for (listed, entry) in list.iter().zip(&polled) {
        let flags = entry.revents();
        let broken = flags.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL);
        let read = broken || flags.intersects(PollFlags::IN | PollFlags::RDHUP);
        let write = broken || flags.contains(PollFlags::OUT);
        if read || write {
            found(listed.number, Ready { read, write });
        }
    }
    Ok(())
}

fn entries(list: &[Listed]) -> Vec<PollFd<'_>> {
    let wanted = |what: Ready| {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN | PollFlags::RDHUP, what.read);
        flags.set(PollFlags::OUT, what.write);
        flags
    };
    list.iter().map(|listed| PollFd::new(&listed.fd, wanted(listed.what))).collect()
}

fn poll(entries: &mut [PollFd<'_>], timeout: Duration) -> io::Result<()> {
    match rustix::event::poll(entries, Some(&spec(timeout))) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
