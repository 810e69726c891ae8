//! `docs/troubleshooting.md` shows the errors as they are: each is provoked here, and its words looked for on the
//! page; and no variant of an error is missing there.

use shmcomm::codec::{Msgpack, Pickle};
use shmcomm::message;
use shmcomm::{
    CallError, CapacityError, Channel, DynTableReader, Encoded, Error, ErrorKind, FlushError, PubSub,
    PullError, PullTimeoutError, PushError, PushTimeoutError, RecvError, RecvTimeoutError, ReplyError,
    ReqRep, RequestError, RequestTimeoutError, SendError, SendTimeoutError, ServeError, ServeTimeoutError,
    ShmString, ShmVec, TryPullError, TryPushError, TryRecvError, TrySendError, TryServeError, channel,
    force_unlink, list_segments,
};
use shmcomm_tests::stage;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

const TASK: &str = "SHMCOMM_TROUBLE";
const IMU: Channel<PubSub<[f32; 6]>> = Channel::new("robot/imu").slots(256);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn text() -> String {
    fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap()
}

/// A namespace whose channel `robot/imu` is gone when this is.
struct Scene(String);

impl Scene {
    fn new(test: &str) -> Self {
        Scene(format!("trouble-{}-{test}", std::process::id()))
    }

    fn channel(&self) -> shmcomm::Opener<PubSub<[f32; 6]>> {
        IMU.open().namespace(&self.0).connect_timeout(Duration::ZERO)
    }

    fn subscriber_error(&self) -> Error {
        self.channel().subscriber().expect_err("the subscriber is refused")
    }

    fn path(&self) -> PathBuf {
        Path::new("/dev/shm").join(format!("shmcomm2_{}%2Frobot%2Fimu", self.0))
    }

    /// The bytes of a sound segment without participants, changed, under the channel's name.
    fn put(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let _ = fs::remove_file(self.path());
        let publisher = self.channel().publisher().unwrap();
        let mut bytes = fs::read(self.path()).unwrap();
        drop(publisher);
        change(&mut bytes);
        fs::write(self.path(), bytes).unwrap();
        fs::set_permissions(self.path(), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// The page shows the error, without the namespace, and with other values for what varies.
    #[track_caller]
    fn shown(&self, kind: ErrorKind, error: &Error, varies: &[(&str, &str)]) {
        assert_eq!(error.kind(), kind, "{error}");
        let text =
            error.to_string().replace(&format!("{}/", self.0), "").replace(&format!("{}%2F", self.0), "");
        shown(&text, varies);
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = force_unlink(&format!("{}/robot/imu", self.0));
        // What is no file is not removed by force.
        let _ = fs::remove_dir(self.path());
        let _ = fs::remove_file(self.path());
    }
}

#[track_caller]
fn shown(error: &str, varies: &[(&str, &str)]) {
    let mut error = error.to_owned();
    for (found, shown) in varies {
        assert!(error.contains(found), "no `{found}` in: {error}");
        error = error.replace(found, shown);
    }
    assert!(
        text().contains(&format!("```text\n{error}\n")),
        "docs/troubleshooting.md does not show:\n{error}"
    );
}

fn between<'t>(text: &'t str, start: &str, end: &str) -> &'t str {
    let (_, rest) = text.split_once(start).unwrap_or_else(|| panic!("no `{start}` in: {text}"));
    rest.split_once(end).unwrap_or_else(|| panic!("no `{end}` in: {rest}")).0
}

#[test]
fn channel_that_does_not_appear() {
    let scene = Scene::new("missing");
    scene.shown(ErrorKind::NotFound, &scene.subscriber_error(), &[("(checked once)", "after 5.0 s")]);
}

channel! { Pickled: Table { name: "robot/state", settings: Encoded<u8, Pickle, 64> } }
channel! { Arm: Table { name: "robot/state", settings: Encoded<u8, Msgpack, 64> } }

#[test]
fn values_of_tables_in_other_codecs() {
    let scene = Scene::new("codecs");
    let mut pickled = Pickled::open().namespace(&scene.0).writer(Pickled::SETTINGS).unwrap();
    let error = Arm::open().namespace(&scene.0).connect_timeout(Duration::ZERO).reader().unwrap_err();
    scene.shown(ErrorKind::TypeMismatch, &error, &[]);
    pickled.store(&Encoded::from_bytes(ShmVec::try_from(&b"\xc1no"[..]).unwrap())).unwrap();
    let mut reader = DynTableReader::open(pickled.name()).unwrap();
    let error = reader.load(0).unwrap().unwrap().value().unwrap_err().to_string();
    let (_, reason) = error.rsplit_once("bytes: ").unwrap();
    shown(&error, &[(reason, "…"), ("Pickle", "Msgpack"), ("`pickle`", "`msgpack`")]);
}

