//! Other processes for the tests: this test binary, started again with one task.
//!
//! [`Helper`] starts and ends them; [`task`] is what they run. They exchange lines: the test sends `go`, the
//! helper answers `> …`.

use super::*;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const TASK: &str = "SHMCOMM_TEST_TASK";
const NAME: &str = "SHMCOMM_TEST_NAME";

/// A child process; killed and waited for when dropped.
pub(super) struct Helper {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

pub(super) fn command(task: &str, channel: &Channel) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["segment::tests::helper::task", "--exact", "--nocapture"]);
    command.env(TASK, task).env(NAME, &channel.spec.name);
    command
}

impl Helper {
    pub(super) fn start(task: &str, channel: &Channel) -> Self {
        Self::spawn(command(task, channel))
    }

    pub(super) fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Helper { child, input, output }
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn go(&mut self) {
        writeln!(self.input, "go").unwrap();
    }

    /// Returns the next answer, or an empty string if the helper has ended.
    pub(super) fn answer(&mut self) -> String {
        let mut line = String::new();
        while self.output.read_line(&mut line).unwrap() > 0 {
            if let Some((_, answer)) = line.split_once("> ") {
                return answer.trim_end().to_owned();
            }
            line.clear();
        }
        String::new()
    }

    pub(super) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.end();
    }
}

fn say(answer: impl std::fmt::Display) {
    // At the start of a new line, whatever the test harness has printed.
    println!("\n> {answer}");
}

/// Waits until the test sends `go`; ends the process if the test has closed the pipe.
fn wait() {
    let mut line = String::new();
    if std::io::stdin().read_line(&mut line).unwrap_or(0) == 0 {
        std::process::exit(0);
    }
}

fn kind(result: &Result<Attachment, crate::error::Error>) -> String {
    match result {
        Ok(attachment) => format!("{:?} {}", attachment.arrival(), attachment.seat()),
        Err(error) => format!("{:?} {error}", error.kind()),
    }
}

#[test]
fn task() {
    let Ok(task) = std::env::var(TASK) else { return };
    let mut channel = Channel::new("helper");
    channel.spec.name = std::env::var(NAME).unwrap();
    let channel = std::mem::ManuallyDrop::new(channel);
    match task.as_str() {
        "publish" => hold(publish(&channel.spec, PLAIN)),
        "subscribe" => hold(subscribe(&channel.spec, PLAIN)),
        "pull" => hold(join(&channel.with(|s| s.pattern = Pattern::PushPull), Role::Puller, PLAIN)),
        "publish again and again" => loop {
            wait();
            let result = publish(&channel.spec, PLAIN);
            say(kind(&result));
            wait();
        },
        #[cfg(shmcomm_fault)]
        "live" => super::process::lives(&channel),
        "come and go" => come_and_go(&channel),
        "register and stop" => {
            let mut file = os::open(&channel.path()).unwrap();
            let place = ChannelPath::new(&channel.spec.name).unwrap();
            let turn = crate::segment::registration::Turn::sole(&mut file);
            let registration = turn.register(&place).unwrap();
            say("stopped");
            wait();
            drop(registration);
        }
        "leave a child" => {
            let attachment = subscribe(&channel.spec, PLAIN).unwrap();
            let child = Helper::start("sleep", &channel);
            say(child.pid());
            wait();
            drop((attachment, child));
        }
        "sleep" => std::thread::sleep(Duration::from_secs(600)),
        #[cfg(target_os = "linux")]
        "fork" => super::limits::forks(&channel),
        #[cfg(target_os = "linux")]
        "attach often" => super::limits::attaches_often(&channel),
        #[cfg(target_os = "linux")]
        "few files" => super::limits::runs_out_of_files(&channel),
        #[cfg(target_os = "linux")]
        "small files" => super::limits::may_not_make_large_files(&channel),
        #[cfg(target_os = "linux")]
        "full" => super::limits::fills_the_file_system(&channel),
        other => panic!("no task {other}"),
    }
    std::process::exit(0);
}

#[cfg(any(target_os = "linux", shmcomm_fault))]
pub(super) fn report(answer: impl std::fmt::Display) {
    say(answer);
}

fn hold(result: Result<Attachment, crate::error::Error>) {
    say(kind(&result));
    wait();
    drop(result);
    say("left");
    wait();
}

/// Creates, takes over, replaces, leaves and attaches in a loop until it is killed.
fn come_and_go(channel: &Channel) {
    say("coming");
    let mut queue = channel.with(|s| s.pattern = Pattern::PushPull);
    queue.name.push_str("/queue");
    for round in 0u64.. {
        let pusher = join(&queue, Role::Pusher, PLAIN);
        let spec = channel.with(|s| s.slots = 8 << (round % 2));
        let publisher = publish(&spec, PLAIN);
        let subscriber = subscribe(&spec, PLAIN);
        if round % 3 == 0 {
            // The next round finds a stale segment.
            [publisher, subscriber, pusher].into_iter().flatten().for_each(die);
        }
    }
}
