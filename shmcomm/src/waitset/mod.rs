//! [`WaitSet`]: waiting for many things at once.
//!
//! Owns the set: its members, their readiness, and the sleep until one is ready. Calls `wait` for the sleep
//! in futexes, `poller` for the sleep in everything else. Never receives: it reports the ends that would.
//!
//! # Why by handle
//!
//! Ends are used through `&mut`. A set that borrowed or owned them would restrict the program in their use.
//! So a set has no end: [`WaitSet::add`] takes the view of the end for other code ([`Watch`]). It has a
//! mapping of its own, and is valid while it has an owner. Whatever happens to the end, no reference in the
//! set dangles. A dropped end leaves the set by itself.
//!
//! # How it sleeps
//!
//! | in the set | sleeps |
//! |---|---|
//! | up to 128 channels, timers | in their futexes, by one system call (`futex_waitv`) |
//! | more, or files, or an exported descriptor | in the [`Poller`]; the reactor sleeps in the futexes |
//!
//! Each wait polls everything first. A ready member therefore costs no sleep, and each wait reports a
//! member that stays ready again. After that the wait sets all flags of waiters, and then polls everything
//! once more.

mod member;
#[cfg_attr(not(unix), allow(dead_code, unused_imports, reason = "file descriptors exist on Unix only"))]
mod poller;
mod queue;
mod timers;

use crate::error::Error;
use crate::os::{self, OwnedFd};
use crate::wait::{self, Deadline, SPINS, Ticks, Watch, Word};
use core::fmt;
pub use member::{Cause, Interest, Ready, Waitable, Watchable, Watched};
use poller::{Poller, RegistrationHandle};
pub(crate) use queue::{Awaited, QueueWatch};
use std::io;
// Here and below: Windows has no descriptors.
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use timers::Timer;

/// Number of channels below which a set returns to sleeping in their futexes directly.
const FEW: usize = 64;

/// Waits for any number of channels, calls, timers and file descriptors at once, in one thread.
///
/// Each member is put into the set under a key that the program chooses. Each wait returns the keys of the
/// ready members, in the order in which they were put in. The ends themselves stay with the program, which
/// uses them as always, in the same thread or another one.
///
/// ```
/// # use shmcomm::{Channel, PubSub, PushPull};
/// # const POSE: Channel<PubSub<u64>> = Channel::new("pose");
/// # const JOBS: Channel<PushPull<u64>> = Channel::new("jobs");
/// # let ns = format!("doc-waitset-{}", std::process::id());
/// # let mut publisher = POSE.open().namespace(&ns).publisher()?;
/// use shmcomm::WaitSet;
/// use std::time::Duration;
///
/// #[derive(Clone, PartialEq)]
/// enum From { Pose, Jobs, Tick }
///
/// let mut pose = POSE.open().namespace(&ns).subscriber()?;
/// let mut jobs = JOBS.open().namespace(&ns).puller()?;
///
/// let mut set = WaitSet::new();
/// set.add(From::Pose, &pose)?;
/// set.add(From::Jobs, &jobs)?;
/// set.add_interval(From::Tick, Duration::from_millis(10));
/// # publisher.send(&7)?;
/// # let mut poses = 0;
/// # for _ in 0..2 {
/// for ready in set.wait()? {
///     match ready.key {
///         From::Pose => while let Ok(pose) = pose.try_recv() {
///             println!("{pose}");
/// #           poses += pose;
///         },
///         From::Jobs => while let Ok(job) = jobs.try_recv() {
///             println!("{job}");
///         },
///         From::Tick => println!("{:?}", ready.cause),
///     }
/// }
/// # }
/// # assert_eq!(poses, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What ready means
///
/// * As with `poll`, a member stays ready until the program handles it. Each wait reports an unread message
///   again, and then returns at once. A timer is ready once for each time.
/// * A channel is ready if its `try_` method would return something other than `Empty` (or `Full`), errors
///   included. A departed publisher makes the channel ready until a receive has reported it. The set then
///   waits for the next publisher, and `Disconnected` is no reason to remove the subscriber.
/// * Another participant may be faster: another puller may take a message that this set reported. So
///   receive with `try_recv`.
/// * The stop of an end does not make the end ready, because its `try_` methods continue to work. To stop
///   the wait of a set, add a [`StopHandle`](crate::StopHandle) to it: each wait then reports [`Cause::Stopped`].
/// * An end that was dropped, and a call whose answer was fetched, leave the set by themselves.
///
/// # Costs
///
/// A set of channels and timers sleeps in one system call, and starts no thread. A wait that finds
/// something ready makes no system call. With file descriptors, with more than 128 channels, and with
/// [`fd`](WaitSet::fd), a thread of the process sleeps for the channels, and a wake goes through it. There
/// is one such thread for each 127 channels of all sets and tasks of the process. It ends a second after
/// the last of them. Where the system has no `futex_waitv` (before Linux 5.16, or forbidden by a filter),
/// each channel of a set with several takes such a thread. Each end takes a second mapping of its segment.
pub struct WaitSet<K> {
    channels: Vec<Member<K>>,
    files: Vec<FileMember<K>>,
    timers: Vec<Timer<K>>,
    ticks: Ticks,
    poller: Option<Poller>,
    words: Vec<Word>,
}

