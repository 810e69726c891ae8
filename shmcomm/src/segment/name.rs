//! Names: what a channel may be called, and the file that stands for it.
//!
//! Owns the mapping between the name of a channel (`sim1/robot/imu`) and one path component
//! (`shmcomm2_sim1%2Frobot%2Fimu`), and [`Place`], a name together with the directory.
//! Never touches a file.
//!
//! The prefix ends in `_` where the Python library writes `shmcomm_pub_…`, `shmcomm_req_…`: neither
//! can name a file of the other. No encoded name holds a `~`, so the temporary names of
//! [`Place::temporary`] stand for no channel.

use crate::os;
use crate::{Error, ErrorKind};
use std::path::{Path, PathBuf};

/// What the files of channels start with.
pub(crate) const PREFIX: &str = "shmcomm2_";
/// What the files of segments start with that are on their way to replace another one.
pub(crate) const TEMPORARY: &str = "shmcomm2~";
/// Environment variable with the directory of all segments.
pub(crate) const DIR_VARIABLE: &str = "SHMCOMM_DIR";
/// Most bytes of a channel's name, namespace included.
const MAX_NAME: usize = 200;
/// Most bytes of a file's name, on every Linux file system.
const MAX_FILE_NAME: usize = 255;

/// Where the segment of a channel is, or would be.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    name: String,
    dir: PathBuf,
    path: PathBuf,
}

impl Place {
    /// Of a channel's full name, in the directory of all segments.
    pub(crate) fn new(name: &str) -> Result<Self, Error> {
        Self::within(&dir()?, name)
    }

    pub(crate) fn within(dir: &Path, name: &str) -> Result<Self, Error> {
        let file = encode(name)?;
        Ok(Place { name: name.to_owned(), path: dir.join(file), dir: dir.to_owned() })
    }

    /// The channel's full name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A name that nobody else uses, for a segment that is about to replace this one.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.dir.join(format!("{TEMPORARY}{}-{}", os::pid(), os::monotonic()))
    }

    pub(crate) fn error(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        Error::new(kind, self.name.clone(), message)
    }
}

/// The directory of all segments: `SHMCOMM_DIR` if set, else that of the system.
pub(crate) fn dir() -> Result<PathBuf, Error> {
    match std::env::var_os(DIR_VARIABLE).filter(|dir| !dir.is_empty()) {
        None => Ok(PathBuf::from(os::DEFAULT_DIR)),
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

const CURE: &str = "it takes 1 to 200 bytes: parts of letters, digits, `_`, `-` and `.`, joined by `/`, \
                    such as `sim1/robot/imu`";

/// The file name of a channel. No two channels have the same one.
pub(crate) fn encode(name: &str) -> Result<String, Error> {
    let invalid =
        |why: String| Err(Error::new(ErrorKind::InvalidName, name.to_owned(), format!("{why}; {CURE}")));
    if name.is_empty() {
        return invalid("the name is empty".into());
    }
    if name.len() > MAX_NAME {
        return invalid(format!("the name has {} bytes", name.len()));
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
    let file = format!("{PREFIX}{}", name.replace('/', "%2F"));
    if file.len() > MAX_FILE_NAME {
        let slashes = name.matches('/').count();
        return invalid(format!(
            "the name makes a file name of {} bytes, and {MAX_FILE_NAME} are possible: \
             each of its {slashes} `/` takes three",
            file.len()
        ));
    }
    Ok(file)
}

/// The channel whose file has this name; nothing if it is the name of no channel.
pub(crate) fn decode(file: &str) -> Option<String> {
    let name = file.strip_prefix(PREFIX)?.replace("%2F", "/");
    (encode(&name).ok()? == file).then_some(name)
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
            assert_eq!(decode(foreign), None, "{foreign}");
        }
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
