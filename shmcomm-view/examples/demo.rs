//! Channels with something to see: a robot whose sensors move.
//!
//! `cargo run -p shmcomm-view --example demo` publishes until its standard input ends (Ctrl-D). `shmcomm view` in
//! another terminal shows the channels. With the argument `check` it publishes one message with a field of each
//! kind, again and again, for the checks of decoders.

use shmcomm::{Pad, ShmMessage, ShmOption, ShmString, ShmVec, Timestamp, channel};
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

#[derive(Clone, Copy, Debug, Default, ShmMessage)]
#[repr(C)]
struct Imu {
    stamp: Timestamp,
    number: u64,
    acceleration: [f32; 3],
    angular_velocity: [f32; 3],
    frame: ShmString<20>,
}

#[derive(Clone, Copy, Debug, Default, ShmMessage)]
#[repr(u8)]
enum Mode {
    #[default]
    Idle = 1,
    Drive = 2,
}

#[derive(Clone, Copy, Debug, Default, ShmMessage)]
#[repr(C)]
struct Battery {
    stamp: Timestamp,
    volts: f32,
    amperes: f32,
    mode: Mode,
    charging: bool,
    _pad: Pad<6>,
}

#[derive(Clone, Copy, Debug, Default, ShmMessage)]
#[repr(C)]
struct FrameHeader {
    stamp: Timestamp,
    width: u32,
    height: u32,
}

#[derive(Clone, Copy, Debug, Default, ShmMessage)]
#[repr(C)]
struct Task {
    number: u64,
}

#[derive(Clone, Copy, Debug, Default, ShmMessage)]
#[repr(C)]
struct Point {
    x: f64,
    y: f64,
}

/// A field of every kind.
#[derive(Clone, Copy, Debug, ShmMessage)]
#[repr(C)]
struct All {
    stamp: Timestamp,
    u64: u64,
    i64: i64,
    f64: f64,
    pose: Point,
    path: ShmVec<Point, 4>,
    target: ShmOption<f64>,
    none: ShmOption<f64>,
    f32: f32,
    u32: u32,
    i32: i32,
    letter: char,
    joints: [[i16; 2]; 2],
    name: ShmString<20>,
    bytes: ShmVec<u8, 4>,
    u16: u16,
    i16: i16,
    u8: u8,
    i8: i8,
    yes: bool,
    mode: Mode,
    _pad: Pad<4>,
}

channel! {
    ImuFeed: PubSub<Imu> { name: "robot/imu", slots: 64 }
    BatteryFeed: PubSub<Battery> { name: "robot/battery", slots: 8 }
    Camera: PubSub<FrameHeader, [u8]> { name: "robot/camera", slots: 4, max_len: 640 * 480 }
    Jobs: PushPull<Task> { name: "robot/jobs", slots: 16 }
    Reports: PubSub<BTreeMap<String, f64>, Msgpack> { name: "robot/report", slots: 4, slot_size: 256 }
    AllFeed: PubSub<All> { name: "check/all", slots: 8 }
    Cloud: PubSub<FrameHeader, [Point]> { name: "check/cloud", slots: 4, max_len: 16 }
    Values: PubSub<BTreeMap<String, f64>, Msgpack> { name: "check/msgpack", slots: 4, slot_size: 256 }
    Numbers: PubSub<[f64; 3]> { name: "check/numbers", slots: 4 }
}

static ENDED: AtomicBool = AtomicBool::new(false);

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

fn main() -> Outcome {
    let check = std::env::args().nth(1).is_some_and(|argument| argument == "check");
    let works: &[fn() -> Outcome] =
        if check { &[publish_check] } else { &[imu, battery, camera, report, jobs, logger] };
    let threads: Vec<_> = works.iter().map(|work| thread::spawn(*work)).collect();
    println!("ready");
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    ENDED.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().map_err(|_| "a thread panicked")??;
    }
    Ok(())
}

/// Sleeps; returns `false` after the end of the input.
fn pause(milliseconds: u64) -> bool {
    thread::sleep(Duration::from_millis(milliseconds));
    !ENDED.load(Ordering::Relaxed)
}

