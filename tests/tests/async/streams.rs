//! Streams of replies in tasks.

use shmcomm::{RequestError, SendReplyError};
use shmcomm_tests::executor::block_on;
use shmcomm_tests::{Peer, Plan, Small, namespace};

const PEER: &str = env!("CARGO_BIN_EXE_peer");

#[test]
fn stream_of_replies_passes_between_tasks() {
    let ns = namespace("async-replies");
    let requester = Plan::open().namespace(&*ns).requester().unwrap();
    let mut replier = Plan::open().namespace(&*ns).replier().unwrap();
    let mut replies = requester.call(&Small::new(0)).unwrap();
    let serve = async {
        let mut request = replier.recv_async().await.unwrap();
        for number in 0..500 {
            request.send_async(&Small::new(number)).await.unwrap();
        }
        request.end().unwrap();
    };
    let receive = async {
        let mut next = 0;
        while let Some(reply) = replies.recv_async().await.unwrap() {
            assert_eq!(reply, Small::new(next));
            next += 1;
        }
        next
    };
    let ((), received) = block_on(futures_util::future::join(serve, receive));
    assert_eq!(received, 500);
    assert_eq!(block_on(replies.recv_async()), Ok(None));
}

#[test]
fn task_that_waits_for_room_learns_of_a_cancel() {
    let ns = namespace("async-replies-cancel");
    let requester = Plan::open().namespace(&*ns).requester().unwrap();
    let mut replier = Plan::open().namespace(&*ns).replier().unwrap();
    let replies = requester.call(&Small::new(0)).unwrap();
    let serve = async {
        let mut request = replier.recv_async().await.unwrap();
        loop {
            if let Err(error) = request.send_async(&Small::new(0)).await {
                return error;
            }
        }
    };
    let cancel = async {
        let mut turns = 0;
        // The other task has filled the window by then.
        std::future::poll_fn(|context| {
            turns += 1;
            context.waker().wake_by_ref();
            if turns < 10 { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
        })
        .await;
        replies.cancel();
    };
    assert_eq!(block_on(futures_util::future::join(serve, cancel)).0, SendReplyError::Cancelled);
}

#[test]
fn task_gets_all_replies_of_a_killed_replier() {
    let ns = namespace("async-replies-killed");
    let requester = Plan::open().namespace(&*ns).requester().unwrap();
    let mut peer = Peer::start(PEER, &ns, &["stream", "0"]);
    peer.expect("ready");
    let mut replies = requester.call(&Small::new(0)).unwrap();
    block_on(async {
        assert_eq!(replies.recv_async().await, Ok(Some(Small::new(0))));
        peer.kill();
        let end = loop {
            match replies.recv_async().await {
                Ok(reply) => assert_eq!(reply, Some(Small::new(replies.received() - 1))),
                Err(end) => break end,
            }
        };
        assert_eq!(end, RequestError::PeerDied);
    });
}