struct Member<K> {
    key: K,
    watch: Arc<dyn Watch>,
    cause: Cause,
    /// The registration in the poller, if there is a poller.
    handle: Option<RegistrationHandle>,
}

struct FileMember<K> {
    key: K,
    fd: OwnedFd,
    number: u64,
    wanted: os::Ready,
}

impl<K> Default for WaitSet<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K> WaitSet<K> {
    /// Returns an empty set.
    pub fn new() -> Self {
        WaitSet {
            channels: Vec::new(),
            files: Vec::new(),
            timers: Vec::new(),
            ticks: Ticks::default(),
            poller: None,
            words: Vec::new(),
        }
    }

    /// Returns the number of members.
    pub fn len(&self) -> usize {
        self.channels.len() + self.files.len() + self.timers.len()
    }

    /// Returns `true` if the set has no member to wait for.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds an end of a channel, a call, or a [`StopHandle`](crate::StopHandle). The first call for an end makes a second
    /// mapping of its segment. Later calls cost an allocation, also for each call of a requester.
    ///
    /// # Errors
    /// [`ErrorKind::Os`](crate::ErrorKind::Os) if the system has no memory for the mapping.
    pub fn add(&mut self, key: K, end: &(impl Waitable + ?Sized)) -> Result<(), Error> {
        let Watched { watch, cause } = end.watch()?;
        self.channels.push(Member { key, watch, cause, handle: None });
        self.changed();
        Ok(())
    }

    /// Adds a time. It is ready once, from then on, and leaves the set when a wait has reported it.
    pub fn add_timer(&mut self, key: K, at: Instant) {
        self.timers.push(Timer::once(key, at));
        self.changed();
    }

    /// Adds the times that are multiples of `every` from now. Times that pass between two waits are counted
    /// ([`Cause::Timer`]). No time comes late because an earlier one did. Zero is treated as 1 ns.
    pub fn add_interval(&mut self, key: K, every: Duration) {
        self.timers.push(Timer::again(key, Instant::now(), every));
        self.changed();
    }

    /// Adds a file descriptor. The set keeps a duplicate, so the program may close it at any time. The
    /// other end of a socket or pipe sees that only when the descriptor is also removed from the set.
    ///
    /// # Errors
    /// Returns the error of the system: too many open files, or a file that cannot be waited for, such as a
    /// file on a disk (`PermissionDenied`).
    #[cfg(unix)]
    pub fn add_fd(&mut self, key: K, fd: &impl AsFd, interest: Interest) -> io::Result<()> {
        let fd = fd.as_fd().try_clone_to_owned()?;
        let number = self.poller()?.add_file(&fd, interest)?;
        self.files.push(FileMember { key, fd, number, wanted: interest.wanted() });
        self.changed();
        Ok(())
    }

