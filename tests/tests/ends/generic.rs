//! The features that ends of all patterns share: traits for generic code, conditions of errors, iterators, `Debug`,
//! figures as serde values, names given at run time, and publishers in a wait set.

use shmcomm::{
    CallError, Channel, ErrorKind, FlushError, OperationError, Overflow, PubSub, PullTimeoutError, PushPull,
    Receive, RecvError, RecvTimeoutError, ReqRep, RequestTimeoutError, SendError, SendTimeoutError, Transmit,
    TryPullError, TryPushError, TryRecvError, TrySendError, TryServeError, WaitSet, channel, python,
};
use shmcomm_tests::{Large, LargeFeed, Peer, Small, SmallFeed, namespace, say, stage};
use std::fmt::Debug;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(30);
const MOMENT: Duration = Duration::from_millis(50);

channel! {
    Feed: PubSub<u64> { name: "feed", slots: 8 }
    Sure: PubSub<u64> { name: "sure", slots: 8, overflow: Wait }
    Pinned: PubSub<Large> { name: "pinned", slots: 8, overflow: Wait }
    Texts: PubSub<String, Msgpack> { name: "texts", slots: 8, slot_size: 64 }
    Work: PushPull<u64> { name: "work", slots: 8 }
    Notes: PushPull<String, Msgpack> { name: "notes", slots: 8, slot_size: 64 }
    Double: ReqRep<u64, u64> { name: "double", slots: 8 }
}

#[test]
fn part() {
    stage::play(&[
        ("names", || {
            say(Feed::open().full_name());
            say(Feed::open().sub_namespace("robot7").full_name());
            say(Feed::open().sub_namespace("robot7").sub_namespace("arm").name("joint/1").full_name());
            say(Feed::open().namespace("sim").sub_namespace("robot7").full_name());
            say(Feed::open().namespace("").sub_namespace("").full_name());
        }),
        ("subscribe", || {
            let _subscriber = Sure::subscriber().unwrap();
            say("there");
            stage::wait();
        }),
    ]);
}

#[test]
fn namespace_in_code_extends_that_of_environment() {
    let ns = namespace("names");
    let mut process = stage::part("names", &ns);
    assert_eq!(process.said(), format!("{ns}/feed"));
    assert_eq!(process.said(), format!("{ns}/robot7/feed"));
    assert_eq!(process.said(), format!("{ns}/robot7/arm/joint/1"));
    assert_eq!(process.said(), "sim/robot7/feed");
    assert_eq!(process.said(), "feed");
}

#[test]
fn declared_channel_opens_under_other_names() {
    let ns = namespace("other-names");
    let open = |id: u32| Feed::open().namespace(&*ns).name(format!("robot{id}/feed"));
    let mut publishers: Vec<_> = (0..3).map(|id| open(id).publisher().unwrap()).collect();
    let mut subscribers: Vec<_> = (0..3).map(|id| open(id).subscriber().unwrap()).collect();
    for (id, publisher) in publishers.iter_mut().enumerate() {
        assert_eq!((publisher.name(), publisher.stats().slots), (&*format!("{ns}/robot{id}/feed"), 8));
        publisher.send(&(id as u64)).unwrap();
    }
    for (id, subscriber) in subscribers.iter_mut().enumerate() {
        assert_eq!(subscriber.try_iter().collect::<Vec<_>>(), [id as u64]);
    }
    // Settings of the opener apply as well, in any order.
    let publisher = Feed::open().slots(16).name("wide").namespace(&*ns).publisher().unwrap();
    assert_eq!((publisher.name(), publisher.stats().slots), (&*format!("{ns}/wide"), 16));
}

#[test]
fn other_name_is_checked_when_an_end_opens() {
    let ns = namespace("wrong-names");
    for wrong in ["", "a b", "/a", "a/", "a//b", "..", "a/../b", "ü", "a\n"] {
        let error = Feed::open().namespace(&*ns).name(wrong).publisher().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidName, "{wrong:?}: {error}");
        let error = Work::open().namespace(&*ns).sub_namespace(format!("x{wrong}/")).puller().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidName, "{wrong:?}: {error}");
    }
    let error = Feed::open().namespace(&*ns).name("n".repeat(300)).subscriber().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidName, "{error}");
}

