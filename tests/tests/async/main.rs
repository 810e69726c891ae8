//! Ends in tasks.

mod ends;
mod evolution;
mod process;
mod streams;
mod tables;
