//! A stream of replies: one process asks for the points of a way, another sends them. The replier is killed in the middle
//! of the first stream, and the requester asks another one for the rest.
//!
//! `cargo run --release --example stream`

use shmcomm::RequestError;
use shmcomm_examples::{Tracker, Trip, Waypoint, Worker};
use std::time::Duration;

const POINTS: u64 = 200;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::args().nth(1).as_deref() == Some("track") {
        return track();
    }
    let namespace = format!("stream-{}", std::process::id());
    let tracker = Tracker::open().namespace(&namespace).requester()?;
    let mut worker = Some(Worker::hire("track", &namespace)?);
    let (mut next, mut streams) = (0, 0);
    while next < POINTS {
        streams += 1;
        // The first point of the rest is in the request.
        for point in tracker.request(&Trip { from: [next as f64; 2], to: [POINTS as f64; 2] })? {
            match point {
                Ok(point) => {
                    assert_eq!(point.number, next, "in order, and none twice");
                    next += 1;
                }
                Err(RequestError::PeerDied) => {
                    println!("the replier died; {next} points had come, and the rest is asked for again");
                    worker = Some(Worker::hire("track", &namespace)?);
                }
                Err(error) => return Err(error.into()),
            }
            if streams == 1 && next == 100 {
                worker = None;
            }
        }
    }
    println!("received {next} points from {streams} streams");

    // A stream that is not wanted any more: the replier learns of it at its next send.
    let mut replies = tracker.request(&Trip { from: [0.0; 2], to: [1e9; 2] })?;
    println!("first point of a long way: {:?}", replies.recv()?.map(|point| point.position));
    replies.cancel();
    while tracker.stats().backlog.is_some_and(|backlog| backlog.claimed > 0) {
        std::thread::sleep(Duration::from_millis(1));
    }
    println!("the replier has stopped");
    drop(worker);
    Ok(())
}

fn track() -> Result<(), Box<dyn std::error::Error>> {
    let mut replier = Tracker::replier()?;
    loop {
        let mut request = replier.recv()?;
        let (from, to) = (request.from[0] as u64, request.to[0] as u64);
        let sent = (from..to)
            .try_for_each(|number| request.send(&Waypoint { number, position: [number as f64, 0.0, 0.0] }));
        // A cancelled stream needs no end.
        if sent.is_ok() {
            let _ = request.end();
        }
    }
}
