//! The reactor: one thread that sleeps for all tasks of this process.
//!
//! Owns that thread, its life, and what it sleeps for ([`Alarm`]). Calls `os` for the futexes. Reads
//! no shared memory: it names words to the kernel by their addresses, with the values that the tasks
//! saw there, and learns from the kernel that one of them has changed. So a word whose mapping is
//! gone meanwhile costs a wake for nothing, and no more.
//!
//! # Its life
//!
//! ```text
//!   no thread ── the first alarm is set ──→ asleep ◄──────────────────────────┐
//!      ▲                                     │ a word changed, an alarm's time │
//!      │                                     │ came, or the bell: there is a   │
//!      │ nothing set for LINGER              │ word that it does not sleep on  │
//!      └────────────────────────────────── awake: rings the alarms ───────────┘
//! ```
//!
//! One call of the kernel takes 127 words and the bell. For more there are further threads, each with
//! its own words. Where that call is missing (before Linux 5.16) or forbidden, a thread has one word:
//! then it has no bell, and finds out within [`SLICE`] that an alarm's time comes earlier than it
//! thought. Nothing else differs.
//!
//! # A wake is not lost
//!
//! 1. An alarm that is set has its word and value in the list *before* the thread reads the list, or
//!    it rings the bell after: the thread sleeps only if the bell did not ring since it took the list.
//! 2. The kernel compares the values as it goes to sleep: a word that changed between the task's look
//!    and the thread's sleep ends the sleep at once.
//! 3. After each sleep, each alarm whose word is not known to be unchanged, and each whose time has
//!    come, rings.
//!
//! A child of `fork` has no such thread: it gets a reactor of its own with the first alarm that it
//! sets, and does nothing to alarms that it inherited.

use super::SLICE;
use super::many::Word;
use crate::os::{self, FUTEXES, FutexAt, Lineage, Woken, WokenOf};
use crate::sync::{AtomicU32, Ordering};
use core::task::Waker;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How long the thread stays when nothing is set: longer than the pause between two waits of a task.
const LINGER: Duration = Duration::from_secs(1);

/// Wakes a task when a word has changed, or at a time. Set again and again; dropping it unsets it.
#[derive(Debug)]
pub(crate) struct Alarm(Option<Place>);

#[derive(Debug)]
struct Place {
    shard: Arc<Shard>,
    key: u64,
}

impl Alarm {
    pub(crate) const fn new() -> Self {
        Alarm(None)
    }

    /// Has `waker` woken once: as soon as the word is no longer that value, or `until`. False if there is
    /// no thread for it.
    pub(crate) fn set(&mut self, word: Option<Word>, until: Instant, waker: &Waker) -> bool {
        // Made outside of all locks, as it is the task's code and may do anything.
        let mut entry = Entry { word, until, waker: Some(waker.clone()) };
        if let Some(Place { shard, key }) = &self.0
            && !shard.lineage.forked()
        {
            match shard.set(Some(*key), entry) {
                // What was replaced is dropped here, outside of the lock.
                Ok(_replaced) => return true,
                Err(refused) => entry = refused,
            }
        }
        self.unset();
        self.0 = Reactor::here().and_then(|reactor| reactor.set(entry));
        self.0.is_some()
    }

    /// Nobody is woken any more.
    pub(crate) fn unset(&mut self) {
        if let Some(Place { shard, key }) = self.0.take()
            && !shard.lineage.forked()
        {
            let entry = shard.state().remove(key);
            // Outside of the lock: dropping a waker is the task's code.
            drop(entry);
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.unset();
    }
}

/// The threads of this process.
#[derive(Debug)]
struct Reactor {
    lineage: Lineage,
    shards: Mutex<Vec<Arc<Shard>>>,
    /// That of a child.
    child: OnceLock<Option<Box<Reactor>>>,
}

impl Reactor {
    fn new() -> Option<Self> {
        let lineage = Lineage::here().ok()?;
        Some(Reactor { lineage, shards: Mutex::default(), child: OnceLock::new() })
    }

    /// That of the calling process.
    fn here() -> Option<&'static Reactor> {
        static FIRST: OnceLock<Option<Reactor>> = OnceLock::new();
        let mut reactor = FIRST.get_or_init(Reactor::new).as_ref()?;
        while reactor.lineage.forked() {
            reactor = reactor.child.get_or_init(|| Reactor::new().map(Box::new)).as_deref()?;
        }
        Some(reactor)
    }

