//! A subscriber, a worker and a service, each in a thread that blocks. Ctrl-C or SIGTERM ends all of them
//! through one handle, and nothing is left in `/dev/shm`.
//!
//! `cargo run --release -p shmcomm-examples-signals --example ctrl-c`, and `--example publisher` in another terminal.

use shmcomm::{ErrorKind, PullError, RecvError, StopHandle};
use shmcomm_examples::{ImuFeed, Planner, Tasks, Way, init_logger};
use std::error::Error;
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    init_logger();
    let stop = StopHandle::new();
    let handle = stop.clone();
    // Ctrl-C, SIGTERM and SIGHUP. The closure runs in a thread; `stop` is also safe in a signal handler itself.
    ctrlc::set_handler(move || handle.stop())?;
    std::thread::scope(|scope| {
        let threads = [
            scope.spawn(|| follow(&stop).map_err(|error| error.to_string())),
            scope.spawn(|| work(&stop).map_err(|error| error.to_string())),
            scope.spawn(|| serve(&stop).map_err(|error| error.to_string())),
        ];
        println!("three threads wait; stop with ctrl-c");
        for thread in threads {
            let said = thread.join().unwrap_or_else(|_| Err("a thread panicked".into()))?;
            println!("{said}");
        }
        Ok(())
    })
}

/// Receives samples, and continues when the publisher is started again.
fn follow(stop: &StopHandle) -> Result<String, Box<dyn Error>> {
    let opened = ImuFeed::open().connect_timeout(Duration::MAX).stop(stop).subscriber();
    let mut imu = match opened {
        Ok(imu) => imu,
        Err(error) if error.kind() == ErrorKind::Stopped => {
            return Ok("subscriber: no publisher has come".into());
        }
        Err(error) => return Err(error.into()),
    };
    loop {
        match imu.recv() {
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Disconnected) => _ = imu.wait_for_publisher(Duration::MAX),
            Err(RecvError::Stopped) => return Ok(format!("subscriber: {} samples received", imu.received())),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Does tasks. The current task is finished before the worker stops.
fn work(stop: &StopHandle) -> Result<String, Box<dyn Error>> {
    let mut tasks = Tasks::open().stop(stop).puller()?;
    let mut done = 0;
    loop {
        match tasks.claim() {
            Ok(task) => {
                std::thread::sleep(Duration::from_micros(task.effort));
                task.done();
                done += 1;
            }
            Err(PullError::Stopped) => return Ok(format!("worker: {done} tasks done")),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Answers requests. The current request is answered before the service stops.
fn serve(stop: &StopHandle) -> Result<String, Box<dyn Error>> {
    let mut replier = Planner::open().stop(stop).replier()?;
    let answered = replier.serve(|trip| Way { length: trip.to[0] - trip.from[0], ..Way::default() })?;
    Ok(format!("service: {answered} requests answered"))
}