#[test]
fn errors_tell_their_conditions() {
    assert!(TrySendError::Full.is_full() && TryPushError::Full.is_full() && CallError::Full.is_full());
    assert!(!TrySendError::Refused(SendError::AllSlotsHeld).is_full());
    assert!(
        TryRecvError::Empty.is_empty() && TryPullError::Empty.is_empty() && TryServeError::Empty.is_empty()
    );
    assert!(SendTimeoutError::Timeout.is_timeout() && RecvTimeoutError::Timeout.is_timeout());
    assert!(PullTimeoutError::Timeout.is_timeout() && RequestTimeoutError::Timeout.is_timeout());
    assert!(FlushError::Timeout(3).is_timeout() && !FlushError::Stopped(3).is_timeout());
    assert!(TryRecvError::Disconnected.is_disconnected() && !TryRecvError::Lagged(1).is_disconnected());
    assert!(RecvError::Disconnected.is_disconnected() && RecvTimeoutError::Disconnected.is_disconnected());
    assert!(
        RequestTimeoutError::PeerDied.is_disconnected() && !RequestTimeoutError::Unanswered.is_disconnected()
    );
    assert!(RecvError::Stopped.is_stopped() && TrySendError::Refused(SendError::Stopped).is_stopped());
    assert!(RecvError::Forked.is_forked() && SendTimeoutError::Refused(SendError::Forked).is_forked());
    assert!(python::TrySendError::Full.is_full() && python::RecvTimeoutError::Timeout.is_timeout());
    assert!(python::RequestError::Send(python::TrySendError::Full).is_full());
    // Every condition is defined for every error, and `false` if the operation does not have it.
    fn none(error: &impl OperationError) -> bool {
        !(error.is_full() || error.is_empty() || error.is_timeout() || error.is_disconnected())
    }
    assert!(none(&SendError::Stopped) && none(&shmcomm::PullError::Stopped));
}

/// Sends what fits, and returns how many.
fn fill<M>(end: &mut impl Transmit<M>, message: impl Fn(u64) -> M) -> u64 {
    (0..).find(|&number| end.try_send(&message(number)).is_err_and(|error| error.is_full())).unwrap()
}

/// Receives what is there.
fn drain<M>(end: &mut impl Receive<M>) -> Vec<M> {
    std::iter::from_fn(|| end.try_recv().ok()).collect()
}

fn exchange<M: Debug + PartialEq>(
    sends: &mut impl Transmit<M>,
    receives: &mut impl Receive<M>,
    message: impl Fn(u64) -> M,
) {
    assert_eq!(sends.name(), receives.name());
    sends.send(&message(1)).unwrap();
    assert_eq!(receives.recv().unwrap(), message(1));
    sends.send_timeout(&message(2), LONG).unwrap();
    assert_eq!(receives.recv_timeout(LONG).unwrap(), message(2));
    sends.send_deadline(&message(3), Instant::now() + LONG).unwrap();
    assert_eq!(receives.recv_deadline(Instant::now() + LONG).unwrap(), message(3));
    assert!(receives.try_recv().unwrap_err().is_empty());
    assert!(receives.recv_timeout(Duration::ZERO).unwrap_err().is_timeout());
    let sent = fill(sends, &message);
    assert!(sends.send_timeout(&message(0), Duration::ZERO).unwrap_err().is_timeout());
    assert_eq!(drain(receives), (0..sent).map(message).collect::<Vec<_>>());
}

#[test]
fn generic_code_takes_any_end() {
    let ns = namespace("generic");
    let text = |number: u64| number.to_string();
    let sure = Sure::open().namespace(&*ns);
    exchange(&mut sure.clone().publisher().unwrap(), &mut sure.subscriber().unwrap(), |number| number);
    let texts = Texts::open().namespace(&*ns).overflow(Overflow::Wait);
    exchange(&mut texts.clone().publisher().unwrap(), &mut texts.subscriber().unwrap(), text);
    let work = Work::open().namespace(&*ns);
    exchange(&mut work.clone().pusher().unwrap(), &mut work.puller().unwrap(), |number| number);
    let notes = Notes::open().namespace(&*ns);
    exchange(&mut notes.clone().pusher().unwrap(), &mut notes.puller().unwrap(), text);
    if cfg!(windows) {
        // Windows has no channels with Python.
        return;
    }
    let options = || python::Options::pushpull(format!("generic-{}", std::process::id()));
    let mut pusher = python::Pusher::<String, shmcomm::codec::Msgpack>::open(options()).unwrap();
    let mut puller = python::Puller::<String, shmcomm::codec::Msgpack>::open(options()).unwrap();
    exchange(&mut pusher, &mut puller, text);
    let _ = python::force_unlink(pusher.name());
}

