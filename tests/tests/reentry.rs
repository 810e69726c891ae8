//! The code of a user that an end runs may use that end: encoders, decoders, wakers, loggers, closures and `Drop`.

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};
use shmcomm::{Requester, WaitSet, channel};
use shmcomm_tests::namespace;
use std::cell::{Cell, RefCell};
use std::future::{Future, IntoFuture};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Once;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

thread_local! {
    /// Runs when an end runs the code of a user.
    static HOOK: RefCell<Option<Rc<dyn Fn()>>> = const { RefCell::new(None) };
    /// Number of runs of the hook.
    static RUNS: Cell<u32> = const { Cell::new(0) };
}

fn set_hook(hook: Option<Rc<dyn Fn()>>) {
    // What was there is dropped when nothing is borrowed any more: it may log, which runs the hook.
    drop(HOOK.replace(hook));
}

/// Runs the hook, if there is one and it is not running already.
fn run_hook() {
    let Some(hook) = HOOK.take() else { return };
    RUNS.set(RUNS.get() + 1);
    hook();
    set_hook(Some(hook));
}

/// Has the code of a user run `hook` while `test` runs, and returns how often it did.
fn with_hook<T>(hook: impl Fn() + 'static, test: impl FnOnce() -> T) -> (T, u32) {
    RUNS.set(0);
    set_hook(Some(Rc::new(hook)));
    let value = test();
    set_hook(None);
    (value, RUNS.get())
}

/// A number whose encoder, decoder and destructor are code of a user.
#[derive(Debug, PartialEq)]
struct Busy(u64);

impl Serialize for Busy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        run_hook();
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Busy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        run_hook();
        u64::deserialize(deserializer).map(Busy)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        run_hook();
    }
}

channel! {
    Ask: ReqRep<Busy, Busy, Msgpack> { name: "ask", slots: 256, slot_size: 64 }
    Plain: ReqRep<u64, u64> { name: "plain", slots: 8 }
    Numbers: PubSub<u64> { name: "numbers" }
    Large: PubSub<[u64; 1024]> { name: "large", slots: 4 }
    Encoded: PubSub<Busy, Msgpack> { name: "encoded", slot_size: 64 }
    Jobs: PushPull<Busy, Msgpack> { name: "jobs", slots: 8, slot_size: 64 }
}

channel! {
    /// The same channel, for a replier that answers with something else.
    Wrong: ReqRep<u64, String, Msgpack> { name: "ask", slots: 256, slot_size: 64 }
}

/// Everything that can be done with a requester, and gives its slots back.
fn use_everything(requester: &Requester<Busy, Busy, shmcomm::codec::Msgpack>) {
    let mut call = requester.call(&Busy(100)).unwrap();
    assert!(call.poll().is_none());
    assert!(call.wait_timeout(Duration::ZERO).is_err());
    let mut set = WaitSet::new();
    set.add(0, &call).unwrap();
    set.add(1, requester).unwrap();
    assert_eq!(set.try_wait().unwrap().len(), 1);
    assert_eq!(requester.name().rsplit('/').next(), Some("ask"));
    assert!(requester.repliers() > 0 && requester.wait_for_repliers(1, Duration::ZERO));
    assert!(requester.wait_for_room(Duration::ZERO));
    assert_eq!(requester.stats().role(shmcomm::Role::Requester).count(), 1);
    drop(call);
}

#[test]
fn encoder_and_decoder_may_use_their_requester() {
    let ns = namespace("encoder");
    let requester = Rc::new(Ask::open().namespace(&*ns).requester().unwrap());
    let mut replier = Ask::open().namespace(&*ns).replier().unwrap();
    let mut answer = || {
        let request = replier.recv_timeout(LIMIT).unwrap();
        let reply = Busy(request.0 + 1);
        request.reply(&reply).unwrap();
    };
    let inner = requester.clone();
    let hook = move || use_everything(&inner);

    let (call, runs) = with_hook(hook.clone(), || requester.call(&Busy(1)).unwrap());
    assert!(runs >= 2, "the encoder and the destructor ran the hook, not {runs} times");
    answer();
    let (reply, runs) = with_hook(hook.clone(), || call.wait().unwrap().0);
    assert!(reply == 2 && runs >= 2);

    let mut call = requester.call(&Busy(3)).unwrap();
    answer();
    let (reply, runs) = with_hook(hook.clone(), || call.poll().map(|reply| reply.unwrap().0));
    assert!(reply == Some(4) && runs >= 2);

    let mut call = requester.call(&Busy(5)).unwrap();
    answer();
    let (reply, runs) = with_hook(hook.clone(), || call.wait_timeout(LIMIT).unwrap().0);
    assert!(reply == 6 && runs >= 2);

    let (outcome, _) = with_hook(hook, || requester.request_timeout(&Busy(7), Duration::ZERO).is_err());
    assert!(outcome);
    // Nothing of all this keeps a slot.
    let calls: Vec<_> = (0..256).map(|number| requester.call(&Busy(number)).unwrap()).collect();
    assert!(requester.call(&Busy(256)).is_err());
    drop(calls);
}

