//! [`StopHandle`]: every blocking call of every end, stopped before, while and just as it waits.

use futures_util::StreamExt as _;
use shmcomm::{
    Cause, ErrorKind, FlushError, PullError, PullTimeoutError, PushError, PushTimeoutError, RecvError,
    RecvTimeoutError, RequestError, RequestTimeoutError, SendError, SendTimeoutError, ServeError,
    ServeTimeoutError, StopHandle, TryRecvError, WaitSet, channel, list_segments,
};
#[allow(dead_code, reason = "each file uses a part of it")]
use shmcomm_tests::executor::{block_on, current_thread};
use shmcomm_tests::{Jobs, Large, LargeFeed, Namespace, Service, Small, SmallFeed, TailFeed, namespace};
use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Longer than anything takes on a loaded machine.
const LONG: Duration = Duration::from_secs(60);
/// Long enough for a thread to fall asleep.
const ASLEEP: Duration = Duration::from_millis(120);

channel! {
    Reliable: PubSub<Small> { name: "reliable", slots: 2, overflow: Wait }
    ReliableTails: PubSub<Small, [u64]> { name: "tails", slots: 2, max_len: 1, overflow: Wait }
    Words: PubSub<String, Msgpack> { name: "words", slot_size: 64 }
    Few: PushPull<Small> { name: "few", slots: 2 }
    Texts: PushPull<String, Msgpack> { name: "texts", slot_size: 64 }
    Short: ReqRep<Small, Small> { name: "short", slots: 2 }
}

/// A handle goes to other threads and into a `static`.
const _: fn() = || {
    fn shared<T: Clone + Send + Sync + std::panic::UnwindSafe + 'static>() {}
    shared::<StopHandle>();
};

/// Calls before the stop, while the call sleeps, and at a time between, each with the handle reset.
fn check<T: Debug + PartialEq>(stop: &StopHandle, wanted: T, mut call: impl FnMut() -> T) {
    stop.stop();
    let start = Instant::now();
    assert_eq!(call(), wanted, "stopped before");
    assert_eq!(call(), wanted, "a stop lasts");
    for pause in [ASLEEP, Duration::ZERO, Duration::from_micros(20), Duration::from_micros(200)] {
        stop.reset();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(pause);
                stop.stop();
            });
            assert_eq!(call(), wanted, "stopped after {pause:?}");
        });
    }
    assert!(start.elapsed() < LONG / 2, "{:?}", start.elapsed());
    stop.reset();
}

#[test]
fn every_receive_of_a_subscriber_stops() {
    let ns = namespace("subscriber");
    let stop = StopHandle::new();
    let _publishers = (
        SmallFeed::open().namespace(&*ns).publisher().unwrap(),
        LargeFeed::open().namespace(&*ns).publisher().unwrap(),
        TailFeed::open().namespace(&*ns).publisher().unwrap(),
        Words::open().namespace(&*ns).publisher().unwrap(),
    );
    let mut small = SmallFeed::open().namespace(&*ns).stop(&stop).subscriber().unwrap();
    let mut large = LargeFeed::open().namespace(&*ns).stop(&stop).subscriber().unwrap();
    let mut tails = TailFeed::open().namespace(&*ns).stop(&stop).subscriber().unwrap();
    let mut words = Words::open().namespace(&*ns).stop(&stop).subscriber().unwrap();
    let deadline = || Instant::now() + LONG;
    check(&stop, Err(RecvError::Stopped), || small.recv());
    check(&stop, Err(RecvTimeoutError::Stopped), || small.recv_timeout(LONG));
    check(&stop, Err(RecvTimeoutError::Stopped), || small.recv_deadline(deadline()));
    check(&stop, Err(RecvTimeoutError::Stopped), || small.recv_deadline(deadline()));
    check(&stop, Err(RecvTimeoutError::Stopped), || small.recv_deadline(deadline()));
    check(&stop, None, || small.iter().next());
    check(&stop, None, || small.filter(|_| true).next());
    check(&stop, Err(RecvError::Stopped), || small.filter(|_| true).recv());
    check(&stop, Err(RecvTimeoutError::Stopped), || small.filter(|_| true).recv_timeout(LONG));
    check(&stop, RecvError::Stopped, || large.recv_ref().err().unwrap());
    check(&stop, RecvTimeoutError::Stopped, || large.recv_ref_timeout(LONG).err().unwrap());
    check(&stop, RecvTimeoutError::Stopped, || large.recv_ref_deadline(deadline()).err().unwrap());
    check(&stop, RecvError::Stopped, || tails.recv_ref().err().unwrap());
    check(&stop, RecvTimeoutError::Stopped, || tails.recv_ref_timeout(LONG).err().unwrap());
    check(&stop, Err(RecvError::Stopped), || words.recv());
    check(&stop, Err(RecvTimeoutError::Stopped), || words.recv_timeout(LONG));
}

