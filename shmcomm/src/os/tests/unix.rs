//! Tests of forks, descriptors and watched files.

use super::super::*;
use super::supported::{is_freed, unnamed, word};
use crate::sync::{AtomicU32, Ordering};
use std::io;
use std::path::Path;

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

/// Such a child runs no handlers of `pthread_atfork`. Apple supports no direct system calls.
#[cfg(target_os = "linux")]
#[test]
fn child_of_the_system_call_knows_that_it_is_one() {
    let fork_id = ForkId::here().unwrap();
    // SAFETY: a fork. The child only makes system calls, loads memory, and ends.
    let child = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
    if child == 0 {
        let forked = fork_id.forked();
        // SAFETY: ends the child without running anything of the test harness.
        unsafe { libc::_exit(if forked { 0 } else { 1 }) };
    }
    let child = rustix::process::Pid::from_raw(child as i32).unwrap();
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
    // The child lives for a minute.
    assert!(is_freed(&probe, 5), "the child has a copy");
    end(child);
}

/// macOS does not let a mapping be inherited.
#[cfg(target_os = "linux")]
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
    let again =
        unsafe { libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&std::os::fd::AsFd::as_fd(&other)), number) };
    assert_eq!(again, number);
    assert!(intact(&file).is_ok(), "the same file at the same number cannot be told from it");
    let null = std::fs::File::open("/dev/null").unwrap();
    // SAFETY: the number belongs to `file`, which must tolerate that other code closes it.
    assert_eq!(unsafe { libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&null), number) }, number);
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

/// macOS refuses channels with Python, which need it.
#[cfg(target_os = "linux")]
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

#[test]
fn words_of_mappings_are_distinguished_from_others() {
    let word_of_heap = Box::new(AtomicU32::new(0));
    let address = |word: &AtomicU32| std::ptr::from_ref(word).addr();
    assert!(!is_shared(address(&word_of_heap)));
    let file = unnamed(8192);
    let maps: Vec<_> = (0..300).map(|_| map(file.clone(), 8192, false).unwrap()).collect();
    for map in &maps {
        let first = address(word(map));
        assert!(is_shared(first) && is_shared(first + 8188));
    }
    assert!(!is_shared(address(&word_of_heap)) && !is_shared(0) && !is_shared(usize::MAX));
}