#[test]
fn iterators_end_where_they_say() {
    let ns = namespace("iterators");
    let feed = Feed::open().namespace(&*ns);
    let (mut publisher, mut subscriber) = (feed.clone().publisher().unwrap(), feed.subscriber().unwrap());
    assert_eq!(subscriber.try_iter().next(), None);
    (0..3).for_each(|number| publisher.send(&number).unwrap());
    assert_eq!(subscriber.try_iter().collect::<Vec<_>>(), [0, 1, 2]);
    // A loss does not end it.
    (0..20).for_each(|number| publisher.send(&number).unwrap());
    let received = subscriber.try_iter().count() as u64;
    assert!(
        received >= 4 && received + subscriber.lost() == 20,
        "{received} of 20, lost {}",
        subscriber.lost()
    );
    // A loop ends with the publisher.
    (0..3).for_each(|number| publisher.send(&number).unwrap());
    drop(publisher);
    let mut seen = Vec::new();
    for number in &mut subscriber {
        seen.push(number);
    }
    assert_eq!(seen, [0, 1, 2]);
    assert_eq!(subscriber.try_iter().next(), None);

    let texts = Texts::open().namespace(&*ns);
    let (mut publisher, mut subscriber) = (texts.clone().publisher().unwrap(), texts.subscriber().unwrap());
    publisher.send(&"a".to_owned()).unwrap();
    assert_eq!(subscriber.try_iter().collect::<Vec<_>>(), ["a"]);

    let work = Work::open().namespace(&*ns);
    let (mut pusher, mut puller) = (work.clone().pusher().unwrap(), work.puller().unwrap());
    (0..3).for_each(|number| pusher.send(&number).unwrap());
    assert_eq!(puller.try_iter().collect::<Vec<_>>(), [0, 1, 2]);
    (0..3).for_each(|number| pusher.send(&number).unwrap());
    let stop = puller.stop_handle();
    let mut seen = Vec::new();
    for number in &mut puller {
        seen.push(number);
        if number == 2 {
            stop.stop();
        }
    }
    assert_eq!(seen, [0, 1, 2]);
    pusher.flush(LONG).unwrap();
}

#[track_caller]
fn shows(value: &impl Debug, name: &str, channel: &str, more: &[&str]) {
    let text = format!("{value:?}");
    assert!(text.starts_with(name) && text.contains(channel), "{text}");
    assert!(more.iter().all(|part| text.contains(part)), "{text} without one of {more:?}");
}

#[test]
fn ends_and_guards_show_name_and_figures() {
    let ns = namespace("debug");
    let feed = Feed::open().namespace(&*ns);
    let (mut publisher, mut subscriber) = (feed.clone().publisher().unwrap(), feed.subscriber().unwrap());
    (0..3).for_each(|number| publisher.send(&number).unwrap());
    subscriber.recv().unwrap();
    let name = format!("{ns}/feed");
    shows(
        &publisher,
        "Publisher",
        &name,
        &["publish/subscribe", "messages: 3", "slots: 8", "participants: 2"],
    );
    shows(&subscriber, "Subscriber", &name, &["publish/subscribe", "received: 1", "lost: 0", "lag: 2"]);
    shows(&subscriber.iter(), "Iter", &name, &[]);
    shows(&subscriber.try_iter(), "TryIter", &name, &[]);
    shows(&subscriber.filter(|_| true), "Filter", &name, &[]);
    shows(&subscriber.recv_ref().unwrap(), "Sample", "1", &[]);
    shows(&publisher.loan().unwrap(), "Loan", "", &[]);

    let work = Work::open().namespace(&*ns);
    let (mut pusher, mut puller) = (work.clone().pusher().unwrap(), work.puller().unwrap());
    pusher.send(&7).unwrap();
    let name = format!("{ns}/work");
    shows(&pusher, "Pusher", &name, &["push/pull", "messages: 1", "waiting: 1"]);
    shows(&puller, "Puller", &name, &["push/pull", "participants: 2"]);
    shows(&puller.iter(), "JobIter", &name, &[]);
    shows(&puller.try_iter(), "JobTryIter", &name, &[]);
    let job = puller.claim().unwrap();
    shows(&job, "Job", "7", &["redelivered: false"]);
    job.done();
    shows(&pusher.loan().unwrap(), "PushLoan", "", &[]);

    let double = Double::open().namespace(&*ns);
    let (requester, mut replier) = (double.clone().requester().unwrap(), double.replier().unwrap());
    let call = requester.call(&4).unwrap();
    let name = format!("{ns}/double");
    shows(&requester, "Requester", &name, &["request/reply", "waiting: 1"]);
    shows(&replier, "Replier", &name, &["request/reply"]);
    shows(&call, "Call", "", &[]);
    let request = replier.recv().unwrap();
    shows(&request, "Request", "4", &[]);
    request.reply(&8).unwrap();
    shows(&call.wait_ref().unwrap(), "Reply", "8", &[]);
}

