//! Any bytes as a segment: attaching gives an error or an end that works, neither hangs, and nothing outside
//! of the segment is touched, whatever is written over it while it is used.
//!
//! The first byte chooses a channel, and what the rest is: the whole file, or changes to a segment that a killed
//! process has left. The second byte is the number of changes that are made before the ends are opened. The others are
//! made while the ends are used. A change is eight bytes and their place.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shmcomm::codec::Bytes;
use shmcomm::python::{self, Options};
use shmcomm::{AnyKey, Opener, PubSub, PushPull, ReqRep, TableObserver, WaitSet, Waitable, channel};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

channel! {
    Small: PubSub<[u64; 4]> { name: "small", slots: 4, seats: 4 }
    Large: PubSub<[u64; 600]> { name: "large", slots: 4, seats: 4 }
    Jobs: PushPull<[u64; 4]> { name: "jobs", slots: 4, seats: 4 }
    Calls: ReqRep<u64, [u64; 2]> { name: "calls", slots: 4, seats: 4, redeliver: true }
    Several: PubSub<[u64; 4]> { name: "several", slots: 4, seats: 6, publishers: 2 }
    SeveralLarge: PubSub<[u64; 600]> { name: "several-large", slots: 4, seats: 4, publishers: 2 }
    Waits: PubSub<[u64; 4]> { name: "waits", slots: 4, seats: 4, overflow: Wait, patience: 1ms }
    WaitsLarge: PubSub<[u64; 600]> { name: "waits-large", slots: 4, seats: 4, overflow: Wait, patience: 1ms }
    Latest: Table { name: "latest", first: [u64; 4], second: u64 }
    Grows: PubSub<[u8], Bytes> { name: "grows", slots: 4, seats: 4, slot_size: 64, grow: 4096 }
    GrowingJobs: PushPull<[u8], Bytes> { name: "growing-jobs", slots: 4, seats: 4, slot_size: 64, grow: 4096 }
}

const SHORT: Duration = Duration::from_micros(200);

/// A channel under test: how its ends are used, and the file of a segment that was in use.
struct Subject {
    path: PathBuf,
    image: Vec<u8>,
    run: fn(&mut dyn FnMut()),
}

static SUBJECTS: LazyLock<Vec<Subject>> = LazyLock::new(|| {
    let native = |name: &str| format!("shmcomm2_{}%2F{name}", namespace());
    let python = |kind: &str| format!("shmcomm_{kind}_{}", namespace());
    let subjects: [(String, fn(&mut dyn FnMut())); 14] = [
        (native("small"), small),
        (native("large"), large),
        (native("jobs"), jobs),
        (native("calls"), calls),
        (python("pub"), python_pubsub),
        (python("push"), python_pushpull),
        (python("req"), python_reqrep),
        (native("several"), several),
        (native("several-large"), several_large),
        (native("waits"), waits),
        (native("waits-large"), waits_large),
        (native("latest"), latest),
        (native("grows"), grows),
        (native("growing-jobs"), growing_jobs),
    ];
    let images = subjects.into_iter().map(|(file, run)| {
        let path = Path::new("/dev/shm").join(file);
        let mut image = Vec::new();
        // A service hides its requests from Python while it lets a requester in; the second name stays.
        let second = PathBuf::from(path.to_string_lossy().replace("shmcomm_req_", "shmcomm_req~"));
        let read = || fs::read(&path).or_else(|_| fs::read(&second));
        run(&mut || image = read().expect("the ends are there"));
        clear();
        Subject { path, image, run }
    });
    images.collect()
});

fn namespace() -> String {
    format!("fuzz-{}", std::process::id())
}

/// Removes what stands under the names of this process.
fn clear() {
    let mine = namespace();
    for entry in fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().contains(&mine) {
            let _ = fs::remove_file(entry.path());
        }
    }
    let _ = fs::remove_file(std::env::temp_dir().join(format!("shmcomm_shmcomm_push_{mine}.lock")));
}

fn here<P: ?Sized>(opener: Opener<P>) -> Opener<P> {
    opener.namespace(namespace()).connect_timeout(Duration::ZERO)
}

