//! Recordings by the command line: replayed, killed, and on a full disk.

use crate::support::World;
use std::process::Stdio;
use std::time::Duration;

/// Returns the text of a path.
fn file(world: &World, name: &str) -> String {
    world.dir().join(name).to_str().unwrap().to_owned()
}

#[test]
fn recording_is_replayed_under_another_name() {
    let world = World::new();
    let path = file(&world, "a.mcap");
    let peer = world.start("steady");
    let run = world.run(&["record", "robot/*", "-o", &path, "-n", "20", "--json"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let report = run.objects().remove(0);
    assert!(report["channel"] == "robot/imu" && report["written"].as_u64() >= Some(20), "{report}");
    assert_eq!(report["refused"], 0);
    let written = report["written"].as_u64().unwrap();

    let refused = world.run(&["replay", &path]);
    assert!(refused.code == Some(1) && refused.err.contains("has a live publisher"), "{refused:?}");
    let run = world.run(&["replay", &path, "--remap", "robot/imu=test/imu", "--speed", "0", "--json"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let report = run.objects().remove(0);
    assert_eq!((report["channel"].as_str(), report["sent"].as_u64()), (Some("test/imu"), Some(written)));
    drop(peer);
    let again = world.run(&["record", "robot/imu", "-o", &path]);
    assert!(again.code == Some(2) && again.err.contains("never replaces a file"), "{again:?}");
}

#[test]
fn wrong_arguments_have_their_exit_codes() {
    let world = World::new();
    let path = file(&world, "a.mcap");
    assert_eq!(world.run(&["record", "nothing", "-o", &path]).code, Some(3));
    assert_eq!(world.run(&["record", "--split-size", "big"]).code, Some(2));
    assert_eq!(world.run(&["record", "--pre-buffer", "10s"]).code, Some(2));
    assert_eq!(world.run(&["replay", &path]).code, Some(3));
    std::fs::write(&path, "no recording at all").unwrap();
    let run = world.run(&["replay", &path]);
    assert!(run.code == Some(1) && run.err.contains("is no MCAP file"), "{run:?}");
}

#[test]
fn killed_recorder_leaves_a_readable_file() {
    let world = World::new();
    let path = file(&world, "a.mcap");
    let _peer = world.start("steady");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_shmcomm"));
    command.args(["record", "robot/imu", "-o", &path]).env("SHMCOMM_DIR", world.dir());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // Several chunks of half a second.
    let mut seen = 0;
    while seen < 3000 {
        std::thread::sleep(Duration::from_millis(50));
        seen = std::fs::metadata(&path).map_or(0, |file| file.len());
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let run = world.run(&["replay", &path, "--remap", "robot/imu=test/imu", "--speed", "0", "--json"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let sent = run.objects().remove(0)["sent"].as_u64().unwrap();
    assert!(sent >= 20, "{sent}");
}

#[test]
fn full_disk_is_an_error_with_a_readable_file() {
    let world = World::new();
    let path = file(&world, "a.mcap");
    let _peer = world.start("flood");
    // A limit of the size of files, without the signal: a write beyond it fails as on a full disk.
    let script = "trap '' XFSZ; ulimit -f 2000; exec timeout 60 \"$@\"";
    let mut command = std::process::Command::new("bash");
    command.args(["-c", script, "bash", env!("CARGO_BIN_EXE_shmcomm"), "record", "flood", "-o", &path]);
    let output = command.args(["--compression", "none"]).env("SHMCOMM_DIR", world.dir()).output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("cannot write the recording") && err.contains("can be read"), "{err}");
    let run = world.run(&["replay", &path, "--remap", "flood=test/flood", "--speed", "0", "--json"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.objects().remove(0)["sent"].as_u64() > Some(1000));
    // The file has its last bytes, so that readers that demand them accept it.
    let bytes = std::fs::read(&path).unwrap();
    assert!(bytes.ends_with(b"\x89MCAP0\r\n"));
}
