//! Names: the valid names of channels, and the file of each name.
//!
//! Owns the mapping between the name of a channel (`sim1/robot/imu`) and one path component
//! (`shmcomm2_sim1%2Frobot%2Fimu`), and [`ChannelPath`], a name together with the directory. Also owns the patterns
//! that select channels by name.
//! Never touches a file.
//!
//! On Windows and macOS a file system takes `imu` and `IMU` for one name, and on Windows it drops a dot at the end. On
//! both systems a capital letter and such a dot have codes too: `Robot/imu.` has the file `shmcomm2_%52obot%2Fimu%2E`.
//!
//! The prefix ends in `_`, while the Python library writes `shmcomm_pub_…`, `shmcomm_req_…`: neither can name
//! a file of the other. No encoded name contains a `~`, so the temporary names of [`ChannelPath::temporary`]
//! belong to no channel.

use super::sharing::Sharing;
use crate::error::{Error, ErrorKind};
use crate::os;
use crate::plural::count;
use std::path::{Path, PathBuf};

/// Prefix of the files of channels.
pub(crate) const PREFIX: &str = "shmcomm2_";
/// Prefix of the files of segments that are about to replace another one.
pub(crate) use crate::os::TEMPORARY;
/// Environment variable with the directory of all segments.
pub(crate) const DIR_VARIABLE: &str = "SHMCOMM_DIR";
/// Largest length of a channel name in bytes, with its namespace.
const MAX_NAME: usize = 200;
/// Largest length of a file name in bytes, on the file systems of all platforms.
const MAX_FILE_NAME: usize = 255;

/// Location of a channel's segment, which may not exist.
#[derive(Clone, Debug)]
pub(crate) struct ChannelPath {
    name: String,
    dir: PathBuf,
    path: PathBuf,
    /// The group of users that share the channel; `None` if it is private.
    sharing: Option<Sharing>,
}

impl ChannelPath {
    /// Returns the place of a private channel with this full name, in the directory of all segments.
    pub(crate) fn new(name: &str) -> Result<Self, Error> {
        Self::within(&dir()?, name)
    }

    /// Returns the place of a channel, private or of a group.
    pub(crate) fn of(name: &str, sharing: Option<&Sharing>) -> Result<Self, Error> {
        match sharing {
            None => Self::new(name),
            Some(sharing) => Self::shared(&dir()?, name, sharing),
        }
    }

    /// Returns the place of a listed channel, private or of the group with this name.
    pub(super) fn listed(name: &str, group: Option<&str>) -> Result<Self, Error> {
        let sharing = group.map(|group| Sharing::named(name, group)).transpose()?;
        Self::of(name, sharing.as_ref())
    }

    pub(crate) fn within(dir: &Path, name: &str) -> Result<Self, Error> {
        let file = encode(name)?;
        Ok(ChannelPath { name: name.to_owned(), path: dir.join(file), dir: dir.to_owned(), sharing: None })
    }

    pub(super) fn shared(base: &Path, name: &str, sharing: &Sharing) -> Result<Self, Error> {
        let place = Self::within(&sharing.dir(base), name)?;
        Ok(ChannelPath { sharing: Some(sharing.clone()), ..place })
    }

    /// Returns the places of the channels of this name in all groups that this process may use.
    pub(super) fn in_groups(name: &str) -> Result<Vec<Self>, Error> {
        let base = dir()?;
        Sharing::all_in(&base).iter().map(|sharing| Self::shared(&base, name, sharing)).collect()
    }

    /// Returns the group of users that share the channel; `None` if it is private.
    pub(crate) fn sharing(&self) -> Option<&Sharing> {
        self.sharing.as_ref()
    }

    /// Returns the channel's full name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the location of another file of this channel.
    pub(super) fn at(&self, path: PathBuf) -> Self {
        ChannelPath { path, ..self.clone() }
    }

    /// Returns a unique name for a segment that is about to replace this one.
    pub(crate) fn temporary(&self) -> PathBuf {
        temporary_in(&self.dir)
    }

    pub(crate) fn error(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        Error::new(kind, self.name.clone(), message)
    }
}

/// Returns a unique name in `dir`, for a segment or a directory that is about to get its own name.
pub(super) fn temporary_in(dir: &Path) -> PathBuf {
    dir.join(format!("{TEMPORARY}{}-{}", os::pid(), os::monotonic()))
}