    /// Removes the members that were put in under `key`. Returns `true` if there was any.
    pub fn remove(&mut self, key: &K) -> bool
    where
        K: PartialEq,
    {
        let before = self.len();
        let WaitSet { channels, files, timers, poller, .. } = self;
        channels.retain(|member| member.key != *key);
        files.retain(|member| {
            let stays = member.key != *key;
            if let (Some(poller), false) = (poller.as_mut(), stays) {
                poller.remove_file(&member.fd, member.number);
            }
            stays
        });
        timers.retain(|timer| timer.key != *key);
        before != self.len()
    }

    /// Returns a file descriptor that other event loops can wait for (`epoll`, `asyncio`, tokio's
    /// `AsyncFd`).
    ///
    /// Whenever it is readable, call [`try_wait`](WaitSet::try_wait), and handle the result. It becomes
    /// readable when a member becomes ready, and stays readable until a `try_wait` finds nothing ready. The
    /// descriptor belongs to the set: never read it.
    ///
    /// It may become readable without a ready member: then `try_wait` returns an empty list.
    ///
    /// # Errors
    /// Returns the error of the system, for example if too many files are open.
    #[cfg(unix)]
    pub fn fd(&mut self) -> io::Result<BorrowedFd<'_>> {
        self.poller()?.export()
    }

    fn poller(&mut self) -> io::Result<&mut Poller> {
        if self.poller.is_none() {
            self.poller = Some(Poller::new()?);
        }
        // The poller exists: it was made above if needed.
        self.poller.as_mut().ok_or_else(|| io::ErrorKind::Other.into())
    }

    /// Wakes other event loops that sleep in the set, so that they poll again.
    fn changed(&mut self) {
        if let Some(poller) = self.poller.as_mut().filter(|poller| poller.is_exported()) {
            poller.notify();
        }
    }
}

impl<K: Clone> WaitSet<K> {
    /// Returns the ready members; an empty list if there is none. Never blocks.
    ///
    /// # Errors
    /// If the system does not report which file descriptors are ready.
    pub fn try_wait(&mut self) -> io::Result<Vec<Ready<K>>> {
        self.wait_until(None)
    }

    /// Waits until a member is ready, and returns the ready members. Returns an empty list if the set is
    /// empty.
    ///
    /// # Errors
    /// If the system refuses a required poller or thread.
    pub fn wait(&mut self) -> io::Result<Vec<Ready<K>>> {
        self.wait_until(Some(Deadline::Never))
    }

    /// Waits for at most `timeout` until a member is ready, and returns the ready members. Returns an empty
    /// list if the time is over, or if the set is empty.
    ///
    /// # Errors
    /// The same as for [`wait`](WaitSet::wait).
    pub fn wait_timeout(&mut self, timeout: Duration) -> io::Result<Vec<Ready<K>>> {
        self.wait_until(Some(Deadline::after(timeout)))
    }

    /// Waits until a member is ready, at most until `deadline`, and returns the ready members. Returns an
    /// empty list at the deadline, or if the set is empty.
    ///
    /// # Errors
    /// The same as for [`wait`](WaitSet::wait).
    pub fn wait_deadline(&mut self, deadline: Instant) -> io::Result<Vec<Ready<K>>> {
        self.wait_until(Some(Deadline::At(deadline)))
    }

    fn wait_until(&mut self, deadline: Option<Deadline>) -> io::Result<Vec<Ready<K>>> {
        let mut ready = self.poll_files()?;
        self.poll_once(&mut ready);
        if ready.is_empty()
            && let Some(deadline) = deadline
        {
            self.spin(deadline, &mut ready);
            while ready.is_empty() && !self.is_empty() {
                self.prepare_wait()?;
                self.poll_once(&mut ready);
                if !ready.is_empty() || deadline.has_passed() {
                    break;
                }
                self.sleep(deadline)?;
                ready = self.poll_files()?;
                self.poll_once(&mut ready);
            }
        }
        if self.poller.as_ref().is_some_and(Poller::is_exported) {
            if ready.is_empty() {
                self.prepare_wait()?;
                // A member that became ready meanwhile makes the descriptor readable; files do that by
                // themselves.
                self.poll_once(&mut ready);
            }
            if let (Some(poller), false) = (&mut self.poller, ready.is_empty()) {
                poller.notify();
            }
        }
        Ok(ready)
    }

