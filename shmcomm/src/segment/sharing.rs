//! [`Sharing`]: the group of users whose processes share a channel, and the place of its segment.
//!
//! Owns the directory of a group, and the checks of owner and mode of what is in it. Calls `os` for groups and modes.
//! Never maps a segment, never takes a lock.
//!
//! ```text
//!    /dev/shm                      mode 1777: all users
//!    ├── shmcomm2_robot%2Fimu      mode 0600: the private channel `robot/imu` of a user
//!    ├── shmcomm.robots/           mode 2770, group robots: made by its first member
//!    │   └── shmcomm2_robot%2Fimu  mode 0660, group robots: the group's channel `robot/imu`
//!    └── shmcomm2~77-1234          a directory that is about to get its name
//! ```
//!
//! # Rules
//!
//! 1. A channel is private, or of one group. The end says which, before it searches for a file: an end without a group
//!    never searches the directory of a group, and an end with one searches no other place. So no member can block or
//!    divert an end of a private channel. Only tools and dynamic ends, which are told no group, take the channel of a
//!    group if there is no private one of the name.
//! 2. A member of the group makes its directory: under a temporary name, with group and mode, then renamed. A name never
//!    refers to an incomplete directory. The directory stays. A process uses it only if its group and mode are exact.
//!    Another user can take the name first. The channels of the group then fail with an error, and no data is lost:
//!    only a member can give a file to the group.
//! 3. A segment gets its group and mode 0660 by `fchown` and `fchmod` while it has no name. The umask has no effect, and
//!    no process sees it otherwise. A file is opened without O_CREAT: in a sticky directory `fs.protected_regular`
//!    refuses O_CREAT for the files of other users.
//! 4. A file in the directory is checked with `fstat` after it was opened, before it is read: a regular file, of the
//!    group, mode 0660. The owner is not checked, because any member may have made it. The users of a container have
//!    other numbers there, and an owner without a number is shown as 65534.
//! 5. Any member removes and replaces any file of the directory, of any owner: the directory is not sticky. So the
//!    last participant, a successor and a clean-up work as in a private channel.
//! 6. Liveness is a lock of an open file, and a sleep is a futex of a shared mapping. Both work between users. A pid does
//!    not: no process opens the files of another user's process, so there are no forwarding files for the channels of a
//!    group. A channel whose file was removed by hand gets no name again.
//! 7. The group is found by its name: the directory has the name in it, and the file the id. So containers that map the
//!    id to another one share the channel, if the group has one name in all of them.

use crate::error::{Error, ErrorKind};
use crate::os::{self, File, Group, Stat};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Prefix of the directories of groups.
const PREFIX: &str = "shmcomm.";
/// Mode of the segments of a group.
const SHARED: u32 = 0o660;
/// Mode of private segments.
const PRIVATE: u32 = 0o600;

/// The group of users that share a channel.
#[derive(Clone, Debug)]
pub(crate) struct Sharing(Arc<Group>);

impl Sharing {
    /// Returns the sharing that a program asks for with a group, a mode or both; `None` for a private channel.
    pub(crate) fn wanted(
        channel: &str,
        group: Option<&str>,
        mode: Option<u32>,
    ) -> Result<Option<Self>, Error> {
        match (group, mode) {
            (None, None | Some(PRIVATE)) => Ok(None),
            (Some(group), None | Some(SHARED)) => Self::named(channel, group).map(Some),
            (None, Some(SHARED)) => {
                let group = os::own_group().map_err(|error| unknown(channel, "of this process", error))?;
                Self::checked(channel, group).map(Some)
            }
            (_, Some(mode)) => Err(wrong_mode(channel, group, mode)),
        }
    }

    /// Returns the sharing of the group with this name or number.
    pub(crate) fn named(channel: &str, name: &str) -> Result<Self, Error> {
        match os::group(name) {
            Ok(Some(group)) => Self::checked(channel, group),
            Ok(None) => Err(Error::new(
                ErrorKind::Permission,
                channel.to_owned(),
                format!(
                    "the system knows no group {name:?}; take a group of `getent group`, or make it with `groupadd`, in \
                     each container too"
                ),
            )),
            Err(error) => Err(unknown(channel, &format!("{name:?}"), error)),
        }
    }

