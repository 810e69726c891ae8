//! Groups of users, for files that several users share.
//!
//! Owns the queries of the group database and of the groups of this process, the owner and mode of shared files, and the
//! making of a shared directory. Never opens a file by name, never interprets the contents of a file.

use super::{File, Group, Stat};
use rustix::fs::{CWD, Mode, RenameFlags};
use rustix::io::Errno;
use rustix::process::Gid;
use std::ffi::{CStr, CString};
use std::io;
use std::path::Path;

/// Mode of a shared file: owner and group read and write it.
const FILE: u32 = 0o660;
/// Mode of a shared directory: owner and group list it and change its names, and its files belong to its group.
const DIRECTORY: u32 = 0o2770;
/// Id that the kernel shows for each group that a user namespace does not map (`/proc/sys/kernel/overflowgid`).
const UNMAPPED: u32 = 65534;
/// Largest number of bytes of an entry of the group database.
const MAX_ENTRY: usize = 1 << 20;

/// Returns the group with this name, or with this number. Returns `None` if the system knows no such name.
pub(crate) fn group(name: &str) -> io::Result<Option<Group>> {
    let Ok(text) = CString::new(name) else { return Ok(None) };
    if let Some(group) = entry(&Key::Name(&text))? {
        return Ok(Some(group));
    }
    match name.parse() {
        Ok(id) if id != u32::MAX && name.bytes().all(|byte| byte.is_ascii_digit()) => group_of(id).map(Some),
        _ => Ok(None),
    }
}

/// Returns the effective group of this process.
pub(crate) fn own_group() -> io::Result<Group> {
    group_of(rustix::process::getegid().as_raw())
}

/// Returns the group with this id. A group without an entry in the database has its number as its name.
fn group_of(id: u32) -> io::Result<Group> {
    Ok(entry(&Key::Id(id))?.unwrap_or_else(|| Group { name: id.to_string(), id }))
}

/// Returns `true` if this process is in the group, or is of the superuser.
pub(crate) fn is_member(group: &Group) -> bool {
    rustix::process::geteuid().is_root()
        || rustix::process::getegid().as_raw() == group.id
        || rustix::process::getgroups().is_ok_and(|all| all.iter().any(|gid| gid.as_raw() == group.id))
}

/// Returns `true` if the id stands for all groups that the user namespace of this process does not map.
pub(crate) fn is_unmapped(group: &Group) -> bool {
    group.id == UNMAPPED
}

/// Gives a new file, which has no name yet, to the group: mode 0660, whatever the umask.
pub(crate) fn share(file: &File, group: &Group) -> io::Result<()> {
    if super::stat(file)?.group != group.id {
        rustix::fs::fchown(file, None, Some(Gid::from_raw(group.id)))?;
    }
    Ok(rustix::fs::fchmod(file, Mode::from_raw_mode(FILE))?)
}

/// Checks that members of the group, and no other users, read and write a file. Otherwise returns a text such as
/// "belongs to group 100, …".
pub(crate) fn is_group_file(stat: &Stat, group: &Group) -> Result<(), String> {
    let Group { name, id } = group;
    if stat.group != *id {
        return Err(format!(
            "belongs to group {}, and the channel is of group `{name}` ({id}): `chgrp {name}` it, or delete it",
            stat.group
        ));
    }
    if stat.mode & 0o777 != FILE {
        return Err(format!(
            "has mode {:04o}, and the segments of group `{name}` have mode 0660: `chmod 660` it if you trust what is in \
             it, or delete it",
            stat.mode
        ));
    }
    Ok(())
}

