//! The output of each command, on a terminal and in a pipe.

use crate::support::{World, snapshot};

#[test]
fn list_shows_every_pattern() {
    let world = World::new();
    let _peer = world.start("world");
    world.start("killed").kill();
    snapshot!("list-terminal", world.on_terminal(200, &["list"]));
    snapshot!("list-pipe", world.run(&["list"]));
    snapshot!("list-json", world.run(&["list", "robot/imu", "--json"]));
    snapshot!("list-40-columns", world.on_terminal(40, &["list"]));
    snapshot!("list-two", world.run(&["list", "-n", "2"]));
    snapshot!("list-pattern", world.run(&["list", "robot/*"]));
    snapshot!("watch-terminal", world.on_terminal(200, &["list", "jobs", "--watch", "-n", "2"]));
    snapshot!("watch-pipe", world.run(&["list", "jobs", "--watch", "-n", "2"]));
    let colourless = world.on_terminal_with(100, &["list"], &[("NO_COLOR", "1")]);
    assert!(!colourless.out.contains('\x1b'), "{}", colourless.out);
}

#[test]
fn list_shows_how_far_slots_have_grown() {
    let world = World::new();
    let _peer = world.start("grown");
    let pipe = world.run(&["list"]).out;
    assert!(pipe.starts_with("CHANNEL\tPATTERN\tMESSAGE\tSLOTS\tSLOT\tSENT"), "{pipe}");
    assert!(pipe.contains("robot/imu\tpub/sub\tImu\t16\t-\t1\t"), "{pipe}");
    assert!(pipe.contains("scans\tpub/sub\tu64+[f32]\t4\t1024/4096\t1\t"), "{pipe}");
    let shown = world.on_terminal(200, &["list", "scans"]).out;
    assert!(shown.contains("1 024 of 4 096"), "{shown}");
    // A narrow terminal has no room for it.
    assert!(!world.on_terminal(40, &["list", "scans"]).out.contains("SLOT"));
    let fixed = world.run(&["list", "robot/imu"]).out;
    assert!(!fixed.contains("SLOT\t"), "{fixed}");
}

#[test]
fn info_shows_all_facts() {
    let world = World::new();
    let _peer = world.start("world");
    snapshot!("info-terminal", world.on_terminal(200, &["info", "robot/imu"]));
    snapshot!("info-40-columns", world.on_terminal(40, &["info", "robot/imu"]));
    snapshot!("info-pipe", world.run(&["info", "jobs"]));
    snapshot!("info-json", world.run(&["info", "robot/imu", "--json"]));
}

#[test]
fn rates_come_line_by_line() {
    let world = World::new();
    let _peer = world.start("steady");
    let quick = |command: &'static str| [command, "robot/imu", "-n", "1", "--interval", "500ms"];
    snapshot!("hz-terminal", world.on_terminal(120, &quick("hz")));
    snapshot!("hz-pipe", world.run(&quick("hz")));
    snapshot!("hz-40-columns", world.on_terminal(40, &quick("hz")));
    let json = world.run(&["hz", "robot/imu", "-n", "1", "--interval", "500ms", "--json"]).objects();
    let hertz = json[0]["hz"].as_f64().unwrap();
    // Far from exact: the machine may be busy.
    assert!((20.0..400.0).contains(&hertz), "{hertz}");
    snapshot!("bw-terminal", world.on_terminal(120, &quick("bw")));
    let json = world.run(&["bw", "robot/imu", "-n", "1", "--interval", "500ms", "--json"]).objects();
    assert_eq!(json[0]["bytes_per_message"], 40.0);
    snapshot!("top-terminal", world.on_terminal(200, &["top", "-n", "1"]));
    snapshot!("top-pipe", world.run(&["top", "-n", "1"]));
}

#[test]
fn clean_and_export_are_plain() {
    let world = World::new();
    let _peer = world.start("world");
    world.start("killed").kill();
    snapshot!("clean-terminal", world.on_terminal(100, &["clean"]));
    snapshot!("clean-pipe", world.run(&["clean"]));
    snapshot!("clean-json", world.run(&["clean", "--json"]));
    let text = world.run(&["export", "--prometheus"]);
    assert_eq!(text.code, Some(0));
    assert!(
        text.out.contains(
            "shmcomm_messages_total{channel=\"robot/imu\",pattern=\"pub/sub\",wire=\"native\"} 5\n"
        )
    );
    assert!(text.out.contains("# TYPE shmcomm_queue_waiting gauge\n"));
    assert!(
        text.out.contains("shmcomm_queue_waiting{channel=\"jobs\",pattern=\"queue\",wire=\"native\"} 3\n")
    );
    let file = world.dir().join("metrics");
    assert_eq!(world.run(&["export", "--output", file.to_str().unwrap()]).out, "");
    assert!(std::fs::read_to_string(file).unwrap().contains("shmcomm_live"));
}

#[test]
fn bench_measures_two_processes() {
    let world = World::new();
    let run = world.run(&["bench", "--duration", "150ms", "--json", "--size", "16"]);
    assert_eq!(run.code, Some(0), "{}", run.err);
    let names: Vec<_> = run.objects().iter().map(|object| object["name"].clone()).collect();
    assert_eq!(names, ["send", "round trip, polling", "round trip, asleep"]);
    assert!(run.objects().iter().all(|object| object["p50_ns"].as_u64().unwrap() > 0));
    assert_eq!(world.run(&["list", "--json"]).out, "", "it leaves nothing");
    let run = world.on_terminal(80, &["bench", "--duration", "90ms", "-n", "1"]);
    assert!(run.out.starts_with("send ") && run.out.lines().count() == 1, "{}", run.out);
}
