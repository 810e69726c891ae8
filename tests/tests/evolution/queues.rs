//! Push/pull and request/reply between two versions: a reading end resolves, a writing end is exact.

use shmcomm::{Channel, ErrorKind, PullError, PushPull, ReqRep, ReqStream, RequestError, ShmMessage};
use shmcomm_tests::{Namespace, Peer, namespace, say, stage};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

/// Cure in the error of an end that writes another layout.
const DRAIN: &str = "let receivers take what waits in the queue, end all processes of the channel";

mod v1 {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
    #[repr(C)]
    pub struct Task {
        pub number: u64,
        pub weight: f32,
        pub crc: u32,
    }
}

mod v2 {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
    #[repr(C)]
    pub struct Task {
        #[shm(default = "1")]
        pub priority: u64,
        pub number: u64,
        pub weight: f64,
    }

    #[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
    #[repr(C)]
    pub struct Number {
        pub number: u64,
    }
}

const OLD: Channel<PushPull<v1::Task>> = Channel::new("tasks").slots(32);
const NEW: Channel<PushPull<v2::Task>> = Channel::new("tasks").slots(32);
const PREFIX: Channel<PushPull<v2::Number>> = Channel::new("tasks").slots(32);
const OLD_CALL: Channel<ReqRep<v1::Task, v1::Task>> = Channel::new("call").slots(8);
const NEW_REQUEST: Channel<ReqRep<v2::Task, v1::Task>> = Channel::new("call").slots(8);
const NEW_REPLY: Channel<ReqRep<v1::Task, v2::Task>> = Channel::new("call").slots(8);
const NUMBER_REPLY: Channel<ReqRep<v1::Task, v2::Number>> = Channel::new("call").slots(8);
const OLD_STREAM: Channel<ReqStream<v1::Task, v1::Task>> = Channel::new("stream").slots(8);
const NEW_STREAM_REQUEST: Channel<ReqStream<v2::Task, v1::Task>> = Channel::new("stream").slots(8);
const NEW_STREAM_REPLY: Channel<ReqStream<v1::Task, v2::Task>> = Channel::new("stream").slots(8);

fn old(number: u64) -> v1::Task {
    v1::Task { number, weight: 0.5, crc: 3 }
}

fn new(number: u64) -> v2::Task {
    v2::Task { priority: 1, number, weight: 0.5 }
}

#[test]
fn part() {
    stage::play(&[("push", push), ("pull", pull), ("serve", serve), ("serve-new", serve_new), ("ask", ask)]);
}

fn push() {
    let mut pusher = OLD.open().pusher().unwrap();
    say("up");
    // Without an end: a worker that is killed late must leave jobs.
    for number in 0.. {
        pusher.send(&old(number)).unwrap();
    }
}

fn pull() {
    let mut puller = OLD.open().puller().unwrap();
    say("up");
    loop {
        let task = puller.recv().unwrap();
        say(task.number);
    }
}

fn serve() {
    let mut replier = OLD_CALL.open().replier().unwrap();
    say("up");
    replier.serve(|task| v1::Task { number: task.number + 1, ..*task }).unwrap();
}

fn serve_new() {
    let mut replier = NEW_REPLY.open().replier().unwrap();
    say("up");
    let answer =
        |task: &v1::Task| v2::Task { priority: 9, number: task.number + 1, weight: task.weight.into() };
    replier.serve(answer).unwrap();
}

