//! The messages and channels that the example programs share. In your project this is the library crate that
//! both programs depend on.

mod logger;
mod worker;

pub use logger::init_logger;
pub use worker::Worker;

use shmcomm::{Pad, ShmMessage, ShmString, Timestamp, channel};

/// A sample of an inertial measurement unit.
#[derive(Clone, Copy, Debug, Default, ShmMessage)]
#[repr(C)]
pub struct Imu {
    /// Time of the measurement.
    pub stamp: Timestamp,
    /// Number of the sample.
    pub number: u64,
    /// Acceleration, m/s².
    pub acceleration: [f32; 3],
    /// Angular velocity, rad/s.
    pub angular_velocity: [f32; 3],
    /// Frame of reference.
    pub frame: ShmString<20>,
}

/// Header in front of the pixels of a frame.
#[derive(Clone, Copy, Debug, Default, ShmMessage)]
#[repr(C)]
pub struct FrameHeader {
    /// Time of the exposure.
    pub stamp: Timestamp,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Format of a pixel.
    pub encoding: Encoding,
    /// Padding up to the alignment of `stamp`.
    pub _pad: Pad<7>,
}

/// Format of a pixel.
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
    /// Number of the point.
    pub number: u64,
    /// Position in metres.
    pub position: [f64; 3],
}

/// Target of a controller.
#[derive(Clone, Copy, Debug, Default, ShmMessage)]
#[repr(C)]
pub struct Setpoint {
    /// Number of the setpoint.
    pub number: u64,
    /// Velocity in m/s.
    pub velocity: f64,
}

/// A piece of work.
#[derive(Clone, Copy, Debug, Default, ShmMessage)]
#[repr(C)]
pub struct Task {
    /// Number of the task.
    pub number: u64,
    /// Duration in microseconds.
    pub effort: u64,
}

/// Start and goal for which a robot needs a way.
#[derive(Clone, Copy, Debug, Default, ShmMessage)]
#[repr(C)]
pub struct Trip {
    /// Start: metres east, metres north.
    pub from: [f64; 2],
    /// Goal: metres east, metres north.
    pub to: [f64; 2],
}

/// A planned way.
#[derive(Clone, Copy, Debug, Default, ShmMessage)]
#[repr(C)]
pub struct Way {
    /// Length in metres.
    pub length: f64,
    /// Process ID of the planner.
    pub planner: u32,
    /// Number of `points` that are used.
    pub count: u32,
    /// Points of the way: metres east, metres north.
    pub points: [[f64; 2]; 16],
}

channel! {
    /// The points of a way, one after the other.
    pub Tracker: ReqRep<Trip, Waypoint> { name: "robot/tracker", replies: Stream, window: 8 }
    /// Plans ways. To plan a way twice does no harm, so another planner does it if one dies.
    pub Planner: ReqRep<Trip, Way> { name: "examples/planner", slots: 16, redeliver: true }

    /// Positions that several lookouts report: metres east, metres north.
    pub Reports: PubSub<[f64; 2]> { name: "examples/reports", slots: 1024, publishers: 4 }

    /// State of a robot, each key stored by the process that knows it.
    pub Robot: Table {
        name: "examples/robot",
        /// Charge, from 0 to 1.
        battery: f32,
        /// Metres east, metres north, and the heading in radians.
        pose: [f64; 3],
    }

    /// Tasks, each for one worker.
    pub Tasks: PushPull<Task> { name: "examples/tasks", slots: 64 }

    /// Inertial measurements, 1 kHz.
    pub ImuFeed: PubSub<Imu> { name: "examples/imu", slots: 256 }

    /// Frames of a camera, up to full HD in colour, written and read in place.
    pub Camera: PubSub<FrameHeader, [u8]> { name: "examples/camera", slots: 8, max_len: 1920 * 1080 * 3 }

    /// Entries of a log: their length, and their text. Most are short.
    pub Log: PubSub<u64, [u8]> { name: "examples/log", slots: 16, slot_size: 256, grow: 1 MiB }

    /// Past positions: every single point is recorded.
    pub Track: PubSub<Waypoint> { name: "examples/track", slots: 1024, overflow: Wait, patience: 60s }

    /// Current target of the controller: only the newest one counts.
    pub Command: PubSub<Setpoint> { name: "examples/command", slots: 4 }
}