#[test]
fn groups_and_modes_that_cannot_be() {
    let scene = Scene::new("groups");
    let error = scene.channel().group("no-such-group").publisher().err().unwrap();
    scene.shown(ErrorKind::Permission, &error, &[("no-such-group", "robot")]);
    let error = scene.channel().mode(0o666).publisher().err().unwrap();
    scene.shown(ErrorKind::Permission, &error, &[]);
}

#[test]
fn names_and_numbers_that_cannot_be() {
    let scene = Scene::new("invalid");
    let error = scene.channel().namespace("my robot").publisher().err().unwrap();
    scene.shown(ErrorKind::InvalidName, &error, &[]);
    let error = scene.channel().slots(100).publisher().err().unwrap();
    scene.shown(ErrorKind::InvalidGeometry, &error, &[]);
    let error = scene.channel().slot_size(16).publisher().err().unwrap();
    scene.shown(ErrorKind::InvalidGeometry, &error, &[]);
}

#[test]
fn files_that_are_no_segments() {
    let scene = Scene::new("foreign");
    let kind = ErrorKind::NotASegment;
    scene.put(|bytes| bytes[..8].copy_from_slice(&[0x55; 8]));
    scene.shown(kind, &scene.subscriber_error(), &[]);
    scene.put(|bytes| bytes.truncate(8192));
    scene.shown(kind, &scene.subscriber_error(), &[]);
    scene.put(Vec::clear);
    scene.shown(kind, &scene.subscriber_error(), &[("(checked once)", "after 5.0 s")]);
    fs::remove_file(scene.path()).unwrap();
    fs::create_dir(scene.path()).unwrap();
    scene.shown(kind, &scene.subscriber_error(), &[]);
    fs::remove_dir(scene.path()).unwrap();
    symlink("/dev/null", scene.path()).unwrap();
    scene.shown(kind, &scene.subscriber_error(), &[]);
}

#[test]
fn other_versions() {
    let scene = Scene::new("version");
    scene.put(|bytes| bytes[8..16].copy_from_slice(&1u64.to_ne_bytes()));
    scene.shown(ErrorKind::Version, &scene.subscriber_error(), &[]);
    scene.put(|bytes| bytes[8..16].copy_from_slice(&3u64.to_ne_bytes()));
    scene.shown(ErrorKind::Version, &scene.subscriber_error(), &[]);
}

#[test]
fn other_messages_and_other_channels() {
    let scene = Scene::new("mismatch");
    let _publisher = scene.channel().publisher().unwrap();
    const TYPE: Channel<PubSub<[u32; 6]>> = Channel::new("robot/imu");
    const TAIL: Channel<PubSub<u64, [u8]>> = Channel::new("robot/imu").max_len(100);
    let open = || TYPE.open().namespace(&scene.0);
    scene.shown(ErrorKind::TypeMismatch, &open().subscriber().err().unwrap(), &[]);
    let tail = TAIL.open().namespace(&scene.0).connect_timeout(Duration::ZERO).subscriber();
    scene.shown(ErrorKind::ChannelMismatch, &tail.err().unwrap(), &[]);
    // The same layout of messages, in slots that are made smaller than this program wants.
    let wide = scene.channel().slot_size(64).subscriber();
    scene.shown(ErrorKind::ChannelMismatch, &wide.err().unwrap(), &[]);

    let stale = Scene::new("stale");
    stale.put(|_| {});
    let other = TYPE.open().namespace(&stale.0).connect_timeout(Duration::ZERO).subscriber();
    let cure = format!("force_unlink(\"{}/", stale.0);
    let error = other.err().unwrap();
    assert!(error.to_string().contains(&cure), "{error}");
    stale.shown(ErrorKind::TypeMismatch, &error, &[]);
}

#[test]
fn other_ways_with_requests_of_the_dead() {
    let scene = Scene::new("redeliver");
    const PLAN: Channel<ReqRep<u64, u64>> = Channel::new("robot/imu");
    let _requester = PLAN.open().namespace(&scene.0).requester().unwrap();
    let error = PLAN.open().namespace(&scene.0).redeliver(true).replier().err().unwrap();
    scene.shown(ErrorKind::ChannelMismatch, &error, &[]);
}

#[test]
fn second_publisher() {
    let scene = Scene::new("second");
    let _first = scene.channel().publisher().unwrap();
    let error = scene.channel().publisher().err().unwrap();
    let who = between(&error.to_string(), "process ", " has").to_owned();
    let age = between(&error.to_string(), "for ", " s,").to_owned();
    let varies = [(&*who, "4711 (`sensor`)"), (&*format!("for {age} s,"), "for 12.5 s,")];
    scene.shown(ErrorKind::AlreadyPublished, &error, &varies);
}

