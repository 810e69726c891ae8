//! [`WaitSet`]: waiting for many things at once.
//!
//! Owns the set: what is in it, what is ready, and how to sleep until something is. Calls `wait` for the
//! sleep in futexes, `gate` for everything else there is to sleep in. Never receives: it says who would.
//!
//! # Why by handle
//!
//! Ends are used through `&mut`, and a set that borrowed or owned them would keep programs from using
//! them as they like. So a set has no end: [`WaitSet::add`] takes what the end shows of itself to others
//! ([`Watch`]), which has a mapping of its own and is valid for as long as somebody has it. Whatever
//! becomes of the end, nothing in the set dangles; what was dropped leaves the set by itself.
//!
//! # How it sleeps
//!
//! | in the set | sleeps |
//! |---|---|
//! | up to 128 channels, timers | in their futexes, by one system call (`futex_waitv`) |
//! | more, or files, or others sleep in the set too | in the [`Gate`]; the reactor sleeps in the futexes |
//!
//! Each wait looks at everything first, so what is ready costs no sleep, and what stays ready is said
//! again by each wait. After that everything is asked to wake, and then looked at once more.

mod gate;
mod queue;
mod timers;

use crate::error::Error;
use crate::os::{self, OwnedFd};
use crate::sync::spin_loop;
use crate::wait::{self, Deadline, Rounds, SPINS, Watch, Word, YIELDS};
use core::fmt;
use gate::{Gate, Post};
pub(crate) use queue::{Awaited, QueueWatch};
use std::io;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use timers::Timer;

/// Fewer channels than this go back to sleeping in their futexes directly.
const FEW: usize = 64;

/// What can be put into a [`WaitSet`]: the receiving ends, calls that wait for their answer, and ends
/// that may have to wait for room. Its implementations say when each of them is ready.
pub trait Waitable: Watchable {}

/// What an end shows of itself to those who wait for it without using it.
pub trait Watchable {
    #[doc(hidden)]
    fn watch(&self) -> Result<Watched, Error>;
}

/// The handle that an end gives away.
pub struct Watched(Arc<dyn Watch>);

impl Watched {
    pub(crate) fn new(watch: impl Watch + 'static) -> Self {
        Watched(Arc::new(watch))
    }

    /// Of something of which nothing will ever come.
    pub(crate) fn over() -> Self {
        struct Over;
        impl Watch for Over {
            fn look(&self) -> bool {
                false
            }
            fn idle(&self) -> bool {
                false
            }
            fn ask(&self) -> Option<Word> {
                None
            }
            fn slice(&self) -> Duration {
                Duration::ZERO
            }
            fn is_over(&self) -> bool {
                true
            }
        }
        Watched::new(Over)
    }
}

impl<W: Watch + 'static> From<Arc<W>> for Watched {
    fn from(watch: Arc<W>) -> Self {
        Watched(watch)
    }
}

/// What to wait for on a file descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interest {
    /// That a read would not block.
    Readable,
    /// That a write would not block.
    Writable,
    /// Either.
    Both,
}

impl Interest {
    fn wanted(self) -> os::Ready {
        os::Ready { read: self != Interest::Writable, write: self != Interest::Readable }
    }
}

/// Something in a [`WaitSet`] that is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ready<K> {
    /// As given when it was put into the set.
    pub key: K,
    /// What is ready about it.
    pub cause: Cause,
}

/// What is ready about something in a [`WaitSet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// An end of a channel, or a call, has something to say: ask it with its `try_` method, or `poll`.
    Channel,
    /// The time has come so many times since this was last said; more than once if waits came late.
    Timer {
        /// At least 1.
        ticks: u64,
    },
    /// The file descriptor is ready, or broken; then the read or the write says how.
    Fd {
        /// A read would not block.
        readable: bool,
        /// A write would not block.
        writable: bool,
    },
}

