//! Ends in tasks: each pattern under several executors, cancelling, fairness, many at once, deaths.

use futures_util::future::join_all;
use futures_util::{FutureExt as _, StreamExt as _};
use shmcomm::{Overflow, PullError, RecvError, RequestError, TryRecvError};
use shmcomm_tests::executor::{block_on, block_on_counting, current_thread, multi_thread};
use shmcomm_tests::{Jobs, LargeFeed, Namespace, PatientService, Peer, Service, Small, SmallFeed, namespace};
use std::future::IntoFuture as _;
use std::time::{Duration, Instant};

const PEER: &str = env!("CARGO_BIN_EXE_peer");
const PATIENCE: Duration = Duration::from_secs(20);

/// Receives up to message `until`; how many were received and lost.
async fn count(ns: String, until: u64) -> (u64, u64) {
    let mut feed = SmallFeed::open().namespace(&ns).subscriber().unwrap();
    loop {
        match feed.recv_async().await {
            Ok(message) => {
                message.check();
                if message.number == until {
                    return (feed.received(), feed.lost());
                }
            }
            Err(RecvError::Lagged(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

fn publish_to_tasks(ns: &Namespace, run: impl FnOnce(String) -> (u64, u64) + Send) {
    let mut publisher = SmallFeed::open().namespace(&**ns).publisher().unwrap();
    std::thread::scope(|scope| {
        let task = scope.spawn(|| run(ns.to_string()));
        assert!(publisher.wait_for_subscribers(1, PATIENCE));
        for number in 0..=500 {
            publisher.send(&Small::new(number)).unwrap();
            if number % 10 == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        let (received, lost) = task.join().unwrap();
        assert_eq!(received + lost, 501);
    });
}

#[test]
fn messages_come_to_a_task_under_any_executor() {
    publish_to_tasks(&namespace("async-park"), |ns| block_on(count(ns, 500)));
    publish_to_tasks(&namespace("async-current"), |ns| current_thread(count(ns, 500)));
    publish_to_tasks(&namespace("async-multi"), |ns| multi_thread(count(ns, 500)));
}

#[test]
fn stream_yields_messages_and_ends_with_the_publisher() {
    let ns = namespace("async-stream");
    let mut publisher = LargeFeed::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = LargeFeed::open().namespace(&*ns).subscriber().unwrap();
    for number in 0..5 {
        publisher.send(&shmcomm_tests::Large::new(number)).unwrap();
    }
    drop(publisher);
    let all: Vec<_> = block_on(subscriber.stream().map(|m| m.map(|m| m.number)).collect());
    assert_eq!(all, [Ok(0), Ok(1), Ok(2), Ok(3), Ok(4), Err(RecvError::Disconnected)]);
}

#[test]
fn a_task_learns_that_its_publisher_was_killed() {
    let ns = namespace("async-killed");
    let mut publisher = Peer::start(PEER, &ns, &["publish-small", "0", "1", "0"]);
    publisher.expect("ready");
    publisher.expect("sent");
    let mut subscriber = SmallFeed::open().namespace(&*ns).history(1).subscriber().unwrap();
    block_on(async {
        assert_eq!(subscriber.recv_async().await, Ok(Small::new(0)));
        assert!(subscriber.recv_async().now_or_never().is_none());
    });
    publisher.kill();
    assert_eq!(block_on(subscriber.recv_async()), Err(RecvError::Disconnected));
}

#[test]
fn dropped_futures_lose_nothing() {
    let ns = namespace("async-cancel");
    let mut publisher = Peer::start(PEER, &ns, &["publish-small", "0", "2000", "100"]);
    publisher.expect("ready");
    let mut subscriber = SmallFeed::open().namespace(&*ns).history(64).subscriber().unwrap();
    let (mut next, mut dropped) = (None, 0);
    current_thread(async {
        while next != Some(1999) {
            // Gives up almost at once, now before, now after the message came.
            let patience = Duration::from_micros(50 * (dropped % 5));
            match tokio::time::timeout(patience, subscriber.recv_async()).await {
                Ok(Ok(message)) => {
                    assert!(
                        next.is_none_or(|next| message.number == next + 1),
                        "{next:?}, then {}",
                        message.number
                    );
                    next = Some(message.number);
                }
                Ok(Err(RecvError::Lagged(n))) => next = next.map(|next| next + n),
                Ok(Err(error)) => panic!("{error}"),
                Err(_elapsed) => dropped += 1,
            }
        }
    });
    assert!(dropped > 0);
}

#[test]
fn task_with_messages_yields_to_other_tasks() {
    let ns = namespace("async-fair");
    let mut pusher = Jobs::open().namespace(&*ns).pusher().unwrap();
    let mut puller = Jobs::open().namespace(&*ns).puller().unwrap();
    current_thread(async {
        let busy = async {
            // Its own queue never runs dry: nothing ever makes it wait.
            for number in 0..10_000 {
                pusher.send_async(&Small::new(number)).await.unwrap();
                assert_eq!(puller.recv_async().await, Ok(Small::new(number)));
            }
        };
        let mut turns = 0;
        let idle = async {
            loop {
                turns += 1;
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            () = busy => {}
            () = idle => {}
        }
        assert!(turns >= 50, "{turns} turns beside 20,000 messages");
    });
}

#[test]
fn send_waits_for_a_slot_and_dropped_sends_nothing() {
    let ns = namespace("async-room");
    let mut pusher = Jobs::open().namespace(&*ns).pusher().unwrap();
    let mut puller = Jobs::open().namespace(&*ns).puller().unwrap();
    while pusher.try_send(&Small::new(1)).is_ok() {}
    let full = pusher.stats().backlog.map(|b| b.waiting).unwrap_or_default();
    block_on(async {
        assert!(pusher.send_async(&Small::new(2)).now_or_never().is_none());
    });
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| block_on(pusher.send_async(&Small::new(3))));
        std::thread::sleep(Duration::from_millis(20));
        for _ in 0..full {
            assert_eq!(puller.recv_timeout(PATIENCE), Ok(Small::new(1)));
        }
        assert_eq!(puller.recv_timeout(PATIENCE), Ok(Small::new(3)));
        sender.join().unwrap().unwrap();
    });
    block_on(pusher.flush_async()).unwrap();
}

#[test]
fn publisher_waits_in_a_task_and_may_be_dropped() {
    let ns = namespace("async-window");
    let channel = || SmallFeed::open().namespace(&*ns).overflow(Overflow::Wait);
    let mut publisher = channel().publisher().unwrap();
    let mut subscriber = channel().subscriber().unwrap();
    let full = SmallFeed::SLOTS as u64;
    block_on(async {
        for number in 0..full {
            publisher.send_async(&Small::new(number)).await.unwrap();
        }
        assert!(publisher.send_async(&Small::new(999)).now_or_never().is_none(), "there is no room");
    });
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            block_on(async {
                for number in full..10 * full {
                    publisher.send_async(&Small::new(number)).await.unwrap();
                }
            });
        });
        std::thread::sleep(Duration::from_millis(100));
        for number in 0..10 * full {
            assert_eq!(subscriber.recv_timeout(PATIENCE), Ok(Small::new(number)));
        }
        sender.join().unwrap();
    });
    assert_eq!(subscriber.lost(), 0);
}

