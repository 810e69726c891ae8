//! Streams of replies across processes: every reply that was sent arrives once, in its own call, whichever end dies.

use shmcomm::{
    Channel, Content, Declaration, DynRequester, ErrorKind, ReplyError, RequestError, RequestTimeoutError,
    SendReplyError, SendReplyTimeoutError, TryReplyError, TrySendReplyError, WaitSet, channel, list_segments,
};
use shmcomm_tests::{Peer, Plan, Service, Small, namespace};
use std::time::{Duration, Instant};

const PEER: &str = env!("CARGO_BIN_EXE_peer");
const PATIENCE: Duration = Duration::from_secs(20);

channel! {
    /// Lines of text.
    Lines: ReqRep<str, str, Bytes> { name: "lines", slot_size: 100, replies: Stream, window: 3 }
}

#[test]
fn replies_arrive_until_the_replier_ends_the_stream() {
    let ns = namespace("stream");
    let requester = Plan::open().namespace(&*ns).requester().unwrap();
    let mut replier = Plan::open().namespace(&*ns).replier().unwrap();
    assert_eq!((requester.window(), Plan::WINDOW, requester.repliers()), (4, 4, 1));
    for round in 0..50 {
        let mut replies = requester.call(&Small::new(round)).unwrap();
        assert_eq!(replies.try_recv(), Err(TryReplyError::Empty));
        assert_eq!(replies.recv_timeout(Duration::from_millis(1)), Err(RequestTimeoutError::Timeout));
        let mut request = replier.recv().unwrap();
        assert_eq!((request.number, request.window(), request.is_wanted()), (round, 4, true));
        for number in 0..4 {
            request.try_send(&Small::new(round + number)).unwrap();
        }
        assert_eq!(request.try_send(&Small::new(0)), Err(TrySendReplyError::Full));
        assert_eq!(
            request.send_timeout(&Small::new(0), Duration::from_millis(1)),
            Err(SendReplyTimeoutError::Timeout)
        );
        assert_eq!(replies.recv(), Ok(Some(Small::new(round))));
        request.send(&Small::new(round + 4)).unwrap();
        assert_eq!(request.sent(), 5);
        request.end().unwrap();
        let rest: Result<Vec<_>, _> = replies.by_ref().collect();
        assert_eq!(rest.unwrap(), (1..5).map(|number| Small::new(round + number)).collect::<Vec<_>>());
        assert_eq!((replies.recv(), replies.received()), (Ok(None), 5));
    }
    let stats = requester.stats();
    assert_eq!((stats.messages, stats.backlog.unwrap().used()), (50, 0));
    drop((requester, replier));
    assert!(!list_segments().unwrap().iter().any(|s| s.channel.starts_with(&*ns)));
}

#[test]
fn encoded_replies_have_their_own_lengths() {
    let ns = namespace("stream-text");
    let requester = Lines::open().namespace(&*ns).requester().unwrap();
    let mut replier = Lines::open().namespace(&*ns).replier().unwrap();
    let mut replies = requester.call("some words of text").unwrap();
    let mut request = replier.recv().unwrap();
    let text = request.to_owned();
    let long = "x".repeat(1000);
    assert!(matches!(request.try_send(&long), Err(TrySendReplyError::Unencodable(_))));
    let (mut words, mut got) = (text.split(' '), Vec::new());
    for word in words.by_ref().take(3) {
        request.try_send(word).unwrap();
    }
    got.push(replies.recv().unwrap().unwrap());
    request.send(words.next().unwrap()).unwrap();
    drop(request);
    got.extend(replies.by_ref().take(3).map(Result::unwrap));
    assert_eq!(got, ["some", "words", "of", "text"]);
    assert_eq!(replies.recv(), Err(RequestError::Unanswered));
    assert_eq!(replies.try_recv(), Err(TryReplyError::Unanswered), "the end stays");
    assert!(replies.next().is_none());
}

#[test]
fn slow_requester_holds_up_its_own_stream_only() {
    let ns = namespace("stream-slow");
    let requester = Plan::open().namespace(&*ns).requester().unwrap();
    let mut repliers = [(); 2].map(|()| Plan::open().namespace(&*ns).replier().unwrap());
    let mut slow = requester.call(&Small::new(0)).unwrap();
    let mut fast = requester.call(&Small::new(1000)).unwrap();
    let [first, second] = &mut repliers;
    let (mut first, mut second) = (first.recv().unwrap(), second.recv().unwrap());
    let (held, free) = if first.number == 0 { (&mut first, &mut second) } else { (&mut second, &mut first) };
    while held.try_send(&Small::new(held.sent())).is_ok() {}
    for number in 1000..1500 {
        free.try_send(&Small::new(number)).unwrap();
        assert_eq!(fast.recv(), Ok(Some(Small::new(number))));
    }
    assert_eq!(held.try_send(&Small::new(4)), Err(TrySendReplyError::Full));
    for number in 0..4 {
        assert_eq!(slow.recv(), Ok(Some(Small::new(number))));
    }
    held.try_send(&Small::new(4)).unwrap();
}

