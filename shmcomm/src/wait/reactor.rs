//! The reactor (Schmidt 1995): one thread that sleeps for all tasks of this process.
//!
//! Owns that thread, its life cycle, and the registrations that it sleeps for ([`WakeRegistration`]). Calls
//! `os` for the futexes. Never reads shared memory: it passes the addresses of words to the kernel, with the
//! values that the tasks loaded there. The kernel reports that one of them has changed. A word whose mapping
//! is gone meanwhile costs only an unneeded wake.
//!
//! # Its life cycle
//!
//! ```text
//!   no thread ── first registration ───→ asleep ◄────────────────────────────────┐
//!      ▲                                   │ a word changed, a registration is due,│
//!      │                                   │ or the wakeup word changed: there is  │
//!      │ no registration for KEEP_ALIVE    │ a word that it does not sleep on      │
//!      └───────────────────────────────── awake: wakes the tasks that are due ──────┘
//! ```
//!
//! One call of the kernel takes 127 words and the wakeup word. Further words have further threads, each with
//! its own words. If that call is missing (before Linux 5.16) or forbidden, a thread has one word. Such a
//! thread has no wakeup word, and notices within [`MAX_SLEEP`] that a registration is due earlier than it
//! assumed. There is no other difference.
//!
//! # A wake is not lost
//!
//! 1. A registration that is set has its word and value in the list *before* the thread reads the list, or it
//!    changes the wakeup word afterwards. The thread sleeps only if that word did not change since it read
//!    the list.
//! 2. The kernel compares the values when it starts the sleep. A word that changed between the poll of the
//!    task and the sleep of the thread ends the sleep at once.
//! 3. After each sleep, each registration whose word is not known to be unchanged, and each registration that
//!    is due, rings.
//!
//! A child of `fork` has no such thread. Its first registration makes a reactor of its own, and it does not
//! touch the registrations that it inherited.

use super::MAX_SLEEP;
use super::many::Word;
use crate::os::{self, FUTEXES, ForkId, FutexAt, Woken, WokenOf};
use crate::records::LogRecords;
use crate::sync::{AtomicU32, Ordering};
use core::task::Waker;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Time for which an idle thread stays (keep-alive): longer than the pause between two waits of a task.
const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// A registration that wakes a task when a word has changed, or at a time. It can be set
/// repeatedly. Dropping it cancels it.
#[derive(Debug)]
pub(crate) struct WakeRegistration(Option<RegistrationKey>);

#[derive(Debug)]
struct RegistrationKey {
    shard: Arc<Shard>,
    key: u64,
}

impl WakeRegistration {
    pub(crate) const fn new() -> Self {
        WakeRegistration(None)
    }

    /// Registers `waker` to be woken once: as soon as the word has another value, or at `until`. Returns
    /// `false` if there is no thread for it.
    pub(crate) fn set(&mut self, word: Option<Word>, until: Instant, waker: &Waker) -> bool {
        let mut records = LogRecords::new();
        // Made outside of all locks, because cloning a waker is code of the program and may do anything.
        let mut entry = Entry { word, until, waker: Some(waker.clone()) };
        if let Some(RegistrationKey { shard, key }) = &self.0
            && !shard.fork_id.forked()
        {
            match shard.set(Some(*key), entry, &mut records) {
                // The replaced entry is dropped here, outside of the lock.
                Ok(_replaced) => return true,
                Err(refused) => entry = refused,
            }
        }
        self.unset();
        let Some(reactor) = Reactor::here() else { return false };
        // An entry that is refused is dropped here, outside of the locks.
        let _refused = match reactor.set(entry, &mut records) {
            Ok(place) => {
                self.0 = Some(place);
                None
            }
            Err(refused) => Some(refused),
        };
        self.0.is_some()
    }

    /// Cancels the registration.
    pub(crate) fn unset(&mut self) {
        if let Some(RegistrationKey { shard, key }) = self.0.take()
            && !shard.fork_id.forked()
        {
            let entry = shard.state().remove(key);
            // Outside of the lock: dropping a waker is code of the program.
            drop(entry);
        }
    }
}

impl Drop for WakeRegistration {
    fn drop(&mut self) {
        self.unset();
    }
}

/// The threads of this process.
#[derive(Debug)]
struct Reactor {
    fork_id: ForkId,
    shards: Mutex<Vec<Arc<Shard>>>,
    /// The reactor of a forked child.
    child: OnceLock<Option<Box<Reactor>>>,
}

impl Reactor {
    fn new() -> Option<Self> {
        let fork_id = ForkId::here().ok()?;
        Some(Reactor { fork_id, shards: Mutex::default(), child: OnceLock::new() })
    }

