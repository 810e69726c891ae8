//! `shmcomm pub`, `push`, `pull` and `req`: values go to their fields, and come back unchanged.

use crate::support::{World, snapshot};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Returns the messages of a channel, as `echo --json` prints them.
fn messages(world: &World, channel: &str, number: &str) -> Vec<serde_json::Value> {
    let run = world.run(&["echo", channel, "--oldest", "--json", "-n", number, "--duration", "20s"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    run.objects().into_iter().map(|object| object["message"].clone()).collect()
}

#[test]
fn printed_messages_can_be_published() {
    let world = World::new();
    let _peer = world.start("world");
    let mirror = world.start("mirror");
    for (from, to, number) in [
        ("robot/state", "copy/state", "4"),
        ("robot/imu", "copy/imu", "5"),
        ("robot/camera", "copy/camera", "1"),
    ] {
        let printed = world.run(&["echo", from, "--oldest", "--json", "-n", number]).out;
        let run = world.feed(&["pub", to, "--stdin"], &printed);
        assert_eq!(run.code, Some(0), "{to}: {run:?}");
        assert_eq!(messages(&world, from, number), messages(&world, to, number), "{to}");
    }
    drop(mirror);
}

#[test]
fn values_go_to_their_fields() {
    let world = World::new();
    let _mirror = world.start("mirror");
    let imu = r#"{"stamp": 5, "number": 7, "acceleration": [1, 2.5, -3], "frame": "base"}"#;
    snapshot!("pub-pipe", world.run(&["pub", "copy/imu", imu]));
    snapshot!("pub-json", world.run(&["pub", "copy/imu", imu, "-n", "2", "--json"]));
    snapshot!("pub-terminal", world.on_terminal(80, &["pub", "copy/imu", imu, "--rate", "1000", "-n", "2"]));
    let seen = messages(&world, "copy/imu", "5");
    assert!(
        seen.iter().all(|message| message["acceleration"] == serde_json::json!([1.0, 2.5, -3.0])),
        "{seen:?}"
    );
}

#[test]
fn values_that_do_not_fit_name_their_field() {
    let world = World::new();
    let _mirror = world.start("mirror");
    let imu = |change: &str| {
        format!("{{\"stamp\":5,\"number\":7,\"acceleration\":[1,2,3],\"frame\":\"a\",{change}}}")
    };
    let cases = [
        (imu("\"number\":-1").replace("\"number\":7,", ""), "Imu.number"),
        (r#"{"stamp":5,"number":7,"acceleration":[1,2],"frame":"a"}"#.to_owned(), "Imu.acceleration"),
        (r#"{"stamp":5,"number":7,"acceleration":[1,2,3],"frame":"much too long"}"#.to_owned(), "Imu.frame"),
        (r#"{"stamp":5,"number":"seven","acceleration":[1,2,3],"frame":"a"}"#.to_owned(), "Imu.number"),
        (imu("\"extra\":1"), "extra"),
    ];
    for (text, field) in cases {
        let run = world.run(&["pub", "copy/imu", &text]);
        assert!(run.code == Some(1) && run.err.contains(field), "{field}: {run:?}");
    }
    let run = world.run(&["pub", "copy/imu", "{number: 7}"]);
    assert!(run.code == Some(2) && run.err.contains("is no JSON"), "{run:?}");
    let run = world.feed(&["pub", "copy/imu", "--stdin"], "\nnonsense\n");
    assert!(run.code == Some(2) && run.err.contains("line 2 is no JSON"), "{run:?}");
}

#[test]
fn pub_explains_why_it_cannot_send() {
    let world = World::new();
    let _peer = world.start("world");
    let run = world.run(&["pub", "robot/imu", "{}"]);
    assert!(run.code == Some(1) && run.err.contains("robot/imu"), "{run:?}");
    let run = world.run(&["pub", "absent", "{}"]);
    assert!(run.code == Some(3) && run.err.contains("no channel `absent`"), "{run:?}");
    let run = world.run(&["pub", "jobs", "{}"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    let _long = world.start("long");
    let run = world.run(&["pub", "copy", "{}", "--like", "long"]);
    assert!(run.code == Some(1) && run.err.contains("64 KiB"), "{run:?}");
}

#[test]
fn jobs_are_pushed_and_pulled() {
    let world = World::new();
    let _peer = world.start("world");
    assert_eq!(world.run(&["push", "jobs", r#"{"number": 70}"#]).code, Some(0));
    let run = world.feed(&["push", "jobs", "--stdin", "--json"], "{\"number\":71}\n\n{\"number\":72}\n");
    assert_eq!((run.code, run.objects()[0]["sent"].as_u64()), (Some(0), Some(2)), "{run:?}");
    snapshot!("pull-pipe", world.run(&["pull", "jobs"]));
    snapshot!("pull-terminal", world.on_terminal(80, &["pull", "jobs", "-n", "2"]));
    snapshot!("pull-json", world.run(&["pull", "jobs", "--all", "--json"]));
    let run = world.run(&["pull", "jobs", "--duration", "100ms"]);
    assert!(run.code == Some(3) && run.err.contains("0 jobs came"), "{run:?}");
    // Eight slots: the ninth job waits for room.
    let many: String = (0..9).map(|number| format!("{{\"number\":{number}}}\n")).collect();
    let run = world.feed(&["push", "jobs", "--stdin", "--duration", "300ms"], &many);
    assert!(run.code == Some(3) && run.err.contains("was full"), "{run:?}");
}

#[test]
fn requests_are_answered() {
    let world = World::new();
    let _service = world.start("service");
    snapshot!("req-pipe", world.run(&["req", "planner", r#"{"x": 2, "y": 40}"#]));
    snapshot!("req-terminal", world.on_terminal(80, &["req", "planner", r#"{"x": 2, "y": 40}"#]));
    let run = world.feed(&["req", "planner", "--stdin", "--json"], "{\"x\":1,\"y\":1}\n{\"x\":2,\"y\":2}\n");
    let numbers: Vec<_> = run.objects().iter().map(|object| object["message"]["number"].clone()).collect();
    assert_eq!(numbers, [2, 4], "{run:?}");
    let run = world.run(&["req", "planner", r#"{"x": 2}"#]);
    assert!(run.code == Some(1) && run.err.contains("Point.y"), "{run:?}");
    let deaf = World::new();
    let _peer = deaf.start("world");
    let run = deaf.run(&["req", "planner", r#"{"x": 2, "y": 40}"#, "--duration", "200ms"]);
    assert!(run.code == Some(3) && run.err.contains("no reply came"), "{run:?}");
}

#[test]
fn each_reply_of_a_stream_is_printed() {
    let world = World::new();
    let mut service = world.start("counting");
    let run = world.run(&["req", "count", r#"{"x": 3, "y": 8}"#, "--json"]);
    let numbers: Vec<_> = run.objects().iter().map(|object| object["message"]["number"].clone()).collect();
    assert_eq!(numbers, [3, 4, 5, 6, 7, 8], "{run:?}");
    let run = world.run(&["req", "count", r#"{"x": 1, "y": 0}"#]);
    assert!(run.code == Some(0) && run.out.is_empty(), "{run:?}");
    let run = world.feed(&["req", "count", "--stdin"], "{\"x\":1,\"y\":1}\n{\"x\":2,\"y\":3}\n");
    let printed: Vec<_> =
        run.out.lines().map(|line| line.trim_matches(|c: char| !c.is_ascii_digit())).collect();
    assert_eq!(printed, ["1", "2", "3"], "{run:?}");
    // A reader that has enough ends the command, and so the stream.
    let mut command = world.command(&["req", "count", r#"{"x": 0, "y": -1}"#]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(service.said(), "cancelled");
    child.wait().unwrap();
}

#[test]
fn tools_show_window_and_open_streams() {
    let world = World::new();
    let mut service = world.start("counting");
    let list = world.run(&["list"]).out;
    assert!(list.contains("count\tstream\t"), "{list}");
    let mut command = world.command(&["req", "count", r#"{"x": 0, "y": -1}"#]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    // The command stays in the middle of the stream: nothing reads its pipe, which is full at some time.
    let start = Instant::now();
    while world.run(&["info", "count", "--json"]).objects()[0]["queue"]["claimed"] != 1 {
        assert!(start.elapsed() < Duration::from_secs(60), "no stream is open");
        std::thread::sleep(Duration::from_millis(10));
    }
    let info = world.run(&["info", "count"]).out;
    assert!(
        info.contains("pattern\trequest/stream\n") && info.contains("window\t2 unread replies\n"),
        "{info}"
    );
    assert!(info.contains("streams\t1 open, 0 requests waiting, 0 not fetched, 0 done\n"), "{info}");
    assert_eq!(world.run(&["info", "count", "--json"]).objects()[0]["window"], 2);
    drop(child.stdout.take());
    assert_eq!(service.said(), "cancelled");
    child.wait().unwrap();
}