#[test]
fn cancelled_stream_is_reported_at_the_next_send() {
    let ns = namespace("stream-cancel");
    let requester = Plan::open().namespace(&*ns).slots(2).requester().unwrap();
    let mut replier = Plan::open().namespace(&*ns).replier().unwrap();
    for number in 0..50 {
        let mut replies = requester.call(&Small::new(number)).unwrap();
        let mut request = replier.recv().unwrap();
        request.send(&Small::new(number)).unwrap();
        assert_eq!(replies.recv(), Ok(Some(Small::new(number))));
        replies.cancel();
        // The next call takes the other slot, or the same one later.
        let mut next = requester.call(&Small::new(number + 1000)).unwrap();
        assert!(!request.is_wanted());
        assert_eq!(request.send(&Small::new(7)), Err(SendReplyError::Cancelled));
        assert_eq!(request.end(), Err(ReplyError::Cancelled));
        assert_eq!(next.try_recv(), Err(TryReplyError::Empty), "a reply of another call");
        let mut request = replier.recv().unwrap();
        request.send(&Small::new(request.number)).unwrap();
        request.end().unwrap();
        assert_eq!(next.map(Result::unwrap).collect::<Vec<_>>(), [Small::new(number + 1000)]);
    }
    // A request that was not taken is never seen.
    requester.call(&Small::new(1)).unwrap().cancel();
    assert!(replier.try_recv().is_err());
    assert_eq!(requester.stats().backlog.unwrap().used(), 0);
}

#[test]
fn waiting_replier_wakes_when_its_stream_is_cancelled() {
    let ns = namespace("stream-wake");
    let requester = Plan::open().namespace(&*ns).requester().unwrap();
    let mut replier = Plan::open().namespace(&*ns).replier().unwrap();
    let replies = requester.call(&Small::new(0)).unwrap();
    let sending = std::thread::spawn(move || {
        let mut request = replier.recv().unwrap();
        loop {
            if let Err(error) = request.send_timeout(&Small::new(0), PATIENCE) {
                return error;
            }
        }
    });
    while requester.stats().backlog.unwrap().waiting > 0 {
        std::thread::yield_now();
    }
    std::thread::sleep(Duration::from_millis(100));
    drop(replies);
    assert_eq!(sending.join().unwrap(), SendReplyTimeoutError::Cancelled);
}

#[test]
fn killed_replier_leaves_every_reply_that_it_sent() {
    let ns = namespace("stream-killed");
    let requester = Plan::open().namespace(&*ns).requester().unwrap();
    for round in 0..10 {
        let mut peer = Peer::start(PEER, &ns, &["stream", "0"]);
        peer.expect("ready");
        let mut replies = requester.call(&Small::new(round)).unwrap();
        for number in 0..round * 3 {
            assert_eq!(replies.recv(), Ok(Some(Small::new(round + number))));
        }
        // The window is full when the replier waits.
        while round % 2 == 0 && replies.received() < round * 3 + 5 {
            let number = round + replies.received();
            assert_eq!(replies.recv(), Ok(Some(Small::new(number))));
        }
        peer.kill();
        let end = loop {
            let number = round + replies.received();
            match replies.recv() {
                Ok(reply) => assert_eq!(reply, Some(Small::new(number)), "out of order"),
                Err(end) => break end,
            }
        };
        assert_eq!(end, RequestError::PeerDied);
        assert_eq!(replies.recv(), Err(RequestError::PeerDied));
    }
    assert_eq!(requester.stats().backlog.unwrap().used(), 0);
}

#[test]
fn killed_replier_of_a_stream_is_noticed_by_polling() {
    let ns = namespace("stream-polls");
    let requester = Plan::open().namespace(&*ns).requester().unwrap();
    let mut peer = Peer::start(PEER, &ns, &["stream", "0"]);
    peer.expect("ready");
    let mut replies = requester.call(&Small::new(0)).unwrap();
    assert_eq!(replies.recv(), Ok(Some(Small::new(0))));
    peer.kill();
    let start = Instant::now();
    loop {
        match replies.try_recv() {
            Ok(reply) => reply.unwrap().check(),
            Err(TryReplyError::Empty) => assert!(start.elapsed() < PATIENCE),
            Err(error) => break assert_eq!(error, TryReplyError::PeerDied),
        }
    }
}

#[test]
fn killed_requester_is_reported_at_the_next_send() {
    let ns = namespace("stream-asker");
    let mut replier = Plan::open().namespace(&*ns).slots(2).replier().unwrap();
    for waits in [false, true] {
        let mut asker = Peer::start(PEER, &ns, &["ask-stream", "3"]);
        let mut request = replier.recv().unwrap();
        for number in 0..3 {
            request.send(&Small::new(number)).unwrap();
        }
        asker.expect("ready");
        asker.kill();
        let start = Instant::now();
        if waits {
            while request.send(&Small::new(3)).is_ok() {}
        } else {
            while !matches!(request.try_send(&Small::new(3)), Err(TrySendReplyError::Cancelled)) {
                assert!(start.elapsed() < PATIENCE, "the death is not noticed");
            }
        }
        assert!(!request.is_wanted());
        assert_eq!(request.end(), Err(ReplyError::Cancelled));
        assert_eq!(replier.stats().backlog.unwrap().used(), 0, "its slot is free");
    }
}