#[test]
fn figures_are_serde_values() {
    let ns = namespace("figures");
    let work = Work::open().namespace(&*ns);
    let (mut pusher, _puller) = (work.clone().pusher().unwrap(), work.puller().unwrap());
    pusher.send(&7).unwrap();
    let stats = serde_json::to_value(pusher.stats()).unwrap();
    assert_eq!((&stats["messages"], &stats["backlog"]["waiting"]), (&1.into(), &1.into()));
    assert_eq!((&stats["slots"], &stats["named"]), (&8.into(), &true.into()));
    let roles: Vec<_> = stats["participants"].as_array().unwrap().iter().map(|one| &one["role"]).collect();
    assert_eq!(roles, ["pusher", "puller"]);
    assert_eq!(stats["participants"][0]["pid"], std::process::id());
    assert!(stats["participants"][0]["joined"]["secs_since_epoch"].as_u64() > Some(1 << 30));

    let info = shmcomm::list_segments_in(&ns).unwrap().remove(0);
    let value = serde_json::to_value(&info).unwrap();
    assert_eq!(value["channel"], format!("{ns}/work"));
    assert_eq!(value["path"], info.path.to_str().unwrap());
    assert_eq!((&value["pattern"], &value["stale"]), (&"push/pull".into(), &false.into()));
    assert_eq!((&value["problem"], &value["size"]), (&().into(), &info.size.into()));
    // Every field of the types is in the output.
    let [participant, backlog] = [&stats["participants"][0], &stats["backlog"]];
    same_fields(&info, &value);
    same_fields(&pusher.stats(), &stats);
    same_fields(&info.participants[0], participant);
    same_fields(&pusher.stats().backlog.unwrap(), backlog);
}

/// Compares the fields that `Debug` shows with those of the serde value.
#[track_caller]
fn same_fields(shown: &impl Debug, value: &serde_json::Value) {
    let text = format!("{shown:#?}");
    let fields =
        text.lines().filter_map(|line| line.strip_prefix("    ")?.split_once(": ").map(|(name, _)| name));
    let mut fields: Vec<_> = fields.filter(|name| !name.starts_with(' ')).collect();
    let mut names: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    names.sort_unstable();
    assert_eq!(fields, names);
}

#[test]
fn overwriting_publisher_is_always_ready() {
    let ns = namespace("ready");
    let feed = Feed::open().namespace(&*ns);
    let (mut publisher, _subscriber) = (feed.clone().publisher().unwrap(), feed.subscriber().unwrap());
    let mut set = WaitSet::new();
    set.add("publisher", &publisher).unwrap();
    for number in 0..20 {
        assert_eq!(set.try_wait().unwrap().len(), 1);
        publisher.send(&number).unwrap();
    }
    drop(publisher);
    assert_eq!((set.try_wait().unwrap().len(), set.len()), (0, 0));
}

#[test]
fn waiting_publisher_is_ready_while_there_is_room() {
    let ns = namespace("room");
    let sure = || Sure::open().namespace(&*ns).patience(Duration::MAX);
    let (mut publisher, mut subscriber) = (sure().publisher().unwrap(), sure().subscriber().unwrap());
    let mut set = WaitSet::new();
    set.add("publisher", &publisher).unwrap();
    for _ in 0..3 {
        let mut sent = 0;
        while !set.try_wait().unwrap().is_empty() {
            publisher.try_send(&sent).unwrap();
            sent += 1;
        }
        assert_eq!(sent, 8);
        assert!(publisher.try_send(&0).unwrap_err().is_full());
        assert!(set.wait_timeout(MOMENT).unwrap().is_empty());
        // The receive of another thread wakes the set.
        let woken = std::thread::scope(|scope| {
            let receive = scope.spawn(|| {
                std::thread::sleep(MOMENT);
                subscriber.try_iter().count()
            });
            let woken = set.wait_timeout(LONG).unwrap();
            assert_eq!(receive.join().unwrap(), 8);
            woken
        });
        assert_eq!(woken.len(), 1);
    }
}

