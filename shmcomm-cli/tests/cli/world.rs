//! The channels that the tests look into, and the processes at them.

use shmcomm::{Encoded, Pad, ShmMessage, ShmOption, ShmString, ShmVec, Timestamp, channel};
use shmcomm_tests::{say, stage};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Sample of an inertial measurement unit.
#[derive(Clone, Copy, Debug, Default, ShmMessage)]
#[repr(C)]
pub struct Imu {
    pub stamp: Timestamp,
    pub number: u64,
    pub acceleration: [f32; 3],
    pub frame: ShmString<8>,
}

#[derive(Clone, Copy, Debug, Default, ShmMessage)]
#[repr(C)]
pub struct FrameHeader {
    pub width: u32,
    pub height: u32,
}

#[derive(Clone, Copy, Debug, Default, ShmMessage)]
#[repr(C)]
pub struct Task {
    pub number: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, ShmMessage)]
#[repr(u8)]
pub enum Mode {
    #[default]
    Idle = 1,
    Run = 2,
}

#[derive(Clone, Copy, Debug, Default, ShmMessage)]
#[repr(C)]
pub struct Point {
    pub x: f64,
    pub y: f64,
}

/// A field of every kind.
#[derive(Clone, Copy, Debug, ShmMessage)]
#[repr(C)]
pub struct State {
    pub stamp: Timestamp,
    pub pose: Point,
    pub path: ShmVec<Point, 4>,
    pub target: ShmOption<f64>,
    pub battery: f32,
    pub joints: [[i16; 2]; 2],
    pub letter: char,
    pub frame: ShmString<20>,
    pub mode: Mode,
    pub ok: bool,
    pub level: i8,
    pub small: u8,
    pub _pad: Pad<4>,
}

/// Settings of an arm, which a codec encodes.
pub type Settings = Encoded<BTreeMap<String, Vec<f64>>, shmcomm::codec::Msgpack, 48>;

#[derive(Clone, Copy, Debug, ShmMessage)]
#[repr(C)]
pub struct Tuned {
    pub number: u64,
    pub settings: Settings,
}

channel! {
    pub ImuFeed: PubSub<Imu> { name: "robot/imu", slots: 16 }
    pub Frames: PubSub<FrameHeader, [u8]> { name: "robot/camera", slots: 4, max_len: 1 << 16 }
    pub Jobs: PushPull<Task> { name: "jobs", slots: 8 }
    pub Planner: ReqRep<Point, Task> { name: "planner", slots: 4 }
    pub Count: ReqRep<Point, Task> { name: "count", slots: 4, replies: Stream, window: 2 }
    pub Reports: PubSub<String, Msgpack> { name: "reports", slots: 4, slot_size: 256 }
    pub States: PubSub<State> { name: "robot/state", slots: 8 }
    pub Old: PubSub<Imu> { name: "old/imu", slots: 16 }
    pub Left: PushPull<Task> { name: "old/jobs", slots: 8 }
    pub Flood: PubSub<u64> { name: "flood", slots: 1024 }
    pub Scans: PubSub<u64, [f32]> { name: "scans", slots: 4, slot_size: 64, grow: 4 KiB }
    pub Values: Table { name: "table", charge: f32, mode: Mode, pose: [f64; 3] }
    pub Arm: Table { name: "arm", settings: Settings, broken: Settings }
    pub Tunings: PubSub<Tuned> { name: "tunings", slots: 4 }
}

pub fn imu(number: u64) -> Imu {
    let stamp = Timestamp::from_nanos(1_764_000_000_000_000_000 + number as i64);
    Imu { stamp, number, acceleration: [0.5, -0.25, 9.75], frame: ShmString::new("map").unwrap() }
}