#[test]
fn decoder_that_panics_gives_the_slot_back() {
    let ns = namespace("panics");
    let requester = Rc::new(Ask::open().namespace(&*ns).requester().unwrap());
    let mut replier = Ask::open().namespace(&*ns).replier().unwrap();
    let caught = |test: &mut dyn FnMut()| {
        set_hook(Some(Rc::new(|| panic!("the code of a user"))));
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(test));
        set_hook(None);
        assert!(outcome.is_err());
    };
    for _ in 0..20 {
        let request = std::mem::ManuallyDrop::new(Busy(1));
        caught(&mut || drop(requester.call(&request)));
        let mut call = requester.call(&request).unwrap();
        let taken = replier.recv_timeout(LIMIT).unwrap();
        taken.reply(&Busy(2)).unwrap();
        caught(&mut || drop(call.wait_timeout(LIMIT)));
        assert!(call.poll().is_none());
    }
}

/// A waker whose every operation runs the hook.
fn busy_waker() -> Waker {
    static TABLE: RawWakerVTable = RawWakerVTable::new(
        |_| {
            run_hook();
            RawWaker::new(std::ptr::null(), &TABLE)
        },
        |_| (),
        |_| (),
        |_| run_hook(),
    );
    // SAFETY: the table uses no data.
    unsafe { Waker::from_raw(RawWaker::new(std::ptr::null(), &TABLE)) }
}

#[test]
fn waker_may_use_the_requester_that_it_waits_for() {
    let ns = namespace("waker");
    let requester = Rc::new(Ask::open().namespace(&*ns).requester().unwrap());
    let mut replier = Ask::open().namespace(&*ns).replier().unwrap();
    let inner = requester.clone();
    let (reply, runs) = with_hook(
        move || use_everything(&inner),
        || {
            let call = requester.call(&Busy(1)).unwrap();
            let mut answer = pin!(call.into_future());
            for _ in 0..3 {
                // Cloned by the poll, dropped by the next one.
                let waker = busy_waker();
                assert!(answer.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            }
            loop {
                let request = replier.recv_timeout(LIMIT).unwrap();
                if request.0 == 1 {
                    request.reply(&Busy(2)).unwrap();
                    break;
                }
            }
            let waker = busy_waker();
            match answer.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(reply) => reply.unwrap().0,
                Poll::Pending => panic!("the reply is there"),
            }
        },
    );
    assert!(reply == 2 && runs >= 6, "{runs}");
}

#[test]
fn waker_may_use_another_requester_of_the_channel() {
    let ns = namespace("task");
    let other = Rc::new(Ask::open().namespace(&*ns).requester().unwrap());
    let mut requester = Ask::open().namespace(&*ns).requester().unwrap();
    let replier = Ask::open().namespace(&*ns).replier().unwrap();
    let inner = other.clone();
    let hook = move || drop(inner.call(&Busy(9)).unwrap());
    let ((), runs) = with_hook(hook, || {
        let request = Busy(1);
        let mut ask = pin!(requester.request_async(&request));
        for _ in 0..3 {
            let waker = busy_waker();
            assert!(ask.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
    });
    assert!(runs >= 3, "{runs}");
    drop(replier);
}

#[test]
fn waker_may_drop_the_future_of_another_task() {
    let ns = namespace("drops");
    let mut subscribers: Vec<_> = (0..3)
        .map(|_| Numbers::open().namespace(&*ns).connect_timeout(LIMIT))
        .zip(std::iter::repeat_with(|| ()).take(3))
        .map(|(opener, ())| opener)
        .collect();
    let mut publisher = Numbers::open().namespace(&*ns).publisher().unwrap();
    let mut first = subscribers.pop().unwrap().subscriber().unwrap();
    // The hook polls and drops a whole wait of its own, which takes the locks of the reactor.
    let ns_of_hook = ns.to_string();
    let hook = move || {
        let mut other = Numbers::open().namespace(&ns_of_hook).subscriber().unwrap();
        let mut receive = Box::pin(async move { other.recv_async().await });
        let waker = Waker::noop();
        assert!(receive.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
        drop(receive);
    };
    let ((), runs) = with_hook(hook, || {
        let mut receive = pin!(first.recv_async());
        for _ in 0..3 {
            let waker = busy_waker();
            assert!(receive.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
        publisher.send(&7).unwrap();
        let waker = busy_waker();
        assert!(receive.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
    });
    assert!(runs >= 6, "{runs}");
}

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, _: &log::Record<'_>) {
        run_hook();
    }
    fn flush(&self) {}
}

/// Has each record run the hook of its thread.
fn log_runs_the_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Logger).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    });
}

