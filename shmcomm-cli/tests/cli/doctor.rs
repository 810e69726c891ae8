//! `shmcomm doctor` finds each condition, with cause, consequence and cure.

use crate::support::{Run, World, snapshot};
use serde_json::Value;
use shmcomm_tests::stage;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

/// Returns the findings of one check.
#[track_caller]
fn findings(run: &Run, check: &str) -> Vec<Value> {
    let found: Vec<Value> = run.objects().into_iter().filter(|object| object["check"] == check).collect();
    for finding in &found {
        for key in ["what", "cause", "consequence", "cure"] {
            assert!(
                finding[key].as_str().is_some_and(|text| !text.is_empty()),
                "{key} is missing: {finding}"
            );
        }
    }
    found
}

/// Asserts that there is exactly one finding of a check, and returns its text.
#[track_caller]
fn finding(run: &Run, check: &str) -> String {
    let found = findings(run, check);
    assert_eq!(found.len(), 1, "{check}: {}{}", run.out, run.err);
    found[0]["what"].as_str().unwrap().to_owned()
}

/// Runs the command in a mount namespace that a script sets up.
fn mounted(world: &World, script: &str) -> Option<Run> {
    let wrapper = stage::own_mount(world.dir(), script)?;
    let inner = world.command(&["doctor", "--json"]);
    let mut command = Command::new(&wrapper[0]);
    command
        .args(&wrapper[1..])
        .arg(inner.get_program())
        .args(inner.get_args())
        .env_remove("SHMCOMM_NAMESPACE");
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Some(Run { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) })
}