fn imu() -> Outcome {
    let mut feed = ImuFeed::publisher()?;
    let frame = ShmString::new("base_link")?;
    let mut number = 0;
    while pause(5) {
        let t = number as f32 / 200.0;
        let acceleration = [0.9 * (1.3 * t).sin(), 0.6 * (2.1 * t).cos(), 9.81 + 0.25 * (7.0 * t).sin()];
        let angular_velocity = [0.3 * (0.7 * t).cos(), 0.2 * (1.9 * t).sin(), 0.8 * (0.4 * t).sin()];
        feed.send(&Imu { stamp: Timestamp::now(), number, acceleration, angular_velocity, frame })?;
        number += 1;
    }
    Ok(())
}

fn battery() -> Outcome {
    let mut feed = BatteryFeed::publisher()?;
    let mut volts = 25.2f32;
    while pause(500) {
        volts -= 0.003;
        feed.send(&Battery {
            stamp: Timestamp::now(),
            volts,
            amperes: 4.0,
            mode: Mode::Drive,
            ..Battery::default()
        })?;
    }
    Ok(())
}

fn camera() -> Outcome {
    let mut feed = Camera::publisher()?;
    let mut pixels = vec![0u8; 640 * 480];
    while pause(33) {
        pixels.rotate_left(640);
        pixels[0] = pixels[0].wrapping_add(1);
        feed.send(&FrameHeader { stamp: Timestamp::now(), width: 640, height: 480 }, &pixels)?;
    }
    Ok(())
}

fn report() -> Outcome {
    let mut feed = Reports::publisher()?;
    while pause(1000) {
        feed.send(&BTreeMap::from([("load".to_owned(), 0.25), ("temperature".to_owned(), 47.5)]))?;
    }
    Ok(())
}

fn jobs() -> Outcome {
    let mut pusher = Jobs::pusher()?;
    let mut puller = Jobs::puller()?;
    for number in 0.. {
        pusher.try_send(&Task { number }).ok();
        if !pause(50) {
            break;
        }
        if number > 4 {
            puller.try_recv().ok();
        }
    }
    Ok(())
}

/// A subscriber that is too slow, and loses messages.
fn logger() -> Outcome {
    let mut feed = ImuFeed::subscriber()?;
    while pause(420) {
        while feed.try_recv().is_ok() {}
    }
    Ok(())
}

fn publish_check() -> Outcome {
    let mut all = AllFeed::publisher()?;
    let mut cloud = Cloud::publisher()?;
    let mut values = Values::publisher()?;
    let mut numbers = Numbers::publisher()?;
    let points = [Point { x: 1.5, y: -2.5 }, Point { x: 0.125, y: 4.0 }];
    let mut path = ShmVec::new();
    path.extend_from_slice(&points)?;
    let mut bytes = ShmVec::new();
    bytes.extend_from_slice(&[1, 2, 255])?;
    let message = All {
        stamp: Timestamp::from_nanos(1_764_000_000_123_456_789),
        u64: u64::MAX,
        i64: i64::MIN,
        f64: 0.1,
        pose: points[0],
        path,
        target: ShmOption::some(1.25),
        none: ShmOption::none(),
        f32: 0.5,
        u32: u32::MAX,
        i32: i32::MIN,
        letter: '√',
        joints: [[1, -2], [300, -400]],
        name: ShmString::new("ödom")?,
        bytes,
        u16: u16::MAX,
        i16: i16::MIN,
        u8: 200,
        i8: -5,
        yes: true,
        mode: Mode::Drive,
        _pad: Pad::default(),
    };
    let header = FrameHeader { stamp: Timestamp::from_nanos(1_500_000_000), width: 2, height: 1 };
    while pause(20) {
        all.send(&message)?;
        cloud.send(&header, &points)?;
        values.send(&BTreeMap::from([("a".to_owned(), 1.5), ("b".to_owned(), -2.0)]))?;
        numbers.send(&[1.5, -2.5, 1e300])?;
    }
    Ok(())
}