/// Makes two sets of the ends of one channel. The second has a descriptor, so another thread sleeps for it.
fn sets(ends: &[&dyn Waitable]) -> [WaitSet<usize>; 2] {
    let mut sets = [WaitSet::new(), WaitSet::new()];
    for set in &mut sets {
        for (key, end) in ends.iter().enumerate() {
            let _ = set.add(key, *end);
        }
    }
    let _ = sets[1].fd();
    sets
}

/// Checks the sets, with a short sleep and without.
fn check(sets: &mut [WaitSet<usize>; 2]) {
    for set in sets {
        let _ = set.wait_timeout(SHORT).map(|ready| ready.len());
        let _ = set.try_wait();
    }
}

/// Polls a task a few times: each poll ends, whatever the ring says.
fn poll<F: Future>(task: F) -> Option<F::Output> {
    let mut task = pin!(task);
    let mut context = Context::from_waker(Waker::noop());
    (0..3).find_map(|_| match task.as_mut().poll(&mut context) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    })
}

/// One message and all that can be done with it, again and again, with `change` between.
fn pubsub<const N: usize>(open: fn() -> Opener<PubSub<[u64; N]>>, change: &mut dyn FnMut()) {
    let mut early = here(open()).subscriber();
    let mut publisher = here(open()).publisher();
    // Refused where one publishes at a time.
    let mut second = here(open()).publisher();
    let mut late = here(open()).history(3).subscriber();
    let subscribers = [&early, &late].into_iter().flatten();
    let mut sets = sets(&subscribers.map(|end| end as &dyn Waitable).collect::<Vec<_>>());
    for round in 0..6 {
        check(&mut sets);
        for publisher in [&mut publisher, &mut second].into_iter().flatten() {
            let _ = publisher.send_timeout(&[round; N], SHORT);
            let _ = publisher.try_send(&[round; N]);
            let _ = poll(publisher.send_async(&[round; N]));
            if let Ok(mut loan) = publisher.try_loan() {
                loan[0] = round;
                if round % 2 == 0 {
                    let _ = loan.send();
                }
            }
            let _ = (publisher.stats(), publisher.wait_for_room(Duration::ZERO), publisher.subscribers());
        }
        for subscriber in [&mut early, &mut late].into_iter().flatten() {
            let _ = subscriber.try_recv();
            if let Ok(sample) = subscriber.try_recv_ref() {
                std::hint::black_box(sample.iter().fold(0, |sum: u64, word| sum.wrapping_add(*word)));
            }
            let _ = subscriber.recv_timeout(SHORT);
            let _ = subscriber.latest();
            let _ = (poll(subscriber.recv_async()), subscriber.publisher());
            let _ = (subscriber.stats(), subscriber.lag(), subscriber.is_connected());
        }
        if round == 2 {
            change();
        }
    }
    let _ = shmcomm::list_segments();
}

fn small(change: &mut dyn FnMut()) {
    pubsub(Small::open, change);
}

fn large(change: &mut dyn FnMut()) {
    pubsub(Large::open, change);
}

fn several(change: &mut dyn FnMut()) {
    pubsub(Several::open, change);
}

fn several_large(change: &mut dyn FnMut()) {
    pubsub(SeveralLarge::open, change);
}

fn waits(change: &mut dyn FnMut()) {
    pubsub(Waits::open, change);
}

fn waits_large(change: &mut dyn FnMut()) {
    pubsub(WaitsLarge::open, change);
}

fn jobs(change: &mut dyn FnMut()) {
    let open = || -> Opener<PushPull<[u64; 4]>> { here(Jobs::open()) };
    let (mut pusher, mut puller, mut other) = (open().pusher(), open().puller(), open().puller());
    let ends =
        [pusher.as_ref().ok().map(|end| end as &dyn Waitable), puller.as_ref().ok().map(|end| end as _)];
    let mut sets = sets(&ends.into_iter().flatten().collect::<Vec<_>>());
    for round in 0..6 {
        check(&mut sets);
        if let Ok(pusher) = &mut pusher {
            let _ = pusher.send_timeout(&[round; 4], SHORT);
            let _ = pusher.try_send(&[round; 4]);
            let _ = poll(pusher.send_async(&[round; 4]));
            let _ = (pusher.stats(), pusher.flush(Duration::ZERO));
        }
        if let Ok(puller) = &mut puller {
            let _ = (puller.try_recv(), poll(puller.recv_async()));
            if let Ok(job) = puller.try_claim() {
                std::hint::black_box(job.iter().fold(0, |sum: u64, word| sum.wrapping_add(*word)));
                if round % 2 == 0 { job.done() } else { job.put_back() }
            }
        }
        if let Ok(other) = &mut other {
            let _ = other.recv_timeout(SHORT);
        }
        if round == 2 {
            change();
        }
    }
}