#[test]
fn streams_of_many_processes_do_not_cross() {
    let ns = namespace("stream-many");
    let requester = Plan::open().namespace(&*ns).requester().unwrap();
    // As many as streams: a replier that waits for one stream serves no other.
    let repliers = [(); 4].map(|()| Peer::start(PEER, &ns, &["stream", "50"]));
    for round in 0..20 {
        let mut streams: Vec<_> = (0..4)
            .map(|stream| {
                let first = 1000 * (4 * round + stream);
                (first, requester.request(&Small::new(first)).unwrap())
            })
            .collect();
        // One of them is given up early; the others are received in turns.
        let (first, mut given_up) = streams.swap_remove(round as usize % 4);
        assert_eq!(given_up.recv(), Ok(Some(Small::new(first))));
        drop(given_up);
        for number in 0..50 {
            for (first, replies) in &mut streams {
                assert_eq!(replies.recv(), Ok(Some(Small::new(*first + number))));
            }
        }
        assert!(streams.into_iter().all(|(_, mut replies)| replies.recv() == Ok(None)));
    }
    drop(repliers);
}

#[test]
fn wait_set_reports_replies_and_the_end() {
    let ns = namespace("stream-set");
    let requester = Plan::open().namespace(&*ns).requester().unwrap();
    let mut replier = Plan::open().namespace(&*ns).replier().unwrap();
    let mut replies = requester.call(&Small::new(0)).unwrap();
    let mut set = WaitSet::new();
    set.add("reply", &replies).unwrap();
    assert!(set.wait_timeout(Duration::ZERO).unwrap().is_empty());
    let serving = std::thread::spawn(move || {
        let mut request = replier.recv().unwrap();
        for number in 0..20 {
            std::thread::sleep(Duration::from_millis(2));
            request.send(&Small::new(number)).unwrap();
        }
        request.end().unwrap();
    });
    let mut next = 0;
    'stream: loop {
        assert_eq!(set.wait_timeout(PATIENCE).unwrap().len(), 1);
        loop {
            match replies.try_recv() {
                Ok(Some(reply)) => {
                    assert_eq!(reply, Small::new(next));
                    next += 1;
                }
                Ok(None) => break 'stream,
                Err(TryReplyError::Empty) => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert_eq!(next, 20);
    serving.join().unwrap();
    assert!(set.wait_timeout(Duration::ZERO).unwrap().is_empty(), "the end was received");
}

#[test]
fn stopped_ends_of_a_stream_keep_it() {
    let ns = namespace("stream-stop");
    let requester = Plan::open().namespace(&*ns).requester().unwrap();
    let mut replier = Plan::open().namespace(&*ns).replier().unwrap();
    let (stop, stop_replier) = (requester.stop_handle(), replier.stop_handle());
    let mut replies = requester.call(&Small::new(0)).unwrap();
    let mut request = replier.recv().unwrap();
    stop.stop();
    assert_eq!(replies.recv(), Err(RequestError::Stopped));
    stop_replier.stop();
    for number in 0..4 {
        request.send(&Small::new(number)).unwrap();
    }
    assert_eq!(request.send(&Small::new(4)), Err(SendReplyError::Stopped));
    assert_eq!(replies.try_recv(), Ok(Some(Small::new(0))));
    request.try_send(&Small::new(4)).unwrap();
}

#[test]
fn ends_of_other_declarations_are_refused() {
    let ns = namespace("stream-refused");
    let _requester = Plan::open().namespace(&*ns).requester().unwrap();
    let plain = Service::open().namespace(&*ns).name("plan").requester().unwrap_err();
    assert_eq!(plain.kind(), ErrorKind::ChannelMismatch);
    assert!(plain.to_string().contains("a request has a stream of replies in the segment"), "{plain}");
    let one_reply = Declaration::req_rep(Content::Bytes, Content::Bytes);
    let lines = Lines::open().namespace(&*ns).requester().unwrap();
    let dynamic = DynRequester::create(lines.name(), &one_reply).unwrap_err();
    assert!(dynamic.to_string().contains("a request has a stream of replies in the segment"), "{dynamic}");
    let one = Service::open().namespace(&*ns).requester().unwrap();
    let stream = Plan::open().namespace(&*ns).name("service").replier().unwrap_err();
    assert!(stream.to_string().contains("a request has one reply in the segment"), "{stream}");
    drop(one);
    let other = Channel::<shmcomm::ReqStream<Small, u64>>::try_new("plan").unwrap().namespace(&*ns);
    assert_eq!(other.replier().unwrap_err().kind(), ErrorKind::TypeMismatch);
    // The window of the segment counts.
    let wide = Plan::open().namespace(&*ns).window(64).requester().unwrap();
    assert_eq!(wide.window(), 4);
    let none = Plan::open().namespace(&*ns).window(0).requester().unwrap_err();
    assert_eq!(none.kind(), ErrorKind::InvalidGeometry);
    assert!(none.to_string().contains("a `window` of 0; it takes 1 to 65536 replies"), "{none}");
}
