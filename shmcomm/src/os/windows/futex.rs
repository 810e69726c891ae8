//! Words to sleep in, shared between processes, on Windows: two events for each word.
//!
//! Owns the sleep and the wake. Calls `map` for the view of a word, and `event`. Never writes to a word.
//!
//! `WaitOnAddress` and keyed events wake no thread of another process, so each word has two named events. A thread
//! that expects an even value sleeps in the first one, and in the second one for an odd value. A wake sets both.
//! An event stays set until a thread finds it set while its word has the expected value:
//!
//! 1. A thread loads its words, and sleeps only if all have their expected values. A wake comes after the change of
//!    the word, and an event stays set. So a wake between the load and the sleep ends the sleep at once.
//! 2. The thread that resets an event then loads its words again. If one has changed, it sets the event again, for
//!    other threads that have not begun to sleep.
//! 3. A thread that has loaded its words and does not sleep yet can miss a wake in three cases. So no sleep takes
//!    longer than [`SLICE`] before the words are loaded again.
//!    * Its word changes twice, and another thread that expects the newest value resets the event.
//!    * Its word is outside of views, and another thread resets the event for another word that has the same event.
//!    * Another process is killed between the reset of the event and the second load of rule 2.
//!
//! Words outside of views belong to this process alone. They share a small table of events without names: two words
//! that have the same events wake each other's sleepers.

use super::event::{Pair, SystemEvent, milliseconds};
use super::map::MappedView;
use crate::os::{Woken, WokenOf};
use crate::sync::AtomicU32;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use windows_sys::Win32::Foundation::{HANDLE, WAIT_FAILED, WAIT_OBJECT_0, WAIT_TIMEOUT};
use windows_sys::Win32::System::Diagnostics::Debug::ReadProcessMemory;
use windows_sys::Win32::System::Threading::{GetCurrentProcess, WaitForMultipleObjects};

/// Largest number of words that one call can wait for.
pub(crate) const FUTEXES: usize = 64;

/// Longest sleep before the words are loaded again. (3)
const SLICE: Duration = Duration::from_millis(50);
/// Sleep instead of a wait, if the system has no event for a word.
const POLL: Duration = Duration::from_millis(1);

/// Address of a word, which may be unmapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FutexAt(usize);

impl FutexAt {
    /// Returns the address of `word`.
    pub(crate) fn new(word: &AtomicU32) -> Self {
        FutexAt(std::ptr::from_ref(word).expose_provenance())
    }
}

/// A word, by the memory that it is in.
enum SleepWord {
    /// A view, which stays mapped while this lives, and an offset in it.
    Shared(Arc<MappedView>, usize),
    /// An address of this process, which may be freed.
    Private(usize),
}

impl SleepWord {
    fn of(at: FutexAt) -> Self {
        match MappedView::find(at.0) {
            Some((view, offset)) => SleepWord::Shared(view, offset),
            None => SleepWord::Private(at.0),
        }
    }

    fn events(&self) -> io::Result<Pair> {
        match self {
            SleepWord::Shared(view, offset) => view.events(*offset),
            SleepWord::Private(address) => Pair::private(*address),
        }
    }

    /// Loads the word; `None` if no memory is there.
    fn load(&self) -> Option<u32> {
        match self {
            SleepWord::Shared(view, offset) => Some(view.load(*offset)),
            SleepWord::Private(address) => {
                let (mut value, mut read) = (0u32, 0);
                let from = std::ptr::with_exposed_provenance(*address);
                // The system checks the address.
                // SAFETY: the call fills one word of this function, and one number.
                let done = unsafe {
                    ReadProcessMemory(
                        GetCurrentProcess(),
                        from,
                        (&raw mut value).cast(),
                        size_of::<u32>(),
                        &raw mut read,
                    )
                };
                (done != 0 && read == size_of::<u32>()).then_some(value)
            }
        }
    }
}

