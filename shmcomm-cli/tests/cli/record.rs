//! Recordings by the command line: replayed, killed, on a full disk, with channels that appear late or cannot be
//! recorded.

use crate::support::World;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Starts a command with its output in pipes, and returns it.
fn start(world: &World, arguments: &[&str]) -> Child {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_shmcomm"));
    command.args(arguments).env("SHMCOMM_DIR", world.dir());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until a file exists.
fn appears(path: &str) {
    let end = Instant::now() + Duration::from_secs(20);
    while !std::path::Path::new(path).exists() {
        assert!(Instant::now() < end, "{path} does not appear");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Returns the sequences of the messages in a file.
fn sequences(path: &str) -> Vec<u32> {
    shmcomm_record::read(path).unwrap().map(|message| message.unwrap().sequence).collect()
}

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
    assert_eq!(world.run(&["replay", &path, "--start", "2s", "--end", "1s"]).code, Some(2));
    std::fs::write(&path, "no recording at all").unwrap();
    let run = world.run(&["replay", &path]);
    assert!(run.code == Some(1) && run.err.contains("is no MCAP file"), "{run:?}");
    // A wrong name is a wrong argument; any other reason is a failure.
    for (path, code) in
        [(file(&world, "no/such/a.mcap"), 2), ("/dev/full".to_owned(), 2), ("/sys/a.mcap".to_owned(), 1)]
    {
        let run = world.run(&["record", "--wait", "--duration", "1s", "-o", &path]);
        assert!(run.code == Some(code) && run.err.contains("cannot create"), "{path}: {run:?}");
    }
}

#[test]
fn killed_recorder_leaves_all_but_the_last_second() {
    let world = World::new();
    let path = file(&world, "a.mcap");
    let _peer = world.start("steady");
    let mut child = start(&world, &["record", "robot/imu", "-o", &path]);
    // Several chunks of half a second.
    let mut seen = 0;
    while seen < 8000 {
        std::thread::sleep(Duration::from_millis(50));
        seen = std::fs::metadata(&path).map_or(0, |file| file.len());
    }
    let sent = world.run(&["info", "robot/imu", "--json"]).objects().remove(0)["sent"].as_u64().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let found = sequences(&path);
    // The sender sends 200 messages a second, and had sent this many before the recorder was killed.
    let last = u64::from(*found.last().unwrap());
    assert!(last + 200 >= sent, "{last} of {sent}");
    assert!(found.windows(2).all(|pair| pair[1] == pair[0] + 1), "{found:?}");
    assert!(found.len() > 100, "{}", found.len());
    let run = world.run(&["replay", &path, "--remap", "robot/imu=test/imu", "--speed", "0", "--json"]);
    assert!(run.code == Some(0) && run.err.contains("has no complete end"), "{run:?}");
    assert_eq!(run.objects().remove(0)["sent"].as_u64(), Some(found.len() as u64));
}

#[test]
fn late_channel_is_recorded_from_its_first_message() {
    let world = World::new();
    let path = file(&world, "a.mcap");
    let child = start(&world, &["record", "robot/*", "--wait", "-n", "300", "-o", &path, "--json"]);
    appears(&path);
    std::thread::sleep(Duration::from_millis(700));
    let _peer = world.start("steady");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = sequences(&path);
    assert_eq!(line["lost"].as_u64().unwrap(), u64::from(found[0]), "{line}");
    assert_eq!(line["written"].as_u64(), Some(found.len() as u64), "{line}");
}

#[test]
fn trigger_channel_may_appear_later() {
    let world = World::new();
    let path = file(&world, "a.mcap");
    let options = ["--wait", "--pre-buffer", "60s", "--trigger", "robot/state", "--duration", "5s"];
    let mut arguments = vec!["record", "robot/*", "-o", &path];
    arguments.extend(options);
    let child = start(&world, &arguments);
    std::thread::sleep(Duration::from_millis(300));
    // It sends its messages before the command can find the channel.
    let _peer = world.start("world");
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{err}");
    assert!(err.contains("waits for the channel `robot/state`") && err.contains("triggered"), "{err}");
    assert_eq!(sequences(&path).len(), 10, "{err}");
    // A channel that can be no trigger is an error.
    for (name, code) in [("jobs", 1), ("a b\n", 2)] {
        let path = file(&world, "b.mcap");
        let run = world.run(&["record", "robot/*", "-o", &path, "--pre-buffer", "1s", "--trigger", name]);
        assert_eq!(run.code, Some(code), "{run:?}");
    }
}

#[test]
fn what_is_left_out_is_named() {
    let world = World::new();
    let _peer = world.start("world");
    world.file("shmcomm2_foreign", &[b'x'; 4096]);
    let path = file(&world, "a.mcap");
    let run = world.run(&["record", "--oldest", "-n", "3", "-o", &path]);
    assert_eq!(run.code, Some(0), "{run:?}");
    for text in ["`jobs` is for push/pull", "`planner` is for request/reply", "`foreign` cannot be used"] {
        assert_eq!(run.err.matches(text).count(), 1, "{text}: {run:?}");
    }
    let path = file(&world, "b.mcap");
    let run = world.run(&["record", "robot/imu", "jobs", "-o", &path]);
    assert!(run.code == Some(1) && run.err.contains("`jobs` is for push/pull"), "{run:?}");
    let run = world.run(&["record", "job*", "-o", &path]);
    assert!(run.code == Some(3) && run.err.contains("1 channel of other kinds"), "{run:?}");
    assert!(!std::path::Path::new(&path).exists());
}

#[test]
fn part_of_a_recording_is_replayed() {
    let world = World::new();
    let path = file(&world, "a.mcap");
    let peer = world.start("steady");
    let run =
        world.run(&["record", "robot/imu", "-o", &path, "--duration", "1s", "--split-duration", "300ms"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    drop(peer);
    let files: Vec<_> = (0..9).map(|number| file(&world, &format!("a_{number:03}.mcap"))).collect();
    let files: Vec<_> =
        files.iter().map(String::as_str).filter(|file| std::path::Path::new(file).exists()).collect();
    assert!(files.len() > 2, "{files:?}");
    let replay = |files: &[&str], options: &[&str]| {
        let run = world.run(&[&["replay", "--json", "--speed", "0"], files, options].concat());
        let sent = run.objects().first().map_or(0, |line| line["sent"].as_u64().unwrap());
        (run.code, sent, run.err)
    };
    let (code, all, err) = replay(&files, &[]);
    assert_eq!(code, Some(0), "{err}");
    let (code, some, err) = replay(&files, &["--start", "500ms"]);
    assert!(code == Some(0) && some > 0 && some < all, "{some} of {all}: {err}");
    let (code, count, _) = replay(&files, &["--loop", "-n", "500"]);
    assert_eq!((code, count), (Some(0), 500));
    let (code, _, err) = replay(&files, &["--start", "90s"]);
    assert!(code == Some(3) && err.contains("the last message comes after"), "{err}");
    let (code, _, err) = replay(&[files[0], files[2]], &[]);
    assert!(code == Some(2) && err.contains("the files between them"), "{err}");
}

/// Records with a limit of the size of files, without the signal: a write beyond it fails as on a full disk. Returns the
/// report.
fn record_on_full_disk(world: &World, channel: &str, path: &str) -> serde_json::Value {
    let script = "trap '' XFSZ; ulimit -f 2000; exec timeout 60 \"$@\"";
    let mut command = std::process::Command::new("bash");
    command.args(["-c", script, "bash", env!("CARGO_BIN_EXE_shmcomm"), "record", channel, "-o", path]);
    command.args(["--compression", "none", "--oldest", "--json"]);
    let output = command.env("SHMCOMM_DIR", world.dir()).output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("cannot write the recording") && err.contains("can be read"), "{err}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn full_disk_is_an_error_with_a_readable_file() {
    let world = World::new();
    let path = file(&world, "a.mcap");
    let _peer = world.start("flood");
    // The report comes after the error too, and counts what is in the file.
    let report = record_on_full_disk(&world, "flood", &path);
    let run = world.run(&["replay", &path, "--remap", "flood=test/flood", "--speed", "0", "--json"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let sent = run.objects().remove(0)["sent"].as_u64();
    assert!(sent > Some(1000));
    assert_eq!(report["written"].as_u64(), sent, "{report}");
    // The file has its last bytes, so that readers that demand them accept it.
    let bytes = std::fs::read(&path).unwrap();
    assert!(bytes.ends_with(b"\x89MCAP0\r\n"));
    // A message that is larger than the room is cut off, not written.
    let _big = world.start("big");
    let report = record_on_full_disk(&world, "big", &file(&world, "b.mcap"));
    let figures = ["written", "bytes", "lost", "cut_off"].map(|figure| report[figure].as_u64().unwrap());
    assert_eq!(figures, [0, 0, 0, 1], "{report}");
}
