//! What the tests of this package share: self-proving messages on their channels, [`Peer`], a process
//! that is ended with its test, [`stage`], where a test program plays other processes,
//! and the Python environment. Each test is a file in `tests/`.

mod peer;
mod proof;
pub mod python;
pub mod stage;

pub use peer::{Namespace, Peer, namespace};
pub use proof::{
    Jobs, Large, LargeFeed, PatientService, Proof, Service, SharedFeed, SharedLargeFeed, Small, SmallFeed,
    TailFeed, word,
};
pub use stage::say;

/// The Rust code on the pages for users compiles, and what can run runs.
#[cfg(doctest)]
mod pages {
    macro_rules! pages {
        ($($name:ident $path:literal),* $(,)?) => {
            $(#[doc = include_str!($path)] mod $name {})*
        };
    }
    pages! {
        readme "../../README.md",
        getting_started "../../docs/getting-started.md",
        channels "../../docs/channels.md",
        python "../../docs/python.md",
        patterns "../../docs/patterns.md",
        waiting "../../docs/waiting.md",
    }
}
