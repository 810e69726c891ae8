//! Tests of the verbs themselves: what `segment` builds on.

#[cfg(not(target_os = "linux"))]
#[test]
fn elsewhere_every_verb_says_why_not() {
    let error = super::create_unnamed(std::path::Path::new("x")).err().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
    assert!(error.to_string().contains("needs Linux"));
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
mod linux {
    use super::super::*;
    use crate::sync::{AtomicU32, Ordering};
    use std::io;
    use std::path::Path;
    use std::time::Duration;

    fn unnamed(len: u64) -> std::fs::File {
        let file = create_unnamed(Path::new(DEFAULT_DIR)).unwrap();
        reserve(&file, len).unwrap();
        file
    }

    fn word(map: &Map) -> &AtomicU32 {
        // SAFETY: aligned, mapped as long as `map` lives, and only used as an atomic.
        unsafe { AtomicU32::from_ptr(map.base().as_ptr().cast()) }
    }

    #[test]
    fn an_unnamed_file_has_its_room_and_no_name() {
        let file = unnamed(10_000);
        let stat = stat(&file).unwrap();
        assert_eq!((stat.kind, stat.len), (FileKind::Regular, 10_000));
        assert_eq!((stat.owner, stat.mode), (user(), 0o600));
    }

    #[test]
    fn a_linked_file_keeps_its_identity_and_is_not_linked_over_another() {
        let path = Path::new(DEFAULT_DIR).join(format!("shmcomm-test-link-{}", pid()));
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

    #[test]
    fn locks_belong_to_the_open_file_and_not_to_the_process() {
        let mine = unnamed(64);
        let other = reopen(&mine).unwrap();
        assert!(try_lock(&mine, 3, 1).unwrap());
        assert!(try_lock(&mine, 3, 1).unwrap());
        assert!(!try_lock(&other, 3, 1).unwrap());
        assert!(is_locked(&other, 3, 1).unwrap() && is_locked(&other, 0, 64).unwrap());
        assert!(!is_locked(&mine, 0, 64).unwrap());
        assert!(!is_locked(&other, 4, 60).unwrap());
        // Unlike the locks of a process, these survive that some other descriptor is closed.
        drop(reopen(&mine).unwrap());
        assert!(is_locked(&other, 3, 1).unwrap());
        unlock(&mine, 3, 1).unwrap();
        assert!(try_lock(&other, 3, 1).unwrap());
        // Beyond the end of the file too.
        assert!(try_lock(&mine, 1 << 16, 1).unwrap());
        assert!(is_locked(&other, 1 << 16, 1).unwrap());
    }

    #[test]
    fn a_lock_lives_as_long_as_the_mapping_of_its_file() {
        let probe = unnamed(8192);
        let file = reopen(&probe).unwrap();
        assert!(try_lock(&file, 5, 1).unwrap());
        let map = map(&file, 8192, true).unwrap();
        drop(file);
        assert!(is_locked(&probe, 5, 1).unwrap());
        drop(map);
        assert!(!is_locked(&probe, 5, 1).unwrap());
    }

    #[test]
    fn a_sleeper_is_woken_through_another_mapping() {
        let file = unnamed(4096);
        let (here, there) = (map(&file, 4096, false).unwrap(), map(&file, 4096, false).unwrap());
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
    fn a_child_knows_that_it_is_one() {
        let lineage = Lineage::here().unwrap();
        assert!(!lineage.forked());
        // SAFETY: the child only makes system calls, looks at memory, and ends.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let own = Lineage::here();
            let right = lineage.forked() && own.is_ok_and(|own| !own.forked());
            // SAFETY: ends the child without running anything of the test harness.
            unsafe { libc::_exit(if right { 0 } else { 1 }) };
        }
        let child = rustix::process::Pid::from_raw(child).unwrap();
        let options = rustix::process::WaitOptions::empty();
        let (_, status) = rustix::process::waitpid(Some(child), options).unwrap().unwrap();
        assert_eq!(status.exit_status(), Some(0));
        assert!(!lineage.forked());
    }

    #[test]
    fn clocks_and_names_are_there() {
        let before = monotonic();
        assert!(monotonic() >= before && before > 0);
        assert!(wall_clock() > 1_600_000_000_000_000_000);
        assert!(!process_name().is_empty());
        assert!(free_bytes(Path::new(DEFAULT_DIR)).unwrap() > 0);
        assert!(free_bytes(Path::new("/nowhere")).is_err());
    }

    #[test]
    fn a_file_that_finds_no_room_says_so() {
        let file = create_unnamed(Path::new(DEFAULT_DIR)).unwrap();
        if file_size_limit().is_none() {
            assert_eq!(reserve(&file, 1 << 60).unwrap_err().kind(), io::ErrorKind::StorageFull);
            assert_eq!(stat(&file).unwrap().len, 0);
        }
    }

    #[test]
    fn each_opening_of_a_watched_file_counts() {
        let path = Path::new("/dev/shm").join(format!("shmcomm-watched-{}", std::process::id()));
        let other = path.with_extension("other");
        std::fs::File::create(&path).unwrap();
        std::fs::File::create(&other).unwrap();
        let watch = watch(&[&path, &other]).unwrap().each(Path::new("/dev/shm")).unwrap();
        for _ in 0..5 {
            std::fs::File::open(&path).unwrap();
        }
        std::fs::File::open(&other).unwrap();
        let mut counts = [0; 2];
        watch.wait(None, |file| counts[file] += 1).unwrap();
        assert_eq!(counts, [5, 1]);
        std::fs::remove_file(path).unwrap();
        std::fs::remove_file(other).unwrap();
    }
}