#[test]
fn task_is_woken_by_a_missed_deadline() {
    let ns = namespace("async-missed");
    let mut publisher = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let period = Duration::from_millis(20);
    let mut subscriber = SmallFeed::open().namespace(&*ns).expect_every(period).subscriber().unwrap();
    block_on(async {
        for periods in 1..=3 {
            let missed = subscriber.recv_async().await;
            assert!(
                matches!(missed, Err(RecvError::Missed { silent, expected })
                    if silent >= periods * period && expected == period),
                "{missed:?}"
            );
        }
        publisher.send(&Small::new(1)).unwrap();
        // A fourth period may be over on a busy machine, but the message is there.
        assert_eq!(subscriber.recv_async().await, Ok(Small::new(1)));
        // A stream goes on after it.
        let mut stream = subscriber.stream();
        assert!(matches!(stream.next().await, Some(Err(RecvError::Missed { .. }))));
        publisher.send(&Small::new(2)).unwrap();
        let message = loop {
            match stream.next().await {
                Some(Err(RecvError::Missed { .. })) => {}
                other => break other,
            }
        };
        assert_eq!(message, Some(Ok(Small::new(2))));
    });
}

#[test]
fn dropped_tasks_return_their_jobs() {
    let ns = namespace("async-claim");
    let mut pusher = Jobs::open().namespace(&*ns).pusher().unwrap();
    let mut puller = Jobs::open().namespace(&*ns).puller().unwrap();
    pusher.send(&Small::new(7)).unwrap();
    block_on(async {
        let job = puller.claim_async().await.unwrap();
        assert!(!job.redelivered());
    });
    let again = block_on(puller.claim_async()).unwrap();
    assert_eq!((again.number, again.redelivered()), (7, true));
    again.done();
    pusher.send(&Small::new(8)).unwrap();
    assert_eq!(block_on(puller.stream().next()), Some(Ok(Small::new(8))));
}