fn ask() {
    let requester = OLD_CALL.open().requester().unwrap();
    for number in 0.. {
        let reply = requester.request_timeout(&old(number), LONG).unwrap();
        assert_eq!(reply, old(number + 1));
        say(number);
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn new_puller_takes_over_from_a_killed_old_one() {
    let ns = namespace("pull");
    let mut pusher = stage::part("push", &ns);
    assert_eq!(pusher.said(), "up");
    let mut worker = stage::part("pull", &ns);
    assert_eq!(worker.said(), "up");
    let mut last: u64 = 0;
    while last < 20 {
        last = worker.said().parse().unwrap();
    }
    worker.kill();
    let mut puller = NEW.open().namespace(&*ns).puller().unwrap();
    assert_eq!(puller.resolution().defaulted, ["priority"]);
    assert_eq!(puller.resolution().ignored, ["crc"]);
    let mut next = puller.recv_timeout(LONG).unwrap();
    // Roll-back: an old puller goes on, and the new one after it.
    let mut worker = stage::part("pull", &ns);
    assert_eq!(worker.said(), "up");
    while next.number < 190 {
        assert_eq!(next, new(next.number));
        next = match puller.recv_timeout(Duration::from_millis(200)) {
            Ok(task) => task,
            Err(_) => break,
        };
    }
    worker.kill();
    drop(puller);
    let mut old_puller = OLD.open().namespace(&*ns).puller().unwrap();
    assert!(old_puller.resolution().is_exact());
    let _ = old_puller.try_recv();
}

#[test]
fn pusher_of_another_version_is_refused_until_drained() {
    let ns = namespace("push");
    let mut old_pusher = OLD.open().namespace(&*ns).pusher().unwrap();
    let puller = NEW.open().namespace(&*ns).puller().unwrap();
    old_pusher.send(&old(1)).unwrap();
    let error = NEW.open().namespace(&*ns).pusher().expect_err("a refusal");
    assert_eq!(error.kind(), ErrorKind::TypeMismatch);
    assert!(error.to_string().contains("writes the layout of the segment exactly"), "{error}");
    assert!(error.to_string().contains(DRAIN), "{error}");
    drop((old_pusher, puller));
    // No process has the queue, and a message waits in it.
    let error = NEW.open().namespace(&*ns).pusher().expect_err("a refusal");
    assert_eq!(error.kind(), ErrorKind::TypeMismatch);
    assert!(error.to_string().contains(DRAIN), "{error}");
    assert!(error.to_string().contains("no process uses this segment: `shmcomm::force_unlink("), "{error}");
    let mut puller = NEW.open().namespace(&*ns).puller().unwrap();
    assert_eq!(puller.recv(), Ok(new(1)));
    drop(puller);
    // Nothing waits and no process has it: the next end creates it anew, in its own layout.
    let mut puller = NEW.open().namespace(&*ns).puller().unwrap();
    assert!(puller.resolution().is_exact());
    let mut pusher = NEW.open().namespace(&*ns).pusher().unwrap();
    pusher.send(&new(2)).unwrap();
    assert_eq!(puller.recv(), Ok(new(2)));
}

#[test]
fn job_in_place_needs_a_prefix() {
    let ns = namespace("claim");
    let mut pusher = OLD.open().namespace(&*ns).pusher().unwrap();
    let mut other = NEW.open().namespace(&*ns).puller().unwrap();
    let mut prefix = PREFIX.open().namespace(&*ns).puller().unwrap();
    pusher.send(&old(4)).unwrap();
    pusher.send(&old(5)).unwrap();
    let Err(PullError::Invalid(why)) = other.claim() else { panic!("a refusal") };
    assert!(why.to_string().contains("use `recv`"), "{why}");
    let job = prefix.claim().unwrap();
    assert_eq!(job.number, 4);
    job.done();
    assert_eq!(other.recv(), Ok(new(5)));
}

#[test]
fn new_replier_resolves_requests() {
    let ns = namespace("replier");
    let requester = OLD_CALL.open().namespace(&*ns).requester().unwrap();
    let mut replier = NEW_REQUEST.open().namespace(&*ns).replier().unwrap();
    assert_eq!(replier.resolution().defaulted, ["priority"]);
    let call = requester.call(&old(1)).unwrap();
    let request = replier.recv().unwrap();
    assert_eq!(*request, new(1));
    request.reply(&old(2)).unwrap();
    assert_eq!(call.wait(), Ok(old(2)));
    // The reply is written, so its layout must be that of the segment.
    let error = NEW_REPLY.open().namespace(&*ns).replier().expect_err("a refusal");
    assert_eq!(error.kind(), ErrorKind::TypeMismatch);
}

#[test]
fn new_requester_resolves_replies_of_killed_repliers() {
    let ns = namespace("requester");
    let mut service = stage::part("serve", &ns);
    assert_eq!(service.said(), "up");
    let requester = NEW_REPLY.open().namespace(&*ns).requester().unwrap();
    assert_eq!(requester.resolution().ignored, ["crc"]);
    assert_eq!(requester.request(&old(1)), Ok(new(2)));
    service.kill();
    let mut service = stage::part("serve", &ns);
    assert_eq!(service.said(), "up");
    assert_eq!(requester.request_timeout(&old(5), LONG), Ok(new(6)));
    let Err(RequestError::Invalid(why)) = requester.request_ref(&old(1)).map(drop) else {
        panic!("a refusal")
    };
    assert!(why.to_string().contains("use `request`"), "{why}");
    let prefix = NUMBER_REPLY.open().namespace(&*ns).requester().unwrap();
    assert_eq!(prefix.request_ref(&old(8)).unwrap().number, 9);
    let error = NEW_REQUEST.open().namespace(&*ns).requester().expect_err("a refusal");
    assert!(error.to_string().contains("writes the layout of the segment exactly"), "{error}");
}

/// Starts a replier, and waits until it is there.
fn start(part: &str, ns: &Namespace) -> Peer {
    let mut service = stage::part(part, ns);
    assert_eq!(service.said(), "up");
    service
}

#[test]
fn changed_reply_is_rolled_out_and_back() {
    let ns = namespace("reply-roll-out");
    let open = || NEW_REPLY.open().namespace(&*ns).requester().unwrap();
    let new_reply = |number| v2::Task { priority: 9, ..new(number) };
    // The old version, under traffic.
    let service = start("serve", &ns);
    let mut client = stage::part("ask", &ns);
    assert_eq!(client.said(), "0");
    // The requesters are upgraded one at a time.
    let requester = open();
    assert_eq!(requester.request_timeout(&old(1), LONG), Ok(new(2)));
    assert_eq!(client.said(), "1");
    let error = NEW_REPLY.open().namespace(&*ns).replier().expect_err("a refusal");
    assert!(error.to_string().contains(DRAIN), "{error}");
    client.kill();
    assert_eq!(requester.request_timeout(&old(3), LONG), Ok(new(4)));
    // All processes of the channel are stopped, and the new repliers are started first.
    drop(requester);
    service.kill();
    let service = start("serve-new", &ns);
    let requester = open();
    assert!(requester.resolution().is_exact());
    assert_eq!(requester.request_timeout(&old(5), LONG), Ok(new_reply(6)));
    // An old requester cannot read the new replies: back goes the same way, with the repliers first.
    let error = OLD_CALL.open().namespace(&*ns).requester().expect_err("a refusal");
    assert_eq!(error.kind(), ErrorKind::TypeMismatch);
    drop(requester);
    service.kill();
    let service = start("serve", &ns);
    let requester = open();
    assert_eq!(requester.resolution().ignored, ["crc"]);
    assert_eq!(requester.request_timeout(&old(7), LONG), Ok(new(8)));
    let mut client = stage::part("ask", &ns);
    assert_eq!((client.said(), client.said()), ("0".into(), "1".into()));
    client.kill();
    service.kill();
}

#[test]
fn streams_of_replies_are_resolved_by_their_readers() {
    let ns = namespace("evolve-stream");
    let asking = NEW_STREAM_REPLY.open().namespace(&*ns);
    let mut old_replier = OLD_STREAM.open().namespace(&*ns).replier().unwrap();
    let requester = asking.requester().unwrap();
    assert_eq!(requester.resolution().defaulted, ["priority"]);
    let mut replies = requester.call(&old(7)).unwrap();
    let mut request = old_replier.recv().unwrap();
    for number in 0..16 {
        request.try_send(&old(number)).unwrap();
    }
    request.end().unwrap();
    for number in 0..16 {
        assert_eq!(replies.recv().unwrap(), Some(new(number)));
    }
    assert_eq!(replies.recv().unwrap(), None);

    // A replier of another version reads the requests of the old layout, and writes replies of that layout.
    let mut new_replier = NEW_STREAM_REQUEST.open().namespace(&*ns).replier().unwrap();
    assert_eq!(new_replier.resolution().defaulted, ["priority"]);
    let old_requester = OLD_STREAM.open().namespace(&*ns).requester().unwrap();
    let mut replies = old_requester.call(&old(9)).unwrap();
    let mut request = new_replier.recv().unwrap();
    assert_eq!(*request, new(9));
    request.try_send(&old(1)).unwrap();
    request.end().unwrap();
    assert_eq!((replies.recv().unwrap(), replies.recv().unwrap()), (Some(old(1)), None));

    // What an end writes is not converted: the error names the field.
    for refused in [
        NEW_STREAM_REPLY.open().namespace(&*ns).replier().map(drop),
        NEW_STREAM_REQUEST.open().namespace(&*ns).requester().map(drop),
    ] {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TypeMismatch);
        assert!(error.to_string().contains("field") && error.to_string().contains(DRAIN), "{error}");
    }
}
