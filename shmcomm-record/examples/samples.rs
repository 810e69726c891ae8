//! Records messages with every kind of part, and those of the example programs, for the stock decoders that
//! `.ci/record` compares.
//!
//! Usage: `samples DIRECTORY`. Writes `ros2.mcap`, `protobuf.mcap`, `plain.mcap`, and `expected.json`: the values of all
//! messages in their order, and the fingerprints of each channel as the compiler computed them. A value is that in the
//! slot: a number of single precision has all digits of its value.

use shmcomm::schema::{Layout, Value};
use shmcomm::{Channel, Content, Declaration, DynPublisher, PubSub};
use shmcomm::{ShmMessage, ShmOption, ShmString, ShmVec, Timestamp};
use shmcomm_examples::{Camera, FrameHeader, Imu, Setpoint, Task, Trip, Way, Waypoint};
use shmcomm_record::encoding::Encoding;
use shmcomm_record::{Compression, RecordOptions, Recorder};
use std::time::Duration;

#[derive(ShmMessage)]
#[repr(u8)]
#[allow(dead_code, reason = "its layout is used")]
enum Mode {
    Idle = 1,
    Run = 4,
}

#[derive(ShmMessage)]
#[repr(u32)]
#[allow(dead_code, reason = "its layout is used")]
enum Command {
    Stop,
    Go { x: f32, y: f32 } = 3,
    Say(ShmString<8>) = 9,
}

#[derive(Clone, Copy, ShmMessage)]
#[repr(C)]
struct Point {
    x: f32,
    y: i16,
    flags: [bool; 2],
}

#[derive(ShmMessage)]
#[repr(C)]
#[allow(dead_code, reason = "its layout is used")]
struct State {
    stamp: Timestamp,
    big: u64,
    small: i64,
    exact: f64,
    letter: char,
    level: i32,
    grid: [[f32; 2]; 3],
    points: ShmVec<Point, 4>,
    lists: ShmVec<ShmVec<u16, 4>, 2>,
    maybe: ShmOption<f32>,
    absent: ShmOption<Point>,
    command: Command,
    data: ShmVec<u8, 12>,
    count: u16,
    text: ShmString<20>,
    texts: ShmVec<ShmString<4>, 2>,
    bytes: [u8; 5],
    mode: Mode,
    tiny: i8,
    ok: bool,
    last: [u8; 6],
}

const STATES: [&str; 2] = [
    r#"{"stamp":1700000000123456789,"big":9007199254740993,"small":-9000000000,"exact":0.1,"letter":"ß","level":-7,
    "grid":[[1.5,-0.5],[0.1,3.0],[4.0,5.0]],"points":[{"x":0.25,"y":-5,"flags":[true,false]},
    {"x":2.0,"y":300,"flags":[false,true]}],"lists":[[1,2],[]],"maybe":0.5,"absent":null,
    "command":{"Say":{"f0":"hi"}},"data":[9,0,8],"count":65535,"text":"grüße","texts":["","ab"],
    "bytes":[1,2,3,4,0],"mode":"Run","tiny":-1,"ok":true,"last":[0,255,1,2,3,4]}"#,
    r#"{"stamp":0,"big":0,"small":0,"exact":0.0,"letter":"a","level":0,"grid":[[0.0,0.0],[0.0,0.0],[0.0,0.0]],
    "points":[],"lists":[],"maybe":null,"absent":{"x":1.0,"y":2,"flags":[true,true]},"command":{"Go":{"x":1.0,"y":2.0}},
    "data":[],"count":0,"text":"","texts":[],"bytes":[0,0,0,0,0],"mode":"Idle","tiny":0,"ok":false,"last":[0,0,0,0,0,0]}"#,
];

const FRAMES: Channel<PubSub<Point, [f64]>> = Channel::new("frames");
/// Its message is named `Point`, as a part of it.
const POINTS: Channel<PubSub<[Point; 2]>> = Channel::new("point");