    /// Returns the reactor of the calling process.
    fn here() -> Option<&'static Reactor> {
        static FIRST: OnceLock<Option<Reactor>> = OnceLock::new();
        let mut reactor = FIRST.get_or_init(Reactor::new).as_ref()?;
        while reactor.fork_id.forked() {
            reactor = reactor.child.get_or_init(|| Reactor::new().map(Box::new)).as_deref()?;
        }
        Some(reactor)
    }

    /// Takes an entry. Returns the entry if there is no thread for it.
    fn set(&self, mut entry: Entry, records: &mut LogRecords) -> Result<RegistrationKey, Entry> {
        let mut shards = lock(&self.shards);
        // A thread that has ended stays in the list until its place is needed.
        for shard in &*shards {
            match shard.set(None, entry, records) {
                Ok((key, _)) => return Ok(RegistrationKey { shard: shard.clone(), key }),
                Err(refused) => entry = refused,
            }
        }
        shards.retain(|shard| shard.state().running);
        let shard = Arc::new(Shard::new(self.fork_id, entry.at()));
        let (key, _) = shard.set(None, entry, records)?;
        shards.push(shard.clone());
        Ok(RegistrationKey { shard, key })
    }
}

/// Calls a waker, and a logger if the waker panics: both are code of the program. Whatever they do, the
/// others are woken.
fn wake(waker: Waker) {
    let woken = catch_unwind(AssertUnwindSafe(|| waker.wake()));
    let logged = woken.or_else(|panic| {
        // Its destructor can panic as well.
        std::mem::forget(panic);
        catch_unwind(|| log::error!(target: "shmcomm", "a waker panicked; its task may not be woken"))
    });
    if let Err(panic) = logged {
        std::mem::forget(panic);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that may panic happens under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct Entry {
    word: Option<Word>,
    until: Instant,
    /// The waker, until it was called.
    waker: Option<Waker>,
}

impl Entry {
    fn at(&self) -> Option<FutexAt> {
        self.word.map(|(at, _)| at)
    }
}

/// One thread, and the entries that it sleeps for.
#[derive(Debug)]
struct Shard {
    fork_id: ForkId,
    /// The only word, if the system waits for one word only.
    only: Option<Option<FutexAt>>,
    state: Mutex<State>,
    /// A futex on which the thread sleeps too. It changes for registrations that the sleeping thread does not
    /// know.
    wakeup: AtomicU32,
}

#[derive(Debug, Default)]
struct State {
    entries: BTreeMap<u64, Entry>,
    /// The words of the entries, with the number of entries of each.
    words: BTreeMap<FutexAt, usize>,
    next: u64,
    /// True from the start of the thread to its end.
    running: bool,
    /// The words and the time of the current sleep; `None` while the thread is awake.
    asleep: Option<(Vec<Word>, Instant)>,
}

impl State {
    fn remove(&mut self, key: u64) -> Option<Entry> {
        let entry = self.entries.remove(&key)?;
        if let Some(at) = entry.at()
            && let Some(count) = self.words.get_mut(&at)
        {
            *count -= 1;
            if *count == 0 {
                self.words.remove(&at);
            }
        }
        Some(entry)
    }

    fn insert(&mut self, key: Option<u64>, entry: Entry) -> u64 {
        let key = key.unwrap_or_else(|| {
            self.next += 1;
            self.next
        });
        if let Some(at) = entry.at() {
            *self.words.entry(at).or_default() += 1;
        }
        self.entries.insert(key, entry);
        key
    }

    /// Returns the words to sleep on, and the end of the sleep.
    fn plan(&self, idle: Instant) -> (Vec<Word>, Instant) {
        let set = || self.entries.values().filter(|entry| entry.waker.is_some());
        let mut words: Vec<Word> = set().filter_map(|entry| entry.word).collect();
        words.sort_unstable();
        words.dedup();
        (words, set().map(|entry| entry.until).min().unwrap_or(idle))
    }

    /// Takes the wakers of all registrations that are due now.
    fn take_due(&mut self, changed: &[Word], now: Instant) -> Vec<Waker> {
        let due =
            |entry: &&mut Entry| entry.until <= now || entry.word.is_some_and(|word| changed.contains(&word));
        self.entries.values_mut().filter(due).filter_map(|entry| entry.waker.take()).collect()
    }
}

impl Shard {
    fn new(fork_id: ForkId, at: Option<FutexAt>) -> Self {
        let only = (!os::waits_for_many()).then_some(at);
        Shard { fork_id, only, state: Mutex::default(), wakeup: AtomicU32::new(0) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Takes an entry, new or instead of an old one, which is returned. Returns the entry itself as the
    /// error if there is no capacity for its word, or no thread.
    fn set(
        self: &Arc<Self>,
        key: Option<u64>,
        entry: Entry,
        records: &mut LogRecords,
    ) -> Result<(u64, Option<Entry>), Entry> {
        let state = &mut *self.state();
        let room = match self.only {
            Some(only) => entry.at() == only,
            // One word is the wakeup word. The capacity that a replaced entry would free is not counted.
            None => {
                entry.at().is_none_or(|at| state.words.contains_key(&at) || state.words.len() + 1 < FUTEXES)
            }
        };
        if !room || (!state.running && !self.start(records)) {
            return Err(entry);
        }
        state.running = true;
        let old = key.and_then(|key| state.remove(key));
        let known = state.asleep.as_ref().is_none_or(|(words, until)| {
            *until <= entry.until && entry.word.is_none_or(|word| words.contains(&word))
        });
        let key = state.insert(key, entry);
        if !known {
            // Release: the entry is in the list before the wakeup word changes. (1)
            self.wakeup.fetch_add(1, Ordering::Release);
            os::futex_wake(&self.wakeup, 1);
            // One change is enough until the thread sleeps again.
            state.asleep = None;
        }
        Ok((key, old))
    }

    fn start(self: &Arc<Self>, records: &mut LogRecords) -> bool {
        let shard = self.clone();
        let thread = std::thread::Builder::new().name("shmcomm-wait".into()).stack_size(128 << 10);
        let started = thread.spawn(move || {
            os::block_signals();
            // Alarms rely on a running thread, so it ends only when it is idle, whatever panics meanwhile.
            while let Err(panic) = catch_unwind(AssertUnwindSafe(|| shard.run())) {
                // Its destructor can panic as well.
                std::mem::forget(panic);
            }
        });
        if let Err(error) = &started {
            records.error(format!("no thread to sleep for tasks, which are polled all the time: {error}"));
        }
        started.is_ok()
    }

    fn run(&self) {
        let mut idle = None;
        loop {
            let now = Instant::now();
            let mut state = self.state();
            if state.entries.is_empty() {
                let since = *idle.get_or_insert(now);
                if now.duration_since(since) >= KEEP_ALIVE {
                    state.running = false;
                    return;
                }
            } else {
                idle = None;
            }
            // Acquire: a change after this load belongs to a registration that was not in the list. (1)
            let wakeup = self.wakeup.load(Ordering::Acquire);
            let (words, until) = state.plan(now + KEEP_ALIVE);
            state.asleep = Some((words.clone(), until));
            drop(state);
            let changed = self.sleep(wakeup, &words, until.saturating_duration_since(now));
            let mut state = self.state();
            state.asleep = None;
            let due = state.take_due(&changed, Instant::now());
            drop(state);
            for waker in due {
                wake(waker);
            }
        }
    }

    /// Sleeps until one of `words` has changed, the wakeup word has changed, or the time is over. Returns the
    /// words that have changed.
    fn sleep(&self, wakeup: u32, words: &[Word], time: Duration) -> Vec<Word> {
        // Several values of one word: all except one are old.
        let ambiguous = words.windows(2).any(|pair| pair[0].0 == pair[1].0);
        let woken = match self.only {
            _ if ambiguous => WokenOf::Perhaps,
            None => {
                let mut all = Vec::with_capacity(words.len() + 1);
                all.push((FutexAt::new(&self.wakeup), wakeup));
                all.extend_from_slice(words);
                os::futex_wait_any(&all, time)
            }
            Some(_) => {
                let woken = match words.first() {
                    Some(&(at, value)) => os::futex_wait_at(at, value, time.min(MAX_SLEEP)),
                    None => os::futex_wait(&self.wakeup, wakeup, time),
                };
                if woken == Woken::TimedOut { WokenOf::TimedOut } else { WokenOf::Perhaps }
            }
        };
        match woken {
            WokenOf::TimedOut | WokenOf::One(0) => Vec::new(),
            WokenOf::One(index) => words.get(index - 1).copied().into_iter().collect(),
            WokenOf::Perhaps => {
                words.iter().filter(|(at, value)| !os::futex_is(*at, *value)).copied().collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::task::Wake;

    struct Tells(Sender<()>);

    impl Wake for Tells {
        fn wake(self: Arc<Self>) {
            let _ = self.0.send(());
        }
    }

    /// A waker that panics with something that panics again when it is dropped.
    struct Panics;

    struct Twice;

    impl Drop for Twice {
        fn drop(&mut self) {
            panic!("again, as this test wants it");
        }
    }

    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            std::panic::panic_any(Twice);
        }
    }

    fn told() -> (Waker, Receiver<()>) {
        let (tell, told) = channel();
        (Waker::from(Arc::new(Tells(tell))), told)
    }

    #[test]
    fn panicking_waker_does_not_stop_other_wakers() {
        let shard = Arc::new(Shard::new(ForkId::here().unwrap(), None));
        for _ in 0..3 {
            let (waker, told) = told();
            let soon = Instant::now() + Duration::from_millis(5);
            let entry = |waker| Entry { word: None, until: soon, waker: Some(waker) };
            assert!(shard.set(None, entry(Waker::from(Arc::new(Panics))), &mut LogRecords::new()).is_ok());
            assert!(shard.set(None, entry(waker), &mut LogRecords::new()).is_ok());
            told.recv_timeout(Duration::from_secs(30)).unwrap();
        }
    }
}
