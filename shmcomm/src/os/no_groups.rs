//! The functions of `groups` on systems where users do not share segments. [`group`] refuses, so the others are not
//! called with a group.

use super::{File, Group, Stat};
use std::io;
use std::path::{Path, PathBuf};

const NO_GROUPS: &str = "users share channels on Linux only";

fn refuse<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::Unsupported, NO_GROUPS))
}

pub(crate) fn group(_name: &str) -> io::Result<Option<Group>> {
    refuse()
}

pub(crate) fn own_group() -> io::Result<Group> {
    refuse()
}

pub(crate) fn is_member(_group: &Group) -> bool {
    false
}

pub(crate) fn is_unmapped(_group: &Group) -> bool {
    false
}

pub(crate) fn share(_file: &File, _group: &Group) -> io::Result<()> {
    refuse()
}

pub(crate) fn is_group_file(_stat: &Stat, _group: &Group) -> Result<(), String> {
    Err(NO_GROUPS.into())
}

pub(crate) fn is_group_dir(_stat: &Stat, _group: &Group) -> Result<(), String> {
    Err(NO_GROUPS.into())
}

pub(crate) fn make_shared_dir(
    _path: &Path,
    _temporary: impl Fn() -> PathBuf,
    _group: &Group,
) -> io::Result<()> {
    refuse()
}

pub(crate) fn remove_empty_dir(_path: &Path) -> io::Result<()> {
    refuse()
}
