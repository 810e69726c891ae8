//! Tests of what the modules of [`super`] promise on Windows only.

use super::event::{SystemEvent, milliseconds};
use super::file::File;
use super::*;
use crate::os::CURES;
use std::os::windows::io::{AsRawHandle as _, IntoRawHandle as _, RawHandle};
use std::ptr::null_mut;
use std::time::{Duration, Instant};
use windows_sys::Win32::Foundation::{CloseHandle, ERROR_SUCCESS, LocalFree};
use windows_sys::Win32::Security::Authorization::{GetSecurityInfo, SE_KERNEL_OBJECT};
use windows_sys::Win32::Security::{
    ACL, GetAce, IsWellKnownSid, LABEL_SECURITY_INFORMATION, PSECURITY_DESCRIPTOR,
    SYSTEM_MANDATORY_LABEL_ACE, WinMediumLabelSid,
};

/// Type of a list entry with a label, and its mask that forbids processes of a lower label to write.
const LABEL: u8 = 0x11;
const NO_WRITE_UP: u32 = 1;

fn unnamed() -> File {
    let file = create_unnamed(&default_dir().unwrap()).unwrap();
    reserve(&file, 4096).unwrap();
    file
}

fn path(test: &str) -> PathBuf {
    default_dir().unwrap().join(format!("shmcomm-test-{test}-{}", crate::os::pid()))
}

/// Returns `true` if a file with this identity is in the directory of segments.
fn is_there(id: FileId) -> bool {
    let dir = default_dir().unwrap();
    list(&dir)
        .unwrap()
        .iter()
        .any(|name| matches!(id_of_path(&dir.join(name)), Ok(Some(found)) if found == id))
}

#[test]
fn file_with_temporary_name_vanishes_on_drop() {
    let (file, dir) = (unnamed(), default_dir().unwrap());
    let id = stat(&file).unwrap().id;
    let temporary = dir.join(format!("{}test-{}", crate::os::TEMPORARY, crate::os::pid()));
    link(&file, &temporary).unwrap();
    assert!(!is_linked(&file).unwrap() && is_there(id));
    drop(file);
    assert!(!is_there(id));
}

#[test]
fn replaced_file_is_deleted_after_its_last_mapping() {
    let (path, dir) = (path("replaced"), default_dir().unwrap());
    let (old, new) = (unnamed(), unnamed());
    let ids = [stat(&old).unwrap().id, stat(&new).unwrap().id];
    link(&old, &path).unwrap();
    let mapping = map(old, 4096, false).unwrap();
    replace_name(&new, Path::new(""), &path, Path::new("")).unwrap();
    assert_eq!(id_of_path(&path).unwrap(), Some(ids[1]));
    drop(mapping);
    // Wine does not tell a handle the name that the file got through another one, so the clean-up deletes the file.
    for name in list(&dir).unwrap().iter().filter(|name| name.starts_with(crate::os::TEMPORARY)) {
        if matches!(id_of_path(&dir.join(name)), Ok(Some(id)) if id == ids[0]) {
            unlink(&dir.join(name)).unwrap();
        }
    }
    assert!(!is_there(ids[0]));
    drop(new);
    assert!(is_there(ids[1]), "a file with its final name stays");
    unlink(&path).unwrap();
    assert!(!is_there(ids[1]));
}

