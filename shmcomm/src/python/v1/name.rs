//! Names: the channel names that Python can use, and the files of each name.
//!
//! Owns [`name_problem`] and [`SegmentPaths`]. Never touches a file.

use crate::error::{Error, ErrorKind};
use crate::layout::v1::Kind;
use crate::os;
use std::path::{Path, PathBuf};

/// Largest length in bytes of a name whose file has a prefix of 12 bytes (`shmcomm_pub_`): 255 are possible.
const MAX_NAME: usize = 243;
/// Largest length in bytes of a queue's name: its lock file is called `shmcomm_shmcomm_push_NAME.lock`.
const MAX_PUSH_NAME: usize = 229;

/// Returns the reason why Python could not use a channel of this name, or `None` if it can. For checks at
/// compile time: every constructor of this module checks the same.
///
/// ```
/// const _: () = assert!(shmcomm::python::name_problem("arm.pose_2").is_none());
/// assert!(shmcomm::python::name_problem("robot/pose").unwrap().contains('/'));
/// ```
pub const fn name_problem(name: &str) -> Option<&'static str> {
    let bytes = name.as_bytes();
    if bytes.is_empty() {
        return Some("it is empty");
    }
    if bytes.len() > MAX_NAME {
        return Some("it has more than 243 bytes, and with its prefix no file name has room for it");
    }
    let mut i = 0;
    while i < bytes.len() {
        match bytes[i] {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-' => {}
            b'/' => return Some("it contains a `/`, which Python's shared memory refuses in a name"),
            b':' | b'\n' => {
                return Some("it contains a `:` or a line break, which breaks Python's resource tracker");
            }
            b if !b.is_ascii() => {
                return Some("it is not ASCII, which breaks Python's resource tracker");
            }
            _ => return Some("it contains something else than letters, digits, `_`, `.` and `-`"),
        }
        i += 1;
    }
    None
}

/// Returns the reason why Python could not use a queue of this name: its lock file leaves room for fewer
/// bytes.
pub(crate) const fn queue_name_problem(name: &str) -> Option<&'static str> {
    if name.len() > MAX_PUSH_NAME && name.len() <= MAX_NAME {
        return Some("it has more than 229 bytes, and Python's lock file of a queue has no room for it");
    }
    name_problem(name)
}

/// A channel's segment of one kind, by name.
#[derive(Clone, Debug)]
pub(in crate::python) struct SegmentPaths {
    name: String,
    kind: Kind,
    dir: PathBuf,
    path: PathBuf,
    hidden: PathBuf,
}

impl SegmentPaths {
    pub(in crate::python) fn new(kind: Kind, name: &str) -> Result<Self, Error> {
        let problem = if kind == Kind::Push { queue_name_problem(name) } else { name_problem(name) };
        if let Some(why) = problem {
            let most = if kind == Kind::Push { MAX_PUSH_NAME } else { MAX_NAME };
            return Err(Error::new(
                ErrorKind::InvalidName,
                name.to_owned(),
                format!(
                    "a Python process cannot use this name: {why}; \
                     it takes 1 to {most} letters, digits, `_`, `.` and `-`"
                ),
            ));
        }
        // Python uses no other directory.
        let dir = os::python_dir().map_err(|error| {
            let why = format!("channels with Python are not possible here: {error}");
            Error::new(ErrorKind::Unsupported, name.to_owned(), why).with_source(error)
        })?;
        Ok(SegmentPaths {
            name: name.to_owned(),
            kind,
            path: dir.join(kind.file(name)),
            hidden: dir.join(kind.hidden(name)),
            dir,
        })
    }

    /// Returns the place of one of the sessions of a service.
    pub(in crate::python) fn of_session(kind: Kind, name: &str, session: u32) -> Result<Self, Error> {
        let place = Self::new(kind, name)?;
        let hidden = place.dir().join(kind.hidden_in_session(name, session));
        Ok(SegmentPaths { hidden, ..place })
    }

    pub(in crate::python) fn name(&self) -> &str {
        &self.name
    }

    pub(in crate::python) fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the path that Python uses.
    pub(in crate::python) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the second name, which no resource tracker removes.
    pub(in crate::python) fn hidden(&self) -> &Path {
        &self.hidden
    }

    /// Returns the name under which a file is examined before Python's name of it is removed.
    pub(in crate::python) fn aside(&self) -> PathBuf {
        let mut aside = self.hidden.clone().into_os_string();
        aside.push("~aside");
        aside.into()
    }

    pub(in crate::python) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(in crate::python) fn error(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        Error::new(kind, self.name.clone(), message)
    }

    /// Converts an error of the operating system into an error with its cause and cure.
    pub(in crate::python) fn system(&self, verb: &str, error: std::io::Error) -> Error {
        let (kind, cure) = crate::segment::explain(&self.dir, &self.path, verb, &error);
        let path = self.path.display();
        self.error(kind, format!("cannot {verb} {path}: {error}{cure}")).with_source(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_break_python_are_refused_with_reason() {
        for (name, words) in [
            ("", "empty"),
            ("robot/pose", "`/`"),
            ("a:b", "resource tracker"),
            ("a\nb", "resource tracker"),
            ("größe", "not ASCII"),
            ("a b", "letters, digits"),
            (&"x".repeat(244), "243 bytes"),
        ] {
            assert!(name_problem(name).is_some_and(|why| why.contains(words)), "{name}");
            let error = SegmentPaths::new(Kind::Pub, name).unwrap_err();
            assert_eq!((error.kind(), error.channel()), (ErrorKind::InvalidName, name));
        }
        for name in ["pose", "arm.left_2-x", &"x".repeat(243)] {
            assert_eq!(name_problem(name), None);
            assert!(SegmentPaths::new(Kind::Rep, name).is_ok());
        }
        assert!(SegmentPaths::new(Kind::Push, &"x".repeat(229)).is_ok());
        let error = SegmentPaths::new(Kind::Push, &"x".repeat(230)).unwrap_err().to_string();
        assert!(error.contains("229 bytes") && error.contains("1 to 229 letters"), "{error}");
        let error = SegmentPaths::new(Kind::Pub, &"x".repeat(244)).unwrap_err().to_string();
        assert!(error.contains("1 to 243 letters") && !error.contains("200"), "{error}");
    }
}