/// Returns the directory of all segments: `SHMCOMM_DIR` if set, else the default of the system.
pub(crate) fn dir() -> Result<PathBuf, Error> {
    match std::env::var_os(DIR_VARIABLE).filter(|dir| !dir.is_empty()) {
        None => os::default_dir().map_err(|error| {
            let why =
                format!("cannot tell the directory of all segments: {error}; name it in {DIR_VARIABLE}");
            Error::new(ErrorKind::Unsupported, "*", why).with_source(error)
        }),
        Some(dir) if Path::new(&dir).is_absolute() => Ok(PathBuf::from(dir)),
        Some(dir) => Err(Error::new(
            ErrorKind::InvalidName,
            dir.to_string_lossy().into_owned(),
            format!(
                "{DIR_VARIABLE} is {dir:?}, which depends on the current directory; \
                 give it an absolute path, the same in all processes"
            ),
        )),
    }
}

/// Returns `true` if the pattern matches the whole name of a channel. `*` stands for any characters, `/` among them,
/// or for none. Takes time proportional to the lengths of both.
///
/// ```
/// use shmcomm::name_matches;
///
/// assert!(name_matches("robot/*", "robot/arm/imu"));
/// assert!(name_matches("*imu*", "robot/imu"));
/// assert!(!name_matches("imu", "robot/imu"));
/// ```
pub fn name_matches(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    let between = name.strip_prefix(start).and_then(|left| left.strip_suffix(end));
    let Some(mut left) = between else { return false };
    // The first place of each part leaves the most characters to the later parts.
    middle.split('*').all(|part| {
        let behind = left.find(part).map(|at| &left[at + part.len()..]);
        left = behind.unwrap_or_default();
        behind.is_some()
    })
}

const CURE: &str = "it takes 1 to 200 bytes: parts of letters, digits, `_`, `-` and `.`, joined by `/`, \
                    such as `sim1/robot/imu`";

/// Returns the file name of a channel. No two channels have the same file name.
pub(crate) fn encode(name: &str) -> Result<String, Error> {
    encode_for(name, os::FOLDS_NAMES)
}

/// Encodes a name like [`encode`], for a file system that folds names or not.
fn encode_for(name: &str, folds: bool) -> Result<String, Error> {
    let invalid =
        |why: String| Err(Error::new(ErrorKind::InvalidName, name.to_owned(), format!("{why}; {CURE}")));
    if name.is_empty() {
        return invalid("the name is empty".into());
    }
    if name.len() > MAX_NAME {
        return invalid(format!("the name has {}", count(name.len(), "byte")));
    }
    if let Some(odd) = name.chars().find(|&c| !plain(c) && c != '/') {
        return invalid(format!("the name contains {odd:?}"));
    }
    if let Some(part) = name.split('/').find(|part| matches!(*part, "" | "." | "..")) {
        return invalid(match part {
            "" => "the name has an empty part: it starts or ends with `/`, or has `//`".into(),
            part => format!("`{part}` is no part of a name"),
        });
    }
    let (mut file, mut codes) = (PREFIX.to_owned(), 0);
    for (at, c) in name.char_indices() {
        let folded = c.is_ascii_uppercase() || (c == '.' && at + 1 == name.len());
        if c == '/' || (folds && folded) {
            file.push_str(&format!("%{:02X}", u32::from(c)));
            codes += 1;
        } else {
            file.push(c);
        }
    }
    if file.len() > MAX_FILE_NAME {
        let those = if folds { "`/` and capital letters" } else { "`/`" };
        return invalid(format!(
            "the name makes a file name of {}, and {MAX_FILE_NAME} are possible: \
             each of its {codes} {those} takes three",
            count(file.len(), "byte")
        ));
    }
    Ok(file)
}

/// Returns the channel whose file has this name, or `None` if it is not the name of a channel.
pub(crate) fn decode(file: &str) -> Option<String> {
    decode_for(file, os::FOLDS_NAMES)
}

fn decode_for(file: &str, folds: bool) -> Option<String> {
    let mut parts = file.strip_prefix(PREFIX)?.split('%');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        name.push(u8::from_str_radix(code, 16).ok()?.into());
        name.push_str(rest);
    }
    (encode_for(&name, folds).ok()? == file).then_some(name)
}