/// Waits for any number of channels, calls, timers and file descriptors at once, in one thread.
///
/// Each is put into the set under a key of the program's choice, and each wait answers with the keys of
/// those that are ready, in the order in which they were put in. The ends themselves stay with the
/// program, which uses them as always, in the same thread or another one.
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
/// * As with `poll`, what is ready stays ready until that is dealt with: a message that is left unread
///   is said again by each wait, which then returns at once. A timer is ready once for each time.
/// * A channel is ready if its `try_` method would answer something other than `Empty` (or `Full`),
///   errors included. That the publisher has gone is ready until a receive has said so; the set waits on
///   for the next one, and `Disconnected` is no reason to take the subscriber out.
/// * Somebody else may be faster: another puller may take a message that this set was told of. So
///   receive with `try_recv`.
/// * An end that was dropped, and a call whose answer was fetched, leave the set by themselves.
///
/// # What it costs
///
/// A set of channels and timers sleeps in one system call, and starts no thread; a wait that finds
/// something ready makes none. With file descriptors, with more than 128 channels, and with
/// [`fd`](WaitSet::fd), a thread of the process sleeps for the channels, one for each 127 of all its sets
/// and tasks, and a wake goes through it. It ends a second after the last of them. Where the system has no
/// `futex_waitv` (before Linux 5.16, or forbidden by a filter) each channel of a set with several takes
/// such a thread. Each end takes a second mapping of its segment.
pub struct WaitSet<K> {
    channels: Vec<Member<K>>,
    files: Vec<FileMember<K>>,
    timers: Vec<Timer<K>>,
    rounds: Rounds,
    gate: Option<Gate>,
    words: Vec<Word>,
}

struct Member<K> {
    key: K,
    watch: Arc<dyn Watch>,
    /// Where there is a gate.
    post: Option<Post>,
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
    /// An empty set.
    pub fn new() -> Self {
        WaitSet {
            channels: Vec::new(),
            files: Vec::new(),
            timers: Vec::new(),
            rounds: Rounds::default(),
            gate: None,
            words: Vec::new(),
        }
    }

    /// How many things are in the set.
    pub fn len(&self) -> usize {
        self.channels.len() + self.files.len() + self.timers.len()
    }

    /// Whether there is nothing to wait for.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds an end of a channel, or a call. The first time makes a second mapping of its segment; after
    /// that it costs an allocation, also for each call of a requester.
    ///
    /// # Errors
    /// [`ErrorKind::Os`](crate::ErrorKind::Os) if the system has no room for the mapping.
    pub fn add(&mut self, key: K, end: &(impl Waitable + ?Sized)) -> Result<(), Error> {
        let Watched(watch) = end.watch()?;
        self.channels.push(Member { key, watch, post: None });
        self.changed();
        Ok(())
    }

    /// Adds a time. It is ready once, from then on, and leaves the set when a wait has said so.
    pub fn add_timer(&mut self, key: K, at: Instant) {
        self.timers.push(Timer::once(key, at));
        self.changed();
    }

    /// Adds the times that are multiples of `every` from now. Those that come while nobody waits are
    /// counted ([`Cause::Timer`]); none comes late because an earlier one did. Zero is a nanosecond.
    pub fn add_interval(&mut self, key: K, every: Duration) {
        self.timers.push(Timer::again(key, Instant::now(), every));
        self.changed();
    }

    /// Adds a file descriptor. The set keeps a duplicate, so it may be closed at any time; the other end
    /// of a socket or pipe sees that only when the descriptor is taken out of the set too.
    ///
    /// # Errors
    /// What the system says: too many open files, or a file that cannot be waited for, as those on a
    /// disk (`PermissionDenied`).
    #[cfg(unix)]
    pub fn add_fd(&mut self, key: K, fd: &impl AsFd, interest: Interest) -> io::Result<()> {
        let fd = fd.as_fd().try_clone_to_owned()?;
        let number = self.gate()?.add_file(&fd, interest)?;
        self.files.push(FileMember { key, fd, number, wanted: interest.wanted() });
        self.changed();
        Ok(())
    }