    /// Polls the channels repeatedly, for a few microseconds.
    fn spin(&mut self, deadline: Deadline, ready: &mut Vec<Ready<K>>) {
        if self.channels.is_empty() {
            return;
        }
        let spins = SPINS / self.channels.len().min(SPINS as usize) as u32;
        let _found = wait::spin(spins, deadline, || {
            self.poll_channels(ready);
            (!ready.is_empty()).then_some(())
        });
    }

    /// Polls all members except files, without a system call.
    fn poll_once(&mut self, ready: &mut Vec<Ready<K>>) {
        self.poll_channels(ready);
        if self.timers.is_empty() {
            return;
        }
        let now = Instant::now();
        for timer in &mut self.timers {
            let ticks = timer.ticks(now);
            if ticks > 0 {
                ready.push(Ready { key: timer.key.clone(), cause: Cause::Timer { ticks } });
            }
        }
        self.timers.retain(|timer| timer.next().is_some());
    }

    fn poll_channels(&mut self, ready: &mut Vec<Ready<K>>) {
        let mut over = false;
        for member in &self.channels {
            if member.watch.is_over() {
                over = true;
            } else if member.watch.poll_once() {
                ready.push(Ready { key: member.key.clone(), cause: member.cause });
            }
        }
        if over {
            self.channels.retain(|member| !member.watch.is_over());
        }
    }

    fn poll_files(&mut self) -> io::Result<Vec<Ready<K>>> {
        let mut ready = Vec::new();
        let (Some(poller), false) = (&self.poller, self.files.is_empty()) else { return Ok(ready) };
        poller.poll_once(|number, state| {
            // A broken file is ready for everything, also for conditions that the program did not ask for.
            if let Some(member) = self.files.iter().find(|member| member.number == number) {
                let (readable, writable) =
                    (state.read && member.wanted.read, state.write && member.wanted.write);
                ready.push(Ready { key: member.key.clone(), cause: Cause::Fd { readable, writable } });
            }
        })?;
        Ok(ready)
    }

    /// Ensures that every member that becomes ready from here on ends the next [`WaitSet::sleep`], or wakes
    /// the other event loops that sleep in the set. The caller must poll for members that are ready already
    /// after this call.
    fn prepare_wait(&mut self) -> io::Result<()> {
        let exported = self.poller.as_ref().is_some_and(Poller::is_exported);
        let few = self.poller.is_none() || self.channels.len() < FEW;
        if !exported && self.files.is_empty() && few && wait::can_sleep(self.channels.len()) {
            self.poller = None;
            self.channels.iter_mut().for_each(|member| member.handle = None);
            wait::prepare_wait(self.channels.iter().map(|member| &member.watch), &mut self.words);
            return Ok(());
        }
        let timer = self.timer_due();
        self.poller()?;
        if let Some(poller) = &mut self.poller {
            for member in self.channels.iter_mut().filter(|member| member.handle.is_none()) {
                member.handle = Some(poller.register(&member.watch)?);
            }
            poller.arm(self.channels.iter().filter_map(|member| member.handle.as_ref()), timer);
        }
        Ok(())
    }

    /// Returns the time until the next timer is due.
    fn timer_due(&self) -> Option<Duration> {
        let next = self.timers.iter().filter_map(Timer::next).min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    fn sleep(&mut self, deadline: Deadline) -> io::Result<()> {
        let timer = self.timer_due().unwrap_or(Duration::MAX);
        let left = deadline.left().unwrap_or_default().min(timer);
        if let Some(poller) = &self.poller {
            return poller.sleep(left);
        }
        let watches = || self.channels.iter().map(|member| &member.watch);
        if self.channels.is_empty() {
            std::thread::sleep(left);
        } else if !self.ticks.run(watches()) {
            let slice = self.ticks.max_sleep(watches(), deadline).min(left);
            wait::sleep(&self.words, slice);
        }
        Ok(())
    }
}

impl<K: fmt::Debug> fmt::Debug for WaitSet<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitSet")
            .field("channels", &self.channels.len())
            .field("files", &self.files.len())
            .field("timers", &self.timers.len())
            .finish_non_exhaustive()
    }
}