#[test]
fn stopped_receives_take_nothing_and_try_continues() {
    let ns = namespace("left");
    let mut publisher = LargeFeed::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = LargeFeed::open().namespace(&*ns).subscriber().unwrap();
    let stop = subscriber.stop_handle();
    publisher.send(&Large::new(0)).unwrap();
    publisher.send(&Large::new(1)).unwrap();
    stop.stop();
    assert!(stop.is_stopped() && subscriber.stop_handle().is_stopped());
    assert_eq!(subscriber.recv(), Err(RecvError::Stopped));
    assert_eq!(subscriber.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Stopped));
    assert_eq!(subscriber.try_recv(), Ok(Large::new(0)));
    stop.reset();
    assert_eq!(subscriber.recv(), Ok(Large::new(1)));
    assert_eq!((subscriber.try_recv(), subscriber.received()), (Err(TryRecvError::Empty), 2));
}

/// A loop over messages that never cease ends, too.
#[test]
fn receives_stop_while_messages_never_cease() {
    let ns = namespace("busy");
    let mut publisher = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    let stop = subscriber.stop_handle();
    std::thread::scope(|scope| {
        let receiver = scope.spawn(move || subscriber.iter().count());
        let start = Instant::now();
        let mut number = 0;
        while !receiver.is_finished() {
            publisher.send(&Small::new(number)).unwrap();
            number += 1;
            if start.elapsed() > ASLEEP {
                stop.stop();
            }
            assert!(start.elapsed() < LONG);
        }
    });
}

#[test]
fn waits_for_participants_stop() {
    let ns = namespace("participants");
    let stop = StopHandle::new();
    let publisher = SmallFeed::open().namespace(&*ns).stop(&stop).publisher().unwrap();
    check(&stop, false, || publisher.wait_for_subscribers(1, LONG));
    let mut subscriber = SmallFeed::open().namespace(&*ns).stop(&stop).subscriber().unwrap();
    drop(publisher);
    check(&stop, false, || subscriber.wait_for_publisher(LONG));
    let requester = Service::open().namespace(&*ns).stop(&stop).requester().unwrap();
    check(&stop, false, || requester.wait_for_repliers(1, LONG));
}

#[test]
fn open_stops_while_it_waits_for_the_channel() {
    let ns = namespace("open");
    let stop = StopHandle::new();
    let open = || {
        let opener = SmallFeed::open().namespace(&*ns).connect_timeout(LONG).stop(&stop);
        opener.subscriber().err().unwrap().kind()
    };
    check(&stop, ErrorKind::Stopped, open);
    // A channel that is there is opened.
    let _publisher = SmallFeed::open().namespace(&*ns).stop(&stop).publisher().unwrap();
    stop.stop();
    let mut subscriber = SmallFeed::open().namespace(&*ns).stop(&stop).subscriber().unwrap();
    assert_eq!(subscriber.recv(), Err(RecvError::Stopped));
}