    /// Takes out what was put in under `key`, and says whether there was anything.
    pub fn remove(&mut self, key: &K) -> bool
    where
        K: PartialEq,
    {
        let before = self.len();
        let WaitSet { channels, files, timers, gate, .. } = self;
        channels.retain(|member| member.key != *key);
        files.retain(|member| {
            let stays = member.key != *key;
            if let (Some(gate), false) = (gate.as_ref(), stays) {
                gate.remove_file(&member.fd);
            }
            stays
        });
        timers.retain(|timer| timer.key != *key);
        before != self.len()
    }

    /// A file descriptor that other event loops can wait for (`epoll`, `asyncio`, tokio's `AsyncFd`).
    ///
    /// It is readable from the time on when something in the set becomes ready until a
    /// [`try_wait`](WaitSet::try_wait) finds nothing ready. So: whenever it is readable, call `try_wait`,
    /// and deal with what that says. The descriptor is the set's: never read it.
    ///
    /// It may become readable for nothing: be content if `try_wait` says so.
    ///
    /// # Errors
    /// What the system says, such as that too many files are open.
    #[cfg(unix)]
    pub fn fd(&mut self) -> io::Result<BorrowedFd<'_>> {
        Ok(self.gate()?.export()?.as_fd())
    }

    fn gate(&mut self) -> io::Result<&mut Gate> {
        if self.gate.is_none() {
            self.gate = Some(Gate::new()?);
        }
        // It was made just now, if need be.
        self.gate.as_mut().ok_or_else(|| io::ErrorKind::Other.into())
    }

    /// Others who sleep in the set have to look again.
    fn changed(&mut self) {
        if let Some(gate) = self.gate.as_mut().filter(|gate| gate.is_exported()) {
            gate.ring();
        }
    }
}

impl<K: Clone> WaitSet<K> {
    /// What is ready; nothing if nothing is. Never blocks.
    ///
    /// # Errors
    /// If the system refuses to say which file descriptors are ready.
    pub fn try_wait(&mut self) -> io::Result<Vec<Ready<K>>> {
        self.wait_until(None)
    }

    /// What is ready; blocks until something is. Nothing if there is nothing in the set.
    ///
    /// # Errors
    /// If the system refuses a poller or a thread that it takes.
    pub fn wait(&mut self) -> io::Result<Vec<Ready<K>>> {
        self.wait_until(Some(Deadline::Never))
    }

    /// What is ready; blocks for at most `timeout`. Nothing if the time is over, or if there is nothing
    /// in the set.
    ///
    /// # Errors
    /// As [`wait`](WaitSet::wait).
    pub fn wait_timeout(&mut self, timeout: Duration) -> io::Result<Vec<Ready<K>>> {
        self.wait_until(Some(Deadline::after(timeout)))
    }

    /// What is ready; blocks until `deadline` at the latest. Nothing if that has come, or if there is
    /// nothing in the set.
    ///
    /// # Errors
    /// As [`wait`](WaitSet::wait).
    pub fn wait_deadline(&mut self, deadline: Instant) -> io::Result<Vec<Ready<K>>> {
        self.wait_until(Some(Deadline::At(deadline)))
    }

    fn wait_until(&mut self, deadline: Option<Deadline>) -> io::Result<Vec<Ready<K>>> {
        let mut ready = self.look_for_files()?;
        self.look(&mut ready);
        if ready.is_empty()
            && let Some(deadline) = deadline
        {
            self.look_on(deadline, &mut ready);
            while ready.is_empty() && !self.is_empty() {
                self.ask()?;
                self.look(&mut ready);
                if !ready.is_empty() || deadline.has_passed() {
                    break;
                }
                self.sleep(deadline)?;
                ready = self.look_for_files()?;
                self.look(&mut ready);
            }
        }
        if self.gate.as_ref().is_some_and(Gate::is_exported) {
            if ready.is_empty() {
                self.ask()?;
                // Whatever came meanwhile makes the descriptor readable; files do that by themselves.
                self.look(&mut ready);
            }
            if let (Some(gate), false) = (&mut self.gate, ready.is_empty()) {
                gate.ring();
            }
        }
        Ok(ready)
    }

