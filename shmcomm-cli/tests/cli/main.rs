//! The commands as a user runs them: on a terminal and in a pipe, on live, stale and damaged channels.
//!
//! Each test has a directory of its own for segments. The processes at its channels are this program, with
//! one of the parts in `support`.

mod bad_input;
mod clean;
mod doctor;
mod echo;
mod group;
mod help;
mod measure;
mod python;
mod record;
mod schema;
#[cfg(feature = "tui")]
mod screen;
mod send;
mod snapshots;
mod support;
mod table;
mod view;
mod world;