#[test]
fn tasks_ask_and_answer() {
    let ns = namespace("async-ask");
    let name = ns.to_string();
    multi_thread(async move {
        let mut replier = Service::open().namespace(&name).replier().unwrap();
        let service = tokio::spawn(async move {
            replier
                .serve_async(async |request: &Small| {
                    tokio::task::yield_now().await;
                    Small::new(!request.number)
                })
                .await
        });
        let clients = (0..4).map(|client| {
            let mut requester = Service::open().namespace(&name).requester().unwrap();
            tokio::spawn(async move {
                for number in (0..200).map(|number| client << 32 | number) {
                    assert_eq!(requester.request_async(&Small::new(number)).await, Ok(Small::new(!number)));
                }
            })
        });
        for client in join_all(clients.collect::<Vec<_>>()).await {
            client.unwrap();
        }
        service.abort();
        assert!(service.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn calls_of_one_requester_complete_in_any_order() {
    let ns = namespace("async-calls");
    let _replier = Peer::start(PEER, &ns, &["serve"]);
    let requester = Service::open().namespace(&*ns).requester().unwrap();
    let calls = (0..8).map(|number| requester.call(&Small::new(number)).unwrap().into_future());
    let replies = block_on(join_all(calls));
    for (number, reply) in (0..).zip(replies) {
        assert_eq!(reply, Ok(Small::new(!number)));
    }
}

#[test]
fn task_gets_replier_died_or_another_replier() {
    let ns = namespace("async-died");
    let mut replier = Peer::start(PEER, &ns, &["take"]);
    replier.expect("ready");
    let mut requester = Service::open().namespace(&*ns).requester().unwrap();
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| block_on(requester.request_async(&Small::new(5))));
        replier.expect("taken 5");
        replier.kill();
        assert_eq!(asking.join().unwrap(), Err(RequestError::PeerDied));
    });
    let mut first = Peer::start(PEER, &ns, &["take-patiently"]);
    let mut requester = PatientService::open().namespace(&*ns).requester().unwrap();
    assert!(requester.wait_for_repliers(1, PATIENCE));
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| block_on(requester.request_async(&Small::new(6))));
        first.expect("taken 6");
        let mut second = PatientService::open().namespace(&*ns).replier().unwrap();
        let waiting = scope.spawn(move || {
            let request = block_on(second.recv_async()).unwrap();
            assert!(request.redelivered());
            request.reply(&Small::new(!6)).unwrap();
        });
        first.kill();
        waiting.join().unwrap();
        assert_eq!(asking.join().unwrap(), Ok(Small::new(!6)));
    });
}

