//! Unknown channels, unusable files, wrong arguments, and readers that go away.

use crate::support::{World, snapshot};
use std::process::Stdio;

/// Puts unusable files into the directory, and one of the Python library.
fn unusable(world: &World) {
    world.file("shmcomm2_short", b"abc");
    world.file("shmcomm2_foreign", &[b'x'; 4096]);
    let mut header = vec![0; 4096];
    header[..8].copy_from_slice(&0x5348_4D43_4F4D_4D31u64.to_ne_bytes());
    header[8] = 2;
    world.file("shmcomm2_damaged", &header);
    header[8] = 9;
    world.file("shmcomm2_newer", &header);
    header[8] = 1;
    world.file("shmcomm2_older", &header);
    // The words of version 1: 5 messages, in 4 slots of 64 bytes.
    let mut python = vec![0; 128 + 4 * 64];
    let words = [0x5348_4D43_4F4D_4D31u64, 1, 1, 0, 5, 0, 4, 64];
    for (at, word) in words.iter().enumerate() {
        python[8 * at..8 * at + 8].copy_from_slice(&word.to_ne_bytes());
    }
    world.file("shmcomm_pub_battery", &python);
    world.file("shmcomm_pub_broken", &[0; 128]);
}

#[test]
fn unusable_files_are_listed_with_their_problem() {
    let world = World::new();
    unusable(&world);
    snapshot!("list-unusable-terminal", world.on_terminal(200, &["list"]));
    snapshot!("list-unusable-pipe", world.run(&["list"]));
    let run = world.run(&["info", "damaged"]);
    assert!(run.code == Some(0) && run.out.contains("its header is damaged"), "{run:?}");
    for command in ["hz", "bw"] {
        let run = world.run(&[command, "damaged", "-n", "1"]);
        assert!(run.code == Some(1) && run.err.contains("its header is damaged"), "{run:?}");
    }
    let metrics = world.run(&["export"]).out;
    assert!(metrics.contains("shmcomm_unusable{channel=\"short\""), "{metrics}");
}

#[test]
fn unknown_channel_suggests_near_names() {
    let world = World::new();
    let _peer = world.start("world");
    for command in ["info", "hz", "bw", "list", "clean", "top", "export"] {
        let run = world.run(&[command, "robot/imo"]);
        assert_eq!(run.code, Some(3), "{command}: {run:?}");
        assert!(
            run.err.contains("there is no channel `robot/imo`; did you mean `robot/imu`"),
            "{command}: {}",
            run.err
        );
    }
    let run = world.run(&["info", "imu"]);
    assert!(run.err.contains("did you mean `robot/imu`"), "{}", run.err);
    let run = world.run(&["info", "--namespace", "sim1", "imu"]);
    assert!(run.code == Some(3) && run.err.contains("in the namespace `sim1`"), "{}", run.err);
    assert_eq!(world.run(&["info", "--namespace", "robot", "imu"]).code, Some(0));
    let empty = World::new();
    let run = empty.run(&["info", "a\u{1b}[31m"]);
    assert!(run.code == Some(3) && run.err.contains("there are no channels in"), "{}", run.err);
    assert!(!run.err.contains('\x1b'));
    let run = empty.run(&["list"]);
    assert!(run.code == Some(0) && run.out.is_empty() && run.err.contains("no channels"), "{run:?}");
}

#[test]
fn wrong_arguments_are_exit_code_2() {
    let world = World::new();
    for arguments in [
        &["nothing"][..],
        &[],
        &["list", "--nothing"],
        &["hz"],
        &["hz", "x", "-n", "0"],
        &["hz", "x", "--duration", "soon"],
        &["bench", "--size", "0"],
        &["list", "--namespace", "a b"],
    ] {
        let run = world.run(arguments);
        assert_eq!(run.code, Some(2), "{arguments:?}: {run:?}");
        assert!(run.out.is_empty() && !run.err.is_empty(), "{arguments:?}: {run:?}");
    }
}

#[test]
fn reader_that_goes_away_is_no_error() {
    let world = World::new();
    let _peer = world.start("world");
    for arguments in
        [&["list", "--watch"][..], &["hz", "robot/imu", "--interval", "10ms"], &["top"], &["man"]]
    {
        let mut child =
            world.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(output.stderr.is_empty(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn full_device_is_an_error() {
    let world = World::new();
    let _peer = world.start("world");
    let Ok(full) = std::fs::File::options().write(true).open("/dev/full") else { return };
    let output = world.command(&["list"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot write the output"));
}
