//! The executors that the asynchronous ends are tried under.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

/// Wakes a parked thread, and counts.
pub struct Unpark {
    thread: Thread,
    pub wakes: AtomicU64,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        // Relaxed: a count.
        self.wakes.fetch_add(1, Ordering::Relaxed);
        self.thread.unpark();
    }
}

/// The smallest executor there is: one task, one thread, no timers.
pub fn block_on<F: Future>(future: F) -> F::Output {
    block_on_counting(future).0
}

/// As [`block_on`]; also how often the task was woken.
pub fn block_on_counting<F: Future>(future: F) -> (F::Output, u64) {
    let unpark = Arc::new(Unpark { thread: std::thread::current(), wakes: AtomicU64::new(0) });
    let waker = Waker::from(unpark.clone());
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return (output, unpark.wakes.load(Ordering::Relaxed)),
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Tokio's executor of one thread.
pub fn current_thread<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

/// Tokio's executor of several threads; the future is a task of it.
pub fn multi_thread<F: Future<Output: Send + 'static> + Send + 'static>(future: F) -> F::Output {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(3).enable_time().build().unwrap();
    runtime.block_on(async { tokio::spawn(future).await.unwrap() })
}
