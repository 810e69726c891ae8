//! Settings of a program that differ from those of the segment that it finds: used as it is with one warning, replaced,
//! or refused, the same for all patterns.

use crate::records;
use log::Level;
use shmcomm::codec::{Bytes, Msgpack};
use shmcomm::python::{self, Options};
use shmcomm::{Channel, ErrorKind, Overflow, PubSub, PushPull, ReqRep};
use shmcomm_tests::{Namespace, namespace};
use std::time::Duration;

/// A namespace whose warnings are recorded.
fn scene(test: &str) -> Namespace {
    records::start();
    namespace(test)
}

/// Takes the warnings about the channels whose full name contains `part`.
fn warnings(part: &str) -> Vec<String> {
    let taken = records::take(|(level, text)| *level <= Level::Warn && text.contains(part));
    taken.into_iter().map(|(_, text)| text).collect()
}

/// Asserts one warning, with both values.
#[track_caller]
fn assert_warned(part: &str, difference: &str) {
    let found = warnings(part);
    assert!(found.len() == 1 && found[0].contains(difference), "expected {difference}: {found:#?}");
}

#[track_caller]
fn assert_silent(part: &str) {
    assert_eq!(warnings(part), Vec::<String>::new());
}

const FEED: Channel<PubSub<[u64; 8]>> = Channel::new("feed").slots(64).slot_size(128);
const TEXT: Channel<PubSub<String, Msgpack>> = Channel::new("text").slot_size(100);
const TAIL: Channel<PubSub<u64, [u32]>> = Channel::new("tail").max_len(10);
const JOBS: Channel<PushPull<[u64; 8]>> = Channel::new("jobs");
const WORDS: Channel<PushPull<String, Msgpack>> = Channel::new("words").slot_size(100);
const SERVICE: Channel<ReqRep<u64, u64>> = Channel::new("service");
const QUERY: Channel<ReqRep<String, String, Msgpack>> = Channel::new("query").slot_size(100);

#[test]
fn subscriber_accepts_other_settings_with_one_warning() {
    let ns = scene("subscriber");
    let feed = || FEED.open().namespace(&*ns);
    let _publisher = feed().publisher().unwrap();
    macro_rules! check {
        ($open:expr, $difference:expr) => {{
            let (first, second) = ($open.subscriber().unwrap(), $open.subscriber().unwrap());
            assert_warned(first.name(), $difference);
            drop((first, second));
        }};
    }
    check!(feed().slots(32), "`slots` 64 instead of 32");
    check!(feed().slot_size(64), "`slot_size` 128 instead of 64");
    check!(feed().seats(4), "`seats` 128 instead of 4");
    check!(feed().publishers(3), "`publishers` 1 instead of 3");
    check!(feed().overflow(Overflow::Wait), "`overflow` Overwrite instead of Wait");
    check!(feed().patience(Duration::from_secs(1)), "`overflow` Overwrite, without `patience`");
    check!(feed().slots(16).seats(8), "`slots` 64 instead of 16, `seats` 128 instead of 8");
    // A setting of the declaration is compared like one of the opener.
    const DECLARED: Channel<PubSub<[u64; 8]>> = Channel::new("feed").slots(8);
    check!(DECLARED.open().namespace(&*ns), "`slots` 64 instead of 8");
    // What is as asked for, or was not asked for, is silent.
    const PLAIN: Channel<PubSub<[u64; 8]>> = Channel::new("feed");
    let first = feed().subscriber().unwrap();
    let second = PLAIN.open().namespace(&*ns).subscriber().unwrap();
    assert_silent(first.name());
    drop((first, second));

    let _text = TEXT.open().namespace(&*ns).publisher().unwrap();
    let text = TEXT.open().namespace(&*ns).slot_size(50).subscriber().unwrap();
    assert_warned(text.name(), "`slot_size` 100 instead of 50");
    let _tail = TAIL.open().namespace(&*ns).publisher().unwrap();
    let tail = TAIL.open().namespace(&*ns).max_len(20).subscriber().unwrap();
    assert_warned(tail.name(), "`slot_size` 48 instead of 88");
}

#[test]
fn declarations_of_the_macro_count_as_asked_for() {
    mod wide {
        shmcomm::channel! { pub Feed: PubSub<u64> { name: "macro", slots: 64 } }
    }
    mod narrow {
        shmcomm::channel! { pub Feed: PubSub<u64> { name: "macro", slots: 16 } }
    }
    mod plain {
        shmcomm::channel! { pub Feed: PubSub<u64> { name: "macro" } }
    }
    let ns = scene("macro");
    let publisher = narrow::Feed::open().namespace(&*ns).publisher().unwrap();
    let _plain = plain::Feed::open().namespace(&*ns).subscriber().unwrap();
    assert_silent(publisher.name());
    // Also where the value is the default.
    let _wide = wide::Feed::open().namespace(&*ns).subscriber().unwrap();
    assert_warned(publisher.name(), "`slots` 16 instead of 64");
}