#[test]
fn sound_world_has_no_errors() {
    let world = World::new();
    fs::set_permissions(world.dir(), fs::Permissions::from_mode(0o700)).unwrap();
    let _peer = world.start("steady");
    let run = world.run(&["doctor"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(!run.out.contains("error"), "{run:?}");
}

#[test]
fn queues_without_a_worker_are_found() {
    let world = World::new();
    let _peer = world.start("world");
    let run = world.run(&["doctor", "--json"]);
    assert_eq!(run.code, Some(1));
    assert_eq!(finding(&run, "no-worker"), "channel `jobs` has no puller, and 3 jobs waiting");
    let only = |run: &Run| run.out.split("\n\n").next().unwrap_or("").to_owned();
    let shown = world.on_terminal(60, &["doctor", "--quiet", "-n", "1"]);
    assert!(only(&shown).lines().all(|line| line.chars().count() <= 60 + 20), "{}", shown.out);
    snapshot!("doctor-terminal", shown);
    snapshot!("doctor-pipe", world.run(&["doctor", "--quiet", "-n", "1"]));
    snapshot!("doctor-json", world.run(&["doctor", "--quiet", "-n", "1", "--json"]));
}

#[test]
fn stale_segments_and_kept_jobs_are_found() {
    let world = World::new();
    world.start("killed").kill();
    let run = world.run(&["doctor", "--json"]);
    assert!(finding(&run, "stale").contains("1 stale segment"));
    assert_eq!(finding(&run, "kept-jobs"), "queue `old/jobs` holds 1 job, and no process uses it");
}

#[test]
fn damaged_and_writable_files_are_found() {
    let world = World::new();
    world.file("shmcomm2_foreign", &[b'x'; 4096]);
    fs::set_permissions(world.dir().join("shmcomm2_foreign"), fs::Permissions::from_mode(0o666)).unwrap();
    let run = world.run(&["doctor", "--json"]);
    assert_eq!(run.code, Some(1));
    assert!(finding(&run, "unusable").contains("`foreign`"));
    assert!(finding(&run, "segment-mode").contains("mode 666"));
}

#[test]
fn segments_of_other_users_are_found() {
    if !stage::is_root() {
        return stage::skip("only root can give a file to another user");
    }
    let world = World::new();
    world.file("shmcomm2_theirs", &[0; 4096]);
    std::os::unix::fs::chown(world.dir().join("shmcomm2_theirs"), Some(65_534), None).unwrap();
    let run = world.run(&["doctor", "--json"]);
    assert!(finding(&run, "other-user").contains("shmcomm2_theirs of user 65534"));
}

#[test]
fn wrong_permissions_of_the_directory_are_found() {
    let world = World::new();
    fs::set_permissions(world.dir(), fs::Permissions::from_mode(0o777)).unwrap();
    let run = world.run(&["doctor", "--json"]);
    assert!(finding(&run, "permissions").contains("every user may remove files"));
    let mut missing = world.command(&["doctor", "--json"]);
    let output = missing.env("SHMCOMM_DIR", "/nowhere/at/all").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("does not exist"));
    if let Some(run) = mounted(&world, "mount -t tmpfs -o ro tmpfs \"$0\" && SHMCOMM_DIR=\"$0\"") {
        assert!(finding(&run, "permissions").contains("mounted read-only"));
    }
}

#[test]
fn small_and_full_directories_are_found() {
    let world = World::new();
    let small = "mount -t tmpfs -o size=64m,mode=700 tmpfs \"$0\" && SHMCOMM_DIR=\"$0\"";
    let Some(run) = mounted(&world, small) else { return };
    assert!(finding(&run, "size").contains("is small: 67.1 MB in all"));
    assert!(findings(&run, "space").is_empty());
    let full = format!("{small} && head -c 67000000 /dev/zero > \"$0/filler\"");
    let run = mounted(&world, &full).expect("it was possible before");
    assert!(finding(&run, "space").contains("is full"));
    assert_eq!(run.code, Some(1));
}

#[test]
fn overlayfs_is_found() {
    let world = World::new();
    let script = "mount -t tmpfs tmpfs \"$0\" && mkdir \"$0/l\" \"$0/u\" \"$0/w\" \"$0/m\" && \
                  mount -t overlay overlay -o \"lowerdir=$0/l,upperdir=$0/u,workdir=$0/w\" \"$0/m\" && SHMCOMM_DIR=\"$0/m\"";
    let Some(run) = mounted(&world, script) else { return };
    if run.out.is_empty() && run.code != Some(0) {
        return stage::skip(&format!("overlayfs cannot be mounted here: {}", run.err));
    }
    assert!(finding(&run, "overlayfs").contains("is on overlayfs"));
}

#[test]
fn nameless_segment_is_found() {
    let world = World::new();
    let _peer = world.start("world");
    // The process does not use the channel, so the library does not restore the name.
    fs::remove_file(world.dir().join("shmcomm2_robot%2Fimu")).unwrap();
    let run = world.run(&["doctor", "--json"]);
    assert_eq!(run.code, Some(1));
    assert!(finding(&run, "nameless").contains("uses channel `robot/imu`, whose file was removed"));
}

#[test]
fn missing_proc_is_found() {
    let world = World::new();
    let run = world.run(&["doctor", "--json", "--proc", "/nowhere"]);
    assert_eq!(run.code, Some(1));
    assert!(finding(&run, "proc").contains("/nowhere does not show processes"));
}

/// Runs `doctor` where futex_waitv is forbidden, as the part `sandboxed`.
pub fn sandboxed() {
    stage::forbid_futex_waitv();
    // At the start of a new line, whatever the test harness has printed.
    println!();
    let error = Command::new(env!("CARGO_BIN_EXE_shmcomm")).args(["doctor", "--json"]).exec();
    panic!("{error}");
}

#[test]
fn forbidden_futex_waitv_is_found() {
    if !stage::waits_for_many_futexes() {
        return stage::skip("this kernel has no futex_waitv");
    }
    let world = World::new();
    let mut command = crate::support::command("sandboxed");
    let output = command.env("SHMCOMM_DIR", world.dir()).output().unwrap();
    // The test harness writes a line before the part runs.
    let text = String::from_utf8(output.stdout).unwrap();
    let out = text.lines().filter(|line| line.starts_with('{')).map(|line| format!("{line}\n")).collect();
    let run = Run { code: output.status.code(), out, err: String::new() };
    assert!(finding(&run, "futex_waitv").contains("futex_waitv is not possible"));
}

/// Makes a process in a directory that has the form of /proc.
fn fake_process(root: &Path, pid: u32, state: char, program: &str, maps: &str) {
    let home = root.join(pid.to_string());
    fs::create_dir_all(home.join("fd")).unwrap();
    fs::create_dir_all(home.join("fdinfo")).unwrap();
    fs::write(home.join("comm"), "robot\n").unwrap();
    fs::write(home.join("stat"), format!("{pid} (robot) {state} 1 1 1\n")).unwrap();
    fs::write(home.join("maps"), maps).unwrap();
    symlink(program, home.join("exe")).unwrap();
}

#[test]
fn old_python_on_a_live_channel_is_found() {
    let world = World::new();
    let proc = world.dir().join("proc");
    let maps = |name: &str| format!("7f00-7f01 rw-s 00000000 00:1a 77 {}/{name}\n", world.dir().display());
    fake_process(&proc, 11, 'S', "/usr/bin/python3.11", &maps("shmcomm_pub_battery"));
    fake_process(&proc, 13, 'S', "/usr/bin/python3.13", &maps("shmcomm_pub_battery"));
    fake_process(&proc, 14, 'S', "/usr/bin/python3.11", &maps("shmcomm2_robot"));
    let library = format!(
        "{}7f02-7f03 r-xp 00000000 08:01 9 /usr/lib/libpython3.9.so.1.0\n",
        maps("shmcomm_push_jobs")
    );
    fake_process(&proc, 15, 'S', "/opt/robot/server", &library);
    let run = world.run(&["doctor", "--json", "--proc", proc.to_str().unwrap()]);
    let found: Vec<Value> =
        findings(&run, "old-python").iter().map(|finding| finding["what"].clone()).collect();
    assert_eq!(
        found,
        [
            "process 11 with Python 3.11 uses shmcomm_pub_battery",
            "process 15 with Python 3.9 uses shmcomm_push_jobs"
        ]
    );
}

#[test]
fn stopped_processes_and_their_locks_are_found() {
    let world = World::new();
    let proc = world.dir().join("proc");
    for (pid, state, start) in [(21, 'T', 65_536), (22, 'S', 65_536), (23, 'T', 3)] {
        fake_process(&proc, pid, state, "/opt/robot", "");
        let home = proc.join(pid.to_string());
        symlink(world.dir().join("shmcomm2_robot%2Fimu"), home.join("fd/5")).unwrap();
        let lock = format!("pos:\t0\nlock:\t1: OFDLCK ADVISORY  WRITE -1 00:1a:77 {start} {start}\n");
        fs::write(home.join("fdinfo/5"), lock).unwrap();
    }
    let run = world.run(&["doctor", "--json", "--proc", proc.to_str().unwrap()]);
    let what = finding(&run, "stopped-with-lock");
    assert_eq!(what, "process robot (21) is stopped and holds the lock of shmcomm2_robot%2Fimu");

    let peer = world.start("steady");
    peer.signal(19);
    let run = world.run(&["doctor", "--json"]);
    assert!(finding(&run, "stopped").contains("publisher of `robot/imu`, is stopped"));
    peer.signal(18);
}

#[test]
fn memory_limit_of_a_container_is_found() {
    let world = World::new();
    let _peer = world.start("world");
    let cgroup = world.dir().join("cgroup");
    fs::create_dir(&cgroup).unwrap();
    fs::write(cgroup.join("memory.max"), "65536\n").unwrap();
    fs::write(cgroup.join("pids.max"), "8\n").unwrap();
    let run = world.run(&["doctor", "--json", "--cgroup", cgroup.to_str().unwrap()]);
    assert!(finding(&run, "memory").contains("the container may use 65.5 KB"));
    assert!(finding(&run, "threads").contains("8 threads"));
}