pub fn state(number: u64) -> State {
    let mut path = ShmVec::new();
    for at in 0..number % 4 {
        path.push(Point { x: at as f64, y: -0.5 }).unwrap();
    }
    State {
        stamp: Timestamp::from_nanos(number as i64),
        pose: Point { x: number as f64, y: 0.5 },
        path,
        target: if number.is_multiple_of(2) { ShmOption::some(1.5) } else { ShmOption::none() },
        battery: 12.5,
        joints: [[1, 2], [3, -4]],
        letter: '√',
        frame: ShmString::new("ödom").unwrap(),
        mode: if number.is_multiple_of(2) { Mode::Idle } else { Mode::Run },
        ok: true,
        level: -5,
        small: 200,
        _pad: Pad::default(),
    }
}

/// A channel of each pattern, with ends and messages.
pub fn world() {
    let mut imu_feed = ImuFeed::publisher().unwrap();
    let mut receiver = ImuFeed::subscriber().unwrap();
    for number in 0..5 {
        imu_feed.send(&imu(number)).unwrap();
        receiver.recv().unwrap();
    }
    let mut frames = Frames::publisher().unwrap();
    frames.send(&FrameHeader { width: 4, height: 2 }, &[7; 8]).unwrap();
    let mut jobs = Jobs::pusher().unwrap();
    for number in 0..3 {
        jobs.send(&Task { number }).unwrap();
    }
    let replier = Planner::replier().unwrap();
    let requester = Planner::requester().unwrap();
    let mut reports = Reports::publisher().unwrap();
    reports.send(&"all is well".to_owned()).unwrap();
    let mut states = States::publisher().unwrap();
    for number in 0..4 {
        states.send(&state(number)).unwrap();
    }
    say("ready");
    stage::wait();
    drop((receiver, replier, requester));
}

/// A channel whose slots have grown, beside one with fixed slots.
pub fn grown() {
    let mut feed = ImuFeed::publisher().unwrap();
    feed.send(&imu(1)).unwrap();
    let mut scans = Scans::publisher().unwrap();
    scans.send(&1, &[0.5; 200]).unwrap();
    say("ready");
    stage::wait();
}

/// A table with two writers of three keys.
pub fn table() {
    let mut charge = Values::writer(Values::CHARGE).unwrap();
    let mut mode = Values::writer(Values::MODE).unwrap();
    for value in [1.0, 0.75, 0.5] {
        charge.store(&value).unwrap();
    }
    mode.store(&Mode::Run).unwrap();
    say("ready");
    stage::wait();
}

/// A table and a channel with encoded values, of which one is no value.
pub fn encoded() {
    let gains = BTreeMap::from([("gain".to_owned(), vec![0.5, 2.0])]);
    let settings = Settings::new(&gains).unwrap();
    let mut arm = Arm::writer(Arm::SETTINGS).unwrap();
    let mut broken = Arm::writer(Arm::BROKEN).unwrap();
    arm.store(&settings).unwrap();
    broken.store(&Settings::from_bytes(ShmVec::try_from(&b"\xc1no"[..]).unwrap())).unwrap();
    let mut tunings = Tunings::publisher().unwrap();
    tunings.send(&Tuned { number: 7, settings }).unwrap();
    say("ready");
    stage::wait();
}

/// Ends that the test kills.
pub fn killed() {
    let mut feed = Old::publisher().unwrap();
    feed.send(&imu(1)).unwrap();
    let mut jobs = Left::pusher().unwrap();
    jobs.send(&Task { number: 1 }).unwrap();
    say("ready");
    stage::wait();
}

/// A publisher at full speed.
pub fn flood() {
    let mut flood = Flood::publisher().unwrap();
    say("ready");
    let mut number = 0;
    loop {
        for _ in 0..1000 {
            flood.send(&number).unwrap();
            number += 1;
        }
    }
}

/// A publisher with 200 messages a second.
pub fn steady() {
    send_steadily(imu);
}

/// A publisher with 200 messages a second, which have the time at which they were sent.
pub fn stamped() {
    send_steadily(|number| Imu { stamp: Timestamp::now(), ..imu(number) });
}