#[test]
fn more_tasks_than_one_system_call_takes_are_woken() {
    let ns = namespace("async-many");
    const CHANNELS: u64 = 150;
    let channel = |number: u64| format!("{ns}/{number}");
    let mut publishers: Vec<_> =
        (0..CHANNELS).map(|n| SmallFeed::open().namespace(channel(n)).publisher().unwrap()).collect();
    let subscribers: Vec<_> =
        (0..CHANNELS).map(|n| SmallFeed::open().namespace(channel(n)).subscriber().unwrap()).collect();
    std::thread::scope(|scope| {
        let tasks = scope.spawn(|| {
            current_thread(join_all(subscribers.into_iter().map(|mut subscriber| async move {
                for number in 0..3 {
                    assert_eq!(subscriber.recv_async().await, Ok(Small::new(number)));
                }
            })))
        });
        for number in 0..3 {
            std::thread::sleep(Duration::from_millis(60));
            for publisher in &mut publishers {
                publisher.send(&Small::new(number)).unwrap();
            }
        }
        tasks.join().unwrap();
    });
}

#[test]
fn task_sleeps_until_the_end_of_the_stall_timeout() {
    let ns = namespace("async-patience");
    let channel = || SmallFeed::open().namespace(&*ns).overflow(Overflow::Wait);
    let mut publisher = channel().publisher().unwrap();
    // Its end is between two liveness checks.
    let mut subscriber = channel().patience(Duration::from_millis(225)).subscriber().unwrap();
    let ((), wakes) = block_on_counting(async {
        for number in 0..=SmallFeed::SLOTS as u64 {
            publisher.send_async(&Small::new(number)).await.unwrap();
        }
    });
    // At most one for each slice: short ones at first, and one more for the patience. A task that polls
    // all the time has thousands.
    assert!(wakes < 100, "{wakes}");
    assert_eq!(subscriber.try_recv(), Err(TryRecvError::Lagged(1)));
}

#[test]
fn waiting_task_is_polled_for_liveness_only() {
    let ns = namespace("async-idle");
    let mut publisher = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    std::thread::scope(|scope| {
        let start = Instant::now();
        let task = scope.spawn(|| block_on_counting(subscriber.recv_async()));
        std::thread::sleep(Duration::from_secs(1));
        publisher.send(&Small::new(1)).unwrap();
        let (message, wakes) = task.join().unwrap();
        assert_eq!(message, Ok(Small::new(1)));
        // One for the message, one for each slice of 50 ms, a few of the first and shorter ones.
        let slices = start.elapsed().as_millis() as u64 / 50;
        assert!(wakes <= slices + 12, "{wakes} wakes in {slices} slices");
    });
}

