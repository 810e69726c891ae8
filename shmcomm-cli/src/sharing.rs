//! `--group` and `--mode`: the users that share the channel of a command.
//!
//! Owns the two options. Calls the library for the channel of a group. Never changes a channel that exists.

use crate::failure::Failure;
use clap::Args;
use shmcomm::{Declaration, ErrorKind};

/// Mode of a channel of one user.
const PRIVATE: u32 = 0o600;
/// Mode of a channel that a group shares.
const SHARED: u32 = 0o660;

/// Options of commands that open an end of a channel.
#[derive(Args, Debug, Default)]
pub struct Sharing {
    /// Takes the channel of this group of users, or creates it for the group
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// Mode of the channel: 660 is shared with --group or with the own group, 600 is private
    #[arg(long, value_name = "MODE", value_parser = mode)]
    mode: Option<u32>,
}

fn mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode @ (PRIVATE | SHARED)) => Ok(mode),
        _ => Err("expected 660, for the own user and a group, or 600, for the own user alone".into()),
    }
}

impl Sharing {
    /// Returns the group that shares the channel: `None` if no option says it, `Some("")` if the channel is private.
    fn wanted(&self) -> Result<Option<String>, Failure> {
        match (&self.group, self.mode) {
            (None, None) => Ok(None),
            (None, Some(SHARED)) => own_group().map(Some),
            (None, Some(_)) => Ok(Some(String::new())),
            (Some(group), None | Some(SHARED)) => Ok(Some(group.clone())),
            (Some(group), Some(_)) => Err(Failure::Failed(format!(
                "--mode 600 is private, and --group shares the channel with `{group}`; take --mode 660, or leave out one of \
                 both"
            ))),
        }
    }

    /// Returns the declaration of the channel of the wanted group, by its full name; `None` if no group is wanted, or if
    /// the group has no such channel.
    pub fn existing(&self, channel: &str) -> Result<Option<Declaration>, Failure> {
        let Some(group) = self.wanted()?.filter(|group| !group.is_empty()) else { return Ok(None) };
        match shmcomm::describe_in_group(channel, &group) {
            Ok(what) => Ok(Some(Declaration::from(&what))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns `true` if the channel of a group is wanted, and no private one.
    pub fn is_shared(&self) -> Result<bool, Failure> {
        Ok(self.wanted()?.is_some_and(|group| !group.is_empty()))
    }

    /// Gives the declaration of a new channel the wanted group, or none.
    pub fn apply(&self, declaration: Declaration) -> Result<Declaration, Failure> {
        Ok(match self.wanted()? {
            Some(group) => declaration.group(group),
            None => declaration,
        })
    }
}

#[cfg(target_os = "linux")]
fn own_group() -> Result<String, Failure> {
    Ok(rustix::process::getegid().as_raw().to_string())
}

#[cfg(not(target_os = "linux"))]
fn own_group() -> Result<String, Failure> {
    Err(Failure::Failed("channels of a group exist on Linux only; leave out --mode 660".into()))
}
