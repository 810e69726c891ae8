//! Ends that wait in tasks: a minimal executor with a time limit.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::thread::Thread;
use std::time::{Duration, Instant};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Returns the result of `future` within `time`; otherwise drops the future.
pub fn within<F: Future>(future: F, time: Duration) -> Option<F::Output> {
    let mut future = pin!(future);
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let start = Instant::now();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
        std::thread::park_timeout(time.checked_sub(start.elapsed())?);
    }
}
