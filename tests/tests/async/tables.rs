//! Readers of tables in tasks.

use futures_util::FutureExt as _;
use shmcomm::{AnyKey, StopHandle, TableWaitError};
use shmcomm_tests::executor::{block_on, current_thread, multi_thread};
use shmcomm_tests::{Small, State, namespace};
use std::time::Duration;

#[test]
fn stores_wake_a_task_under_any_executor() {
    for (name, run) in [("small", block_on as fn(_) -> _), ("one", current_thread), ("many", multi_thread)] {
        let ns = namespace(&format!("async-table-{name}"));
        let mut writer = State::open().namespace(&*ns).writer(State::SMALL).unwrap();
        let mut reader = State::open().namespace(&*ns).reader().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for number in 0..20 {
                    writer.store(&Small::new(number)).unwrap();
                    std::thread::sleep(Duration::from_millis(3));
                }
            });
            let follow = async move {
                let mut last = 0;
                while last < 19 {
                    reader.wait_async(State::SMALL).await.unwrap();
                    last = reader.load(State::SMALL).unwrap().unwrap().value.number;
                }
            };
            run(Box::pin(follow) as std::pin::Pin<Box<dyn Future<Output = ()> + Send>>);
        });
    }
}

#[test]
fn dropped_wait_has_loaded_nothing() {
    let ns = namespace("async-table-dropped");
    let mut writer = State::open().namespace(&*ns).writer(State::SMALL).unwrap();
    let stop = StopHandle::new();
    let mut reader = State::open().namespace(&*ns).stop(&stop).reader().unwrap();
    assert_eq!(reader.wait_async(AnyKey).now_or_never(), None);
    writer.store(&Small::new(1)).unwrap();
    block_on(reader.wait_async(AnyKey)).unwrap();
    block_on(reader.wait_async((State::SMALL, State::LARGE))).unwrap();
    assert_eq!(reader.load(State::SMALL).unwrap().unwrap().value.number, 1);
    stop.stop();
    assert_eq!(block_on(reader.wait_async(AnyKey)), Err(TableWaitError::Stopped));
}
