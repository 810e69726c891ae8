//! The default directory of segments on macOS: one for each start of the system.
//!
//! Owns its name, its mode, and the removal of the directories of earlier starts. Never touches a file in the directory
//! of this start.
//!
//! The files of a user's temporary directory (`_CS_DARWIN_USER_TEMP_DIR`) do not last: `dirhelper(8)` deletes the ones
//! that were not read for three days, also if they are mapped. So the segments are in the user's directory for caches
//! (`_CS_DARWIN_USER_CACHE_DIR`), where the system deletes nothing while it runs. That directory lasts longer than the
//! contents of a segment: after a loss of power its pages are those of different times. Each start of the system has an
//! identifier (`kern.bootsessionuuid`), which is a part of the path. So no process attaches to a segment of an earlier
//! start, as on Linux, where such a segment is gone.

use crate::os::{FileKind, is_own, stat_path};
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Name of the directory below the user's directory for caches.
const PARENT: &str = "shmcomm";
/// Length of an identifier, such as `9F1C3D1E-5B0A-4C55-8E4B-0B6F0B7B8E11`.
const LEN: usize = 36;

/// Returns the directory of the start `session` below `base`. Creates it for this user alone, and then removes those of
/// earlier starts.
pub(super) fn directory(base: &Path, session: &str) -> io::Result<PathBuf> {
    if !is_session(session) {
        let why = format!("kern.bootsessionuuid is {session:?}, which is no identifier");
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    let parent = base.join(PARENT);
    made(&parent)?;
    let dir = parent.join(session);
    if made(&dir)? {
        remove_others(&parent, session);
    }
    Ok(dir)
}

fn is_session(name: &str) -> bool {
    name.len() == LEN && name.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

/// Creates a directory with mode 0700. Returns `false` if it exists. Fails if another user may write to it.
fn made(dir: &Path) -> io::Result<bool> {
    let made = match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
        Err(error) => {
            return Err(io::Error::new(error.kind(), format!("cannot create {}: {error}", dir.display())));
        }
    };
    let stat = stat_path(dir)?;
    let why = match is_own(&stat) {
        _ if stat.kind != FileKind::Directory => {
            format!("is a {}, not a directory: move it out of the way", stat.kind.name())
        }
        Err(why) => why,
        Ok(()) if stat.mode & 0o022 != 0 => format!(
            "has mode {:04o}, so other users may write to it; `chmod 700` it if you trust what is in it, or delete it",
            stat.mode
        ),
        Ok(()) => return Ok(made),
    };
    Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("{} {why}", dir.display())))
}

/// Removes the directories of earlier starts. No process can have one of their files open.
fn remove_others(parent: &Path, session: &str) {
    for name in crate::os::list(parent).unwrap_or_default() {
        if name != session && is_session(&name) {
            let _ = std::fs::remove_dir_all(parent.join(name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, create_dir, remove_dir_all, set_permissions, write};
    use std::os::unix::fs::PermissionsExt as _;

    const NOW: &str = "9F1C3D1E-5B0A-4C55-8E4B-0B6F0B7B8E11";
    const BEFORE: &str = "00000000-5B0A-4C55-8E4B-0B6F0B7B8E11";

    fn in_base(test: &str, run: impl FnOnce(&Path)) {
        let base = std::env::temp_dir().join(format!("shmcomm-test-session-{test}-{}", crate::os::pid()));
        create_dir(&base).unwrap();
        run(&base);
        remove_dir_all(base).unwrap();
    }

    #[test]
    fn segments_of_an_earlier_start_are_removed() {
        in_base("earlier", |base| {
            let before = directory(base, BEFORE).unwrap();
            write(before.join("shmcomm2_a"), "").unwrap();
            write(base.join("shmcomm/other"), "").unwrap();
            let now = directory(base, NOW).unwrap();
            assert_eq!(now, base.join("shmcomm").join(NOW));
            assert_eq!(now.metadata().unwrap().permissions().mode() & 0o777, 0o700);
            assert!(!before.exists() && base.join("shmcomm/other").exists());
            // The directory of this start stays as it is.
            write(now.join("shmcomm2_a"), "").unwrap();
            create_dir(&before).unwrap();
            assert_eq!(directory(base, NOW).unwrap(), now);
            assert!(now.join("shmcomm2_a").exists() && before.exists());
        });
    }

    #[test]
    fn directory_of_others_is_refused_with_the_cure() {
        in_base("others", |base| {
            let dir = directory(base, NOW).unwrap();
            set_permissions(&dir, Permissions::from_mode(0o777)).unwrap();
            let error = directory(base, NOW).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
            assert!(error.to_string().contains("has mode 0777, so other users may write to it"), "{error}");
            if crate::os::user() == 0 {
                set_permissions(&dir, Permissions::from_mode(0o700)).unwrap();
                std::os::unix::fs::chown(&dir, Some(12345), None).unwrap();
                let error = directory(base, NOW).unwrap_err().to_string();
                assert!(error.contains("belongs to user 12345"), "{error}");
            }
        });
    }

    #[test]
    fn anything_else_in_the_way_is_refused() {
        in_base("way", |base| {
            write(base.join("shmcomm"), "").unwrap();
            let error = directory(base, NOW).unwrap_err().to_string();
            assert!(error.contains("shmcomm is a regular file, not a directory"), "{error}");
            let missing = directory(&base.join("missing"), NOW).unwrap_err();
            assert!(missing.to_string().contains("cannot create"), "{missing}");
            let long = directory(Path::new(&format!("/{}", "x/".repeat(3000))), NOW).unwrap_err();
            assert!(long.to_string().contains("File name too long"), "{long}");
            for bad in ["", "..", "../../../../../../../../../../../../..", "x"] {
                assert_eq!(directory(base, bad).unwrap_err().kind(), io::ErrorKind::InvalidData);
            }
        });
    }
}
