//! The ends of each pattern, within a process and across processes.

// The files of Python's library are a part of both.
#[cfg(unix)]
mod changed_struct;
#[cfg(unix)]
mod cleanup;
mod commands;
mod differential;
mod dynamic;
mod encoded;
mod expect;
mod generic;
mod inline;
// Measures the free bytes by a system call of Unix.
#[cfg(unix)]
mod large;
mod observer;
mod participants;
mod publishers;
mod pubsub;
mod pushpull;
#[cfg(unix)]
mod records;
mod reliable;
// Windows does not remove the file of a live segment.
#[cfg(unix)]
mod removed_name;
mod reqrep;
mod samples;
#[cfg(unix)]
mod settings;
mod stop;
// Signals stop the processes.
#[cfg(unix)]
mod stop_process;
mod typed;
mod waitset;