#[test]
fn more_subscribers_than_seats() {
    let scene = Scene::new("seats");
    let _publisher = scene.channel().seats(3).publisher().unwrap();
    let _subscribers = [(); 2].map(|()| scene.channel().subscriber().unwrap());
    scene.shown(ErrorKind::NoSeat, &scene.subscriber_error(), &[]);
}

#[test]
fn messages_in_place_that_cannot_be() {
    let scene = Scene::new("in-place");
    let open = || scene.channel().slots(8).in_place(true);
    let error = open().seats(8).publisher().err().unwrap();
    scene.shown(ErrorKind::InvalidGeometry, &error, &[]);
    let _publisher = open().publisher().unwrap();
    let error = scene.channel().in_place(false).subscriber().err().unwrap();
    scene.shown(ErrorKind::ChannelMismatch, &error, &[]);
    let _subscribers = [(); 6].map(|()| open().subscriber().unwrap());
    scene.shown(ErrorKind::NoSeat, &open().subscriber().err().unwrap(), &[]);
}

#[test]
fn permissions() {
    let scene = Scene::new("mode");
    let _publisher = scene.channel().publisher().unwrap();
    fs::set_permissions(scene.path(), fs::Permissions::from_mode(0o666)).unwrap();
    scene.shown(ErrorKind::Permission, &scene.subscriber_error(), &[]);
    // Only the superuser can give a file away; for others the first half is what there is.
    if chown(scene.path(), Some(1001), None).is_ok() {
        fs::set_permissions(scene.path(), fs::Permissions::from_mode(0o600)).unwrap();
        scene.shown(
            ErrorKind::Permission,
            &scene.subscriber_error(),
            &[("runs as user 0", "runs as user 1000")],
        );
        chown(scene.path(), Some(0), None).unwrap();
    }
}

#[test]
fn no_room_for_the_segment() {
    let scene = Scene::new("room");
    let error = scene.channel().slots(1 << 20).slot_size(1 << 30).publisher().err().unwrap();
    let free = between(&error.to_string(), "/dev/shm has ", " free").to_owned();
    scene.shown(ErrorKind::NoSpace, &error, &[(&*free, "67108864")]);
}

#[test]
fn directories_that_will_not_do() {
    for (dir, kind, shows) in [
        ("/nowhere", ErrorKind::Os, "/nowhere"),
        ("/proc", ErrorKind::Unsupported, "/proc"),
        ("shm", ErrorKind::InvalidName, "\"shm\""),
    ] {
        let said = child("open", &[("SHMCOMM_DIR", dir)]);
        assert!(said.starts_with(&format!("{kind:?} ")) && said.contains(shows), "{said}");
        shown(said.split_once(' ').unwrap().1, &[]);
    }
}

#[test]
fn no_more_files() {
    let said = child("few files", &[]);
    shown(said.strip_prefix("Os ").unwrap_or_else(|| panic!("{said}")), &[]);
}

#[test]
fn what_a_send_or_a_receive_answers() {
    shown(&SendError::TooLong { size: 6220816, capacity: 4096 }.to_string(), &[]);
    shown(&SendError::AllSlotsHeld.to_string(), &[]);
    shown(&SendError::Forked.to_string(), &[]);
    shown(&TrySendError::Full.to_string(), &[]);
    shown(&SendTimeoutError::Timeout.to_string(), &[]);
    let (silent, expected) = (Duration::from_micros(31_250), Duration::from_millis(10));
    shown(&TryRecvError::Missed { silent, expected }.to_string(), &[]);
    shown(&TryRecvError::Empty.to_string(), &[]);
    shown(&TryRecvError::Lagged(17).to_string(), &[]);
    shown(&TryRecvError::Disconnected.to_string(), &[]);
    shown(&RecvTimeoutError::Timeout.to_string(), &[]);
    let invalid = message::read::<[bool; 2]>(&[1, 2]).unwrap_err();
    shown(&TryRecvError::Invalid(invalid).to_string(), &[]);
    shown(&TryPullError::Invalid(message::read::<[bool; 2]>(&[1, 2]).unwrap_err()).to_string(), &[]);
    shown(&TryPullError::Empty.to_string(), &[]);
    shown(&PullTimeoutError::Timeout.to_string(), &[]);
    shown(&TryPushError::Full.to_string(), &[]);
    shown(&TryPushError::Damaged.to_string(), &[]);
    shown(&PushTimeoutError::Timeout.to_string(), &[]);
    shown(&FlushError::Timeout(17).to_string(), &[]);
    shown(&RecvError::Stopped.to_string(), &[]);
    shown(&SendError::Stopped.to_string(), &[]);
    shown(&PullError::Stopped.to_string(), &[]);
    shown(&PushError::Stopped.to_string(), &[]);
    shown(&FlushError::Stopped(17).to_string(), &[]);
    let full: CapacityError = ShmString::<4>::new("base_link").unwrap_err();
    shown(&full.to_string(), &[]);
}

