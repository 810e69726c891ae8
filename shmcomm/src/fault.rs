//! Places at which a process may die, and the steps of the models there.
//!
//! Owns `fault_point!`, which names an instant between two steps of a protocol, and the switch to
//! the known-wrong variants (`SHMCOMM_MUTANT`) that the models and the torture have to refute. Both are
//! nothing at all in a normal build: `fault_point!` expands to `()`, and [`mutant`] is constantly `false`.
//!
//! * Under `cfg(loom)` a thread that runs in `crash_at` stops at the point it was told, as if
//!   killed: nothing that it holds is given back.
//! * Under `cfg(shmcomm_fault)` a process does at its points what `SHMCOMM_FAULT` says, such as
//!   `pub.claimed=kill@3;*=yield%10`: see `plan` for the grammar.
//!
//! Names are `area.step`, the step in the past: it has been made, and nothing after it. The points of
//! an area are in the order of the protocol that the area's module describes. Names in `model.` are
//! of the models alone. `cargo xtask faults` lists all of them, from the sources.

/// Names an instant at which a process may die.
macro_rules! fault_point {
    ($name:literal) => {{
        #[cfg(loom)]
        $crate::fault::reached($name);
        #[cfg(all(shmcomm_fault, not(loom)))]
        {
            static POINT: $crate::fault::Point = $crate::fault::Point::new($name);
            POINT.reached();
        }
    }};
}
pub(crate) use fault_point;

use crate::sync::Ordering;

#[cfg(all(shmcomm_fault, not(loom)))]
mod plan;
#[cfg(all(shmcomm_fault, not(loom)))]
pub(crate) use plan::Point;
#[cfg(all(shmcomm_fault, not(loom)))]
pub use plan::{Action, arm, observe};

/// True in the known-wrong variant of that name.
#[cfg(not(any(loom, shmcomm_fault)))]
#[inline(always)]
pub(crate) const fn mutant(_name: &str) -> bool {
    false
}

/// True in the known-wrong variant that `SHMCOMM_MUTANT` names.
#[cfg(any(loom, shmcomm_fault))]
pub(crate) fn mutant(name: &str) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    CHOSEN.get_or_init(|| std::env::var("SHMCOMM_MUTANT").ok()).as_deref() == Some(name)
}

/// `ordering`, but `Relaxed` in the known-wrong variant of that name.
#[inline(always)]
pub(crate) fn weak(name: &str, ordering: Ordering) -> Ordering {
    if mutant(name) { Ordering::Relaxed } else { ordering }
}

#[cfg(loom)]
pub(crate) use model::*;

#[cfg(loom)]
mod model {
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    loom::thread_local! {
        /// Points that this thread still passes before it dies; negative: it lives on.
        static LEFT: Cell<i64> = Cell::new(-1);
    }

    struct Killed;

    /// Runs `life` until its `point`-th fault point, or to its end: then `Some`.
    pub(crate) fn crash_at<T>(point: u32, life: impl FnOnce() -> T) -> Option<T> {
        LEFT.with(|left| left.set(point.into()));
        let outcome = catch_unwind(AssertUnwindSafe(life));
        LEFT.with(|left| left.set(-1));
        match outcome {
            Ok(value) => Some(value),
            Err(panic) if panic.is::<Killed>() => None,
            Err(panic) => resume_unwind(panic),
        }
    }

    pub(crate) fn reached(_name: &str) {
        let killed = LEFT.with(|left| {
            let now = left.get();
            if now >= 0 {
                left.set(now - 1);
            }
            now == 0
        });
        if killed {
            resume_unwind(Box::new(Killed));
        }
    }

    /// Returns `true` while this thread is being killed. Then no destructor may release anything.
    pub(crate) fn dying() -> bool {
        std::thread::panicking()
    }
}

#[cfg(not(loom))]
#[inline(always)]
pub(crate) const fn dying() -> bool {
    false
}