fn calls(change: &mut dyn FnMut()) {
    let open = || -> Opener<ReqRep<u64, [u64; 2]>> { here(Calls::open()) };
    let (requester, mut replier) = (open().requester(), open().replier());
    let ends =
        [requester.as_ref().ok().map(|end| end as &dyn Waitable), replier.as_ref().ok().map(|end| end as _)];
    let mut sets = sets(&ends.into_iter().flatten().collect::<Vec<_>>());
    for round in 0..4 {
        let mut call = requester.as_ref().ok().and_then(|requester| requester.call(&round).ok());
        if let Some(call) = &call {
            sets.iter_mut().for_each(|set| _ = set.add(9, call));
        }
        check(&mut sets);
        if let Ok(replier) = &mut replier {
            if let Ok(request) = replier.recv_timeout(SHORT) {
                let asked = *request;
                if round == 1 {
                    request.decline();
                } else {
                    let _ = request.reply(&[asked; 2]);
                }
            }
            let _ = replier.stats();
        }
        if let Some(call) = &mut call {
            let _ = call.poll();
            let _ = call.wait_timeout(SHORT);
        }
        if round == 1 {
            change();
        }
    }
}

fn latest(change: &mut dyn FnMut()) {
    let mut writer = here(Latest::open()).writer(Latest::FIRST);
    let mut reader = here(Latest::open()).reader();
    let mut observer = TableObserver::open(&format!("{}/latest", namespace()));
    let mut sets = sets(&reader.as_ref().ok().map(|end| end as &dyn Waitable).into_iter().collect::<Vec<_>>());
    for round in 0..4 {
        check(&mut sets);
        if let Ok(writer) = &mut writer {
            let _ = (writer.store(&[round; 4]), writer.version());
        }
        if let Ok(reader) = &mut reader {
            let _ = reader.wait_timeout(AnyKey, SHORT);
            let _ = (poll(reader.wait_async(Latest::SECOND)), reader.has_changed(AnyKey));
            let _ = (reader.load(Latest::FIRST), reader.load_set((Latest::SECOND, Latest::FIRST)));
            let _ = (reader.version(Latest::SECOND), reader.is_written(Latest::FIRST));
        }
        if let Ok(observer) = &mut observer {
            for key in 0..observer.keys().len() {
                let _ = (observer.version(key), observer.writers(key));
                let _ = observer.load(key).map(|value| value.map(|value| value.view().to_string()));
            }
            let _ = (observer.wait_timeout(SHORT), observer.follow());
        }
        if round == 1 {
            change();
        }
    }
}

/// Bytes of the messages of a round: they fit, need larger slots, and are too long.
const LENGTHS: [usize; 5] = [30, 100, 60, 3000, 5000];

fn grows(change: &mut dyn FnMut()) {
    let mut publisher = here(Grows::open()).publisher();
    let mut subscriber = here(Grows::open()).history(3).subscriber();
    let mut sets = sets(&subscriber.as_ref().ok().map(|end| end as &dyn Waitable).into_iter().collect::<Vec<_>>());
    for (round, len) in LENGTHS.into_iter().enumerate() {
        check(&mut sets);
        if let Ok(publisher) = &mut publisher {
            let _ = publisher.send_timeout(&vec![7; len], SHORT);
            let _ = (publisher.stats(), publisher.subscribers());
        }
        if let Ok(subscriber) = &mut subscriber {
            let _ = (subscriber.try_recv(), poll(subscriber.recv_async()));
            let _ = (subscriber.latest(), subscriber.stats(), subscriber.lag());
        }
        // The next send copies what is changed.
        if round == 0 {
            change();
        }
    }
    let _ = shmcomm::list_segments();
}

