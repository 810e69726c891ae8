//! Channels of an unmodified process of the Python library.

use crate::support::{Run, World};
use shmcomm_tests::{Peer, python};

/// Runs the command line in the directory that Python uses.
fn run(world: &World, arguments: &[&str]) -> Run {
    let output = world.command(arguments).env_remove("SHMCOMM_DIR").output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

const PROGRAM: &str = r#"
import sys, time
from shm_comm import Publisher, Pusher
name = sys.argv[1]
publisher, pusher = Publisher(name), Pusher(name + "-jobs")
for number in range(3):
    pusher.send(number)
print("> ready")
for number in range(1_000_000):
    publisher.send({"number": number, "frame": "map"})
    time.sleep(0.002)
"#;

#[test]
fn channels_of_python_are_shown() {
    let Some(python) = python::latest() else { return };
    let world = World::new();
    let name = format!("cli-{}", std::process::id());
    let mut program = python.program(PROGRAM);
    program.arg(&name);
    let mut peer = Peer::spawn(program);
    assert_eq!(peer.said(), "ready");
    let jobs = format!("{name}-jobs");

    let listed = run(&world, &["list", &name, &jobs]);
    assert_eq!(listed.code, Some(0), "{listed:?}");
    let lines: Vec<&str> = listed.out.lines().collect();
    assert!(
        lines[1].starts_with(&format!("{name}\tpub/sub\t(python)\t")) && lines[1].ends_with("\tlive"),
        "{listed:?}"
    );
    assert!(
        lines[2].starts_with(&format!("{jobs}\tqueue\t(python)\t")) && lines[2].contains("3 waiting"),
        "{listed:?}"
    );
    let info = run(&world, &["info", &name, "--json"]).objects().remove(0);
    assert_eq!((&info["wire"], &info["ends"][0]["pid"]), (&"python".into(), &peer.pid().into()));

    let rate = run(&world, &["hz", &name, "-n", "1", "--interval", "500ms", "--json"]).objects().remove(0);
    assert!((1.0..600.0).contains(&rate["hz"].as_f64().unwrap()), "{rate}");
    let refused = run(&world, &["bw", &name, "-n", "1"]);
    assert!(refused.code == Some(1) && refused.err.contains("does not count bytes"), "{refused:?}");

    let echoed = run(&world, &["echo", &name, "-n", "2", "--json", "--duration", "20s"]);
    assert_eq!(echoed.code, Some(0), "{echoed:?}");
    assert_eq!(echoed.objects()[0]["message"]["frame"], "map");
    let field = run(&world, &["echo", &name, "--once", "--field", "frame", "--duration", "20s"]);
    assert_eq!(field.out, "map\n", "{field:?}");

    // Python's resource tracker removes the files of a killed process, so there may be nothing left.
    peer.kill();
    let cleaned = run(&world, &["clean", "--yes", "--with-work", "*cli-nothing*", &format!("{name}*")]);
    assert!(matches!(cleaned.code, Some(0 | 3)), "{cleaned:?}");
}