#[test]
fn publisher_that_waits_for_room_stops() {
    let ns = namespace("room");
    let stop = StopHandle::new();
    let mut publisher = Reliable::open().namespace(&*ns).stop(&stop).publisher().unwrap();
    let patient = || Reliable::open().namespace(&*ns).patience(Duration::MAX);
    let mut subscriber = patient().subscriber().unwrap();
    stop.stop();
    // What needs no waiting is done.
    assert_eq!((publisher.send(&Small::new(0)), publisher.send(&Small::new(1))), (Ok(()), Ok(())));
    stop.reset();
    let deadline = || Instant::now() + LONG;
    let timed_out = Err(SendTimeoutError::Refused(SendError::Stopped));
    check(&stop, Err(SendError::Stopped), || publisher.send(&Small::new(2)));
    check(&stop, timed_out.clone(), || publisher.send_timeout(&Small::new(2), LONG));
    check(&stop, timed_out, || publisher.send_deadline(&Small::new(2), deadline()));
    check(&stop, SendError::Stopped, || publisher.loan().err().unwrap());
    check(&stop, SendError::Stopped, || publisher.loan_with(Small::new(2)).err().unwrap());
    check(&stop, false, || publisher.wait_for_room(LONG));
    check(&stop, Err(SendError::Stopped), || block_on(publisher.send_async(&Small::new(2))));
    assert_eq!((subscriber.recv(), subscriber.recv()), (Ok(Small::new(0)), Ok(Small::new(1))));
    publisher.send(&Small::new(2)).unwrap();
    assert_eq!(subscriber.recv(), Ok(Small::new(2)));

    let mut tails = ReliableTails::open().namespace(&*ns).stop(&stop).publisher().unwrap();
    let _subscriber = ReliableTails::open().namespace(&*ns).patience(Duration::MAX).subscriber().unwrap();
    (0..2).for_each(|number| tails.send(&Small::new(number), &[number]).unwrap());
    check(&stop, Err(SendError::Stopped), || tails.send(&Small::new(2), &[2]));
    check(&stop, SendError::Stopped, || tails.loan(1).err().unwrap());
}

#[test]
fn every_call_of_a_queue_stops() {
    let ns = namespace("queue");
    let stop = StopHandle::new();
    let mut pusher = Few::open().namespace(&*ns).stop(&stop).pusher().unwrap();
    let mut puller = Few::open().namespace(&*ns).stop(&stop).puller().unwrap();
    let mut texts = Texts::open().namespace(&*ns).stop(&stop).puller().unwrap();
    let deadline = || Instant::now() + LONG;
    stop.stop();
    assert_eq!(pusher.flush(LONG), Ok(()));
    stop.reset();
    check(&stop, Err(PullError::Stopped), || puller.recv());
    check(&stop, Err(PullTimeoutError::Stopped), || puller.recv_timeout(LONG));
    check(&stop, Err(PullTimeoutError::Stopped), || puller.recv_deadline(deadline()));
    check(&stop, PullError::Stopped, || puller.claim().err().unwrap());
    check(&stop, PullTimeoutError::Stopped, || puller.claim_timeout(LONG).err().unwrap());
    check(&stop, PullTimeoutError::Stopped, || puller.claim_deadline(deadline()).err().unwrap());
    check(&stop, Err(PullError::Stopped), || texts.recv());
    check(&stop, Err(PullTimeoutError::Stopped), || texts.recv_timeout(LONG));
    (0..2).for_each(|number| pusher.send(&Small::new(number)).unwrap());
    check(&stop, Err(PushError::Stopped), || pusher.send(&Small::new(2)));
    check(&stop, Err(PushTimeoutError::Stopped), || pusher.send_timeout(&Small::new(2), LONG));
    check(&stop, Err(PushTimeoutError::Stopped), || pusher.send_deadline(&Small::new(2), deadline()));
    check(&stop, PushError::Stopped, || pusher.loan().err().unwrap());
    check(&stop, false, || pusher.wait_for_room(LONG));
    check(&stop, Err(FlushError::Stopped(2)), || pusher.flush(LONG));
    check(&stop, Err(PushError::Stopped), || block_on(pusher.send_async(&Small::new(2))));
    check(&stop, Err(FlushError::Stopped(2)), || block_on(pusher.flush_async()));
    stop.stop();
    assert_eq!(puller.recv(), Err(PullError::Stopped));
    // What was accepted is still there.
    assert_eq!((puller.try_recv(), puller.try_recv()), (Ok(Small::new(0)), Ok(Small::new(1))));
    assert_eq!(pusher.flush(LONG), Ok(()));
}