fn plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_its_file_stand_for_each_other() {
        for name in ["imu", "robot/imu", "sim1/robot/imu", "a-b_c.d/e", "...", "a%2Fb"] {
            match encode(name) {
                Ok(file) => {
                    assert!(!file.contains('/') && file.starts_with(PREFIX));
                    assert_eq!(decode(&file).as_deref(), Some(name));
                }
                Err(error) => assert!(name.contains('%'), "{error}"),
            }
        }
        for foreign in [
            "shmcomm2_",
            "shmcomm2_a%2fb",
            "shmcomm2_%41",
            "shmcomm2_a%2F",
            "shmcomm_pub_a",
            "shmcomm2~1-2",
            "x",
        ] {
            assert_eq!(decode_for(foreign, false), None, "{foreign}");
        }
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name) in [
            ("robot/*", "robot/imu"),
            ("*imu*", "robot/imu"),
            ("*", ""),
            ("**", "x"),
            ("a*b*c", "a-b-b-c"),
            ("x", "x"),
            ("*größe", "a/größe"),
        ] {
            assert!(name_matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("robot/*", "robo/imu"),
            ("imu", "robot/imu"),
            ("a*a", "a"),
            ("*x", "y"),
            ("a*b*b*c", "abc"),
            ("", "x"),
        ] {
            assert!(!name_matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn patterns_match_in_linear_time() {
        let name = "a".repeat(MAX_NAME);
        let pattern = "a*".repeat(MAX_NAME / 2) + "b*c";
        let start = std::time::Instant::now();
        for _ in 0..1000 {
            assert!(!name_matches(&pattern, &name));
            assert!(!name_matches(&pattern.replace('c', ""), &name));
        }
        // A search that tries each place of each part does not end in the time of the universe.
        assert!(start.elapsed() < std::time::Duration::from_secs(60));
    }

    #[test]
    fn names_differ_on_file_systems_that_fold_them() {
        let names = ["imu", "IMU", "Imu", "imu.", "imu..", "...", "Robot/Imu.", "a.b"];
        let mut files = Vec::new();
        for name in names {
            let file = encode_for(name, true).unwrap();
            assert_eq!(decode_for(&file, true).as_deref(), Some(name));
            files.push(file.to_lowercase().trim_end_matches('.').to_owned());
        }
        files.sort();
        files.dedup();
        assert_eq!(files.len(), names.len(), "{files:?}");
        assert_eq!(encode_for("Robot/imu.", true).unwrap(), "shmcomm2_%52obot%2Fimu%2E");
        assert_eq!(decode_for("shmcomm2_IMU", true), None);
        assert_eq!(decode_for("shmcomm2_%49%4D%55", false), None);
        let error = encode_for(&"X".repeat(100), true).unwrap_err().to_string();
        assert!(error.contains("each of its 100 `/` and capital letters takes three"), "{error}");
    }

    #[test]
    fn different_names_have_different_files() {
        let parts = ["a", "b", "a.b", "a-b", "2F", "a2Fb", "_", "-", "pub_a"];
        let mut names: Vec<String> = parts.iter().map(|p| p.to_string()).collect();
        for a in parts {
            for b in parts {
                names.push(format!("{a}/{b}"));
            }
        }
        let mut files: Vec<String> = names.iter().map(|n| encode(n).unwrap()).collect();
        files.sort();
        files.dedup();
        assert_eq!(files.len(), names.len());
    }

    #[test]
    fn bad_names_are_refused_with_the_cure() {
        let long = "x".repeat(300);
        let slashes = vec!["x"; 90].join("/");
        for name in [
            "", "/", "a/", "/a", "a//b", ".", "..", "a/../b", "./a", "a\0b", "a b", "a:b", "a\nb", "größe",
            "a%2Fb", "a~b", "機", &long, &slashes,
        ] {
            let error = encode(name).expect_err(name);
            assert_eq!(error.kind(), ErrorKind::InvalidName);
            assert_eq!(error.channel(), name);
            let text = error.to_string();
            assert!(text.contains("1 to 200 bytes"), "{text}");
        }
        assert!(encode(&long).unwrap_err().to_string().contains("300 bytes"));
        assert!(encode("größe").unwrap_err().to_string().contains('ö'));
        assert!(encode(&"x".repeat(200)).is_ok());
    }
}