/// The messages of the example programs with a fixed layout.
fn examples() -> [(&'static str, Layout, String); 6] {
    let points: Vec<[f64; 2]> = (0..16).map(|point| [f64::from(point), -0.5]).collect();
    let way = format!(r#"{{"length":12.5,"planner":4711,"count":3,"points":{points:?}}}"#);
    let imu = r#"{"stamp":1700000000123456789,"number":2032,"acceleration":[0.97,-0.24,9.81],
        "angular_velocity":[0.0,0.5,-0.25],"frame":"base_link"}"#;
    let trip = r#"{"from":[0.0,1.5],"to":[-3.0,4.25]}"#;
    [
        ("imu", Layout::of::<Imu>(), imu.to_owned()),
        ("waypoint", Layout::of::<Waypoint>(), r#"{"number":7,"position":[1.0,2.0,-3.0]}"#.to_owned()),
        ("setpoint", Layout::of::<Setpoint>(), r#"{"number":8,"velocity":0.125}"#.to_owned()),
        ("task", Layout::of::<Task>(), r#"{"number":9,"effort":250}"#.to_owned()),
        ("trip", Layout::of::<Trip>(), trip.to_owned()),
        ("way", Layout::of::<Way>(), way),
    ]
}

/// Returns the value that a message of this layout has, with its numbers in double precision.
fn stored(layout: &Layout, value: &Value) -> Result<serde_json::Value, Box<dyn std::error::Error>> {
    fn doubled(value: Value) -> Value {
        match value {
            Value::F32(x) => Value::F64(x.into()),
            Value::List(items) => Value::List(items.into_iter().map(doubled).collect()),
            Value::Map(parts) => {
                Value::Map(parts.into_iter().map(|(name, part)| (name, doubled(part))).collect())
            }
            other => other,
        }
    }
    let mut bytes = vec![0; layout.size()];
    layout.encode(value, &mut bytes)?;
    Ok(serde_json::to_value(doubled(layout.view(&bytes).to_value()))?)
}

/// Returns the fingerprints of layouts as recordings state them.
fn prints(layouts: &[u64]) -> Vec<String> {
    layouts.iter().map(|print| format!("{print:#018x}")).collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::path::PathBuf::from(std::env::args().nth(1).ok_or("give a directory")?);
    let space = format!("samples-{}", std::process::id());
    let name = format!("{space}/state");
    let declaration = Declaration::pub_sub(Content::Fixed(Layout::of::<State>()));
    let mut states = DynPublisher::create(&name, &declaration)?;
    let mut frames = FRAMES.max_len(8).open().namespace(&space).publisher()?;
    let mut points = POINTS.open().namespace(&space).publisher()?;
    let mut camera = Camera::open().namespace(&space).max_len(8).publisher()?;
    let mut others = Vec::new();
    let mut fingerprints = std::collections::BTreeMap::from([
        (name.clone(), prints(&[State::SCHEMA.fingerprint])),
        (frames.name().to_owned(), prints(&[Point::SCHEMA.fingerprint, f64::SCHEMA.fingerprint])),
        (points.name().to_owned(), prints(&[<[Point; 2]>::SCHEMA.fingerprint])),
        (camera.name().to_owned(), prints(&[FrameHeader::SCHEMA.fingerprint, u8::SCHEMA.fingerprint])),
    ]);
    for (name, layout, text) in examples() {
        let declaration = Declaration::pub_sub(Content::Fixed(layout.clone()));
        let name = format!("{space}/{name}");
        fingerprints.insert(name.clone(), prints(&[layout.fingerprint()]));
        others.push((DynPublisher::create(&name, &declaration)?, layout, text));
    }
    let (mut expected, mut recorders) = (Vec::new(), Vec::new());
    let files = [
        ("ros2.mcap", Encoding::Ros2, Compression::Lz4),
        ("protobuf.mcap", Encoding::Protobuf, Compression::Zstd),
        ("plain.mcap", Encoding::Ros2, Compression::None),
    ];
    for (file, encoding, compression) in files {
        let options = RecordOptions { encoding, compression, ..RecordOptions::default() };
        let mut recorder = Recorder::create(directory.join(file), options)?;
        recorder.add(&name)?;
        recorder.add(frames.name())?;
        recorder.add(points.name())?;
        recorder.add(camera.name())?;
        for (publisher, ..) in &others {
            recorder.add(publisher.name())?;
        }
        recorders.push(recorder);
    }
    for text in STATES {
        let value: Value = serde_json::from_str(text)?;
        states.send(&value)?;
        expected.push(stored(&Layout::of::<State>(), &value)?);
    }
    frames.send(&Point { x: 1.5, y: -3, flags: [true, false] }, &[0.1, -2.5])?;
    expected.push(serde_json::json!({
        "header": {"x": 1.5, "y": -3, "flags": [true, false]}, "tail": [0.1, -2.5],
    }));
    points
        .send(&[Point { x: 2.5, y: 1, flags: [false, true] }, Point { x: 0.0, y: 7, flags: [true, true] }])?;
    expected.push(serde_json::json!({"value": [
        {"x": 2.5, "y": 1, "flags": [false, true]}, {"x": 0.0, "y": 7, "flags": [true, true]},
    ]}));
    let header = FrameHeader {
        stamp: Timestamp(1_700_000_000_123_456_789),
        width: 3,
        height: 1,
        encoding: shmcomm_examples::Encoding::Rgb8,
        ..FrameHeader::default()
    };
    camera.send(&header, &[1, 0, 255])?;
    expected.push(serde_json::json!({
        "header": {"stamp": 1_700_000_000_123_456_789_i64, "width": 3, "height": 1, "encoding": "Rgb8"},
        "tail": [1, 0, 255],
    }));
    for (publisher, layout, text) in &mut others {
        let value: Value = serde_json::from_str(text)?;
        publisher.send(&value)?;
        expected.push(stored(layout, &value)?);
    }
    for mut recorder in recorders {
        recorder.record_for(Duration::from_millis(20))?;
        for channel in recorder.finish()? {
            assert_eq!((channel.lost, channel.refused), (0, 0), "{channel:?}");
        }
    }
    let expected = serde_json::json!({"messages": expected, "fingerprints": fingerprints});
    std::fs::write(directory.join("expected.json"), serde_json::to_string(&expected)?)?;
    Ok(())
}