    /// Looks again and again, for a few microseconds.
    fn look_on(&mut self, deadline: Deadline, ready: &mut Vec<Ready<K>>) {
        if self.channels.is_empty() {
            return;
        }
        for _ in 0..SPINS / self.channels.len().min(SPINS as usize) as u32 {
            spin_loop();
            self.look_at_channels(ready);
            if !ready.is_empty() {
                return;
            }
        }
        for _ in 0..YIELDS {
            if deadline.has_passed() {
                return;
            }
            std::thread::yield_now();
            self.look_at_channels(ready);
            if !ready.is_empty() {
                return;
            }
        }
    }

    /// Looks at everything but files, without a system call.
    fn look(&mut self, ready: &mut Vec<Ready<K>>) {
        self.look_at_channels(ready);
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

    fn look_at_channels(&mut self, ready: &mut Vec<Ready<K>>) {
        let mut over = false;
        for member in &self.channels {
            if member.watch.is_over() {
                over = true;
            } else if member.watch.look() {
                ready.push(Ready { key: member.key.clone(), cause: Cause::Channel });
            }
        }
        if over {
            self.channels.retain(|member| !member.watch.is_over());
        }
    }

    fn look_for_files(&mut self) -> io::Result<Vec<Ready<K>>> {
        let mut ready = Vec::new();
        let (Some(gate), false) = (&self.gate, self.files.is_empty()) else { return Ok(ready) };
        gate.look(|number, state| {
            // A broken file is ready for everything, also for what nobody waits for.
            if let Some(member) = self.files.iter().find(|member| member.number == number) {
                let (readable, writable) =
                    (state.read && member.wanted.read, state.write && member.wanted.write);
                ready.push(Ready { key: member.key.clone(), cause: Cause::Fd { readable, writable } });
            }
        })?;
        Ok(ready)
    }

    /// Makes everything that becomes ready from here on end the next [`WaitSet::sleep`], or wake those
    /// who sleep in the set. What is ready already has to be looked for after this.
    fn ask(&mut self) -> io::Result<()> {
        let exported = self.gate.as_ref().is_some_and(Gate::is_exported);
        let few = self.gate.is_none() || self.channels.len() < FEW;
        if !exported && self.files.is_empty() && few && wait::can_sleep(self.channels.len()) {
            self.gate = None;
            self.channels.iter_mut().for_each(|member| member.post = None);
            wait::ask(self.channels.iter().map(|member| &member.watch), &mut self.words);
            return Ok(());
        }
        let timer = self.timer_due();
        self.gate()?;
        if let Some(gate) = &mut self.gate {
            for member in self.channels.iter_mut().filter(|member| member.post.is_none()) {
                member.post = Some(gate.sentry(&member.watch)?);
            }
            gate.arm(self.channels.iter().filter_map(|member| member.post.as_ref()), timer);
        }
        Ok(())
    }

    /// When the next timer is due.
    fn timer_due(&self) -> Option<Duration> {
        let next = self.timers.iter().filter_map(Timer::next).min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    fn sleep(&mut self, deadline: Deadline) -> io::Result<()> {
        let timer = self.timer_due().unwrap_or(Duration::MAX);
        let left = deadline.left().unwrap_or_default().min(timer);
        if let Some(gate) = &self.gate {
            return gate.sleep(left);
        }
        let watches = || self.channels.iter().map(|member| &member.watch);
        if self.channels.is_empty() {
            std::thread::sleep(left);
        } else if !self.rounds.make(watches()) {
            let slice = self.rounds.slice(watches(), deadline).min(left);
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
