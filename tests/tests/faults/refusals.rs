//! Refusals of the system: each error names its own cause and cure, and `docs/troubleshooting.md` shows it.

use shmcomm::{Error, ErrorKind};
use shmcomm_tests::{LargeFeed, Namespace, Small, SmallFeed, namespace, say, stage};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);
/// A user without privileges.
const USER: u32 = 12345;

#[test]
fn part() {
    stage::play(&[
        ("lock all memory", lock_all_memory),
        ("umask", publish_under_a_umask),
        ("publish", || report(SmallFeed::publisher().map(drop))),
        ("subscribe", || report(subscribe())),
        ("publish as a user", || as_a_user(|| report(SmallFeed::publisher().map(drop)))),
        ("subscribe as a user", || as_a_user(|| report(subscribe()))),
        ("no linkat", || without(libc::SYS_linkat, libc::EPERM)),
        ("no fallocate", || without(libc::SYS_fallocate, libc::EPERM)),
        ("no locks", pretend_to_lock),
        ("no pwrite", || without(libc::SYS_pwrite64, libc::ENOSYS)),
    ]);
}

fn report(result: Result<(), Error>) {
    match result {
        Ok(()) => say("works"),
        Err(error) => say(format_args!("{:?} {error}", error.kind())),
    }
}

fn subscribe() -> Result<(), Error> {
    SmallFeed::open().connect_timeout(Duration::ZERO).subscriber().map(drop)
}

/// Gives up the privileges of the superuser, if this process has them.
fn as_a_user(task: impl FnOnce()) {
    if stage::is_root() {
        // SAFETY: changes the user of this process only.
        assert_eq!(unsafe { (libc::setgid(USER), libc::setuid(USER)) }, (0, 0));
    }
    task();
}

/// The page shows the error, with `dir` for the directory of segments and with other values for what varies.
#[track_caller]
fn shown(said: &str, kind: ErrorKind, ns: &Namespace, varies: &[(&str, &str)]) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/troubleshooting.md");
    let page = std::fs::read_to_string(page).unwrap();
    let error = said.strip_prefix(&format!("{kind:?} ")).unwrap_or_else(|| panic!("{said}"));
    let mut error =
        error.replace(&format!("{ns}/small"), "robot/imu").replace(&format!("{ns}%2Fsmall"), "robot%2Fimu");
    for (found, shown) in varies {
        assert!(error.contains(found), "no `{found}` in: {error}");
        error = error.replace(found, shown);
    }
    assert!(page.contains(&format!("```text\n{error}\n")), "docs/troubleshooting.md does not show:\n{error}");
}