#[test]
fn logger_may_use_the_requester_that_logs() {
    log_runs_the_hook();
    let ns = namespace("logger");
    let requester = Rc::new(Ask::open().namespace(&*ns).requester().unwrap());
    let mut replier = Wrong::open().namespace(&*ns).replier().unwrap();
    let call = requester.call(&Busy(1)).unwrap();
    replier.recv().unwrap().reply(&"no number".to_owned()).unwrap();
    let inner = requester.clone();
    let (outcome, runs) = with_hook(move || use_everything(&inner), || call.wait());
    assert!(outcome.is_err() && runs >= 1, "{outcome:?} {runs}");

    // Sleeping is logged, too, where the machine gives the time to come to that.
    let mut call = requester.call(&Busy(2)).unwrap();
    let sleeps = (0..50).find(|_| {
        let inner = requester.clone();
        let sleep = || call.wait_timeout(Duration::from_millis(50)).unwrap_err();
        with_hook(move || use_everything(&inner), sleep).1 > 0
    });
    assert!(sleeps.is_some());
}

#[test]
fn closures_may_use_other_ends_of_their_channel() {
    let ns = namespace("closures");
    let requester = Plain::open().namespace(&*ns).requester().unwrap();
    let mut replier = Plain::open().namespace(&*ns).replier().unwrap();
    let mut other = Plain::open().namespace(&*ns).replier().unwrap();
    let call = requester.call(&1).unwrap();
    let request = replier.recv().unwrap();
    request
        .reply_with(|reply| {
            let inner = requester.call(&2).unwrap();
            other.recv().unwrap().reply(&3).unwrap();
            *reply = inner.wait().unwrap();
        })
        .unwrap();
    assert_eq!(call.wait(), Ok(3));

    let stop = replier.stop_handle();
    let call = requester.call(&4).unwrap();
    let served = replier.serve(|number| {
        let inner = requester.call(&5).unwrap();
        other.recv().unwrap().reply(&6).unwrap();
        stop.stop();
        number + inner.wait().unwrap()
    });
    assert_eq!((served, call.wait()), (Ok(1), Ok(10)));

    let mut publisher = Numbers::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = Numbers::open().namespace(&*ns).subscriber().unwrap();
    let mut watcher = Numbers::open().namespace(&*ns).subscriber().unwrap();
    for number in 0..3 {
        publisher.send(&number).unwrap();
    }
    let mut filter = subscriber.filter(|number| {
        assert_eq!(watcher.recv(), Ok(*number));
        publisher.send(&(number + 10)).unwrap();
        *number == 2
    });
    assert_eq!(filter.recv(), Ok(2));

    let mut publisher = Large::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = Large::open().namespace(&*ns).subscriber().unwrap();
    let mut watcher = Large::open().namespace(&*ns).subscriber().unwrap();
    publisher.send(&[7; 1024]).unwrap();
    let mut filter = subscriber.filter(|message| {
        publisher.send(&[8; 1024]).unwrap();
        watcher.recv_ref().unwrap()[0] == message[0]
    });
    assert_eq!(filter.recv().unwrap()[0], 7);
}

#[test]
fn encoders_may_use_other_ends_of_their_channel() {
    let ns = namespace("encoders");
    let mut publisher = Encoded::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = Encoded::open().namespace(&*ns).subscriber().unwrap();
    let watcher = RefCell::new(Encoded::open().namespace(&*ns).subscriber().unwrap());
    let hook = move || {
        let mut watcher = watcher.borrow_mut();
        let _ = (watcher.try_recv(), watcher.latest(), watcher.stats());
    };
    let (message, runs) = with_hook(hook, || {
        publisher.send(&Busy(1)).unwrap();
        subscriber.recv().unwrap().0
    });
    assert!(message == 1 && runs >= 3, "{runs}");

    let mut pusher = Jobs::open().namespace(&*ns).pusher().unwrap();
    let mut puller = Jobs::open().namespace(&*ns).puller().unwrap();
    let others = RefCell::new((
        Jobs::open().namespace(&*ns).pusher().unwrap(),
        Jobs::open().namespace(&*ns).puller().unwrap(),
    ));
    let hook = move || {
        let (pusher, puller) = &mut *others.borrow_mut();
        pusher.try_send(&Busy(2)).unwrap();
        puller.try_recv().unwrap();
    };
    let (job, runs) = with_hook(hook, || {
        pusher.send(&Busy(1)).unwrap();
        puller.recv().unwrap().0
    });
    // The other puller may have taken the first one.
    assert!((1..3).contains(&job) && runs >= 3, "{job} {runs}");
}

