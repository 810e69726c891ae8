//! Three channels, a timer and a socket in one thread: `WaitSet`.
//!
//! `cargo run --example many-at-once`. The other ends are threads of the same program, so that no second
//! terminal is needed.

use shmcomm::{Cause, Interest, WaitSet, channel};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

channel! {
    /// Position of the robot.
    Pose: PubSub<[f64; 2]> { name: "many-at-once/pose" }
    /// Orders for the robot.
    Orders: PushPull<u64> { name: "many-at-once/orders" }
    /// Battery state, on request.
    Battery: ReqRep<u64, f64> { name: "many-at-once/battery" }
}

#[derive(Clone, Copy)]
enum From {
    Pose,
    Orders,
    Battery,
    Tick,
    Socket,
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Result<()> {
    let namespace = format!("many-at-once-{}", std::process::id());
    let mut publisher = Pose::open().namespace(&*namespace).publisher()?;
    let mut pusher = Orders::open().namespace(&*namespace).pusher()?;
    let requester = Battery::open().namespace(&*namespace).requester()?;
    let mut pose = Pose::open().namespace(&*namespace).subscriber()?;
    let mut orders = Orders::open().namespace(&*namespace).puller()?;
    let mut battery = Battery::open().namespace(&*namespace).replier()?;
    let (mut here, mut there) = UnixStream::pair()?;

    let others = std::thread::spawn(move || -> Result<()> {
        for number in 0..5 {
            std::thread::sleep(Duration::from_millis(30));
            publisher.send(&[number as f64, 0.5])?;
            pusher.send(&number)?;
            println!("    the battery has {:.1} V", requester.request(&number)?);
        }
        Ok(there.write_all(b"stop")?)
    });

    let mut set = WaitSet::new();
    set.add(From::Pose, &pose)?;
    set.add(From::Orders, &orders)?;
    set.add(From::Battery, &battery)?;
    set.add_interval(From::Tick, Duration::from_millis(50));
    set.add_fd(From::Socket, &here, Interest::Readable)?;
    'work: loop {
        for ready in set.wait()? {
            match ready.key {
                From::Pose => {
                    pose.try_recv().map_or_else(|why| println!("no pose: {why}"), |at| println!("at {at:?}"))
                }
                From::Orders => {
                    while let Ok(order) = orders.try_recv() {
                        println!("order {order}");
                    }
                }
                From::Battery => {
                    while let Ok(question) = battery.try_recv() {
                        let volts = 12.6 - *question as f64 / 10.0;
                        question.reply(&volts)?;
                    }
                }
                From::Tick => {
                    if let Cause::Timer { ticks } = ready.cause {
                        println!("{ticks} ticks");
                    }
                }
                From::Socket => {
                    let mut text = [0; 4];
                    here.read_exact(&mut text)?;
                    println!("told to {}", String::from_utf8_lossy(&text));
                    break 'work;
                }
            }
        }
    }
    match others.join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
