//! Users: channels that several users share as members of a group, with processes of other users and of a container.
#![cfg(target_os = "linux")]

mod container;
mod kills;
mod member;
mod refused;
mod shared;
