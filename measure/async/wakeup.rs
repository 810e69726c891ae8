//! Time that a sleeper takes to wake, in one run. The sleepers are a thread in `recv`, a thread in a
//! `WaitSet`, tasks in `recv_async` under three executors, and tokio's own channel between threads.
//!
//! `cargo run --release -p shmcomm-measure-async --example wakeup`. With `SHMCOMM_QUICK=1` for two seconds only.
//!
//! Another process sends to each of them in turn, with a pause that is long enough for all to be asleep. A
//! figure is the time from before the send to after the receive.
//!
//! * `thread`: `recv` on a thread. This is the reference for all other figures.
//! * `set`: a `WaitSet` of a channel and a timer, and `try_recv`.
//! * `park`: `recv_async` under the smallest executor there is, which parks its thread.
//! * `tokio current`, `tokio multi`: `recv_async` under tokio's executors of one and of two threads.
//! * `tokio mpsc`: tokio's channel, from a thread of this process to a task on two threads.

use hdrhistogram::Histogram;
use rustix::time::{ClockId, clock_gettime};
use shmcomm::{ShmMessage, Subscriber, WaitSet, channel};
use std::pin::pin;
use std::process::Command;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, ShmMessage)]
#[repr(C)]
struct Sent {
    /// Nanoseconds of the clock that all processes share; 0 ends the run.
    at: u64,
}

channel! {
    Woken: PubSub<Sent> { name: "woken" }
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Names of the methods between processes.
const WAYS: [&str; 5] = ["thread", "set", "park", "tokio current", "tokio multi"];
const PAUSE: Duration = Duration::from_micros(300);

fn rounds() -> u64 {
    if std::env::var_os("SHMCOMM_QUICK").is_some() { 1_000 } else { 20_000 }
}

fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    if let Some(namespace) = arguments.next() {
        return send(&namespace);
    }
    let namespace = format!("wakeup-{}", std::process::id());
    let mut child = Command::new(std::env::current_exe()?).arg(&namespace).spawn()?;
    let single = || tokio::runtime::Builder::new_current_thread().build();
    let several = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).build();
    let figures = std::thread::scope(|scope| {
        let receivers = [
            scope.spawn(|| block(subscriber(&namespace, 0)?)),
            scope.spawn(|| wait(subscriber(&namespace, 1)?)),
            scope.spawn(|| park(receive(subscriber(&namespace, 2)?))),
            scope.spawn(|| single()?.block_on(receive(subscriber(&namespace, 3)?))),
            scope.spawn(|| {
                let subscriber = subscriber(&namespace, 4)?;
                several()?.block_on(async { tokio::spawn(receive(subscriber)).await? })
            }),
        ];
        let (sender, mut receiver) = tokio::sync::mpsc::channel(16);
        let inside = scope.spawn(move || {
            several()?.block_on(async {
                tokio::spawn(async move {
                    let mut figures = Histogram::new(3)?;
                    while let Some(at) = receiver.recv().await {
                        figures.record(now() - at)?;
                    }
                    Ok(figures)
                })
                .await?
            })
        });
        for _ in 0..rounds() {
            std::thread::sleep(PAUSE * WAYS.len() as u32);
            sender.blocking_send(now())?;
        }
        drop(sender);
        let all = receivers.into_iter().chain([inside]);
        all.map(|thread| thread.join().expect("a receiver panicked")).collect::<Result<Vec<_>>>()
    })?;
    child.wait()?;

    println!(
        "from before the send to after the receive, in µs, all threads asleep; {} messages each",
        rounds()
    );
    println!("{:14} {:>8} {:>8} {:>8} {:>10}", "", "p50", "p90", "p99", "× thread");
    let thread = figures[0].value_at_quantile(0.5) as f64;
    for (name, figures) in WAYS.into_iter().chain(["tokio mpsc"]).zip(&figures) {
        let at = |q| figures.value_at_quantile(q) as f64 / 1000.0;
        let ratio = figures.value_at_quantile(0.5) as f64 / thread;
        println!("{name:14} {:>8.1} {:>8.1} {:>8.1} {:>10.2}", at(0.5), at(0.9), at(0.99), ratio);
    }
    Ok(())
}

fn subscriber(namespace: &str, way: usize) -> Result<Subscriber<Sent>> {
    Ok(Woken::open()
        .namespace(format!("{namespace}/{way}"))
        .connect_timeout(Duration::from_secs(10))
        .subscriber()?)
}

/// Sends the messages, in the other process.
fn send(namespace: &str) -> Result<()> {
    let open = |way| Woken::open().namespace(format!("{namespace}/{way}")).publisher();
    let mut feeds = (0..WAYS.len()).map(open).collect::<std::result::Result<Vec<_>, _>>()?;
    for feed in &mut feeds {
        if !feed.wait_for_subscribers(1, Duration::from_secs(10)) {
            return Err("the receivers did not come within 10 s".into());
        }
    }
    for _ in 0..rounds() {
        for feed in &mut feeds {
            std::thread::sleep(PAUSE);
            feed.send(&Sent { at: now() })?;
        }
    }
    for feed in &mut feeds {
        feed.send(&Sent { at: 0 })?;
    }
    Ok(())
}

fn block(mut subscriber: Subscriber<Sent>) -> Result<Histogram<u64>> {
    let mut figures = Histogram::new(3)?;
    loop {
        match subscriber.recv()?.at {
            0 => return Ok(figures),
            at => figures.record(now() - at)?,
        }
    }
}

fn wait(mut subscriber: Subscriber<Sent>) -> Result<Histogram<u64>> {
    let mut figures = Histogram::new(3)?;
    let mut set = WaitSet::new();
    set.add(0, &subscriber)?;
    set.add_timer(1, Instant::now() + Duration::from_secs(3600));
    loop {
        set.wait()?;
        while let Ok(message) = subscriber.try_recv() {
            match message.at {
                0 => return Ok(figures),
                at => figures.record(now() - at)?,
            }
        }
    }
}

async fn receive(mut subscriber: Subscriber<Sent>) -> Result<Histogram<u64>> {
    let mut figures = Histogram::new(3)?;
    loop {
        match subscriber.recv_async().await?.at {
            0 => return Ok(figures),
            at => figures.record(now() - at)?,
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn park<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