#[test]
fn publisher_in_a_set_waits_for_pinned_slots() {
    let ns = namespace("pinned");
    let pinned = || Pinned::open().namespace(&*ns).slots(2).seats(3).patience(Duration::MAX);
    let (mut publisher, mut subscriber) = (pinned().publisher().unwrap(), pinned().subscriber().unwrap());
    let mut set = WaitSet::new();
    set.add("publisher", &publisher).unwrap();
    publisher.send(&Large::new(0)).unwrap();
    publisher.send(&Large::new(1)).unwrap();
    // The position allows another message, and its slot is pinned.
    let sample = subscriber.recv_ref().unwrap();
    assert!(publisher.try_send(&Large::new(2)).unwrap_err().is_full());
    assert!(set.try_wait().unwrap().is_empty());
    drop(sample);
    assert_eq!(set.wait_timeout(LONG).unwrap().len(), 1);
    publisher.try_send(&Large::new(2)).unwrap();
}

#[test]
fn publisher_in_a_set_evicts_a_stalled_subscriber() {
    let ns = namespace("stalled");
    let sure = || Sure::open().namespace(&*ns).patience(Duration::from_millis(200));
    let (mut publisher, mut subscriber) = (sure().publisher().unwrap(), sure().subscriber().unwrap());
    fill(&mut publisher, |number| number);
    let mut set = WaitSet::new();
    set.add("publisher", &publisher).unwrap();
    let start = Instant::now();
    assert_eq!(set.wait_timeout(LONG).unwrap().len(), 1);
    assert!(start.elapsed() >= Duration::from_millis(150), "{:?}", start.elapsed());
    publisher.try_send(&9).unwrap();
    assert_eq!(subscriber.try_recv(), Err(TryRecvError::Lagged(1)));
}

#[test]
fn publisher_in_a_set_survives_a_dead_subscriber() {
    let ns = namespace("dead");
    let mut publisher = Sure::open().namespace(&*ns).publisher().unwrap();
    let mut peer: Peer = stage::part("subscribe", &ns);
    assert_eq!(peer.said(), "there");
    fill(&mut publisher, |number| number);
    let mut set = WaitSet::new();
    set.add("publisher", &publisher).unwrap();
    assert!(set.wait_timeout(MOMENT).unwrap().is_empty());
    peer.kill();
    assert_eq!(set.wait_timeout(LONG).unwrap().len(), 1);
    publisher.try_send(&9).unwrap();
}

// Windows has no descriptors that other event loops wait for.
#[cfg(unix)]
#[test]
fn descriptor_of_a_set_tells_of_a_publisher() {
    let ns = namespace("descriptor");
    let sure = || Sure::open().namespace(&*ns).patience(Duration::MAX);
    let (mut publisher, mut subscriber) = (sure().publisher().unwrap(), sure().subscriber().unwrap());
    fill(&mut publisher, |number| number);
    let mut set = WaitSet::new();
    set.add("publisher", &publisher).unwrap();
    assert!(set.try_wait().unwrap().is_empty());
    let fd = set.fd().unwrap().try_clone_to_owned().unwrap();
    assert!(set.try_wait().unwrap().is_empty());
    assert_eq!(subscriber.try_iter().count(), 8);
    let mut files = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)];
    let limit = rustix::event::Timespec { tv_sec: 30, tv_nsec: 0 };
    assert_eq!(rustix::event::poll(&mut files, Some(&limit)).unwrap(), 1);
    assert_eq!(set.try_wait().unwrap().len(), 1);
}

#[test]
fn constants_without_macro_open_under_other_names() {
    const SMALL: Channel<PubSub<u64>> = Channel::new("small").slots(4);
    const JOBS: Channel<PushPull<u64>> = Channel::new("jobs").slots(4);
    const ASK: Channel<ReqRep<u64, u64>> = Channel::new("ask").slots(4);
    let ns = namespace("constants");
    assert_eq!(SMALL.open().namespace(&*ns).name("a").publisher().unwrap().stats().slots, 4);
    assert_eq!(JOBS.open().namespace(&*ns).name("b").pusher().unwrap().stats().slots, 4);
    assert_eq!(ASK.open().namespace(&*ns).name("c").requester().unwrap().stats().slots, 4);
    // Fixed types of the shared channels too.
    let small = SmallFeed::open().namespace(&*ns).name("d");
    let (mut publisher, mut subscriber) = (small.clone().publisher().unwrap(), small.subscriber().unwrap());
    publisher.send(&Small::new(1)).unwrap();
    assert_eq!(subscriber.try_iter().collect::<Vec<_>>(), [Small::new(1)]);
    assert_eq!(LargeFeed::open().namespace(&*ns).name("e").full_name(), format!("{ns}/e"));
}