/// A key whose copies and comparisons are code of a user.
struct Key(u32);

impl Clone for Key {
    fn clone(&self) -> Self {
        run_hook();
        Key(self.0)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        run_hook();
        self.0 == other.0
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        run_hook();
    }
}

#[test]
fn keys_of_a_set_may_use_its_ends_and_other_sets() {
    let ns = namespace("keys");
    let mut publisher = Numbers::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = Numbers::open().namespace(&*ns).subscriber().unwrap();
    let (reader, _writer) = std::io::pipe().unwrap();
    let of_hook = RefCell::new((
        Numbers::open().namespace(&*ns).subscriber().unwrap(),
        WaitSet::<u32>::new(),
        Plain::open().namespace(&*ns).requester().unwrap(),
    ));
    let hook = move || {
        let (end, set, requester) = &mut *of_hook.borrow_mut();
        set.add(1, end).unwrap();
        set.add(2, requester).unwrap();
        set.fd().unwrap();
        assert!(!set.wait_timeout(Duration::ZERO).unwrap().is_empty());
        assert!(set.remove(&1) && set.remove(&2));
    };
    let (ready, runs) = with_hook(hook, || {
        let mut set = WaitSet::new();
        set.add(Key(1), &subscriber).unwrap();
        set.add_fd(Key(2), &reader, shmcomm::Interest::Readable).unwrap();
        set.add_timer(Key(3), std::time::Instant::now() + Duration::from_millis(1));
        publisher.send(&1).unwrap();
        let ready = set.wait().unwrap().iter().map(|ready| ready.key.0).collect::<Vec<_>>();
        assert!(set.remove(&Key(2)));
        ready
    });
    assert!(ready.contains(&1) && runs >= 3, "{ready:?} {runs}");
    assert_eq!(subscriber.recv(), Ok(1));
}

mod wire {
    use super::*;
    use shmcomm::codec::Msgpack;
    use shmcomm::python::{Options, Publisher, Puller, Pusher, Replier, Requester, Subscriber};

    #[test]
    fn python_encoders_may_use_other_ends_of_a_channel() {
        let name = |what: &str| format!("test-{}-reentry-{what}", std::process::id());
        let pubsub = || Options::pubsub(name("pubsub"));
        let mut publisher = Publisher::<Busy, Msgpack>::open(pubsub()).unwrap();
        let mut subscriber = Subscriber::<Busy, Msgpack>::open(pubsub()).unwrap();
        let watcher = RefCell::new(Subscriber::<Busy, Msgpack>::open(pubsub()).unwrap());
        let hook = move || {
            let mut watcher = watcher.borrow_mut();
            let _ = (watcher.try_recv(), watcher.stats());
        };
        let (message, runs) = with_hook(hook, || {
            publisher.send(&Busy(1)).unwrap();
            subscriber.recv_timeout(LIMIT).unwrap().0
        });
        assert!(message == 1 && runs >= 3, "{runs}");

        let work = || Options::pushpull(name("pushpull"));
        let mut pusher = Pusher::<Busy, Msgpack>::open(work()).unwrap();
        let mut puller = Puller::<Busy, Msgpack>::open(work()).unwrap();
        let other = Puller::<Busy, Msgpack>::open(work()).unwrap();
        let hook = move || assert_eq!(other.received(), 0);
        let (job, runs) = with_hook(hook, || {
            pusher.send(&Busy(1)).unwrap();
            puller.recv_timeout(LIMIT).unwrap().0
        });
        assert!(job == 1 && runs >= 3, "{runs}");

        let service = || Options::reqrep(name("reqrep"));
        let mut replier = Replier::<Busy, Busy, Msgpack>::open(service()).unwrap();
        let mut requester = Requester::<Busy, Busy, Msgpack>::open(service()).unwrap();
        let other = RefCell::new(Requester::<Busy, Busy, Msgpack>::open(service()).unwrap());
        let hook = move || {
            let mut other = other.borrow_mut();
            let _ = (other.stats(), other.try_recv());
        };
        let (reply, runs) = with_hook(hook, || {
            requester.send(&Busy(1)).unwrap();
            let request = replier.recv_timeout(LIMIT).unwrap().0;
            replier.send(&Busy(request + 1)).unwrap();
            requester.recv_timeout(LIMIT).unwrap().0
        });
        assert!(reply == 2 && runs >= 6, "{runs}");
        shmcomm_tests::remove_queue_locks(&format!("test-{}-reentry", std::process::id()));
    }
}
