//! `shmcomm schema`: the declarations compile, and describe the same bytes.

use crate::support::{World, snapshot};
use shmcomm_tests::stage;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const CHANNELS: [&str; 5] = ["robot/imu", "robot/state", "robot/camera", "jobs", "planner"];

#[track_caller]
fn code(world: &World, channel: &str, language: &str) -> String {
    let run = world.run(&["schema", channel, "--as", language]);
    assert_eq!(run.code, Some(0), "{channel} as {language}: {}", run.err);
    run.out
}

#[track_caller]
fn succeeds(output: &Output, what: &str, code: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {said}\n{code}");
}

/// Compiles `code` as a library with `library`, whose own libraries are in the directory `deps`.
fn compile(world: &World, code: &str, library: &Path, deps: &Path) -> Output {
    let file = world.dir().join("code.rs");
    std::fs::write(&file, code).unwrap();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    Command::new(rustc)
        .args(["--edition", "2024", "--crate-type", "lib", "--emit", "metadata", "--out-dir"])
        .arg(world.dir())
        .arg("--extern")
        .arg(format!("shmcomm={}", library.display()))
        .arg("-L")
        .arg(format!("dependency={}", deps.display()))
        .arg(&file)
        .output()
        .unwrap()
}

/// Returns the library as cargo has built it for this test, and the directory of all that it needs. Other builds of it,
/// with fewer features, may be newer: the first that has the codecs is taken.
fn library(world: &World) -> (PathBuf, PathBuf) {
    let exe = std::env::current_exe().unwrap();
    let deps = exe.parent().unwrap().to_owned();
    let files = std::fs::read_dir(&deps).unwrap().flatten().map(|entry| entry.path());
    let mut built: Vec<_> = files
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with("libshmcomm-") && name.ends_with(".rlib")
        })
        .collect();
    built.sort_by_key(|path| path.metadata().and_then(|data| data.modified()).unwrap());
    let code = "pub use shmcomm::codec::{Msgpack, Value};";
    let fits = |path: &PathBuf| compile(world, code, path, &deps).status.success();
    (built.into_iter().rev().find(fits).expect("cargo has built the library with its codecs"), deps)
}

#[test]
fn rust_compiles_with_the_same_fingerprint() {
    let world = World::new();
    let _peers = (world.start("world"), world.start("encoded"));
    let (library, deps) = library(&world);
    for channel in CHANNELS.into_iter().chain(["tunings"]) {
        let code = code(&world, channel, "rust");
        let named = code.contains("Encoded<shmcomm::codec::Value, shmcomm::codec::Msgpack, 48>");
        assert_eq!(named, channel == "tunings", "{code}");
        assert!(code.contains("const _: () = assert!("), "{code}");
        succeeds(&compile(&world, &code, &library, &deps), channel, &code);
    }
}

#[test]
fn header_compiles_in_c_and_cpp() {
    let world = World::new();
    let _peer = world.start("world");
    for (compiler, standard) in [("cc", "c11"), ("c++", "c++17")] {
        if Command::new(compiler).arg("--version").output().is_err() {
            stage::skip(&format!("there is no compiler `{compiler}`"));
            continue;
        }
        // All headers in one program: their helpers must not collide.
        let mut program = String::new();
        for channel in CHANNELS {
            let name = format!("{}.h", channel.replace('/', "_"));
            std::fs::write(world.dir().join(&name), code(&world, channel, "c")).unwrap();
            program += &format!("#include \"{name}\"\n");
            if channel != "robot/state" {
                continue;
            }
            program += "static_assert(sizeof(robot_state_message) == sizeof(struct State), \"\");\n";
        }
        let file = world.dir().join(if compiler == "cc" { "program.c" } else { "program.cpp" });
        std::fs::write(&file, &program).unwrap();
        let standard = format!("-std={standard}");
        let arguments = [standard.as_str(), "-Wall", "-Wextra", "-Werror", "-fsyntax-only"];
        let output = Command::new(compiler).args(arguments).arg(&file).output().unwrap();
        succeeds(&output, compiler, &code(&world, "robot/state", "c"));
    }
}

#[test]
fn python_reads_the_bytes_of_a_message() {
    let world = World::new();
    let _peer = world.start("world");
    let Some(python) = shmcomm_tests::python::latest() else { return };
    for channel in CHANNELS {
        for language in ["python", "numpy"] {
            let code = code(&world, channel, language);
            python.run(&code, b"");
        }
    }
    let state = crate::world::state(2);
    let bytes = crate::world::bytes_of(&state);
    let check = "
import sys
s = State.from_buffer_copy(sys.stdin.buffer.read())
assert (s.pose.x, s.battery, s.level, s.small, chr(s.letter)) == (2.0, 12.5, -5, 200, '√')
assert str(s.frame) == 'ödom' and s.target.value == 1.5 and [p.x for p in s.path.items] == [0.0, 1.0]
assert Mode(s.mode) is Mode.Idle and list(s.joints[1]) == [3, -4]
";
    python.run(&(code(&world, "robot/state", "python") + check), bytes);
    let check = "
import sys
s = np.frombuffer(sys.stdin.buffer.read(), message)[0]
assert (s['pose']['x'], s['battery'], s['level'], s['small'], chr(s['letter'])) == (2.0, 12.5, -5, 200, '√')
assert text(s['frame']) == 'ödom' and s['target']['value'] == 1.5 and list(items(s['path'])['x']) == [0.0, 1.0]
assert Mode(s['mode']) is Mode.Idle and s['stamp'] == np.datetime64(2, 'ns')
";
    python.run(&(code(&world, "robot/state", "numpy") + check), bytes);
}

#[test]
fn schemas_have_snapshots() {
    let world = World::new();
    let _peer = world.start("world");
    for language in ["rust", "c", "python", "numpy", "ros2msg", "json"] {
        snapshot!(format!("schema-{language}"), world.run(&["schema", "robot/state", "--as", language]));
    }
    snapshot!("schema-tail-ros2msg", world.run(&["schema", "robot/camera", "--as", "ros2msg"]));
    snapshot!("schema-terminal", world.on_terminal(80, &["schema", "jobs", "--as", "c"]));
    let object = &world.run(&["schema", "jobs", "--json"]).objects()[0];
    assert_eq!((&object["channel"], &object["language"]), (&"jobs".into(), &"rust".into()));
}

#[test]
fn channels_without_a_schema_are_refused() {
    let world = World::new();
    let _peer = world.start("world");
    let run = world.run(&["schema", "reports"]);
    assert!(run.code == Some(1) && run.err.contains("carries msgpack"), "{}", run.err);
    let _long = world.start("long");
    let run = world.run(&["schema", "long"]);
    assert!(run.code == Some(1) && run.err.contains("longer than 64 KiB"), "{}", run.err);
    assert!(world.run(&["list", "long"]).out.contains("(schema too long)"));
}
