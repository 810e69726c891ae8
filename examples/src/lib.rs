//! The messages and channels that the example programs share: in a project of yours this is the
//! library crate that both programs depend on.

mod worker;

pub use worker::Worker;

use shmcomm::{Pad, ShmMessage, ShmString, Timestamp, channel};

/// A sample of an inertial measurement unit.
#[derive(Clone, Copy, Debug, Default, ShmMessage)]
#[repr(C)]
pub struct Imu {
    /// When it was measured.
    pub stamp: Timestamp,
    /// Counts the samples.
    pub number: u64,
    /// Acceleration, m/s².
    pub acceleration: [f32; 3],
    /// Angular velocity, rad/s.
    pub angular_velocity: [f32; 3],
    /// The frame of reference.
    pub frame: ShmString<20>,
}

/// What stands before the pixels of a frame.
#[derive(Clone, Copy, Debug, Default, ShmMessage)]
#[repr(C)]
pub struct FrameHeader {
    /// When it was taken.
    pub stamp: Timestamp,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// How a pixel is stored.
    pub encoding: Encoding,
    /// Room up to the alignment of `stamp`.
    pub _pad: Pad<7>,
}

/// How a pixel is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ShmMessage)]
#[repr(u8)]
pub enum Encoding {
    /// One byte of brightness.
    #[default]
    Mono8,
    /// Red, green, blue: a byte each.
    Rgb8,
}

/// A point of a track.
#[derive(Clone, Copy, Debug, Default, ShmMessage)]
#[repr(C)]
pub struct Waypoint {
    /// Counts the points.
    pub number: u64,
    /// Metres.
    pub position: [f64; 3],
}

/// What a controller is to do.
#[derive(Clone, Copy, Debug, Default, ShmMessage)]
#[repr(C)]
pub struct Setpoint {
    /// Counts the settings.
    pub number: u64,
    /// m/s.
    pub velocity: f64,
}

/// A piece of work.
#[derive(Clone, Copy, Debug, Default, ShmMessage)]
#[repr(C)]
pub struct Task {
    /// Counts the tasks.
    pub number: u64,
    /// How long it takes, in microseconds.
    pub effort: u64,
}

/// From where to where a robot is to find its way.
#[derive(Clone, Copy, Debug, Default, ShmMessage)]
#[repr(C)]
pub struct Trip {
    /// Metres east, metres north.
    pub from: [f64; 2],
    /// Metres east, metres north.
    pub to: [f64; 2],
}

/// A way that was found.
#[derive(Clone, Copy, Debug, Default, ShmMessage)]
#[repr(C)]
pub struct Way {
    /// Metres.
    pub length: f64,
    /// Which process found it.
    pub planner: u32,
    /// How many of `points` are used.
    pub count: u32,
    /// Metres east, metres north.
    pub points: [[f64; 2]; 16],
}

channel! {
    /// Plans ways. To plan one twice does no harm, so another planner does it if one dies.
    pub Planner: ReqRep<Trip, Way> { name: "examples/planner", slots: 16, redeliver: true }

    /// Positions that several lookouts report: metres east, metres north.
    pub Reports: PubSub<[f64; 2]> { name: "examples/reports", slots: 1024, publishers: 4 }

    /// Tasks, each for one worker.
    pub Tasks: PushPull<Task> { name: "examples/tasks", slots: 64 }

    /// Inertial measurements, 1 kHz.
    pub ImuFeed: PubSub<Imu> { name: "examples/imu", slots: 256 }

    /// Frames of a camera, up to full HD in colour, made and looked at in place.
    pub Camera: PubSub<FrameHeader, [u8]> { name: "examples/camera", slots: 8, max_len: 1920 * 1080 * 3 }

    /// Where it has been: every single point is recorded.
    pub Track: PubSub<Waypoint> { name: "examples/track", slots: 1024, overflow: Wait, patience: 60s }

    /// What the controller is to do now: only the newest counts.
    pub Command: PubSub<Setpoint> { name: "examples/command", slots: 4 }
}

/// Starts a program of `examples/python/` with `python3`, or what the environment variable `PYTHON` names.
pub fn python(program: &str) -> std::io::Result<std::process::Child> {
    let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(program);
    std::process::Command::new(python).arg(path).spawn()
}
