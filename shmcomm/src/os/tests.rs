//! Tests of the operating system functions that `segment` uses, on each system that has channels.

#[cfg(not(any(target_os = "linux", target_os = "macos", target_os = "windows")))]
#[test]
fn other_systems_get_an_error_with_the_reason() {
    let error = super::create_unnamed(std::path::Path::new("x")).err().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
    assert!(error.to_string().contains("needs Linux"));
}

#[cfg(any(target_os = "linux", target_os = "macos"))]
#[allow(unsafe_code)]
mod unix;

#[cfg(any(target_os = "linux", target_os = "macos", target_os = "windows"))]
#[allow(unsafe_code)]
mod supported {
    use super::super::*;
    use crate::sync::{AtomicU32, Ordering};
    use std::io;
    use std::path::Path;
    use std::time::{Duration, Instant};

    pub(super) fn unnamed(len: u64) -> File {
        let file = create_unnamed(&default_dir().unwrap()).unwrap();
        reserve(&file, len).unwrap();
        file
    }

    pub(super) fn word(map: &Map) -> &AtomicU32 {
        // SAFETY: aligned, mapped as long as `map` lives, and only used as an atomic.
        unsafe { AtomicU32::from_ptr(map.base().as_ptr().cast()) }
    }

    #[test]
    fn an_unnamed_file_has_its_room_and_no_name() {
        let file = unnamed(10_000);
        let stat = stat(&file).unwrap();
        assert_eq!((stat.kind, stat.len), (FileKind::Regular, 10_000));
        assert_eq!((stat.owner, stat.mode), (user(), 0o600));
        assert_eq!(is_mine(&stat), Ok(()));
    }

    #[test]
    fn linked_file_keeps_its_identity_and_replaces_none() {
        let path = default_dir().unwrap().join(format!("shmcomm-test-link-{}", pid()));
        let file = unnamed(64);
        link(&file, &path).unwrap();
        assert_eq!(id_of_path(&path).unwrap(), Some(stat(&file).unwrap().id));
        assert_eq!(link(&unnamed(64), &path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        write_at(&file, b"shm", 7).unwrap();
        let mut bytes = [0; 3];
        read_at(&open(&path).unwrap(), &mut bytes, 7).unwrap();
        assert_eq!(&bytes, b"shm");
        assert_eq!(read_at(&file, &mut bytes, 62).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        unlink(&path).unwrap();
        assert_eq!(id_of_path(&path).unwrap(), None);
        assert_eq!(open(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    /// Returns `true` once a byte is not locked, and `false` after 10 s. A process that another test is starting has
    /// copies of all files until it runs its program, and with them their locks.
    pub(super) fn is_freed(file: &File, at: u64) -> bool {
        let start = Instant::now();
        while is_locked(file, at, 1).unwrap() {
            if start.elapsed() > Duration::from_secs(10) {
                return false;
            }
            std::thread::yield_now();
        }
        true
    }

    #[test]
    fn locks_belong_to_the_open_file_not_the_process() {
        let mine = unnamed(64);
        let other = reopen(&mine, Path::new("")).unwrap();
        assert!(try_lock(&mine, 3, 1).unwrap());
        assert!(try_lock(&mine, 3, 1).unwrap());
        assert!(!try_lock(&other, 3, 1).unwrap());
        assert!(is_locked(&other, 3, 1).unwrap() && is_locked(&other, 0, 64).unwrap());
        assert!(!is_locked(&mine, 0, 64).unwrap());
        assert!(!is_locked(&other, 4, 60).unwrap());
        // Unlike process locks, these survive when another descriptor is closed.
        drop(reopen(&mine, Path::new("")).unwrap());
        assert!(is_locked(&other, 3, 1).unwrap());
        unlock(&mine, 3, 1).unwrap();
        assert!(try_lock(&other, 3, 1).unwrap());
        // Locks work beyond the end of the file too.
        assert!(try_lock(&mine, 1 << 16, 1).unwrap());
        assert!(is_locked(&other, 1 << 16, 1).unwrap());
    }

    #[test]
    fn threads_with_one_file_do_not_see_its_locks() {
        let file = unnamed(64);
        let other = reopen(&file, Path::new("")).unwrap();
        let done = AtomicU32::new(0);
        std::thread::scope(|scope| {
            let ask = || {
                let mut seen = 0;
                // Relaxed: an independent flag.
                while done.load(Ordering::Relaxed) == 0 {
                    seen += u32::from(is_locked(&file, 3, 1).unwrap());
                    seen += u32::from(is_locked(&file, 0, 64).unwrap());
                }
                seen
            };
            let asking = [(); 3].map(|()| scope.spawn(ask));
            let (start, mut rounds, mut shown) = (Instant::now(), 0, 0);
            while rounds < 3000 && start.elapsed() < Duration::from_secs(3) {
                rounds += 1;
                let locked = try_lock(&file, 3, 1).unwrap();
                shown += u32::from(locked && is_locked(&other, 3, 1).unwrap());
                unlock(&file, 3, 1).unwrap();
            }
            done.store(1, Ordering::Relaxed);
            let seen: u32 = asking.into_iter().map(|thread| thread.join().unwrap()).sum();
            assert_eq!((seen, shown), (0, rounds));
        });
        assert!(!is_locked(&other, 0, 64).unwrap());
    }

    #[test]
    fn a_lock_lives_as_long_as_the_mapping_of_its_file() {
        let probe = unnamed(8192);
        let file = reopen(&probe, Path::new("")).unwrap();
        assert!(try_lock(&file, 5, 1).unwrap());
        let map = map(file.clone(), 8192, true).unwrap();
        drop(file);
        assert!(is_locked(&probe, 5, 1).unwrap());
        drop(map);
        assert!(is_freed(&probe, 5));
    }

    #[test]
    fn a_sleeper_is_woken_through_another_mapping() {
        let file = unnamed(4096);
        let (here, there) = (map(file.clone(), 4096, false).unwrap(), map(file, 4096, false).unwrap());
        assert_ne!(here.base(), there.base());
        assert_eq!(futex_wait(word(&here), 0, Duration::from_millis(5)), Woken::TimedOut);
        assert_eq!(futex_wait(word(&here), 1, Duration::from_secs(60)), Woken::Perhaps);
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| {
                let mut woken = Woken::Perhaps;
                while word(&here).load(Ordering::Acquire) == 0 {
                    woken = futex_wait(word(&here), 0, Duration::from_secs(60));
                }
                woken
            });
            std::thread::sleep(Duration::from_millis(10));
            word(&there).store(1, Ordering::Release);
            futex_wake(word(&there), u32::MAX);
            assert_eq!(sleeper.join().unwrap(), Woken::Perhaps);
        });
    }

    #[test]
    fn clocks_and_names_are_there() {
        let before = monotonic();
        assert!(monotonic() >= before && before > 0);
        assert!(wall_clock() > 1_600_000_000_000_000_000);
        assert!(!process_name().is_empty());
        assert!(free_bytes(&default_dir().unwrap()).unwrap() > 0);
        assert!(free_bytes(Path::new("/nowhere")).is_err());
    }

    #[test]
    fn file_without_free_memory_is_an_error() {
        let file = create_unnamed(&default_dir().unwrap()).unwrap();
        if file_size_limit().is_none() {
            assert_eq!(reserve(&file, 1 << 60).unwrap_err().kind(), io::ErrorKind::StorageFull);
            assert_eq!(stat(&file).unwrap().len, 0);
        }
    }
}
