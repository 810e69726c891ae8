//! A service in tokio: it answers requests, follows a sensor and keeps a clock running, all on one thread.
//! Its clients are two other processes.
//!
//! `cargo run --release -p shmcomm-examples-async --example tokio-service`

use shmcomm::RecvError;
use shmcomm_examples::{Imu, ImuFeed, Planner, Trip, Way, Worker};
use std::cell::Cell;
use std::time::Duration;

const TRIPS: u32 = 2_000;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result {
    match std::env::args().nth(1).as_deref() {
        Some("ask") => ask(),
        Some("measure") => measure(),
        _ => tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(serve()),
    }
}

async fn serve() -> Result {
    let namespace = format!("tokio-service-{}", std::process::id());
    let mut planner = Planner::open().namespace(&namespace).replier()?;
    let sensor = Worker::hire("measure", &namespace)?;
    let mut imu =
        ImuFeed::open().namespace(&namespace).connect_timeout(Duration::from_secs(10)).subscriber()?;
    let client = Worker::hire("ask", &namespace)?;

    let (planned, measured, ticks) = (Cell::new(0), Cell::new(0_u64), Cell::new(0));
    let answer = async {
        while planned.get() < TRIPS {
            let request = planner.recv_async().await?;
            let length = (request.to[0] - request.from[0]).hypot(request.to[1] - request.from[1]);
            request.reply(&Way { length, planner: std::process::id(), ..Way::default() })?;
            planned.set(planned.get() + 1);
        }
        Ok(())
    };
    let follow = async {
        loop {
            match imu.recv_async().await {
                Ok(_) => measured.set(measured.get() + 1),
                Err(RecvError::Lagged(n)) => println!("{n} measurements came too fast"),
                Err(error) => return Err(error.into()),
            }
        }
    };
    let tick = async {
        let mut clock = tokio::time::interval(Duration::from_millis(10));
        loop {
            clock.tick().await;
            ticks.set(ticks.get() + 1);
        }
    };
    let outcome: Result = tokio::select! {
        outcome = answer => outcome,
        outcome = follow => outcome,
        () = tick => Ok(()),
    };
    outcome?;
    // The clients end before this end leaves. This end is then the last one, and removes the channel.
    drop((client, sensor));
    println!(
        "{} trips planned, {} measurements received and {} ticks counted meanwhile, on one thread",
        planned.get(),
        measured.get(),
        ticks.get()
    );
    Ok(())
}

/// Requests one trip after the other, as a client.
fn ask() -> Result {
    let planner = Planner::requester()?;
    for number in 0..TRIPS {
        let way = planner.request(&Trip { from: [0.0; 2], to: [f64::from(number), 0.0] })?;
        assert_eq!(way.length, f64::from(number));
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}

/// Publishes at 1 kHz until it is ended, as a sensor.
fn measure() -> Result {
    let mut imu = ImuFeed::publisher()?;
    for number in 0.. {
        imu.send(&Imu { number, ..Imu::default() })?;
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