    fn checked(channel: &str, group: Group) -> Result<Self, Error> {
        let refuse = |why| Err(Error::new(ErrorKind::Permission, channel.to_owned(), why));
        let Group { name, id } = &group;
        if os::is_unmapped(&group) {
            return refuse(format!(
                "group `{name}` has id {id}, which also stands for all groups that a container does not map; take \
                 another group, or map this one (`/proc/self/gid_map`)"
            ));
        }
        if !os::is_member(&group) {
            return refuse(format!(
                "user {} is not a member of group `{name}` ({id}); add it (`usermod -aG {name} USER`) and start the \
                 program in a new session, or start it with `sg {name}`",
                os::user()
            ));
        }
        Ok(Sharing(Arc::new(group)))
    }

    /// Returns the name of the group.
    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns the directory of the group in `base`, the directory of all segments.
    pub(super) fn dir(&self, base: &Path) -> PathBuf {
        base.join(encode(self.name()))
    }

    /// Returns `true` if the group has its directory, and `false` if no member has made it yet.
    pub(super) fn has_dir(&self, channel: &str, dir: &Path) -> Result<bool, Error> {
        let stat = match os::stat_path(dir) {
            Ok(stat) => stat,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(self.refused(channel, dir, "examine", error)),
        };
        os::is_group_dir(&stat, &self.0).map(|()| true).map_err(|why| {
            let message = format!("{} {why}", dir.display());
            Error::new(ErrorKind::Permission, channel.to_owned(), message)
        })
    }

    /// Makes the directory of the group, if there is none.
    pub(super) fn make_dir(
        &self,
        channel: &str,
        dir: &Path,
        temporary: impl Fn(&Path) -> PathBuf,
    ) -> Result<(), Error> {
        if self.has_dir(channel, dir)? {
            return Ok(());
        }
        let base = dir.parent().unwrap_or(dir);
        os::make_shared_dir(dir, || temporary(base), &self.0)
            .map_err(|error| self.refused(channel, dir, "make", error))?;
        self.has_dir(channel, dir).map(drop)
    }

    fn refused(&self, channel: &str, dir: &Path, verb: &str, error: io::Error) -> Error {
        let kind = match error.kind() {
            io::ErrorKind::PermissionDenied => ErrorKind::Permission,
            _ => ErrorKind::Os,
        };
        let why = format!("cannot {verb} the directory {}: {error}{}", dir.display(), self.cure(dir));
        Error::new(kind, channel.to_owned(), why).with_source(error)
    }

    /// Returns the cure for a refused access to the directory, or to a file in it: words that follow a semicolon.
    pub(super) fn cure(&self, dir: &Path) -> String {
        let base = dir.parent().unwrap_or(dir).display();
        format!(
            "; user {} uses it as a member of group `{}`: let the group's members pass {base} and the directories above, \
             and make files in {base} (`/dev/shm` has mode 1777)",
            os::user(),
            self.name(),
        )
    }

    /// Gives a new file, which has no name yet, to the group.
    pub(super) fn share(&self, file: &File) -> io::Result<()> {
        os::share(file, &self.0)
    }

    /// Checks that a file is the group's. Otherwise returns a text such as "belongs to group 100, …".
    pub(super) fn check(&self, stat: &Stat) -> Result<(), String> {
        os::is_group_file(stat, &self.0)
    }

    /// Returns the groups with a directory in `base` that this process may use, sorted by name.
    pub(super) fn all_in(base: &Path) -> Vec<Sharing> {
        let mut names: Vec<_> =
            os::list(base).unwrap_or_default().iter().filter_map(|file| decode(file)).collect();
        names.sort();
        let usable = |name: &String| {
            let sharing = Self::named("*", name).ok().filter(|sharing| sharing.name() == name)?;
            sharing.has_dir("*", &sharing.dir(base)).is_ok_and(|has| has).then_some(sharing)
        };
        names.iter().filter_map(usable).collect()
    }
}

