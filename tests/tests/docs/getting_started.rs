//! `docs/getting-started.md` is followed to the letter, in a project of its own: the programs are built and run,
//! and what the page says the compiler and the programs print is what they print.

use crate::page::Page;
use shmcomm_tests::{PROFILE, target_dir};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::{fs, io::BufRead as _, io::BufReader};

const DECLARATION: &str = "src/lib.rs";

struct Project {
    root: PathBuf,
    page: String,
}

impl Project {
    fn new() -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("getting-started");
        let _ = fs::remove_dir_all(root.join("src"));
        fs::create_dir_all(root.join("src/bin")).unwrap();
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let page = fs::read_to_string(workspace.join("docs/getting-started.md")).unwrap();
        let manifest = format!(
            "[package]\nname = \"robot\"\nedition = \"2024\"\n\n[dependencies]\nshmcomm = {{ path = {:?} }}\nctrlc = {{ version = \"3\", features = [\"termination\"] }}\n\n[workspace]\n\n{PROFILE}",
            workspace.join("shmcomm")
        );
        fs::write(root.join("Cargo.toml"), manifest).unwrap();
        // The versions that the workspace was built with are on this machine.
        fs::copy(workspace.join("Cargo.lock"), root.join("Cargo.lock")).unwrap();
        Project { root, page }
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.root.join(file), text).unwrap();
    }

    /// The block after the line that names the file.
    fn block_after(&self, line: &str) -> String {
        let page =
            format!("## Block\n{}", self.page.split_once(line).unwrap_or_else(|| panic!("no {line}")).1);
        Page::new(page).blocks("Block")[0].join("\n") + "\n"
    }

    /// Returns the messages of the compiler; empty if there are none.
    fn build(&self) -> String {
        let output = Command::new(env!("CARGO"))
            .args(["build", "--offline", "--quiet"])
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", target_dir())
            .env_remove("RUSTFLAGS")
            .output()
            .unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        if output.status.success() { String::new() } else { errors }
    }

    fn start(&self, program: &str, namespace: &str) -> Running {
        let mut child = Command::new(target_dir().join("debug").join(program))
            .env("SHMCOMM_NAMESPACE", namespace)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Running { child, output }
    }
}

/// A program of the page; killed when dropped.
struct Running {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Running {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Returns the last output of the program, before it ends.
    fn error(mut self) -> String {
        let error = self.child.stderr.take().unwrap();
        BufReader::new(error).lines().next().expect("an error").unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Killed programs leave their channel to the next ones; here there are none.
struct Cleanup(String);

impl Drop for Cleanup {
    fn drop(&mut self) {
        let _ = shmcomm::force_unlink(&self.0);
    }
}

/// Checks that the page shows a line, apart from the parts that differ from run to run.
#[track_caller]
fn assert_shown(page: &str, line: &str, differs: &[(&str, &str)]) {
    let mut line = line.to_owned();
    for (found, shown) in differs {
        assert!(line.contains(found), "no `{found}` in: {line}");
        line = line.replace(found, shown);
    }
    assert!(page.contains(&line), "the page does not show: {line}");
}

fn between<'t>(text: &'t str, start: &str, end: &str) -> &'t str {
    let (_, rest) = text.split_once(start).unwrap_or_else(|| panic!("no `{start}` in: {text}"));
    rest.split_once(end).unwrap_or_else(|| panic!("no `{end}` in: {rest}")).0
}

#[test]
fn project_of_the_page_builds_runs_and_fails_as_shown() {
    let project = Project::new();
    let page = project.page.clone();
    let files = [DECLARATION, "src/bin/sensor.rs", "src/bin/display.rs", "src/bin/polite.rs"];
    for file in files {
        project.write(file, &project.block_after(&format!("\n`{file}`:\n")));
    }
    assert_eq!(project.build(), "");
    let namespace = format!("getting-started-{}", std::process::id());
    let _cleanup = Cleanup(format!("{namespace}/robot/imu"));
    let named = [(&*format!("{namespace}/robot"), "robot")];

    let mut display = project.start("display", &namespace);
    let mut sensor = project.start("sensor", &namespace);
    assert_shown(&page, &sensor.line(), &[(&format!("`{namespace}/robot/imu`"), "`{}`")]);
    let sample =
        std::iter::repeat_with(|| display.line()).find(|line| line.contains("number: 1000")).unwrap();
    let stamp = between(&sample, "stamp: ", ",").to_owned();
    assert_shown(&page, &sample, &[(&stamp, between(&page, "Imu { stamp: ", ","))]);

    let refused = project.start("sensor", &namespace).error();
    let age = between(&refused, "for ", " s,").to_owned();
    let process = format!("process {} ", sensor.child.id());
    let differs = [named[0], (&*process, "process 4711 "), (&*format!("for {age} s"), "for 1.5 s")];
    assert_shown(&page, &refused, &differs);

    drop(sensor);
    assert_shown(&page, &display.line(), &[]);
    let mut sensor = project.start("sensor", &namespace);
    sensor.line();
    assert!(display.line().contains("number: 0,"));
    // The program that handles signals says so, and returns from `main`.
    let mut polite = project.start("polite", &namespace);
    std::iter::repeat_with(|| polite.line()).find(|line| line.contains("000, acceleration")).unwrap();
    // SAFETY: sends a signal to the child that was just started, which has not been waited for.
    assert_eq!(unsafe { libc::kill(polite.child.id() as i32, libc::SIGTERM) }, 0);
    let said = std::iter::repeat_with(|| polite.line()).find(|line| !line.starts_with("Imu")).unwrap();
    assert!(said.starts_with("received "), "{said}");
    assert!(polite.child.wait().unwrap().success());
    drop((sensor, display));

    // Each change that the page speaks of, and the errors that it says follow.
    let declaration = fs::read_to_string(project.root.join(DECLARATION)).unwrap();
    for (from, to) in [
        ("    pub frame: ShmString<20>,", "pub frame: String,"),
        ("    pub frame: ShmString<20>,", "pub frame: ShmString<18>,"),
        ("slots: 256", "slots: 250"),
        ("slots: 256", "slot: 256"),
    ] {
        assert!(page.contains(&format!("ith `{to}`")), "the page does not speak of `{to}`");
        let to_line = if from.starts_with(' ') { format!("    {to}") } else { to.to_owned() };
        project.write(DECLARATION, &declaration.replace(from, &to_line));
        let errors = project.build();
        // Another version of the compiler frames the same words in another way.
        for line in project.block_after(&format!("ith `{to}`")).lines().filter(|line| is_ours(line)) {
            assert!(errors.contains(line), "with `{to}` the compiler does not say: {line}\nbut: {errors}");
        }
    }

    let other = "pub frame: ShmString<28>,";
    assert!(page.contains(&format!("`{other}`")));
    let display = target_dir().join("debug/display");
    fs::copy(&display, project.root.join("display-before")).unwrap();
    project.write(DECLARATION, &declaration.replace("pub frame: ShmString<20>,", other));
    assert_eq!(project.build(), "");
    let mut sensor = project.start("sensor", &namespace);
    sensor.line();
    fs::copy(project.root.join("display-before"), &display).unwrap();
    let refused = project.start("display", &namespace).error();
    let message = between(&refused, "message: \"", "\", source");
    assert_shown(&page, &format!("channel `robot/imu`: {message}"), &[]);
    drop(sensor);
}

/// Returns `true` if a line of an error is of the library, and not of the compiler's frame around it.
fn is_ours(line: &str) -> bool {
    !line.contains(" |") && !line.contains("-->")
}
