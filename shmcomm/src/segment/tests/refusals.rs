//! Files that are not a segment, belong to another user, or do not fit. Each is a typed error with the
//! problem, the place, the amount and the cure, and the file stays unchanged.

use super::*;
use crate::layout::{Identity, MAGIC};
use crate::segment::name;
use std::{fs, io};
// Here and below: modes, owners and special files, which Windows does not have.
#[cfg(unix)]
use std::os::unix::fs::{PermissionsExt as _, symlink};

type Opener = fn(&Spec) -> Result<Attachment, crate::error::Error>;

/// All ways to open a channel; the last needs another pattern.
const OPENERS: [(&str, Opener); 3] = [
    ("subscribe", |spec| subscribe(spec, PLAIN)),
    ("publish", |spec| publish(spec, PLAIN)),
    ("join", |spec| join(&Spec { pattern: Pattern::PushPull, ..spec.clone() }, Role::Puller, PLAIN)),
];

/// Checks that every opener fails with this kind and these words, and that the file stays unchanged.
pub(super) fn all_refused(channel: &Channel, kind: ErrorKind, words: &[&str]) {
    let before = fs::read(channel.path()).ok();
    for (verb, open) in OPENERS {
        let (found, text) = refused(open(&channel.spec));
        assert_eq!(found, kind, "{verb}: {text}");
        assert!(text.contains(&channel.spec.name), "{verb}: {text}");
        for word in words {
            assert!(text.contains(word), "{verb}: no `{word}` in: {text}");
        }
        assert_eq!(fs::read(channel.path()).ok(), before, "{verb} changed the file");
    }
}

/// Returns the bytes of an intact segment without participants.
pub(super) fn sound(channel: &Channel) -> Vec<u8> {
    die(channel.publish());
    fs::read(channel.path()).unwrap()
}

pub(super) fn identity(bytes: &[u8]) -> Identity {
    Identity::from_bytes(bytes.first_chunk().unwrap())
}

pub(super) fn with_identity(bytes: &[u8], change: impl FnOnce(&mut Identity)) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let mut identity = identity(&bytes);
    change(&mut identity);
    bytes[..Identity::SIZE].copy_from_slice(&identity.to_bytes());
    bytes
}

