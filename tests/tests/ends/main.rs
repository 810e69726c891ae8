//! The ends of each pattern, within a process and across processes.

mod changed_struct;
mod cleanup;
mod commands;
mod differential;
mod dynamic;
mod dynamic_queues;
mod encoded;
mod expect;
mod generic;
// On Windows the slots of publish/subscribe do not grow, and the helpers are shared.
#[cfg(not(windows))]
mod growth;
#[cfg(not(windows))]
mod growth_queues;
#[cfg(not(windows))]
mod growth_waits;
mod in_place;
mod inline;
// Measures the free bytes by a system call of Unix.
#[cfg(unix)]
mod large;
mod observer;
mod participants;
mod publishers;
mod pubsub;
mod pushpull;
mod records;
mod reliable;
// Windows does not remove the file of a live segment.
#[cfg(unix)]
mod removed_name;
mod reqrep;
mod samples;
mod settings;
mod sizes;
mod stop;
// Signals stop the processes.
#[cfg(unix)]
mod stop_process;
mod streams;
mod table;
mod typed;
mod waitset;
