//! Shared parts of the tests of this package: self-proving messages with their channels, [`Peer`], [`stage`],
//! and the Python environment. A `Peer` is a process that ends with its test; `stage` runs a test program as
//! another process. A folder in `tests/` is one test program with a module for each file. A test has a program to
//! itself if it changes what its whole process shares: the allocator, the logger, functions of the C library.

pub mod canon;
pub mod executor;
mod peer;
mod proof;
pub mod python;
pub mod stage;
pub mod wire;

pub use peer::{Namespace, Peer, namespace, program, remove_queue_locks};
pub use proof::{
    Jobs, Large, LargeFeed, PatientService, Plan, Proof, Service, SharedFeed, SharedLargeFeed, SharedState,
    Small, SmallFeed, State, TailFeed, word,
};
pub use stage::say;

/// The part of a manifest that makes cargo build dependencies as in the workspace.
pub const PROFILE: &str = "[profile.dev]\ndebug = \"line-tables-only\"\n";

/// Returns `target/`, found from the running test: `target/debug/deps/name`. A test that builds a project there finds its
/// dependencies built, if it has [`PROFILE`] in its manifest.
pub fn target_dir() -> std::path::PathBuf {
    let exe = std::env::current_exe().expect("a test knows its own path");
    exe.ancestors().nth(3).map_or_else(std::env::temp_dir, std::path::Path::to_path_buf)
}

/// Compiles the Rust code on the pages for users, and runs it if possible.
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
        messages "../../docs/messages.md",
        settings "../../docs/settings.md",
        publish_subscribe "../../docs/publish-subscribe.md",
        in_place "../../docs/in-place.md",
        queues "../../docs/queues.md",
        operation "../../docs/operation.md",
        python "../../docs/python.md",
        patterns "../../docs/patterns.md",
        waiting "../../docs/waiting.md",
        from_iceoryx2 "../../docs/migrating/from-iceoryx2.md",
        from_zeromq "../../docs/migrating/from-zeromq.md",
        from_shm_comm "../../docs/migrating/from-shm-comm.md",
    }
}