pub(super) fn put(channel: &Channel, bytes: &[u8]) {
    let path = channel.path();
    let new = path.with_file_name(format!("new-{}", path.file_name().unwrap().display()));
    fs::write(&new, bytes).unwrap();
    #[cfg(unix)]
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
    let _ = fs::remove_file(&path);
    // Wine deletes a removed file with its last handle, which is closed a moment later. Until then the name is taken. A file
    // that was written under this name would be deleted instead.
    while let Err(error) = fs::rename(&new, &path) {
        assert!(cfg!(windows) && error.kind() == io::ErrorKind::PermissionDenied, "{error}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Returns the error of a subscriber that finds these bytes, and checks that they stay unchanged.
fn refused_bytes(channel: &Channel, bytes: &[u8]) -> (ErrorKind, String) {
    put(channel, bytes);
    let refused = refused(subscribe(&channel.spec, PLAIN));
    assert_eq!(fs::read(channel.path()).unwrap(), bytes);
    refused
}

#[test]
fn a_missing_segment_is_waited_for_and_then_named() {
    let channel = Channel::new("missing");
    let (kind, text) = refused(subscribe(&channel.spec, PLAIN));
    assert_eq!(kind, ErrorKind::NotFound);
    let path = channel.path();
    for words in ["checked once", path.to_str().unwrap(), "connect_timeout"] {
        assert!(text.contains(words), "{text}");
    }
    let spec = channel.with(|s| s.connect_timeout = Duration::from_millis(120));
    let start = std::time::Instant::now();
    let (kind, text) = refused(subscribe(&spec, PLAIN));
    assert!(start.elapsed() >= Duration::from_millis(120));
    assert_eq!(kind, ErrorKind::NotFound);
    let waited = text
        .split("after ")
        .nth(1)
        .and_then(|rest| rest.split(" s").next())
        .and_then(|s| s.parse::<f64>().ok());
    assert!(waited.is_some_and(|s| s >= 0.1), "{text}");
    assert!(!channel.exists());
}

#[test]
fn waiting_subscriber_finds_a_new_segment() {
    let channel = Channel::new("comes");
    let spec = channel.with(|s| s.connect_timeout = Duration::from_secs(20));
    let waiting = std::thread::spawn(move || subscribe(&spec, PLAIN).unwrap());
    std::thread::sleep(Duration::from_millis(30));
    let publisher = channel.publish();
    let subscriber = waiting.join().unwrap();
    assert!(subscriber.peer_alive(publisher.seat()));
}

#[test]
fn a_file_that_is_no_segment_is_left_alone() {
    let channel = Channel::new("foreign");
    put(&channel, &[0x55; 100_000]);
    all_refused(&channel, ErrorKind::NotASegment, &["0x5555555555555555", "move it"]);
    put(&channel, &[0; 4096]);
    all_refused(&channel, ErrorKind::NotASegment, &["0x0000000000000000"]);
}

#[test]
fn a_segment_of_the_python_library_is_named_as_such() {
    let channel = Channel::new("python");
    let mut bytes = vec![0; 128 + 64 * 4096];
    bytes[..8].copy_from_slice(&MAGIC.to_le_bytes());
    bytes[8] = 1;
    put(&channel, &bytes);
    all_refused(&channel, ErrorKind::Version, &["Python library shm-comm", "wire: Python"]);
}

#[test]
fn file_shorter_than_a_header_is_refused_in_the_end() {
    let channel = Channel::new("half-made");
    let bytes = sound(&channel);
    for len in [0, 1, 8, 255] {
        put(&channel, &bytes[..len]);
        all_refused(&channel, ErrorKind::NotASegment, &[&format!("has {len} byte"), "delete it"]);
    }
    // The file may still become a segment.
    put(&channel, b"");
    let path = channel.path();
    let spec = channel.with(|s| s.connect_timeout = Duration::from_secs(20));
    let waiting = std::thread::spawn(move || subscribe(&spec, PLAIN).unwrap());
    std::thread::sleep(Duration::from_millis(30));
    fs::write(&path, &bytes).unwrap();
    assert_eq!(waiting.join().unwrap().seat(), 1);
}

#[test]
fn damaged_segment_is_replaced_by_publishers_only() {
    let channel = Channel::new("damaged");
    let bytes = sound(&channel);
    type Change = fn(&mut Identity);
    let changes: [(&str, Change); 30] = [
        ("pattern", |i| i.pattern = 0),
        ("pattern", |i| i.pattern = 4),
        ("discipline", |i| i.discipline = 0),
        ("discipline", |i| i.discipline = 3),
        ("codec", |i| i.codec = 99),
        ("segment_size", |i| i.segment_size += 64),
        ("segment_size", |i| i.segment_size = u64::MAX),
        ("slots", |i| i.slots = 0),
        ("slots", |i| i.slots = 7),
        ("slots", |i| i.slots = 1 << 63),
        ("segment_size", |i| i.slots = 16),
        ("slots of", |i| i.slot_size = 0),
        ("slots of", |i| i.slot_size = u64::MAX),
        ("stride", |i| i.slot_size += 64),
        ("request_size", |i| i.request_size = 1),
        ("stride", |i| i.stride = 0),
        ("stride", |i| i.stride = u64::MAX),
        ("payload_offset", |i| i.payload_offset = 8),
        ("payload_offset", |i| i.payload_offset = u64::MAX),
        ("slots_offset", |i| i.slots_offset += 4096),
        ("slots_offset", |i| i.slots_offset = u64::MAX - 4095),
        ("alignment", |i| i.align = 0),
        ("alignment", |i| i.align = 3),
        ("alignment", |i| i.align = 1 << 40),
        ("seats", |i| i.seats = u32::MAX),
        ("seat", |i| i.seats = 1),
        ("seat_size", |i| i.seat_size = 0),
        ("seats_offset", |i| i.seats_offset = 0),
        ("schema_offset", |i| i.schema_offset = u64::MAX),
        ("schema", |i| i.schema_len = u64::MAX),
    ];
    for (field, change) in changes {
        let (kind, text) = refused_bytes(&channel, &with_identity(&bytes, change));
        assert_eq!(kind, ErrorKind::NotASegment, "{text}");
        assert!(text.contains(field) && text.contains("force_unlink"), "{field}: {text}");
        let publisher = channel.publish();
        assert!(has_replaced(publisher.arrival()), "{field}");
        assert_eq!(publisher.geometry().segment_size, bytes.len() as u64);
    }
}

/// On Windows the name is free for a moment during a replacement. An attempt that begins then creates the segment.
fn has_replaced(arrival: crate::segment::Arrival) -> bool {
    use crate::segment::Arrival::{Created, Replaced};
    arrival == Replaced || cfg!(windows) && arrival == Created
}

#[test]
fn segment_of_wrong_length_is_damaged() {
    let channel = Channel::new("length");
    let bytes = sound(&channel);
    for len in [256, 4095, bytes.len() - 1, bytes.len() + 1, bytes.len() + 4096] {
        let mut other = bytes.clone();
        other.resize(len, 0);
        let (kind, text) = refused_bytes(&channel, &other);
        assert_eq!(kind, ErrorKind::NotASegment, "{text}");
        assert!(text.contains(&len.to_string()) && text.contains(&bytes.len().to_string()), "{text}");
        let queue = channel.with(|s| s.pattern = Pattern::PushPull);
        assert!(has_replaced(join(&queue, Role::Pusher, PLAIN).unwrap().arrival()), "{len}");
    }
}

#[test]
fn a_schema_that_is_no_text_is_damage() {
    let channel = Channel::new("schema");
    let mut bytes = sound(&channel);
    let at = identity(&bytes).schema_offset as usize;
    bytes[at] = 0xff;
    let (kind, text) = refused_bytes(&channel, &bytes);
    assert_eq!(kind, ErrorKind::NotASegment, "{text}");
    assert!(text.contains("schema"), "{text}");
}

#[test]
fn queue_does_not_replace_damage_that_is_in_use() {
    let channel = Channel::queue("damaged-in-use");
    let _pusher = channel.join(Role::Pusher);
    let file = os::open(&channel.path()).unwrap();
    os::write_at(&file, &7u64.to_ne_bytes(), 56).unwrap();
    let (kind, text) = refused(join(&channel.spec, Role::Puller, PLAIN));
    assert_eq!(kind, ErrorKind::NotASegment, "{text}");
    assert!(text.contains("7 slots"), "{text}");
}

#[cfg(unix)]
#[test]
fn another_users_segment_is_refused_even_to_root() {
    if os::user() != 0 {
        return;
    }
    let channel = Channel::new("owner");
    let bytes = sound(&channel);
    put(&channel, &bytes);
    std::os::unix::fs::chown(channel.path(), Some(12345), None).unwrap();
    all_refused(&channel, ErrorKind::Permission, &["user 12345", "user 0"]);
    let error = crate::force_unlink(&channel.spec.name).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Permission, "{error}");
    assert!(channel.exists());
    assert!(crate::list_segments().unwrap().iter().all(|s| s.channel != channel.spec.name));
}

#[cfg(unix)]
#[test]
fn a_segment_that_others_may_write_is_refused() {
    let channel = Channel::new("mode");
    let bytes = sound(&channel);
    for mode in [0o620, 0o602, 0o666] {
        put(&channel, &bytes);
        fs::set_permissions(channel.path(), fs::Permissions::from_mode(mode)).unwrap();
        all_refused(&channel, ErrorKind::Permission, &[&format!("{mode:04o}"), "chmod 600"]);
    }
    assert!(crate::force_unlink(&channel.spec.name).unwrap());
    assert!(!channel.exists());
}

#[cfg(unix)]
#[test]
fn links_pipes_sockets_and_folders_are_refused() {
    let channel = Channel::new("kinds");
    let target = Channel::new("kinds-target");
    let _publisher = target.publish();
    symlink(target.path(), channel.path()).unwrap();
    all_refused(&channel, ErrorKind::NotASegment, &["symbolic link"]);
    assert_eq!(crate::force_unlink(&channel.spec.name).unwrap_err().kind(), ErrorKind::NotASegment);
    fs::remove_file(channel.path()).unwrap();

    symlink("/nowhere/at/all", channel.path()).unwrap();
    all_refused(&channel, ErrorKind::NotASegment, &["symbolic link"]);
    fs::remove_file(channel.path()).unwrap();

    let made = std::process::Command::new("mkfifo").args(["-m", "600"]).arg(channel.path()).status();
    assert!(made.unwrap().success());
    for (verb, open) in OPENERS {
        let (kind, text) = refused(open(&channel.spec));
        assert_eq!(kind, ErrorKind::NotASegment, "{verb}: {text}");
        assert!(text.contains("FIFO"), "{verb}: {text}");
    }
    fs::remove_file(channel.path()).unwrap();

    let listener = std::os::unix::net::UnixListener::bind(channel.path()).unwrap();
    all_refused(&channel, ErrorKind::NotASegment, &["socket"]);
    drop(listener);
    fs::remove_file(channel.path()).unwrap();

    fs::create_dir(channel.path()).unwrap();
    all_refused(&channel, ErrorKind::NotASegment, &["directory"]);
    assert_eq!(crate::force_unlink(&channel.spec.name).unwrap_err().kind(), ErrorKind::NotASegment);
}

#[test]
fn another_message_is_named_by_its_first_difference() {
    #[allow(dead_code)]
    mod message {
        #[derive(crate::ShmMessage)]
        #[repr(C)]
        pub(super) struct Old {
            stamp: u64,
            acc: [f64; 3],
        }
        #[derive(crate::ShmMessage)]
        #[repr(C)]
        pub(super) struct New {
            stamp: u64,
            acc: [f32; 6],
        }
    }
    use crate::ShmMessage;
    let mut channel = Channel::new("type");
    channel.spec.schema = message::Old::SCHEMA_JSON.into();
    let publisher = channel.publish();
    let spec = channel.with(|s| {
        s.schema = message::New::SCHEMA_JSON.into();
        s.fingerprint = 5;
    });
    let (kind, text) = refused(subscribe(&spec, PLAIN));
    assert_eq!(kind, ErrorKind::TypeMismatch, "{text}");
    assert!(text.contains("`acc`") && text.contains("[f64; 3]") && text.contains("[f32; 6]"), "{text}");
    let spec = channel.with(|s| s.fingerprint2 = 5);
    assert_eq!(refused(subscribe(&spec, PLAIN)).0, ErrorKind::TypeMismatch);
    drop(publisher);
}

#[test]
fn another_pattern_codec_or_size_is_named() {
    let channel = Channel::new("kind");
    let publisher = channel.publish();
    let queue = channel.with(|s| s.pattern = Pattern::PushPull);
    let (kind, text) = refused(join(&queue, Role::Puller, PLAIN));
    assert_eq!(kind, ErrorKind::ChannelMismatch, "{text}");
    assert!(text.contains("publish/subscribe") && text.contains("push/pull"), "{text}");
    assert!(!text.contains("force_unlink"), "{text}");
    for (change, words) in [
        ((|s| s.format = Format::Msgpack) as fn(&mut Spec), ["fixed layout", "msgpack"]),
        (|s| s.slot_size = 65, ["hold 64", "needs 65"]),
        (|s| s.align = 16, ["aligned to 8", "needs 16"]),
        (|s| s.flags = 1, ["0x0", "0x1"]),
    ] {
        let (kind, text) = refused(subscribe(&channel.with(change), PLAIN));
        assert_eq!(kind, ErrorKind::ChannelMismatch, "{text}");
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    }
    // A smaller message fits, and an encoded message takes the room it needs.
    subscribe(&channel.with(|s| s.slot_size = 8), PLAIN).unwrap();
    die(publisher);
    let (kind, text) = refused(join(&queue, Role::Puller, PLAIN));
    assert_eq!(kind, ErrorKind::ChannelMismatch, "{text}");
    assert!(text.contains("force_unlink"), "{text}");
}

#[test]
fn a_segment_for_shorter_requests_is_named() {
    let channel = Channel::queue("requests");
    let asks = |size: u64, format: Format| {
        channel.with(|s| {
            (s.pattern, s.format) = (Pattern::ReqRep, format);
            (s.slot_size, s.request_size) = (256, size);
        })
    };
    for (size, words) in [(500, ["requests of 500", "552"]), (u64::MAX, ["256", "18446744073709551615"])] {
        let (kind, text) = refused(join(&asks(size, Format::Fixed), Role::Requester, PLAIN));
        assert_eq!(kind, ErrorKind::InvalidGeometry, "{text}");
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    }
    let requester = join(&asks(8, Format::Fixed), Role::Requester, PLAIN).unwrap();
    let (kind, text) = refused(join(&asks(16, Format::Fixed), Role::Replier, PLAIN));
    assert_eq!(kind, ErrorKind::ChannelMismatch, "{text}");
    assert!(text.contains("requests of 8 bytes") && text.contains("take 16"), "{text}");
    drop(requester);
    // An encoded message takes the room it needs.
    let _requester = join(&asks(8, Format::Msgpack), Role::Requester, PLAIN).unwrap();
    join(&asks(16, Format::Msgpack), Role::Replier, PLAIN).unwrap();
}

#[test]
fn a_publisher_does_not_throw_away_a_queue() {
    let channel = Channel::queue("queue-first");
    die(channel.join(Role::Pusher));
    let (kind, text) = refused(publish(&channel.with(|s| s.pattern = Pattern::PubSub), PLAIN));
    assert_eq!(kind, ErrorKind::ChannelMismatch, "{text}");
    assert!(text.contains("force_unlink"), "{text}");
}

#[test]
fn subscriber_waits_for_the_repair_of_stale_segment() {
    let channel = Channel::new("put-right");
    die(channel.publish());
    let new = channel.with(|s| {
        s.fingerprint = 99;
        s.connect_timeout = Duration::from_secs(20);
    });
    let theirs = new.clone();
    let waiting = std::thread::spawn(move || subscribe(&theirs, PLAIN).unwrap());
    std::thread::sleep(Duration::from_millis(30));
    let publisher = publish(&new, PLAIN).unwrap();
    assert!(waiting.join().unwrap().peer_alive(publisher.seat()));
}

#[test]
fn impossible_sizes_are_refused_before_creation() {
    let channel = Channel::new("sizes");
    for (change, word) in [
        ((|s| s.slots = 3) as fn(&mut Spec), "3 slots"),
        (|s| s.slots = 0, "0 slots"),
        (|s| s.slots = 1 << 40, "1099511627776 slots"),
        (|s| s.slot_size = 0, "slots of 0"),
        (|s| s.slot_size = 1 << 40, "slots of 1099511627776"),
        (|s| s.align = 6, "alignment 6"),
        (|s| s.seats = 1, "1 seat;"),
        (|s| s.seats = 1 << 20, "1048576 seats"),
        (|s| s.schema = " ".repeat(2 << 20).into(), "2097152"),
    ] {
        let (kind, text) = refused(publish(&channel.with(change), PLAIN));
        assert_eq!(kind, ErrorKind::InvalidGeometry, "{text}");
        assert!(text.contains(word), "{text}");
        assert!(!channel.exists());
    }
}

#[test]
fn bad_names_never_reach_the_file_system() {
    for bad in ["", "..", "../x", "a\0b", "größe", "/etc/passwd"] {
        let channel = Channel::new("unused");
        let spec = channel.with(|s| s.name = bad.into());
        for (verb, open) in OPENERS {
            let (kind, text) = refused(open(&spec));
            assert_eq!(kind, ErrorKind::InvalidName, "{verb}: {text}");
        }
        assert_eq!(crate::force_unlink(bad).unwrap_err().kind(), ErrorKind::InvalidName);
    }
}

#[test]
fn a_missing_directory_is_named() {
    let channel = Channel::new("no-dir");
    let place = ChannelPath::within(std::path::Path::new("/nowhere/shm"), &channel.spec.name).unwrap();
    for result in [
        crate::segment::open::subscribe_at(&place, &channel.spec, PLAIN),
        crate::segment::open::publish_at(&place, &channel.spec, PLAIN),
    ] {
        let (kind, text) = refused(result);
        assert_eq!(kind, ErrorKind::Os, "{text}");
        assert!(text.contains("/nowhere/shm") && text.contains(name::DIR_VARIABLE), "{text}");
    }
}

#[test]
fn random_damage_is_an_error_or_harmless() {
    let channel = Channel::new("random");
    let bytes = sound(&channel);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut entered = 0;
    // With ThreadSanitizer or under wine a round takes about fifty times as long.
    let rounds = if cfg!(any(tsan, target_os = "windows")) { 300 } else { 3000 };
    for _ in 0..rounds {
        let mut damaged = bytes.clone();
        for _ in 0..1 + random() % 3 {
            let at = 16 + (random() % 3000) as usize;
            damaged[at] = random() as u8;
        }
        put(&channel, &damaged);
        match subscribe(&channel.spec, PLAIN) {
            Ok(end) => {
                assert_eq!(end.geometry().segment_size, bytes.len() as u64);
                end.participants();
                entered += 1;
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        crate::segment::list::list_within(ChannelPath::new(&channel.spec.name).unwrap().dir()).unwrap();
    }
    // Most of these bytes are reserved, or counters.
    assert!(entered > rounds / 3, "{entered}");
}
