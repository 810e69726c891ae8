//! `shmcomm echo` and `shmcomm delay`: messages in every form, without a seat.

use crate::support::{World, snapshot};
use std::time::Instant;

#[test]
fn echo_shows_every_form() {
    let world = World::new();
    let _peer = world.start("world");
    let imu = ["echo", "robot/imu", "--oldest", "-n", "2"];
    let with = |more: &[&'static str]| [&imu[..], more].concat();
    snapshot!("echo-terminal", world.on_terminal(100, &imu));
    snapshot!("echo-pipe", world.run(&imu));
    snapshot!("echo-json", world.run(&with(&["--json"])));
    snapshot!("echo-csv", world.run(&with(&["--csv"])));
    snapshot!("echo-hex", world.run(&with(&["--hex"])));
    snapshot!("echo-hex-json", world.run(&with(&["--hex", "--json"])));
    snapshot!("echo-field", world.run(&with(&["--field", "acceleration[2]", "--field", "frame"])));
    snapshot!("echo-field-json", world.run(&with(&["--field", "acceleration[2]", "--json"])));
    snapshot!("echo-filter", world.run(&with(&["--filter", "number >= 3 && frame == map"])));
    snapshot!("echo-state", world.run(&["echo", "robot/state", "--oldest", "-n", "4"]));
    snapshot!("echo-tail", world.run(&["echo", "robot/camera", "--once"]));
    snapshot!(
        "echo-tail-field",
        world.run(&["echo", "robot/camera", "--once", "-f", "width", "-f", "tail[7]"])
    );
    snapshot!("echo-msgpack", world.run(&["echo", "reports", "--once", "--json"]));
    let once = world.run(&["echo", "robot/imu", "--once"]);
    assert!(once.code == Some(0) && once.out.starts_with("#4  stamp: 2025"), "{once:?}");
}

#[test]
fn echo_takes_no_seat_and_follows_a_publisher() {
    let world = World::new();
    let _peer = world.start("steady");
    let run = world.run(&["echo", "robot/imu", "-n", "20", "--json"]);
    assert_eq!(run.code, Some(0), "{}", run.err);
    let positions: Vec<u64> =
        run.objects().iter().map(|object| object["position"].as_u64().unwrap()).collect();
    assert!(positions.windows(2).all(|pair| pair[1] == pair[0] + 1), "{positions:?}");
    let info = world.run(&["info", "robot/imu", "--json"]).objects().remove(0);
    assert_eq!(info["ends"].as_array().unwrap().len(), 1, "only the publisher has a seat");
}

#[test]
fn echo_ends_in_time_with_exit_code_3() {
    let world = World::new();
    let _peer = world.start("world");
    let run = world.run(&["echo", "robot/imu", "--duration", "100ms"]);
    assert!(run.code == Some(3) && run.err.contains("0 messages came"), "{run:?}");
    let run = world.run(&["echo", "robot/imu", "--oldest", "-n", "50", "--duration", "200ms"]);
    assert!(run.code == Some(3) && run.err.contains("5 messages of 50 came"), "{run:?}");
    let run = world.run(&["echo", "absent", "--wait", "--duration", "100ms"]);
    assert!(run.code == Some(3) && run.err.contains("no channel `absent`"), "{run:?}");
}

#[test]
fn echo_explains_what_it_cannot_show() {
    let world = World::new();
    let _peer = world.start("world");
    let run = world.run(&["echo", "jobs"]);
    assert!(run.code == Some(1) && run.err.contains("is for push/pull"), "{run:?}");
    let run = world.run(&["echo", "planner"]);
    assert!(run.code == Some(1) && run.err.contains("is for request/reply"), "{run:?}");
    for field in ["pose", "acceleration[3]", "frame.x", "stamp[0]"] {
        let run = world.run(&["echo", "robot/imu", "--field", field]);
        assert!(run.code == Some(2) && run.err.contains("have no field"), "{field}: {run:?}");
        assert!(run.err.contains("`acceleration[0]`"), "{}", run.err);
    }
    let run = world.run(&["echo", "robot/imu", "--filter", "speed > 3"]);
    assert!(run.code == Some(2) && run.err.contains("no field `speed`"), "{run:?}");
    let run = world.run(&["echo", "robot/imu", "--filter", "number >"]);
    assert!(run.code == Some(2) && run.err.contains("expected a value"), "{run:?}");
    // A schema that is too long: bytes.
    let _long = world.start("long");
    let run = world.run(&["echo", "long", "--once"]);
    assert!(run.code == Some(0) && run.out.starts_with("#0  4 096 bytes\n000000  "), "{run:?}");
    assert!(run.err.contains("shown as bytes"), "{run:?}");
}

#[test]
fn large_frame_is_short_and_measured() {
    let world = World::new();
    let _peer = world.start("big");
    let start = Instant::now();
    let run = world.run(&["echo", "big", "--once"]);
    println!("echo of a frame of 6 MB: {:?}, {} bytes of text", start.elapsed(), run.out.len());
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert!(run.out.len() < 1024, "{}", run.out);
    assert!(run.out.contains("tail: [7, 7, 7, 7, 7, 7, 7, 7, … 6220792 more]"), "{}", run.out);
}

#[test]
fn delay_is_the_age_of_messages() {
    let world = World::new();
    let _peer = world.start("stamped");
    let quick = ["delay", "robot/imu", "-n", "1", "--interval", "300ms"];
    snapshot!("delay-pipe", world.run(&quick));
    snapshot!("delay-terminal", world.on_terminal(100, &quick));
    let object = world.run(&[&quick[..], &["--json"]].concat()).objects().remove(0);
    assert_eq!(object["field"], "stamp");
    // The machine may be busy: the age is not an hour.
    assert!((0.0..3.6e9).contains(&object["p50_us"].as_f64().unwrap()), "{object}");
    let run = world.run(&["delay", "robot/imu", "--field", "nothing"]);
    assert!(run.code == Some(2) && run.err.contains("no field `nothing`"), "{run:?}");
}
