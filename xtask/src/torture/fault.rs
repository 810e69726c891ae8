//! The library's fault plan, if it was built in.
//!
//! Owns no state. Without `--cfg shmcomm_fault`, no plan can be followed, and every worker reports that. This
//! is the case when all features of the workspace are checked at once.

#[cfg(shmcomm_fault)]
pub use shmcomm::__private::fault::{Action, arm, observe};

#[cfg(not(shmcomm_fault))]
pub use absent::{Action, arm, observe};

#[cfg(not(shmcomm_fault))]
mod absent {
    use std::time::Duration;

    #[allow(dead_code, reason = "nothing is ever done")]
    #[derive(Clone, Copy)]
    pub enum Action {
        Kill,
        Abort,
        Stop,
        Yield,
        Sleep(Duration),
        Panic,
    }

    pub fn arm(_: &str) -> Result<(), String> {
        Err("there are no fault points in this build; start it with `cargo xtask torture`".to_owned())
    }

    pub fn observe(_: fn(&'static str, Option<Action>)) {}
}
