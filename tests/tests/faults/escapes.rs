//! Text that other programs choose reaches logs and errors without control characters: names of processes and
//! files, names and keys in messages, and the environment.
// Channels with Python exist on Linux only.
#![cfg(target_os = "linux")]

use serde::Deserialize;
use shmcomm::codec::{Decode, Msgpack, Pickle, Value};
use shmcomm::{force_unlink, list_segments};
use shmcomm_tests::{Jobs, Peer, SmallFeed, namespace, say, stage};
use std::sync::Mutex;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// A line feed, an escape sequence, and a mark that turns the direction of text.
const ODD: &str = "a\n\u{1b}[31m\u{202e}";

#[test]
fn part() {
    stage::play(&[
        ("odd process", odd_process),
        ("worker", worker),
        ("odd directory", odd_directory),
        ("odd namespace", || {
            let error = SmallFeed::open().publisher().err().unwrap();
            say(plain(&error.to_string()) && error.channel().contains('\n'));
        }),
        ("odd leftovers", odd_leftovers),
    ]);
}

fn plain(text: &str) -> bool {
    !text.contains(|c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c))
}

#[track_caller]
fn escaped(text: &str) {
    assert!(plain(text), "{text:?}");
    assert!(text.contains(r"\n\u{1b}"), "{text:?}");
}

/// Gives this process a name with control characters.
fn odd_process() {
    std::fs::write("/proc/self/comm", ODD).unwrap();
    let _publisher = SmallFeed::publisher().unwrap();
    let mut puller = Jobs::puller().unwrap();
    say("open");
    // Dies with what it has.
    let _ = puller.recv();
}

struct Records(Mutex<Vec<String>>);

static RECORDS: Records = Records(Mutex::new(Vec::new()));

impl log::Log for Records {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        self.0.lock().unwrap().push(record.args().to_string());
    }

    fn flush(&self) {}
}

fn log_here() {
    log::set_logger(&RECORDS).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
}

/// The first record with these words; all that came before are plain.
fn record(words: &str) -> Option<String> {
    let records = RECORDS.0.lock().unwrap();
    assert!(records.iter().all(|record| plain(record)), "{records:?}");
    records.iter().find(|record| record.contains(words)).cloned()
}

/// Finds the other worker of its queue dead.
fn worker() {
    log_here();
    let mut puller = Jobs::puller().unwrap();
    say("open");
    let end = Instant::now() + PATIENCE;
    while record("died").is_none() && Instant::now() < end {
        let _ = puller.recv_timeout(Duration::from_millis(100));
    }
    say(format!("{:?}", record("died").unwrap_or_default()));
}

#[test]
fn names_of_processes_are_escaped() {
    let ns = namespace("odd-process");
    let mut odd = stage::part("odd process", &ns);
    assert_eq!(odd.said(), "open");
    escaped(&SmallFeed::open().namespace(&*ns).publisher().err().unwrap().to_string());
    let segments = list_segments().unwrap();
    let ours = segments.iter().find(|segment| segment.channel == format!("{}/small", &*ns)).unwrap();
    escaped(&ours.participants[0].process);

    let mut worker = stage::part("worker", &ns);
    assert_eq!(worker.said(), "open");
    drop(odd);
    // The record is shown with `{:?}`, which escapes what is escaped once more.
    let record = worker.said().replace(r"\\", r"\");
    escaped(&record);
    drop(worker);
    for segment in list_segments().unwrap().iter().filter(|segment| segment.channel.starts_with(&*ns)) {
        force_unlink(&segment.channel).unwrap();
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Known {
    number: u64,
}

#[derive(Debug, Deserialize)]
enum Choice {
    One,
}

#[test]
fn names_and_keys_of_messages_are_escaped() {
    // Protocol 4: a global by its module and name, and a call of it.
    let text = |text: &str| [b"\x8c".as_slice(), &[text.len() as u8], text.as_bytes()].concat();
    let global = [b"\x80\x04".as_slice(), &text(ODD), &text(ODD), b"\x93"].concat();
    for end in [b".".as_slice(), b")R.", b")\x81}b.", b")R}b."] {
        let pickle = [&*global, end].concat();
        for error in [
            <Pickle as Decode<Value>>::decode(&pickle).map(|value| format!("{value:?}")),
            <Pickle as Decode<Known>>::decode(&pickle).map(|value| format!("{value:?}")),
        ] {
            let words = error.map_err(|error| format!("{error} {} {error:?}", error.reason()));
            let words = words.unwrap_or_else(|words| words);
            assert!(plain(&words), "{words:?}");
        }
    }
    let value = <Pickle as Decode<Value>>::decode(&[&*global, b"."].concat());
    if let Err(error) = value {
        escaped(error.reason());
    }

    let text = |text: &str| [&[0xa0 | text.len() as u8][..], text.as_bytes()].concat();
    let map = [b"\x81".as_slice(), &text(ODD), b"\x01"].concat();
    escaped(&<Msgpack as Decode<Known>>::decode(&map).unwrap_err().to_string());
    escaped(&<Msgpack as Decode<Choice>>::decode(&text(ODD)).unwrap_err().to_string());
    let map = [b"\x81".as_slice(), &text("number"), &text(ODD)].concat();
    assert!(plain(&<Msgpack as Decode<Known>>::decode(&map).unwrap_err().to_string()));
}

/// The directory of all segments has an odd name, and is not there; then it is no absolute path.
fn odd_directory() {
    let error = SmallFeed::open().publisher().err().unwrap();
    say(format!("{:?}", error.to_string()));
}

#[test]
fn environment_is_escaped() {
    let ns = namespace("odd-environment");
    for dir in [format!("/nowhere/{ODD}"), ODD.to_owned()] {
        let mut command = stage::command("odd directory", &ns);
        command.env("SHMCOMM_DIR", dir);
        escaped(&Peer::spawn(command).said().replace(r"\\", r"\"));
    }
    let mut command = stage::command("odd namespace", &ns);
    command.env("SHMCOMM_NAMESPACE", ODD);
    assert_eq!(Peer::spawn(command).said(), "true");
}

/// Makes a segment where the file of a maker that died has an odd name.
fn odd_leftovers() {
    log_here();
    let dir = std::env::var("SHMCOMM_DIR").unwrap();
    std::fs::write(format!("{dir}/shmcomm2~{ODD}"), b"").unwrap();
    drop(SmallFeed::publisher().unwrap());
    say(format!("{:?}", record("removed").unwrap_or_default()));
}

#[test]
fn names_of_files_are_escaped() {
    let ns = namespace("odd-files");
    let dir = std::env::temp_dir().join(format!("shmcomm-test-{}", &*ns));
    std::fs::create_dir(&dir).unwrap();
    let mut command = stage::command("odd leftovers", &ns);
    command.env("SHMCOMM_DIR", &dir);
    let record = Peer::spawn(command).said().replace(r"\\", r"\");
    std::fs::remove_dir_all(&dir).unwrap();
    escaped(&record);

    let planted = format!("/dev/shm/shmcomm_pub_{}{ODD}", &*ns);
    std::fs::write(&planted, [0; 128]).unwrap();
    let listed = list_segments().unwrap();
    std::fs::remove_file(planted).unwrap();
    assert!(listed.iter().all(|segment| plain(&segment.channel)));
}
