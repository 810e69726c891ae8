//! Tests of the operating system functions that `segment` uses.

#[cfg(not(target_os = "linux"))]
#[test]
fn other_systems_get_an_error_with_the_reason() {
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

    fn unnamed(len: u64) -> File {
        let file = create_unnamed(&default_dir().unwrap()).unwrap();
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
    fn a_lock_lives_as_long_as_the_mapping_of_its_file() {
        let probe = unnamed(8192);
        let file = reopen(&probe, Path::new("")).unwrap();
        assert!(try_lock(&file, 5, 1).unwrap());
        let map = map(file.clone(), 8192, true).unwrap();
        drop(file);
        assert!(is_locked(&probe, 5, 1).unwrap());
        drop(map);
        assert!(!is_locked(&probe, 5, 1).unwrap());
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
    fn a_child_knows_that_it_is_one() {
        let fork_id = ForkId::here().unwrap();
        assert!(!fork_id.forked());
        // SAFETY: the child only makes system calls, loads memory, and ends.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let own = ForkId::here();
            let right = fork_id.forked() && own.is_ok_and(|own| !own.forked());
            // SAFETY: ends the child without running anything of the test harness.
            unsafe { libc::_exit(if right { 0 } else { 1 }) };
        }
        let child = rustix::process::Pid::from_raw(child).unwrap();
        let options = rustix::process::WaitOptions::empty();
        let (_, status) = rustix::process::waitpid(Some(child), options).unwrap().unwrap();
        assert_eq!(status.exit_status(), Some(0));
        assert!(!fork_id.forked());
    }

    /// Forks a child that runs `task` and then sleeps until it is killed. Returns its pid and the first
    /// answer.
    fn child_that_stays(task: impl FnOnce() -> bool) -> (rustix::process::Pid, bool) {
        let (answer, to_parent) = io::pipe().unwrap();
        // SAFETY: the child only makes system calls, loads words, and sleeps.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let _ = rustix::io::write(&to_parent, &[u8::from(task())]);
            // SAFETY: limits the child's life if the parent is killed.
            unsafe { libc::alarm(60) };
            // SAFETY: waits for a signal.
            unsafe { libc::pause() };
            // SAFETY: ends the child without running anything of the test harness.
            unsafe { libc::_exit(1) };
        }
        drop(to_parent);
        let mut right = [0];
        assert_eq!(rustix::io::read(&answer, &mut right), Ok(1));
        (rustix::process::Pid::from_raw(child).unwrap(), right == [1])
    }

    fn end(child: rustix::process::Pid) {
        rustix::process::kill_process(child, rustix::process::Signal::KILL).unwrap();
        rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty()).unwrap();
    }

    #[test]
    fn child_of_fork_keeps_no_lock_of_its_parent() {
        let probe = unnamed(8192);
        let file = reopen(&probe, Path::new("")).unwrap();
        assert!(try_lock(&file, 5, 1).unwrap());
        let map = map(file.clone(), 8192, false).unwrap();
        let (child, right) = child_that_stays(|| intact(&file).is_err());
        assert!(right && intact(&file).is_ok());
        assert!(is_locked(&probe, 5, 1).unwrap());
        drop((map, file));
        assert!(!is_locked(&probe, 5, 1).unwrap(), "the child has a copy");
        end(child);
    }

    #[test]
    fn forked_child_removes_mappings_it_inherited() {
        let file = unnamed(8192);
        let map = map(file, 8192, false).unwrap();
        word(&map).store(7, Ordering::Relaxed);
        map.give_to_children();
        let at = FutexAt::new(word(&map));
        assert!(futex_is(at, 7));
        let (child, right) = child_that_stays(|| !futex_is(at, 7));
        assert!(right, "the child has the mapping");
        assert!(futex_is(at, 7));
        end(child);
    }

    #[test]
    fn file_that_others_closed_is_not_closed_again() {
        let file = unnamed(64);
        let number = std::os::fd::AsRawFd::as_raw_fd(&std::os::fd::AsFd::as_fd(&file));
        let other = reopen(&file, Path::new("")).unwrap();
        // SAFETY: the number belongs to `file`, which must tolerate that other code closes it. It refers to
        // the same file afterwards, as the library's own next file may: nothing else distinguishes the two.
        let again = unsafe {
            libc::dup3(std::os::fd::AsRawFd::as_raw_fd(&std::os::fd::AsFd::as_fd(&other)), number, 0)
        };
        assert_eq!(again, number);
        assert!(intact(&file).is_ok(), "the same file at the same number cannot be told from it");
        let null = std::fs::File::open("/dev/null").unwrap();
        // SAFETY: the number belongs to `file`, which must tolerate that other code closes it.
        assert_eq!(unsafe { libc::dup3(std::os::fd::AsRawFd::as_raw_fd(&null), number, 0) }, number);
        assert!(intact(&file).is_err());
        drop(file);
        // SAFETY: asks for the flags of a descriptor, then closes it.
        assert_ne!(unsafe { libc::fcntl(number, libc::F_GETFD) }, -1, "it was not the file's to close");
        // SAFETY: the descriptor is this test's own.
        assert_eq!(unsafe { libc::close(number) }, 0);
    }

    #[test]
    fn file_whose_number_is_given_to_a_later_one_is_lost() {
        let old = unnamed(64);
        let number = std::os::fd::AsRawFd::as_raw_fd(&std::os::fd::AsFd::as_fd(&old));
        // SAFETY: `old` must tolerate that other code closes its number.
        assert_eq!(unsafe { libc::close(number) }, 0);
        // Threads of other tests open files meanwhile, and may get the number first.
        let taken: Vec<_> = (0..64).map(|_| unnamed(64)).collect();
        let has_it = |file: &File| std::os::fd::AsRawFd::as_raw_fd(&std::os::fd::AsFd::as_fd(file)) == number;
        let error = intact(&old).unwrap_err().to_string();
        assert!(error.contains("other code of this process closed a file"), "{error}");
        drop(old);
        assert!(taken.iter().filter(|file| has_it(file)).all(|file| intact(file).is_ok()));
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

    #[test]
    fn openings_of_watched_files_are_distinguished() {
        let path = Path::new("/dev/shm").join(format!("shmcomm-watched-{}", std::process::id()));
        let other = path.with_extension("other");
        std::fs::File::create(&path).unwrap();
        std::fs::File::create(&other).unwrap();
        let watch = watch(&[&path, &other]).unwrap();
        for (index, opened) in [&path, &other].into_iter().enumerate() {
            std::fs::File::open(opened).unwrap();
            let mut counts = [0; 2];
            watch.wait(None, |file| counts[file] += 1).unwrap();
            assert_eq!((counts[index], counts[1 - index]), (1, 0));
        }
        std::fs::remove_file(path).unwrap();
        std::fs::remove_file(other).unwrap();
    }
}