#[test]
fn impossible_values_are_refused_to_every_end() {
    let ns = scene("impossible");
    let _publisher = FEED.open().namespace(&*ns).publisher().unwrap();
    let wrong = [
        FEED.open().namespace(&*ns).slots(30).subscriber().map(|_| ()),
        FEED.open().namespace(&*ns).seats(1).subscriber().map(|_| ()),
        JOBS.open().namespace(&*ns).slots(30).pusher().map(|_| ()),
        JOBS.open().namespace(&*ns).seats(1).puller().map(|_| ()),
        SERVICE.open().namespace(&*ns).slots(30).requester().map(|_| ()),
        SERVICE.open().namespace(&*ns).seats(1).replier().map(|_| ()),
    ];
    for outcome in wrong {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::InvalidGeometry);
    }
}

#[test]
fn publisher_replaces_other_geometry_with_a_warning() {
    let ns = scene("publisher");
    let feed = || FEED.open().namespace(&*ns);
    macro_rules! check {
        ($open:expr, $words:expr) => {{
            let first = feed().publisher().unwrap();
            // It keeps the segment.
            let subscriber = feed().subscriber().unwrap();
            drop(first);
            warnings(subscriber.name());
            let publisher = $open.publisher().unwrap();
            assert_warned(publisher.name(), $words);
            drop((publisher, subscriber));
        }};
    }
    check!(feed().slots(32), "replaced its segment, as it has 64 slots");
    check!(feed().slot_size(256), "this program declares 64 of 256");
    check!(feed().publishers(2), "admits 1 publisher, and this program declares 2");
    check!(feed().overflow(Overflow::Wait), "its publisher overwrites, and this one waits");
    check!(feed().seats(200), "for 200");
    // More seats than asked for do no harm.
    check!(feed().seats(4), "`seats` 128 instead of 4");
}

#[test]
fn second_publisher_with_other_settings_is_refused() {
    let ns = scene("several");
    let open = || FEED.open().namespace(&*ns).publishers(3);
    let _first = open().publisher().unwrap();
    for other in [open().slots(32), open().slot_size(256), open().publishers(2)] {
        let error = other.publisher().expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::ChannelMismatch, "{error}");
    }
    let second = open().seats(4).publisher().unwrap();
    assert_warned(second.name(), "`seats` 128 instead of 4");
}

#[test]
fn queue_ends_accept_other_settings_with_one_warning() {
    let ns = scene("queues");
    macro_rules! check {
        ($channel:ident, $make:ident, $open:ident, $set:ident($value:expr), $difference:expr) => {{
            let open = || $channel.open().namespace(&*ns);
            let made = open().$make().unwrap();
            warnings(made.name());
            let (first, second) =
                (open().$set($value).$open().unwrap(), open().$set($value).$open().unwrap());
            assert_warned(made.name(), $difference);
            drop((made, first, second));
        }};
    }
    check!(JOBS, pusher, puller, slots(32), "`slots` 64 instead of 32");
    check!(JOBS, pusher, puller, seats(4), "`seats` 128 instead of 4");
    check!(JOBS, puller, pusher, slots(32), "`slots` 64 instead of 32");
    check!(JOBS, puller, pusher, seats(4), "`seats` 128 instead of 4");
    check!(WORDS, pusher, puller, slot_size(50), "`slot_size` 100 instead of 50");
    check!(WORDS, puller, pusher, slot_size(200), "`slot_size` 100 instead of 200");
    check!(SERVICE, requester, replier, slots(32), "`slots` 16 instead of 32");
    check!(SERVICE, requester, replier, seats(4), "`seats` 128 instead of 4");
    check!(SERVICE, replier, requester, slots(32), "`slots` 16 instead of 32");
    check!(SERVICE, replier, requester, seats(4), "`seats` 128 instead of 4");
    check!(QUERY, requester, replier, slot_size(50), "`slot_size` 100 instead of 50");
    check!(QUERY, replier, requester, slot_size(200), "`slot_size` 100 instead of 200");
}

#[test]
fn unused_queue_is_replaced_unless_it_holds_jobs() {
    let ns = scene("left");
    let jobs = || JOBS.open().namespace(&*ns);
    let mut pusher = jobs().pusher().unwrap();
    pusher.send(&[1; 8]).unwrap();
    let name = pusher.name().to_owned();
    drop(pusher);
    // Its job keeps it.
    let mut puller = jobs().slots(32).puller().unwrap();
    assert_warned(&name, "`slots` 64 instead of 32");
    assert_eq!(puller.recv(), Ok([1; 8]));
}

