//! Tasks that receive messages of another layout.

use futures_util::StreamExt as _;
use shmcomm::RecvError;
use shmcomm_tests::executor::block_on;
use shmcomm_tests::namespace;

#[test]
fn task_receives_messages_of_another_layout() {
    #[derive(Clone, Copy, Debug, PartialEq, shmcomm::ShmMessage)]
    #[repr(C)]
    struct Old {
        number: u32,
        value: f32,
    }
    #[derive(Clone, Copy, Debug, PartialEq, shmcomm::ShmMessage)]
    #[repr(C)]
    struct New {
        value: f64,
        number: u32,
        #[shm(default = "7")]
        unit: u32,
    }
    let ns = namespace("async-evolution");
    let open = || shmcomm::Channel::<shmcomm::PubSub<Old>>::try_new("old").unwrap().namespace(&*ns);
    let mut publisher = open().publisher().unwrap();
    let new = shmcomm::Channel::<shmcomm::PubSub<New>>::try_new("old").unwrap().namespace(&*ns);
    let mut subscriber = new.subscriber().unwrap();
    for number in 0..3 {
        publisher.send(&Old { number, value: 0.5 }).unwrap();
    }
    let expected = |number| New { number, value: 0.5, unit: 7 };
    assert_eq!(block_on(subscriber.recv_async()), Ok(expected(0)));
    assert_eq!(block_on(subscriber.stream().next()), Some(Ok(expected(1))));
    assert!(matches!(block_on(subscriber.recv_ref_async()), Err(RecvError::Invalid(_))));
    assert_eq!(block_on(subscriber.recv_async()), Ok(expected(2)));
}