/// A directory; removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn new(ns: &Namespace, mode: u32) -> Self {
        let path = std::env::temp_dir().join(format!("shmcomm-{ns}"));
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        Directory(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn locked_memory_limit_is_named() {
    let ns = namespace("mlockall");
    let mut process = stage::part("lock all memory", &ns);
    let said = process.said();
    if said == "no mlockall" {
        return stage::skip("`mlockall` is not possible here");
    }
    shown(&said, ErrorKind::Os, &ns, &[]);
    assert_eq!(process.said(), "a small channel works");
}

fn lock_all_memory() {
    as_a_user(|| ());
    let limit = libc::rlimit { rlim_cur: 8 << 20, rlim_max: 8 << 20 };
    // SAFETY: a call with a structure that outlives it.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &limit) }, 0);
    // SAFETY: changes how this process maps memory from now on.
    if unsafe { libc::mlockall(libc::MCL_FUTURE) } != 0 {
        return say("no mlockall");
    }
    let error = SmallFeed::open().slots(1 << 19).publisher().map(drop).unwrap_err();
    say(format_args!("{:?} {error}", error.kind()));
    let mut publisher = SmallFeed::publisher().unwrap();
    let mut subscriber = SmallFeed::subscriber().unwrap();
    publisher.send(&Small::new(1)).unwrap();
    assert_eq!(subscriber.recv_timeout(PATIENCE), Ok(Small::new(1)));
    // The test ends this process then, and may not remove the files of another user.
    drop((publisher, subscriber));
    say("a small channel works");
}

#[test]
fn umask_does_not_matter() {
    let ns = namespace("umask");
    let mut process = stage::part("umask", &ns);
    assert_eq!(process.said(), "works");
}

fn publish_under_a_umask() {
    // SAFETY: changes the mode of files that this process makes from now on.
    unsafe { libc::umask(0o277) };
    as_a_user(|| {
        let mut publisher = SmallFeed::publisher().unwrap();
        let mut subscriber = SmallFeed::subscriber().unwrap();
        publisher.send(&Small::new(1)).unwrap();
        assert_eq!(subscriber.recv_timeout(PATIENCE), Ok(Small::new(1)));
        drop((publisher, subscriber));
        report(LargeFeed::publisher().map(drop));
    });
}

#[test]
fn read_only_file_system_is_named() {
    let ns = namespace("read-only-named");
    let dir = Directory::new(&ns, 0o700);
    let Some(wrapper) = stage::own_tmpfs(&dir.0, "1m", "mount -o remount,ro \"$0\"") else { return };
    let said = stage::part_under(&wrapper, "publish", &ns).said();
    shown(&said, ErrorKind::Permission, &ns, &[(dir.path(), "/dev/shm")]);
}

#[test]
fn huge_page_file_system_is_named() {
    let ns = namespace("hugetlbfs");
    let dir = Directory::new(&ns, 0o700);
    let script =
        "mount -t hugetlbfs none \"$0\" 2>/dev/null && SHMCOMM_DIR=\"$0\" || { echo '> no mount'; exit; }";
    let Some(wrapper) = stage::own_mount(&dir.0, script) else { return };
    let said = stage::part_under(&wrapper, "publish", &ns).said();
    if said == "no mount" {
        return stage::skip("no hugetlbfs can be mounted here");
    }
    shown(&said, ErrorKind::Unsupported, &ns, &[(dir.path(), "/dev/hugepages")]);
}

#[test]
fn directory_of_another_user_is_named() {
    if !stage::is_root() {
        return stage::skip("only the superuser can become another user");
    }
    let ns = namespace("others-directory");
    let dir = Directory::new(&ns, 0o755);
    let mut command = stage::command("publish as a user", &ns);
    command.env("SHMCOMM_DIR", &dir.0);
    let said = shmcomm_tests::Peer::spawn(command).said();
    shown(&said, ErrorKind::Permission, &ns, &[(dir.path(), "/dev/shm"), ("user 12345", "user 1000")]);
}

#[test]
fn segment_that_its_own_user_may_not_write_is_named() {
    let ns = namespace("no-mode");
    let path = PathBuf::from(format!("/dev/shm/shmcomm2_{ns}%2Fsmall"));
    let file = std::fs::File::create(&path).unwrap();
    if stage::is_root() {
        std::os::unix::fs::chown(&path, Some(USER), None).unwrap();
    }
    file.set_permissions(std::fs::Permissions::from_mode(0o400)).unwrap();
    let said = stage::part("subscribe as a user", &ns).said();
    std::fs::remove_file(&path).unwrap();
    let user = if stage::is_root() { USER } else { rustix::process::geteuid().as_raw() };
    shown(&said, ErrorKind::Permission, &ns, &[(&format!("user {user}"), "user 1000")]);
}

#[test]
fn sandbox_that_forbids_a_call_is_named() {
    for (part, kind) in [
        ("no linkat", ErrorKind::Permission),
        ("no fallocate", ErrorKind::Permission),
        ("no pwrite", ErrorKind::Unsupported),
    ] {
        let ns = namespace("sandbox");
        let said = stage::part(part, &ns).said();
        if part == "no linkat" {
            shown(&said, kind, &ns, &[]);
        }
        assert!(said.starts_with(&format!("{kind:?} ")) && said.contains("sandbox"), "{said}");
        assert!(!said.contains("run as one user"), "{said}");
        assert!(shmcomm::list_segments().unwrap().iter().all(|s| !s.channel.starts_with(&*ns)), "{said}");
    }
}

/// A file system that grants each lock and keeps none would make every end take its peers for dead.
#[test]
fn system_that_does_not_keep_locks_is_refused() {
    let ns = namespace("no-locks");
    let said = stage::part("no locks", &ns).said();
    shown(&said, ErrorKind::Unsupported, &ns, &[]);
    assert!(shmcomm::list_segments().unwrap().iter().all(|s| !s.channel.starts_with(&*ns)), "{said}");
}

/// Publishes where locks are granted, and not taken.
fn pretend_to_lock() {
    let load = |at| step(LOAD, 0, 0, at);
    // The second argument of a call is at byte 24 of what a filter sees.
    install(&mut [
        load(0),
        step(JUMP, 0, 3, libc::SYS_fcntl as u32),
        load(24),
        step(JUMP, 0, 1, libc::F_OFD_SETLK as u32),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]);
    report(SmallFeed::publisher().map(drop));
}

/// Publishes after a filter has been installed that refuses one system call with an error.
fn without(call: libc::c_long, errno: libc::c_int) {
    install(&mut [
        step(LOAD, 0, 0, 0),
        step(JUMP, 0, 1, call as u32),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | errno as u32),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]);
    report(SmallFeed::publisher().map(drop));
}

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const JUMP: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// A step of a filter: `yes` and `no` say how many steps are left out.
fn step(code: u16, yes: u8, no: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt: yes, jf: no, k }
}

/// Filters the system calls of this process from now on, for good.
fn install(filter: &mut [libc::sock_filter]) {
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: sets a flag of this process.
    let promised = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: the kernel copies the program, which lives for the call.
    let done = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    assert_eq!((promised, done), (0, 0), "{}", std::io::Error::last_os_error());
}