fn unknown(channel: &str, group: &str, error: io::Error) -> Error {
    let (kind, cure) = match error.kind() {
        io::ErrorKind::Unsupported => {
            (ErrorKind::Unsupported, "; start both ends as one user, and open them without a group")
        }
        _ => (ErrorKind::Os, ""),
    };
    let why = format!("cannot look up the group {group}: {error}{cure}");
    Error::new(kind, channel.to_owned(), why).with_source(error)
}

fn wrong_mode(channel: &str, group: Option<&str>, mode: u32) -> Error {
    let why = if mode & 0o007 != 0 {
        "it has bits for all other users, who can never open a channel"
    } else if mode & 0o600 != 0o600 {
        "it lacks bits of the own user, who reads and writes the segment"
    } else if mode & !SHARED != 0 {
        "it has bits other than those to read and to write"
    } else {
        // A subscriber takes a seat and writes its counters.
        "it lacks bits of the group, whose members read and write the segment, also to receive"
    };
    let with = group.map_or(String::new(), |group| format!(" with group {group:?}"));
    let why =
        format!("the mode {mode:#05o}{with} cannot be used: {why}; take 0o660, or 0o600 without a group");
    Error::new(ErrorKind::Permission, channel.to_owned(), why)
}

/// Returns the name of a group's directory. No two groups have the same.
fn encode(group: &str) -> String {
    let mut file = PREFIX.to_owned();
    for byte in group.bytes() {
        if plain(byte) {
            file.push(byte.into());
        } else {
            file.push_str(&format!("%{byte:02X}"));
        }
    }
    file
}

/// Returns the group whose directory has this name, or `None` if it is not the name of one.
fn decode(file: &str) -> Option<String> {
    let mut parts = file.strip_prefix(PREFIX)?.split('%');
    let mut name = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        name.push(u8::from_str_radix(code, 16).ok()?);
        name.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(name).ok().filter(|name| !name.is_empty() && encode(name) == file)
}

fn plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_and_its_directory_stand_for_each_other() {
        for name in ["robots", "domain users@corp", "a/b", "größe", "..", "%41"] {
            let file = encode(name);
            assert!(!file.contains('/') && file.is_ascii(), "{file}");
            assert_eq!(decode(&file).as_deref(), Some(name));
        }
        assert_eq!(encode("domain users"), "shmcomm.domain%20users");
        for foreign in ["shmcomm.", "shmcomm.%4", "shmcomm.%61", "shmcomm.%e4", "shmcomm2_a", "shmcomm.a b"] {
            assert_eq!(decode(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn modes_other_than_two_are_refused_with_the_cure() {
        for (group, mode, why) in [
            (None, 0o666, "bits for all other users"),
            (Some("users"), 0o664, "bits for all other users"),
            (None, 0o060, "bits of the own user"),
            (Some("users"), 0o600, "bits of the group"),
            (None, 0o640, "bits of the group"),
            (None, 0o770, "bits other than"),
            (None, 0o4660, "bits other than"),
        ] {
            let error = Sharing::wanted("imu", group, Some(mode)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Permission);
            let text = error.to_string();
            assert!(text.contains(why) && text.contains(&format!("{mode:#05o}")), "{text}");
            assert!(text.contains("take 0o660"), "{text}");
        }
        assert!(Sharing::wanted("imu", None, Some(0o600)).unwrap().is_none());
    }

    #[cfg(all(target_os = "linux", not(shmcomm_macos)))]
    #[test]
    fn unknown_group_is_an_error_with_the_cure() {
        for name in ["no-such-group-of-shmcomm", "", "4294967295", "-1", "a\0b"] {
            let error = Sharing::named("imu", name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Permission, "{error}");
            assert!(error.to_string().contains("getent group"), "{error}");
        }
        let error = Sharing::named("imu", "65534").unwrap_err().to_string();
        assert!(error.contains("does not map"), "{error}");
    }

    #[cfg(not(all(target_os = "linux", not(shmcomm_macos))))]
    #[test]
    fn groups_are_refused_on_this_system() {
        let error = Sharing::named("imu", "users").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("on Linux only"), "{error}");
    }
}