#[test]
fn every_call_of_a_requester_stops() {
    let ns = namespace("requester");
    let stop = StopHandle::new();
    let requester = Short::open().namespace(&*ns).stop(&stop).requester().unwrap();
    let mut replier = Short::open().namespace(&*ns).replier().unwrap();
    let deadline = || Instant::now() + LONG;
    let ask = Small::new(1);
    check(&stop, Err(RequestError::Stopped), || requester.request(&ask));
    check(&stop, Err(RequestTimeoutError::Stopped), || requester.request_timeout(&ask, LONG));
    check(&stop, Err(RequestTimeoutError::Stopped), || requester.request_deadline(&ask, deadline()));
    check(&stop, Err(RequestError::Stopped), || requester.call(&ask).unwrap().wait());
    // All of them were given up, and those of a stopped requester never sent.
    assert!(replier.try_recv().is_err());
    let mut call = requester.call(&ask).unwrap();
    check(&stop, Err(RequestTimeoutError::Stopped), || call.wait_timeout(LONG));
    check(&stop, Err(RequestTimeoutError::Stopped), || call.wait_deadline(deadline()));
    // It is on its way still, and its answer is there for a requester that is stopped.
    replier.recv().unwrap().reply(&Small::new(2)).unwrap();
    stop.stop();
    assert_eq!(call.wait(), Ok(Small::new(2)));
    stop.reset();
    // No room for a request.
    let calls = [requester.call(&ask).unwrap(), requester.call(&ask).unwrap()];
    check(&stop, Err(RequestError::Stopped), || requester.request(&ask));
    check(&stop, Err(RequestTimeoutError::Stopped), || requester.request_timeout(&ask, LONG));
    check(&stop, RequestError::Stopped, || requester.loan().err().unwrap());
    drop(calls);
}

#[test]
fn every_call_of_a_replier_stops() {
    let ns = namespace("replier");
    let stop = StopHandle::new();
    let mut replier = Service::open().namespace(&*ns).stop(&stop).replier().unwrap();
    let requester = Service::open().namespace(&*ns).requester().unwrap();
    let deadline = || Instant::now() + LONG;
    check(&stop, ServeError::Stopped, || replier.recv().err().unwrap());
    check(&stop, ServeTimeoutError::Stopped, || replier.recv_timeout(LONG).err().unwrap());
    check(&stop, ServeTimeoutError::Stopped, || replier.recv_deadline(deadline()).err().unwrap());
    check(&stop, Ok(0), || replier.serve(|request| *request));
    check(&stop, Ok(()), || block_on(replier.serve_async(async |request| *request)));
    // The request that a service is at is answered before it stops.
    let call = requester.call(&Small::new(7)).unwrap();
    let handle = replier.stop_handle();
    let served = replier.serve(|request| {
        handle.stop();
        *request
    });
    assert_eq!((served, call.wait()), (Ok(1), Ok(Small::new(7))));
}

#[test]
fn tasks_stop_under_every_executor() {
    let ns = namespace("tasks");
    let stop = StopHandle::new();
    let _publisher = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = SmallFeed::open().namespace(&*ns).stop(&stop).subscriber().unwrap();
    let mut puller = Jobs::open().namespace(&*ns).stop(&stop).puller().unwrap();
    let mut requester = Service::open().namespace(&*ns).stop(&stop).requester().unwrap();
    let mut replier = Service::open().namespace(&*ns).stop(&stop).replier().unwrap();
    check(&stop, Err(RecvError::Stopped), || block_on(subscriber.recv_async()));
    check(&stop, RecvError::Stopped, || block_on(subscriber.recv_ref_async()).err().unwrap());
    check(&stop, vec![Err(RecvError::Stopped)], || block_on(subscriber.stream().collect::<Vec<_>>()));
    check(&stop, Err(PullError::Stopped), || current_thread(puller.recv_async()));
    check(&stop, PullError::Stopped, || block_on(puller.claim_async()).err().unwrap());
    check(&stop, vec![Err(PullError::Stopped)], || block_on(puller.stream().collect::<Vec<_>>()));
    check(&stop, ServeError::Stopped, || block_on(replier.recv_async()).err().unwrap());
    check(&stop, Err(RequestError::Stopped), || block_on(requester.request_async(&Small::new(1))));
    check(&stop, Err(RequestError::Stopped), || {
        block_on(async { requester.call(&Small::new(1)).unwrap().await })
    });
    // Several tasks of one executor, by one stop.
    let all = async move {
        let stopped = futures_util::future::join(subscriber.recv_async(), puller.recv_async()).await;
        assert_eq!(stopped, (Err(RecvError::Stopped), Err(PullError::Stopped)));
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(ASLEEP);
            stop.stop();
        });
        block_on(all);
    });
}

