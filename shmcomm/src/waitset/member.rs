//! Members of a set, and the reasons that the set reports for their readiness.
//!
//! Owns the traits of members and the causes of readiness. Calls `wait` for the views of ends. Never waits.

use crate::error::Error;
use crate::os;
use crate::wait::{StopHandle, Watch, Word};
use std::sync::Arc;
use std::time::Duration;

/// Everything that can be put into a [`WaitSet`](crate::WaitSet): the receiving ends, calls that wait for their answer,
/// ends that may have to wait for capacity, and a [`StopHandle`]. The implementations document when each of
/// them is ready.
pub trait Waitable: Watchable {}

/// The view of an end for code that waits for it without using it.
pub trait Watchable {
    #[doc(hidden)]
    fn watch(&self) -> Result<Watched, Error>;
}

/// The handle that an end gives to a set.
pub struct Watched {
    pub(super) watch: Arc<dyn Watch>,
    pub(super) cause: Cause,
}

impl Watched {
    pub(crate) fn new(watch: impl Watch + 'static) -> Self {
        Watched::from(Arc::new(watch))
    }

    /// Returns the handle of a condition that can never be met.
    pub(crate) fn over() -> Self {
        struct Over;
        impl Watch for Over {
            fn poll_once(&self) -> bool {
                false
            }
            fn housekeeping(&self) -> bool {
                false
            }
            fn prepare_wait(&self) -> Option<Word> {
                None
            }
            fn max_sleep(&self) -> Duration {
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
        Watched { watch, cause: Cause::Channel }
    }
}

/// Ready while it is stopped, until it is reset: [`Cause::Stopped`]. It stays in the set until it is
/// removed.
impl Waitable for StopHandle {}

impl Watchable for StopHandle {
    fn watch(&self) -> Result<Watched, Error> {
        Ok(Watched { watch: Arc::new(self.clone()), cause: Cause::Stopped })
    }
}

/// The condition to wait for on a file descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interest {
    /// A read would not block.
    Readable,
    /// A write would not block.
    Writable,
    /// Either of the two.
    Both,
}

impl Interest {
    #[cfg_attr(not(unix), allow(dead_code, reason = "file descriptors exist on Unix only"))]
    pub(super) fn wanted(self) -> os::Ready {
        os::Ready { read: self != Interest::Writable, write: self != Interest::Readable }
    }
}

/// A ready member of a [`WaitSet`](crate::WaitSet).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ready<K> {
    /// The key under which the member was put into the set.
    pub key: K,
    /// The reason why it is ready.
    pub cause: Cause,
}

/// The reason why a member of a [`WaitSet`](crate::WaitSet) is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// An end of a channel, or a call, has something to report: use its `try_` method, or `poll`.
    Channel,
    /// A [`StopHandle`](crate::StopHandle) is stopped.
    Stopped,
    /// The time has come this number of times since the last report; more than once if waits came late.
    Timer {
        /// At least 1.
        ticks: u64,
    },
    /// The file descriptor is ready, or broken; then the read or the write reports the error.
    Fd {
        /// A read would not block.
        readable: bool,
        /// A write would not block.
        writable: bool,
    },
}