/// Checks that members of the group, and no other users, change the names in a directory. Otherwise returns a text like
/// [`is_group_file`].
pub(crate) fn is_group_dir(stat: &Stat, group: &Group) -> Result<(), String> {
    let Group { name, id } = group;
    if stat.kind != super::FileKind::Directory {
        return Err(format!("is a {}, and not the directory of group `{name}`: remove it", stat.kind.name()));
    }
    if (stat.group, stat.mode) == (*id, DIRECTORY) {
        return Ok(());
    }
    Err(format!(
        "belongs to user {} and group {} with mode {:04o}, and the directory of group `{name}` has group {id} and mode \
         2770: remove it, or, as root, `chgrp {name}` and `chmod 2770` it",
        stat.owner, stat.group, stat.mode
    ))
}

/// Makes the directory `path` of the group, which is complete when it gets its name. Does nothing if the name exists by
/// then. `temporary` returns a free name beside it.
pub(crate) fn make_shared_dir(
    path: &Path,
    temporary: impl Fn() -> std::path::PathBuf,
    group: &Group,
) -> io::Result<()> {
    let mut attempts = 100;
    loop {
        let fresh = temporary();
        rustix::fs::mkdir(&fresh, Mode::RWXU)?;
        let made = complete(&fresh, group).and_then(|()| name_dir(&fresh, path));
        if made.is_err() {
            let _ = rustix::fs::rmdir(&fresh);
        }
        attempts -= 1;
        match made {
            Ok(()) | Err(Errno::EXIST | Errno::NOTEMPTY) => return Ok(()),
            // Another process took it for the leftover of a dead one, and removed it.
            Err(Errno::NOENT) if attempts > 0 => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn complete(fresh: &Path, group: &Group) -> rustix::io::Result<()> {
    rustix::fs::chown(fresh, None, Some(Gid::from_raw(group.id)))?;
    // After the change of the group, which may clear the bit for the group of new files.
    rustix::fs::chmod(fresh, Mode::from_raw_mode(DIRECTORY))
}

fn name_dir(fresh: &Path, path: &Path) -> rustix::io::Result<()> {
    match rustix::fs::renameat_with(CWD, fresh, CWD, path, RenameFlags::NOREPLACE) {
        // This file system replaces always. It replaces only an empty directory, of the same user in `/dev/shm`.
        Err(Errno::INVAL | Errno::NOSYS) => rustix::fs::rename(fresh, path),
        result => result,
    }
}

/// Removes a directory of this user, if it is empty.
pub(crate) fn remove_empty_dir(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::rmdir(path)?)
}

enum Key<'k> {
    Name(&'k CStr),
    Id(u32),
}

/// Returns an entry of the group database.
fn entry(key: &Key) -> io::Result<Option<Group>> {
    let mut buffer = vec![0_u8; 1024];
    loop {
        // SAFETY: null pointers and zero are valid values of every field.
        let mut found: libc::group = unsafe { std::mem::zeroed() };
        let mut result = std::ptr::null_mut();
        let (at, len) = (buffer.as_mut_ptr().cast(), buffer.len());
        let code = match key {
            // SAFETY: the name ends with zero, `at` has `len` bytes, and all of them outlive the call.
            Key::Name(name) => unsafe {
                libc::getgrnam_r(name.as_ptr(), &raw mut found, at, len, &raw mut result)
            },
            // SAFETY: `at` has `len` bytes, and all pointers outlive the call.
            Key::Id(id) => unsafe { libc::getgrgid_r(*id, &raw mut found, at, len, &raw mut result) },
        };
        if code == libc::ERANGE && len < MAX_ENTRY {
            buffer.resize(len * 2, 0);
            continue;
        }
        if result.is_null() {
            // Some of these numbers are of databases that have no such entry: `man 3 getgrnam`.
            let missing = matches!(code, 0 | libc::ENOENT | libc::ESRCH | libc::EBADF | libc::EPERM);
            return if missing { Ok(None) } else { Err(io::Error::from_raw_os_error(code)) };
        }
        // SAFETY: the call has set the name to text in `buffer` that ends with zero.
        let name = unsafe { CStr::from_ptr(found.gr_name) };
        return Ok(Some(Group { name: name.to_string_lossy().into_owned(), id: found.gr_gid }));
    }
}
