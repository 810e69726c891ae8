//! Names: what a channel may be called for Python's sake, and the files that stand for it.
//!
//! Owns [`name_problem`] and [`Place`]. Never touches a file.

use crate::layout::python::Kind;
use crate::os;
use crate::{Error, ErrorKind};
use std::path::{Path, PathBuf};

/// Most bytes of a name whose file has a prefix of 12 bytes (`shmcomm_pub_`): 255 are possible.
const MAX_NAME: usize = 243;
/// The lock file of a queue is called `shmcomm_shmcomm_push_NAME.lock`.
const MAX_PUSH_NAME: usize = 229;

/// Why Python could not use a channel of this name; `None` if it can. For checks at compile time:
/// every constructor of this module checks the same.
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

/// A channel's segment of one kind, by name.
#[derive(Clone, Debug)]
pub(super) struct Place {
    name: String,
    kind: Kind,
    path: PathBuf,
    hidden: PathBuf,
}

impl Place {
    pub(super) fn new(kind: Kind, name: &str) -> Result<Self, Error> {
        let problem = match name_problem(name) {
            None if kind == Kind::Push && name.len() > MAX_PUSH_NAME => {
                Some("it has more than 229 bytes, and Python's lock file of a queue has no room for it")
            }
            problem => problem,
        };
        if let Some(why) = problem {
            return Err(Error::new(
                ErrorKind::InvalidName,
                name.to_owned(),
                format!(
                    "a Python process cannot use this name: {why}; \
                     take letters, digits, `_`, `.` and `-`, at most 200 of them"
                ),
            ));
        }
        // Python knows no other directory.
        let dir = Path::new(os::DEFAULT_DIR);
        Ok(Place {
            name: name.to_owned(),
            kind,
            path: dir.join(kind.file(name)),
            hidden: dir.join(kind.hidden(name)),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// As Python knows it.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The second name, which no resource tracker removes.
    pub(super) fn hidden(&self) -> &Path {
        &self.hidden
    }

    pub(super) fn dir(&self) -> &Path {
        Path::new(os::DEFAULT_DIR)
    }

    pub(super) fn error(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        Error::new(kind, self.name.clone(), message)
    }

    /// Puts a refusal of the operating system into words.
    pub(super) fn system(&self, verb: &str, error: std::io::Error) -> Error {
        let (kind, cure) = match error.kind() {
            std::io::ErrorKind::Unsupported => (ErrorKind::Unsupported, String::new()),
            std::io::ErrorKind::PermissionDenied => (
                ErrorKind::Permission,
                format!("; this process runs as user {}, and both ends run as one user", os::user()),
            ),
            _ if os::too_many_files(&error) => {
                (ErrorKind::Os, "; this process has too many files open: raise `ulimit -n`".to_owned())
            }
            _ => (ErrorKind::Os, String::new()),
        };
        let path = self.path.display();
        self.error(kind, format!("cannot {verb} {path}: {error}{cure}")).with_source(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_break_python_are_refused_with_the_reason() {
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
            let error = Place::new(Kind::Pub, name).unwrap_err();
            assert_eq!((error.kind(), error.channel()), (ErrorKind::InvalidName, name));
        }
        for name in ["pose", "arm.left_2-x", &"x".repeat(243)] {
            assert_eq!(name_problem(name), None);
            assert!(Place::new(Kind::Rep, name).is_ok());
        }
        assert!(Place::new(Kind::Push, &"x".repeat(229)).is_ok());
        let error = Place::new(Kind::Push, &"x".repeat(230)).unwrap_err().to_string();
        assert!(error.contains("229 bytes"), "{error}");
    }
}
