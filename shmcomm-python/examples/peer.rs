//! The Rust side of the tests of the Python package: `peer ROLE CHANNEL`.
//!
//! Owns one program for each role, with a typed channel. Never part of the wheel.

use shmcomm::codec::{Msgpack, Pickle};
use shmcomm::{
    Channel, Encoded, PubSub, PushPull, ReqRep, ShmMessage, ShmOption, ShmString, ShmVec, Timestamp, channel,
};
use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[repr(u8)]
enum Mode {
    Idle = 0,
    Moving = 3,
}

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[repr(C)]
struct Imu {
    stamp: Timestamp,
    number: u64,
    ranges: ShmVec<f64, 4>,
    limit: ShmOption<f64>,
    acceleration: [f32; 3],
    frame: ShmString<15>,
    mode: Mode,
}

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[repr(C)]
struct Header {
    number: u64,
    size: u64,
}

type Document = BTreeMap<String, Vec<f64>>;

type Settings = Encoded<Document, Msgpack, 64>;

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[repr(C)]
struct Pose {
    x: f64,
    y: f64,
}

channel! { Robot: Table { name: "robot", battery: f32, pose: Pose, settings: Settings } }

fn imu(number: u64) -> Result<Imu, Box<dyn Error>> {
    Ok(Imu {
        stamp: Timestamp::from_nanos(1_700_000_000_000_000_000 + number as i64),
        number,
        ranges: ShmVec::try_from(&[0.5, number as f64][..])?,
        limit: if number.is_multiple_of(2) { ShmOption::none() } else { ShmOption::some(2.5) },
        acceleration: [0.0, -0.25, 9.75],
        frame: ShmString::try_from("map")?,
        mode: if number.is_multiple_of(2) { Mode::Idle } else { Mode::Moving },
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, role, name] = arguments.as_slice() else { return Err("peer ROLE CHANNEL".into()) };
    let name: &'static str = name.clone().leak();
    let feed = || Channel::<PubSub<Imu>>::new(name).open();
    let jobs = || Channel::<PushPull<Imu>>::new(name).open();
    let service = || Channel::<ReqRep<[f64; 2], f64>>::new(name).open();
    let limit = Duration::from_secs(20);
    let clouds = || Channel::<PubSub<Header, [[f32; 3]]>>::new(name).max_len(8).open();
    let documents = || Channel::<PubSub<Document, Msgpack>>::new(name).slot_size(200).open();
    let pickles = || Channel::<PubSub<Document, Pickle>>::new(name).slot_size(200).open();
    let document = |number: u64| Document::from([("xyz".to_owned(), vec![0.5, number as f64])]);
    macro_rules! publish {
        ($channel:ident, $publisher:ident, $number:ident, $send:expr) => {{
            let mut $publisher = $channel().publisher()?;
            println!("ready");
            $publisher.wait_for_subscribers(1, limit);
            for $number in 0..10 {
                $send?;
            }
            std::thread::sleep(Duration::from_millis(200));
        }};
    }
    macro_rules! subscribe {
        ($channel:ident) => {{
            let mut subscriber = $channel().subscriber()?;
            println!("ready");
            for number in 0..10 {
                assert_eq!(subscriber.recv_timeout(limit)?, document(number));
            }
        }};
    }
    match role.as_str() {
        "publish" => {
            let mut publisher = feed().publisher()?;
            println!("ready");
            publisher.wait_for_subscribers(1, limit);
            for number in 0..10 {
                publisher.send(&imu(number)?)?;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        "subscribe" => {
            let mut subscriber = feed().subscriber()?;
            println!("ready");
            for number in 0..10 {
                assert_eq!(subscriber.recv_timeout(limit)?, imu(number)?);
            }
        }
        "publish tail" => publish!(
            clouds,
            publisher,
            number,
            publisher.send(&Header { number, size: 2 }, &[[0.5, 1.0, number as f32], [1.5, 2.0, 3.0]])
        ),
        "subscribe tail" => {
            let mut subscriber = clouds().subscriber()?;
            println!("ready");
            for number in 0..10 {
                let cloud = subscriber.recv_ref_timeout(limit)?;
                assert_eq!((cloud.header().number, cloud.header().size), (number, 2));
                assert_eq!(cloud.items(), [[0.5, 1.0, number as f32], [1.5, 2.0, 3.0]]);
            }
        }
        "publish msgpack" => publish!(documents, publisher, number, publisher.send(&document(number))),
        "publish pickle" => publish!(pickles, publisher, number, publisher.send(&document(number))),
        "subscribe msgpack" => subscribe!(documents),
        "subscribe pickle" => subscribe!(pickles),
        "push" => {
            let mut pusher = jobs().pusher()?;
            for number in 0..10 {
                pusher.send(&imu(number)?)?;
            }
            println!("ready");
        }
        "pull" => {
            let mut puller = jobs().puller()?;
            println!("ready");
            for number in 0..10 {
                assert_eq!(puller.recv_timeout(limit)?, imu(number)?);
            }
        }
        "serve" => {
            let mut replier = service().replier()?;
            println!("ready");
            for _ in 0..10 {
                let request = replier.recv_timeout(limit)?;
                let sum = request[0] + request[1];
                request.reply(&sum)?;
            }
        }
        "ask" => {
            let requester = service().requester()?;
            println!("ready");
            for number in 0..10 {
                assert_eq!(requester.request_timeout(&[number.into(), 0.5], limit)?, f64::from(number) + 0.5);
            }
        }
        "write table" => {
            let table = || Robot::open().name(name);
            let mut battery = table().writer(Robot::BATTERY)?;
            let mut settings = table().writer(Robot::SETTINGS)?;
            battery.store(&0.5)?;
            settings.store(&Settings::new(&document(7))?)?;
            println!("ready");
            let mut reader = table().reader()?;
            reader.wait_timeout(Robot::POSE, limit)?;
            let pose = reader.load(Robot::POSE)?.ok_or("no pose")?;
            assert_eq!((pose.value, pose.version), (Pose { x: 1.5, y: 2.5 }, 1));
        }
        "read table" => {
            let mut reader = Robot::open().name(name).reader()?;
            println!("ready");
            reader.wait_timeout(Robot::SETTINGS, limit)?;
            let (battery, settings) = reader.load_set((Robot::BATTERY, Robot::SETTINGS))?;
            assert_eq!(battery.ok_or("no battery")?.value, 0.25);
            assert_eq!(settings.ok_or("no settings")?.value.decode()?, document(3));
        }
        "store until killed" => {
            let mut pose = Robot::open().name(name).writer(Robot::POSE)?;
            println!("ready");
            for number in 0.. {
                let x = f64::from(number);
                pose.store(&Pose { x, y: -x })?;
            }
        }
        other => return Err(format!("no role {other}").into()),
    }
    println!("done");
    Ok(())
}