fn send_steadily(make: impl Fn(u64) -> Imu) {
    let mut feed = ImuFeed::publisher().unwrap();
    say("ready");
    let (start, mut number) = (Instant::now(), 0);
    loop {
        feed.send(&make(u64::from(number))).unwrap();
        number += 1;
        std::thread::sleep((Duration::from_millis(5) * number).saturating_sub(start.elapsed()));
    }
}

/// A hundred channels.
pub fn many() {
    let open = |number| {
        let name = format!("many/{number}");
        shmcomm::Channel::<shmcomm::PubSub<Imu>>::try_new(name).unwrap().publisher().unwrap()
    };
    let publishers: Vec<_> = (0..100).map(open).collect();
    say("ready");
    stage::wait();
    drop(publishers);
}

macro_rules! nested {
    ($($name:ident of $part:ty),*) => {$(
        #[derive(Clone, Copy, Default, ShmMessage)]
        #[repr(C)]
        pub struct $name {
            a: $part,
            b: $part,
            c: $part,
            d: $part,
            e: $part,
            f: $part,
            g: $part,
            h: $part,
        }
    )*};
}
nested!(Level1 of u8, Level2 of Level1, Level3 of Level2, Level4 of Level3);

/// A message whose description is too long for a segment.
pub fn long() {
    let channel = shmcomm::Channel::<shmcomm::PubSub<Level4>>::new("long").slots(2);
    let mut publisher = channel.open().publisher().unwrap();
    publisher.send(&Level4::default()).unwrap();
    say("ready");
    stage::wait();
}

/// A frame of 6 MB.
pub fn big() {
    let channel =
        shmcomm::Channel::<shmcomm::PubSub<FrameHeader, [u8]>>::new("big").slots(2).max_len(1920 * 1080 * 3);
    let mut publisher = channel.open().publisher().unwrap();
    publisher.send(&FrameHeader { width: 1920, height: 1080 }, &vec![7; 1920 * 1080 * 3]).unwrap();
    say("ready");
    stage::wait();
}

/// Returns the bytes of a message.
pub fn bytes_of<M: ShmMessage>(message: &M) -> &[u8] {
    // SAFETY: a message has no padding, so all of its bytes are initialized.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(message).cast(), size_of::<M>()) }
}

channel! {
    pub CopyState: PubSub<State> { name: "copy/state", slots: 8 }
    pub CopyImu: PubSub<Imu> { name: "copy/imu", slots: 16 }
    pub CopyFrames: PubSub<FrameHeader, [u8]> { name: "copy/camera", slots: 4, max_len: 1 << 16 }
}

/// Subscribers of channels without a publisher. They keep the segments.
pub fn mirror() {
    let publishers =
        (CopyState::publisher().unwrap(), CopyImu::publisher().unwrap(), CopyFrames::publisher().unwrap());
    let subscribers =
        (CopyState::subscriber().unwrap(), CopyImu::subscriber().unwrap(), CopyFrames::subscriber().unwrap());
    drop(publishers);
    say("ready");
    stage::wait();
    drop(subscribers);
}

/// A service that adds.
pub fn service() {
    let mut replier = Planner::replier().unwrap();
    say("ready");
    let _ = replier.serve(|point: &Point| Task { number: (point.x + point.y) as u64 });
}

/// A service that counts from `x` to `y`, or without an end if `y` is negative. Says that a stream was cancelled.
pub fn counting() {
    let mut replier = Count::replier().unwrap();
    say("ready");
    loop {
        let mut request = replier.recv().unwrap();
        let (first, last) = (request.x as u64, request.y);
        for number in first.. {
            if number as f64 > last && last >= 0.0 {
                request.end().unwrap();
                break;
            }
            if request.send(&Task { number }).is_err() {
                say("cancelled");
                break;
            }
        }
    }
}