#[test]
fn what_a_request_or_a_reply_answers() {
    let invalid = || message::read::<[bool; 2]>(&[1, 2]).unwrap_err();
    shown(&CallError::Full.to_string(), &[]);
    shown(&CallError::Forked.to_string(), &[]);
    shown(&CallError::Damaged.to_string(), &[]);
    shown(&RequestError::Unanswered.to_string(), &[]);
    shown(&RequestError::PeerDied.to_string(), &[]);
    shown(&RequestError::Invalid(invalid()).to_string(), &[]);
    shown(&RequestTimeoutError::Timeout.to_string(), &[]);
    shown(&RequestError::Stopped.to_string(), &[]);
    shown(&ServeError::Stopped.to_string(), &[]);
    shown(&ReplyError::Cancelled.to_string(), &[]);
    shown(&TryServeError::Empty.to_string(), &[]);
    shown(&TryServeError::Invalid(invalid()).to_string(), &[]);
    shown(&ServeTimeoutError::Timeout.to_string(), &[]);
}

#[test]
fn what_other_systems_say() {
    for system in ["macos/system.rs", "windows.rs"] {
        let source = fs::read_to_string(root().join("shmcomm/src/os").join(system)).unwrap();
        let reason = between(&source, "REASON: &str = \"", "\";");
        let mut reason = reason.split("\\\n").map(str::trim_start).collect::<String>();
        reason.push('\n');
        assert!(text().contains(&reason), "docs/troubleshooting.md does not show:\n{reason}");
    }
}

/// Returns the answer of a child of this program to a task.
fn child(task: &str, variables: &[(&str, &str)]) -> String {
    let output = stage::only(&stage::sibling("child_process"))
        .env(TASK, task)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let answer = output.lines().find_map(|line| line.split_once("> "));
    answer.unwrap_or_else(|| panic!("no answer in {output}")).1.to_owned()
}

#[test]
fn child_process() {
    let Ok(task) = std::env::var(TASK) else { return };
    let mut files = Vec::new();
    if task == "few files" {
        let limit = libc::rlimit { rlim_cur: 16, rlim_max: 16 };
        // SAFETY: a call with a structure that outlives it.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
        files.extend(std::iter::from_fn(|| fs::File::open("/dev/null").ok()));
    }
    let error = IMU.publisher().map(drop).unwrap_err();
    println!("\n> {:?} {error}", error.kind());
}

/// The variants of the enums in a source whose names say that they are errors, with the enums' names.
fn variants(source: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut inside: Option<String> = None;
    for line in source.lines() {
        if let Some(name) = line.strip_prefix("pub enum ") {
            let name = name.trim_end_matches(" {").to_owned();
            inside = (name.ends_with("Error") || name.ends_with("ErrorKind")).then_some(name);
        } else if line == "}" {
            inside = None;
        } else if let (Some(name), Some(variant)) = (&inside, line.strip_prefix("    "))
            && variant.starts_with(|c: char| c.is_ascii_uppercase())
        {
            let end = variant.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(variant.len());
            found.push((name.clone(), variant[..end].to_owned()));
        }
    }
    found
}

#[test]
fn every_variant_of_every_error_is_explained() {
    let page = text();
    let source = root().join("shmcomm/src");
    let mut missing = Vec::new();
    let mut count = 0;
    let folders = fs::read_dir(&source).unwrap().map(|entry| entry.unwrap().path().join("error.rs"));
    for file in folders.chain([source.join("error.rs")]).filter(|file| file.exists()) {
        for (name, variant) in variants(&fs::read_to_string(&file).unwrap()) {
            count += 1;
            if !page.contains(&format!("`{variant}`")) && !page.contains(&format!("`{name}::{variant}`")) {
                missing.push(format!("{}: {name}::{variant}", file.display()));
            }
        }
    }
    assert!(count > 30, "only {count} variants found");
    assert!(missing.is_empty(), "not in docs/troubleshooting.md:\n{}", missing.join("\n"));
}

#[test]
fn nothing_is_left_by_these_tests() {
    let mine = format!("trouble-{}-gone/", std::process::id());
    drop(Scene::new("gone").channel().publisher().unwrap());
    assert!(list_segments().unwrap().iter().all(|segment| !segment.channel.starts_with(&mine)));
}
