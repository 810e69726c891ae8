//! The messages and channels that the example programs share: in a project of yours this is the
//! library crate that both programs depend on.

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

channel! {
    /// Tasks, each for one worker.
    pub Tasks: PushPull<Task> { name: "examples/tasks", slots: 64 }

    /// Inertial measurements, 1 kHz.
    pub ImuFeed: PubSub<Imu> { name: "examples/imu", slots: 256 }

    /// Frames of a camera, up to full HD in colour, made and looked at in place.
    pub Camera: PubSub<FrameHeader, [u8]> { name: "examples/camera", slots: 8, max_len: 1920 * 1080 * 3 }

    /// What the controller is to do now: only the newest counts.
    pub Command: PubSub<Setpoint> { name: "examples/command", slots: 4 }
}
