//! Faults: what happens to ends and segments when processes, files and the system fail.

mod code;
mod directories;
mod escapes;
mod hostile_words;
mod limits;
mod names;
mod refusals;
mod sandbox;
mod scribble;
mod stop;
mod time;