#[test]
fn settings_that_change_the_protocol_are_refused() {
    let ns = scene("refused");
    let _replier = SERVICE.open().namespace(&*ns).replier().unwrap();
    let error = SERVICE.open().namespace(&*ns).redeliver(true).requester().expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::ChannelMismatch);
    const BIG: Channel<PushPull<[u64; 8]>> = Channel::new("jobs").slot_size(256);
    let _pusher = JOBS.open().namespace(&*ns).pusher().unwrap();
    let error = BIG.open().namespace(&*ns).puller().expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::ChannelMismatch, "{error}");
}

/// A channel of the Python wire, removed at the end.
struct Wire(String);

impl Wire {
    fn new(test: &str) -> Self {
        scene(test);
        Wire(format!("settings-{test}-{}", std::process::id()))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let _ = python::force_unlink(&self.0);
    }
}

#[test]
#[cfg_attr(windows, ignore = "Windows has no channels with Python")]
fn ends_on_the_python_wire_warn_once() {
    let wire = Wire::new("wire");
    type Publisher = python::Publisher<[u8], Bytes>;
    type Subscriber = python::Subscriber<Vec<u8>, Bytes>;
    let pubsub = || Options::pubsub(wire.0.clone());
    let _publisher = Publisher::open(Options { slots: 32, slot_size: 512, ..pubsub() }).unwrap();
    let _plain = Subscriber::open(pubsub()).unwrap();
    assert_silent(&wire.0);
    for _ in 0..2 {
        Subscriber::open(Options { slots: 16, slot_size: 256, ..pubsub() }).unwrap();
    }
    assert_warned(&wire.0, "`slots` 32 instead of 16, `slot_size` 512 instead of 256");

    type Pusher = python::Pusher<[u8], Bytes>;
    type Puller = python::Puller<Vec<u8>, Bytes>;
    let pushpull = || Options::pushpull(wire.0.clone());
    let _pusher = Pusher::open(pushpull()).unwrap();
    Puller::open(Options { slots: 16, ..pushpull() }).unwrap();
    assert_warned(&wire.0, "`slots` 128 instead of 16");
    Puller::open(Options { slot_size: 256, ..pushpull() }).unwrap();
    assert_warned(&wire.0, "`slot_size` 4096 instead of 256");

    type Replier = python::Replier<Vec<u8>, [u8], Bytes>;
    type Requester = python::Requester<[u8], Vec<u8>, Bytes>;
    let reqrep = || Options::reqrep(wire.0.clone());
    let _replier = Replier::open(reqrep()).unwrap();
    Requester::open(Options { slots: 32, ..reqrep() }).unwrap();
    assert_warned(&wire.0, "`slots` 16 instead of 32");
    Requester::open(Options { slot_size: 256, ..reqrep() }).unwrap();
    assert_warned(&wire.0, "`slot_size` 8192 instead of 256");
}

#[test]
#[cfg_attr(windows, ignore = "Windows has no channels with Python")]
fn python_owner_never_replaces_a_queue_with_jobs() {
    let wire = Wire::new("wire-owner");
    type Pusher = python::Pusher<[u8], Bytes>;
    let options = || Options { linger: Duration::ZERO, ..Options::pushpull(wire.0.clone()) };
    let mut pusher = Pusher::open(options()).unwrap();
    pusher.try_send(b"a job").unwrap();
    drop(pusher);
    let error = Pusher::open(Options { slots: 32, ..options() }).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::ChannelMismatch);
    let text = error.to_string();
    for part in ["holds 1 job", "128 slots of 4096 bytes", "32 slots of 4096 bytes", "force_unlink"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!std::path::Path::new("/dev/shm").join(format!("shmcomm_pub~{}", wire.0)).exists());
    // With its own settings it goes on, and the job is there.
    let pusher = Pusher::open(options()).unwrap();
    let mut puller = python::Puller::<Vec<u8>, Bytes>::open(options()).unwrap();
    assert_eq!(puller.try_recv().unwrap(), b"a job");
    drop(pusher);
    // Without jobs it is replaced, with a warning.
    let mut pusher = Pusher::open(options()).unwrap();
    pusher.try_send(b"another").unwrap();
    drop(pusher);
    warnings(&wire.0);
    assert_eq!(puller.recv_timeout(Duration::from_secs(20)).unwrap(), b"another");
    let _pusher = Pusher::open(Options { slots: 32, ..options() }).unwrap();
    assert_warned(&wire.0, "replaced the segment of an earlier owner, as it has 128 slots");
}