#[test]
fn wait_set_reports_a_stop_under_its_key() {
    let ns = namespace("set");
    let _publisher = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let subscriber = SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    let stop = StopHandle::new();
    let mut sets = [WaitSet::new(), WaitSet::new(), WaitSet::new(), WaitSet::new()];
    for set in &mut sets {
        set.add("stop", &stop).unwrap();
    }
    sets[1].add("small", &subscriber).unwrap();
    sets[2].add("small", &subscriber).unwrap();
    sets[3].add("small", &subscriber).unwrap();
    // Windows has no file descriptors to wait for.
    #[cfg(unix)]
    let (reader, _writer) = std::io::pipe().unwrap();
    #[cfg(unix)]
    sets[2].add_fd("pipe", &reader, shmcomm::Interest::Readable).unwrap();
    #[cfg(unix)]
    sets[3].fd().unwrap();
    for (number, set) in sets.iter_mut().enumerate() {
        let ready = |set: &mut WaitSet<&'static str>| {
            set.wait().unwrap().into_iter().map(|ready| (ready.key, ready.cause)).collect::<Vec<_>>()
        };
        check(&stop, vec![("stop", Cause::Stopped)], || ready(set));
        let nothing = set.wait_timeout(Duration::from_millis(1)).unwrap();
        assert!(nothing.is_empty(), "set {number}: {nothing:?}");
        assert!(set.remove(&"stop"));
    }
}

/// The other end of the stop: the ends of three patterns and a set, by one handle, and nothing is left.
#[test]
fn one_handle_stops_all_ends_and_they_leave_nothing() {
    let ns = namespace("all");
    let stop = StopHandle::new();
    std::thread::scope(|scope| {
        let (ns, stop) = (&*ns, &stop);
        let publisher = Reliable::open().namespace(ns).stop(stop).publisher().unwrap();
        let mut threads = Vec::new();
        for _ in 0..3 {
            threads.push(scope.spawn(move || {
                let mut subscriber = Reliable::open().namespace(ns).stop(stop).subscriber().unwrap();
                assert_eq!(subscriber.recv(), Err(RecvError::Stopped));
            }));
            threads.push(scope.spawn(move || {
                let mut puller = Jobs::open().namespace(ns).stop(stop).puller().unwrap();
                assert_eq!(puller.claim().err(), Some(PullError::Stopped));
            }));
            threads.push(scope.spawn(move || {
                let mut replier = Service::open().namespace(ns).stop(stop).replier().unwrap();
                assert_eq!(replier.serve(|request| *request), Ok(0));
            }));
        }
        std::thread::sleep(ASLEEP);
        assert!(threads.iter().all(|thread| !thread.is_finished()));
        stop.stop();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        drop(publisher);
    });
    assert_eq!(segments(&ns), Vec::<String>::new());
}

/// Most stops wake a thread that sleeps long before it would wake by itself, which is after at most 50 ms. Messages wake
/// it in turn with the stops, and show how late threads run on this machine.
#[test]
fn stop_wakes_a_thread_that_sleeps() {
    let ns = namespace("wakes");
    let mut publisher = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    let stop = subscriber.stop_handle();
    let (mut stops, mut messages) = (Vec::new(), Vec::new());
    for round in 0..40 {
        stop.reset();
        std::thread::scope(|scope| {
            let (sender, receiver) = std::sync::mpsc::channel();
            let subscriber = &mut subscriber;
            scope.spawn(move || {
                let result = subscriber.recv();
                sender.send((result, Instant::now())).unwrap();
            });
            std::thread::sleep(ASLEEP);
            let start = Instant::now();
            if round % 2 == 0 {
                stop.stop();
                let (result, woken) = receiver.recv().unwrap();
                assert_eq!(result, Err(RecvError::Stopped));
                stops.push(woken.duration_since(start));
            } else {
                publisher.send(&Small::new(round)).unwrap();
                let (result, woken) = receiver.recv().unwrap();
                assert!(result.is_ok(), "{result:?}");
                messages.push(woken.duration_since(start));
            }
        });
    }
    stops.sort();
    messages.sort();
    // By chance half of 20 sleeps would end within 10 ms once in 400 runs.
    assert!(stops[9] < Duration::from_millis(10) + 2 * messages[9], "stops {stops:?}, messages {messages:?}");
}

fn segments(ns: &Namespace) -> Vec<String> {
    let prefix = format!("{ns}/");
    let all = list_segments().unwrap().into_iter().map(|segment| segment.channel);
    all.filter(|channel| channel.starts_with(&prefix)).collect()
}