#[test]
fn reused_handle_is_neither_closed_nor_deleted() {
    let path = path("reused");
    std::fs::write(&path, "another file").unwrap();
    let lost = unnamed();
    let number = lost.inner().as_raw_handle();
    // SAFETY: `lost` must tolerate that other code closes its handle.
    assert_ne!(unsafe { CloseHandle(number) }, 0);
    // Threads of other tests open files meanwhile, and may get the number first.
    let taken: Vec<RawHandle> =
        (0..64).map(|_| std::fs::File::open(&path).unwrap().into_raw_handle()).collect();
    let error = intact(&lost).unwrap_err().to_string();
    assert!(error.contains("other code of this process closed a file"), "{error}");
    drop(lost);
    for handle in taken {
        // SAFETY: this test's own handle.
        assert_ne!(unsafe { CloseHandle(handle) }, 0, "it was closed already");
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "another file");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn paths_are_resolved_as_the_system_does() {
    let text = |path: &str| {
        let mut units = wide(Path::new(path)).unwrap();
        assert_eq!(units.pop(), Some(0));
        String::from_utf16(&units).unwrap()
    };
    for (path, resolved) in [
        (r"C:\a\..\b\.\c", r"\\?\C:\b\c"),
        ("C:/a/../b/c", r"\\?\C:\b\c"),
        (r"\\server\share\a\..\b", r"\\?\UNC\server\share\b"),
        (r"\\?\C:\a\..\b", r"\\?\C:\a\..\b"),
        (r"\\.\pipe\a", r"\\.\pipe\a"),
    ] {
        assert_eq!(text(path), resolved);
    }
    let dir = default_dir().unwrap().join("not-there").join("..");
    let file = create_unnamed(&dir).unwrap();
    assert!(is_there(stat(&file).unwrap().id) && free_bytes(&dir).unwrap() > 0);
}

#[test]
fn event_waits_for_its_whole_time() {
    assert_eq!(milliseconds(Duration::from_nanos(1_000_001)), 2);
    assert_eq!(milliseconds(Duration::ZERO), 0);
    assert_eq!(milliseconds(Duration::MAX), u32::MAX - 1);
    let event = SystemEvent::new(None).unwrap();
    for nanoseconds in [1, 999_999, 1_000_001, 3_700_000, 15_000_001] {
        let (timeout, start) = (Duration::from_nanos(nanoseconds), Instant::now());
        assert!(!event.wait(timeout));
        assert!(start.elapsed() >= timeout, "{:?} instead of {timeout:?}", start.elapsed());
    }
    event.set();
    assert!(event.wait(Duration::ZERO) && event.wait(Duration::MAX));
}

/// A process without administrator rights may use the events of a process with them.
#[test]
fn events_have_the_label_of_ordinary_processes() {
    let event = SystemEvent::new(None).unwrap();
    let (mut list, mut descriptor): (*mut ACL, PSECURITY_DESCRIPTOR) = (null_mut(), null_mut());
    // SAFETY: an open handle; the call fills two addresses.
    let result = unsafe {
        GetSecurityInfo(
            event.handle(),
            SE_KERNEL_OBJECT,
            LABEL_SECURITY_INFORMATION,
            null_mut(),
            null_mut(),
            null_mut(),
            &raw mut list,
            &raw mut descriptor,
        )
    };
    assert!(result == ERROR_SUCCESS && !list.is_null());
    let mut entry = null_mut();
    // SAFETY: a valid list; the call fills one address, and checks the index.
    assert_ne!(unsafe { GetAce(list, 0, &raw mut entry) }, 0);
    let entry: *const SYSTEM_MANDATORY_LABEL_ACE = entry.cast();
    // SAFETY: all entries start with a header and a mask.
    let (header, mask) = unsafe { ((*entry).Header, (*entry).Mask) };
    assert_eq!((header.AceType, mask), (LABEL, NO_WRITE_UP));
    // SAFETY: an entry of this type has its identifier from here.
    let sid: *const u32 = unsafe { &raw const (*entry).SidStart };
    // SAFETY: a valid identifier.
    assert_ne!(unsafe { IsWellKnownSid(sid.cast_mut().cast(), WinMediumLabelSid) }, 0);
    // SAFETY: allocated by the system, and not used again.
    unsafe { LocalFree(descriptor) };
}

#[test]
fn errors_name_only_what_windows_has() {
    let refusals = [Refusal::Access, Refusal::ReadOnly, Refusal::Memory, Refusal::ProcessFiles];
    let mut texts = refusals.map(|refusal| advice(refusal).unwrap()).to_vec();
    texts.extend([CURES.no_unnamed_files, CURES.no_directory, CURES.no_locks, CURES.no_reservation]);
    texts.extend([CURES.full, CURES.too_large, CURES.no_memory]);
    texts.extend([CURES.stops, CURES.removes, CURES.two_directories]);
    for text in texts {
        for word in ["/dev/shm", "tmpfs", "mount", "ulimit", "systemd", "SIG", "control group", "chmod"] {
            assert!(!text.contains(word), "`{word}` in: {text}");
        }
    }
}