fn growing_jobs(change: &mut dyn FnMut()) {
    let open = || here(GrowingJobs::open());
    let (mut pusher, mut puller) = (open().pusher(), open().puller());
    let mut sets = sets(&puller.as_ref().ok().map(|end| end as &dyn Waitable).into_iter().collect::<Vec<_>>());
    for (round, len) in LENGTHS.into_iter().cycle().take(8).enumerate() {
        check(&mut sets);
        if let Ok(pusher) = &mut pusher {
            let _ = pusher.send_timeout(&vec![7; len], SHORT);
            let _ = (pusher.stats(), pusher.flush(Duration::ZERO));
        }
        if let Ok(puller) = &mut puller {
            let _ = (puller.try_recv(), poll(puller.recv_async()));
        }
        // One slot has grown by then.
        if round == 3 {
            change();
        }
    }
    let _ = shmcomm::list_segments();
}

fn short(options: Options) -> Options {
    Options { slots: 4, slot_size: 64, connect_timeout: Duration::ZERO, linger: Duration::ZERO, ..options }
}

fn python_pubsub(change: &mut dyn FnMut()) {
    let options = || short(Options::pubsub(namespace()));
    let mut early = python::Subscriber::<Vec<u8>, Bytes>::open(options());
    let mut publisher = python::Publisher::<[u8], Bytes>::open(options());
    let mut late = python::Subscriber::<Vec<u8>, Bytes>::open(options());
    for round in 0..6 {
        if let Ok(publisher) = &mut publisher {
            let _ = publisher.send(&[round; 60]);
        }
        for subscriber in [&mut early, &mut late].into_iter().flatten() {
            let _ = subscriber.try_recv();
            let _ = subscriber.recv_bytes_timeout(SHORT);
            let _ = subscriber.stats();
        }
        if round == 2 {
            change();
        }
    }
}

fn python_pushpull(change: &mut dyn FnMut()) {
    let options = || short(Options::pushpull(namespace()));
    let mut early = python::Puller::<Vec<u8>, Bytes>::open(options());
    let mut pusher = python::Pusher::<[u8], Bytes>::open(options());
    for round in 0..6 {
        if let Ok(pusher) = &mut pusher {
            let _ = pusher.try_send(&[round; 60]);
            let _ = (pusher.stats(), pusher.waiting());
        }
        if let Ok(puller) = &mut early {
            let _ = puller.try_recv();
            let _ = puller.recv_timeout(SHORT);
        }
        if let Ok(puller) = &mut python::Puller::<Vec<u8>, Bytes>::open(options()) {
            let _ = puller.try_recv();
        }
        if round == 2 {
            change();
        }
    }
}

fn python_reqrep(change: &mut dyn FnMut()) {
    let options = || short(Options::reqrep(namespace()));
    let mut replier = python::Replier::<Vec<u8>, [u8], Bytes>::open(options());
    let mut requester = python::Requester::<[u8], Vec<u8>, Bytes>::open(Options {
        connect_timeout: Duration::from_millis(20),
        ..options()
    });
    for round in 0..4 {
        if let Ok(requester) = &mut requester {
            let _ = requester.send(&[round; 60]);
        }
        if let Ok(replier) = &mut replier {
            let _ = replier.recv_bytes_timeout(SHORT).map(drop);
            let _ = replier.send(&[round; 60]);
        }
        if let Ok(requester) = &mut requester {
            let _ = requester.recv_timeout(SHORT);
        }
        if round == 1 {
            change();
        }
    }
}

/// Eight bytes somewhere in the file.
fn apply(file: &File, len: u64, changes: &[u8]) {
    for change in changes.chunks_exact(12) {
        let (at, bytes) = change.split_at(4);
        let at = u64::from(u32::from_le_bytes(at.try_into().expect("four bytes"))) % len.max(8);
        let at = at.min(len.saturating_sub(8)) & !7;
        let _ = file.write_all_at(bytes, at);
    }
}

fuzz_target!(|input: &[u8]| {
    let [kind, before, rest @ ..] = input else { return };
    let subject = &SUBJECTS[usize::from(kind & 0x7f) % SUBJECTS.len()];
    let whole = kind & 0x80 != 0;
    let image = if whole { rest } else { &subject.image };
    fs::write(&subject.path, image).expect("there is room");
    let file =
        OpenOptions::new().read(true).write(true).mode(0o600).open(&subject.path).expect("it is there");
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("it is ours");
    let changes = if whole { &[] } else { rest };
    let (early, late) = changes.split_at((usize::from(*before) * 12).min(changes.len()));
    let len = image.len() as u64;
    apply(&file, len, early);
    (subject.run)(&mut || apply(&file, len, late));
    clear();
});