/// A word with its expected value, and the event to sleep in.
struct Sleep {
    word: SleepWord,
    expected: u32,
    event: Arc<SystemEvent>,
}

impl Sleep {
    fn new(at: FutexAt, expected: u32) -> io::Result<Self> {
        let word = SleepWord::of(at);
        let event = word.events()?.expecting(expected).clone();
        Ok(Sleep { word, expected, event })
    }

    fn has_changed(&self) -> bool {
        self.word.load() != Some(self.expected)
    }
}

/// Sleeps while `word` is `expected`, for at most `timeout`, which is rounded up to the tick of the system's timer. Any
/// process that has the word mapped can wake it.
pub(crate) fn futex_wait(word: &AtomicU32, expected: u32, timeout: Duration) -> Woken {
    futex_wait_at(FutexAt::new(word), expected, timeout)
}

/// Sleeps like [`futex_wait`], for a word that may be unmapped.
pub(crate) fn futex_wait_at(at: FutexAt, expected: u32, timeout: Duration) -> Woken {
    match futex_wait_any(&[(at, expected)], timeout) {
        WokenOf::TimedOut => Woken::TimedOut,
        WokenOf::One(_) | WokenOf::Perhaps => Woken::Perhaps,
    }
}

/// Wakes all sleepers of `word`, in any process. Returns 0: the system does not count them.
pub(crate) fn futex_wake(word: &AtomicU32, _count: u32) -> usize {
    // Without an event there are no sleepers in it: they poll.
    if let Ok(events) = SleepWord::of(FutexAt::new(word)).events() {
        events.set();
    }
    0
}

/// Returns `true`.
pub(crate) fn waits_for_many() -> bool {
    true
}

/// Sleeps while each word has the value it is listed with, for at most `timeout`. Takes at most [`FUTEXES`] words.
pub(crate) fn futex_wait_any(words: &[(FutexAt, u32)], timeout: Duration) -> WokenOf {
    debug_assert!(words.len() <= FUTEXES);
    let end = Instant::now().checked_add(timeout);
    let sleeps: io::Result<Vec<_>> =
        words.iter().take(FUTEXES).map(|&(at, expected)| Sleep::new(at, expected)).collect();
    let Ok(sleeps) = sleeps else {
        std::thread::sleep(timeout.min(POLL));
        return WokenOf::Perhaps;
    };
    // One call takes no handle twice.
    let mut handles: Vec<HANDLE> = sleeps.iter().map(|sleep| sleep.event.handle()).collect();
    handles.sort_unstable();
    handles.dedup();
    loop {
        // (1)
        if let Some(index) = sleeps.iter().position(Sleep::has_changed) {
            return WokenOf::One(index);
        }
        let left = end.map_or(SLICE, |end| end.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            return WokenOf::TimedOut;
        }
        let count = handles.len() as u32;
        // SAFETY: that many open handles, which `sleeps` keeps open.
        let woken =
            unsafe { WaitForMultipleObjects(count, handles.as_ptr(), 0, milliseconds(left.min(SLICE))) };
        match woken {
            WAIT_TIMEOUT => {}
            WAIT_FAILED => {
                std::thread::sleep(left.min(POLL));
                return WokenOf::Perhaps;
            }
            index => reset(handles.get((index - WAIT_OBJECT_0) as usize).copied(), &sleeps),
        }
    }
}

/// Resets an event that was found set, unless one of its words has changed.
fn reset(handle: Option<HANDLE>, sleeps: &[Sleep]) {
    let of_it = || sleeps.iter().filter(|sleep| Some(sleep.event.handle()) == handle);
    let Some(first) = of_it().next() else { return };
    if of_it().any(Sleep::has_changed) {
        return;
    }
    first.event.reset();
    // (2)
    if of_it().any(Sleep::has_changed) {
        first.event.set();
    }
}

/// Returns `true` if the word is mapped and has that value.
pub(crate) fn futex_is(at: FutexAt, value: u32) -> bool {
    SleepWord::of(at).load() == Some(value)
}
