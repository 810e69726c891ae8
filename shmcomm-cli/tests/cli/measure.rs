//! Figures against the truth of the counters, and printed measurements of the commands themselves.

use crate::support::World;
use std::time::Instant;

#[test]
fn hz_agrees_with_the_counter_at_full_speed() {
    let world = World::new();
    let _peer = world.start("flood");
    let count = || {
        let object = world.run(&["info", "flood", "--json"]).objects().remove(0);
        object["sent"].as_f64().unwrap()
    };
    // The command counts within the outer window, so its figures must fit in between.
    let (outer, before) = (Instant::now(), count());
    let run = world.run(&["hz", "flood", "--json", "-n", "2"]);
    let (after, outer) = (count(), outer.elapsed().as_secs_f64());
    let reports = run.objects();
    let (first, last) = (&reports[0], &reports[1]);
    let messages = |object: &serde_json::Value| object["messages"].as_f64().unwrap();
    let counted = messages(last) - messages(first);
    let rate = last["hz"].as_f64().unwrap();
    let window = last["window_s"].as_f64().unwrap();
    assert!(before <= messages(first) && messages(last) <= after);
    assert!((rate * window / counted - 1.0).abs() < 0.01, "{rate} Hz in {window} s, and {counted} messages");
    println!("hz: {rate:.0} messages/s reported, {:.0} counted from outside", (after - before) / outer);
}

#[test]
fn commands_are_measured() {
    let world = World::new();
    let _peer = world.start("many");
    let timed = |arguments: &[&str]| {
        let runs = (0..5).map(|_| {
            let start = Instant::now();
            let run = world.run(arguments);
            assert_eq!(run.code, Some(0), "{run:?}");
            (start.elapsed(), run)
        });
        runs.min_by_key(|(time, _)| *time).unwrap()
    };
    let (time, run) = timed(&["list"]);
    assert_eq!(run.out.lines().count(), 101);
    println!("list of 100 channels: {time:?}");
    println!("version: {:?}", timed(&["--version"]).0);
}