    fn set(&self, mut entry: Entry) -> Option<Place> {
        let mut shards = lock(&self.shards);
        // A thread that has ended stays until its place is needed.
        for shard in &*shards {
            match shard.set(None, entry) {
                Ok((key, _)) => return Some(Place { shard: shard.clone(), key }),
                Err(refused) => entry = refused,
            }
        }
        shards.retain(|shard| shard.state().running);
        let shard = Arc::new(Shard::new(self.lineage, entry.at()));
        let (key, _) = shard.set(None, entry).ok()?;
        shards.push(shard.clone());
        Some(Place { shard, key })
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
    /// Until it rang.
    waker: Option<Waker>,
}

impl Entry {
    fn at(&self) -> Option<FutexAt> {
        self.word.map(|(at, _)| at)
    }
}

/// One thread and what it sleeps for.
#[derive(Debug)]
struct Shard {
    lineage: Lineage,
    /// Where the system waits for one word only: that word.
    only: Option<Option<FutexAt>>,
    state: Mutex<State>,
    /// The thread sleeps on it too: changed for alarms that it does not know of.
    bell: AtomicU32,
}

#[derive(Debug, Default)]
struct State {
    entries: BTreeMap<u64, Entry>,
    /// The words of the entries, and in how many each is.
    words: BTreeMap<FutexAt, usize>,
    next: u64,
    /// Started, and not ended.
    running: bool,
    /// What it sleeps on, and until when; none while it is awake.
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

    /// What to sleep on, and until when.
    fn plan(&self, idle: Instant) -> (Vec<Word>, Instant) {
        let set = || self.entries.values().filter(|entry| entry.waker.is_some());
        let mut words: Vec<Word> = set().filter_map(|entry| entry.word).collect();
        words.sort_unstable();
        words.dedup();
        (words, set().map(|entry| entry.until).min().unwrap_or(idle))
    }

    /// Takes the wakers of all alarms that ring now.
    fn ring(&mut self, changed: &[Word], now: Instant) -> Vec<Waker> {
        let ringing =
            |entry: &&mut Entry| entry.until <= now || entry.word.is_some_and(|word| changed.contains(&word));
        self.entries.values_mut().filter(ringing).filter_map(|entry| entry.waker.take()).collect()
    }
}

impl Shard {
    fn new(lineage: Lineage, at: Option<FutexAt>) -> Self {
        let only = (!os::waits_for_many()).then_some(at);
        Shard { lineage, only, state: Mutex::default(), bell: AtomicU32::new(0) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Takes an entry, new or instead of an old one, which is given back; gives the entry itself back if
    /// there is no room for its word, or no thread.
    fn set(self: &Arc<Self>, key: Option<u64>, entry: Entry) -> Result<(u64, Option<Entry>), Entry> {
        let state = &mut *self.state();
        let room = match self.only {
            Some(only) => entry.at() == only,
            // One is for the bell. What is replaced here leaves room that is not counted on.
            None => {
                entry.at().is_none_or(|at| state.words.contains_key(&at) || state.words.len() < FUTEXES - 1)
            }
        };
        if !room || (!state.running && !self.start()) {
            return Err(entry);
        }
        state.running = true;
        let old = key.and_then(|key| state.remove(key));
        let known = state.asleep.as_ref().is_none_or(|(words, until)| {
            *until <= entry.until && entry.word.is_none_or(|word| words.contains(&word))
        });
        let key = state.insert(key, entry);
        if !known {
            // Release: the entry is in the list before the bell rings. (1)
            self.bell.fetch_add(1, Ordering::Release);
            os::futex_wake(&self.bell, 1);
            // Once is enough until it sleeps again.
            state.asleep = None;
        }
        Ok((key, old))
    }

    fn start(self: &Arc<Self>) -> bool {
        let shard = self.clone();
        let thread = std::thread::Builder::new().name("shmcomm-wait".into()).stack_size(128 << 10);
        let started = thread.spawn(move || {
            os::block_signals();
            shard.run();
        });
        if let Err(error) = &started {
            log::error!(target: "shmcomm", "no thread to sleep for tasks, which will look all the time: {error}");
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
                if now.duration_since(since) >= LINGER {
                    state.running = false;
                    return;
                }
            } else {
                idle = None;
            }
            // Acquire: whoever rings the bell after this had not been in the list. (1)
            let bell = self.bell.load(Ordering::Acquire);
            let (words, until) = state.plan(now + LINGER);
            state.asleep = Some((words.clone(), until));
            drop(state);
            let changed = self.sleep(bell, &words, until.saturating_duration_since(now));
            let mut state = self.state();
            state.asleep = None;
            let ringing = state.ring(&changed, Instant::now());
            drop(state);
            for waker in ringing {
                // The task's code: whatever it does, the others are woken.
                if catch_unwind(AssertUnwindSafe(|| waker.wake())).is_err() {
                    log::error!(target: "shmcomm", "a waker panicked");
                }
            }
        }
    }

    /// Sleeps until one of `words` has changed, the bell has rung, or the time is over; which words
    /// have changed.
    fn sleep(&self, bell: u32, words: &[Word], time: Duration) -> Vec<Word> {
        // Several values of one word: all but one of them are old.
        let ambiguous = words.windows(2).any(|pair| pair[0].0 == pair[1].0);
        let woken = match self.only {
            _ if ambiguous => WokenOf::Perhaps,
            None => {
                let mut all = Vec::with_capacity(words.len() + 1);
                all.push((FutexAt::new(&self.bell), bell));
                all.extend_from_slice(words);
                os::futex_wait_any(&all, time)
            }
            Some(_) => {
                let woken = match words.first() {
                    Some(&(at, value)) => os::futex_wait_at(at, value, time.min(SLICE)),
                    None => os::futex_wait(&self.bell, bell, time),
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