/// A lock file that Python leaves behind, and so does the library, as another puller may have it.
struct Removed(std::path::PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn ends_on_the_wire_of_python_wait_in_tasks_too() {
    use shmcomm::codec::Bytes;
    use shmcomm::python::{Options, Publisher, Puller, Pusher, Replier, Requester, Subscriber};
    let name = |what: &str| format!("test-{}-async-python-{what}", std::process::id());
    let mut publisher = Publisher::<[u8], Bytes>::open(Options::pubsub(name("p"))).unwrap();
    let mut subscriber = Subscriber::<Vec<u8>, Bytes>::open(Options::pubsub(name("p"))).unwrap();
    let mut pusher =
        Pusher::<[u8], Bytes>::open(Options { slots: 2, ..Options::pushpull(name("q")) }).unwrap();
    let mut puller = Puller::<Vec<u8>, Bytes>::open(Options::pushpull(name("q"))).unwrap();
    let _lock = Removed(puller.lock_path().to_owned());
    let mut replier = Replier::<Vec<u8>, [u8], Bytes>::open(Options::reqrep(name("r"))).unwrap();
    let mut requester = Requester::<[u8], Vec<u8>, Bytes>::open(Options::reqrep(name("r"))).unwrap();
    current_thread(async {
        assert!(subscriber.recv_async().now_or_never().is_none());
        publisher.send(b"a message").unwrap();
        assert_eq!(subscriber.recv_async().await.unwrap(), b"a message");
        publisher.send(b"another").unwrap();
        assert_eq!(subscriber.stream().next().await.unwrap().unwrap(), b"another");
        let jobs = async {
            for number in 0..20_u8 {
                pusher.send_async(&[number]).await.unwrap();
            }
        };
        let work = async {
            for number in 0..20_u8 {
                assert_eq!(puller.recv_async().await.unwrap(), [number]);
            }
        };
        tokio::join!(jobs, work);
        let answer = async {
            let request = replier.recv_async().await.unwrap();
            replier.send(&request).unwrap();
        };
        let (reply, ()) = tokio::join!(requester.request_async(b"and back"), answer);
        assert_eq!(reply.unwrap(), b"and back");
    });
}

#[test]
fn futures_can_go_from_thread_to_thread() {
    fn check<T: Send>(_: T) {}
    let ns = namespace("async-send");
    let mut subscriber = LargeFeed::open().namespace(&*ns).connect_timeout(Duration::ZERO).subscriber();
    if let Ok(subscriber) = &mut subscriber {
        check(subscriber.recv_async());
        check(subscriber.recv_ref_async());
        check(subscriber.stream());
    }
    let mut pusher = Jobs::open().namespace(&*ns).pusher().unwrap();
    check(pusher.send_async(&Small::new(1)));
    let mut puller = Jobs::open().namespace(&*ns).puller().unwrap();
    check(puller.recv_async());
    check(puller.claim_async());
    check(puller.stream());
    let mut requester = Service::open().namespace(&*ns).requester().unwrap();
    check(requester.request_async(&Small::new(1)));
    let mut replier = Service::open().namespace(&*ns).replier().unwrap();
    check(replier.recv_async());
}

/// Streams that own their end are `'static` and `Send`: they can be spawned, and give the end back.
#[test]
fn owned_streams_are_spawned_and_give_their_end_back() {
    let ns = namespace("owned-streams");
    let small = SmallFeed::open().namespace(&*ns);
    let (mut publisher, subscriber) = (small.clone().publisher().unwrap(), small.subscriber().unwrap());
    let jobs = Jobs::open().namespace(&*ns);
    let (mut pusher, puller) = (jobs.clone().pusher().unwrap(), jobs.puller().unwrap());
    let stop = puller.stop_handle();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let messages = runtime.spawn(async move {
        let mut stream = subscriber.into_stream();
        let first = stream.next().await.unwrap().unwrap().number;
        assert_eq!(stream.subscriber().received(), 1);
        let mut subscriber = stream.into_inner();
        let second = subscriber.recv_async().await.unwrap().number;
        let rest: Vec<_> = subscriber.into_stream().collect().await;
        (first, second, rest)
    });
    let jobs = runtime.spawn(async move { puller.into_stream().collect::<Vec<_>>().await });
    (0..4).for_each(|number| publisher.send(&Small::new(number)).unwrap());
    (0..3).for_each(|number| pusher.send(&Small::new(number)).unwrap());
    pusher.flush(Duration::from_secs(30)).unwrap();
    drop(publisher);
    stop.stop();
    let (first, second, rest) = runtime.block_on(messages).unwrap();
    assert_eq!((first, second), (0, 1));
    let end = Err(RecvError::Disconnected);
    assert_eq!(rest, [Ok(Small::new(2)), Ok(Small::new(3)), end]);
    let jobs = runtime.block_on(jobs).unwrap();
    assert_eq!(jobs.len(), 4);
    assert!(jobs[..3].iter().all(Result::is_ok) && jobs[3] == Err(PullError::Stopped));
}
