//! Types of glam, nalgebra, half, uuid and chrono in messages: in place by their traits, or described by a struct.

use chrono::{DateTime, Utc};
use shmcomm::message::{self, Bytemuck, Foreign, foreign_tag};
use shmcomm::{Pad, ShmMessage, ShmOption, ShmString, ShmVec, Timestamp};

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[repr(C)]
struct Scene {
    matrix: Foreign<Bytemuck<nalgebra::Matrix3<f64>>, { foreign_tag("nalgebra::Matrix3<f64>") }>,
    id: Foreign<Bytemuck<uuid::Uuid>>,
    eye: Foreign<Bytemuck<glam::Vec3>>,
    weights: [Foreign<Bytemuck<half::f16>>; 2],
}

#[test]
fn types_with_the_traits_of_bytemuck_are_messages() {
    let scene = Scene {
        matrix: Foreign(Bytemuck(nalgebra::Matrix3::identity())),
        id: Foreign(Bytemuck(uuid::Uuid::from_u128(7))),
        eye: Foreign(Bytemuck(glam::Vec3::new(1.0, 2.0, 3.0))),
        weights: [Foreign(Bytemuck(half::f16::ONE)); 2],
    };
    assert_eq!(message::read::<Scene>(message::as_bytes(&scene)).unwrap(), scene);
    assert_eq!(scene.eye.x, 1.0);
}

/// Without the feature `zerocopy` the wrapper is not needed.
#[cfg(not(feature = "zerocopy"))]
#[test]
fn bytemuck_alone_needs_no_wrapper() {
    let eye = Foreign::<glam::Vec3>(glam::Vec3::new(1.0, 2.0, 3.0));
    assert_eq!(message::read::<Foreign<glam::Vec3>>(message::as_bytes(&eye)).unwrap(), eye);
}

#[cfg(feature = "zerocopy")]
#[test]
fn zerocopy_needs_no_wrapper() {
    let weight = Foreign::<half::f16>(half::f16::ONE);
    assert_eq!(message::read::<Foreign<half::f16>>(message::as_bytes(&weight)).unwrap(), weight);
}

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[shm(remote = "nalgebra::Vector3<f64>")]
#[repr(C)]
struct Vector3 {
    x: f64,
    y: f64,
    z: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[shm(remote = "glam::Quat")]
#[repr(C)]
struct Quat {
    x: f32,
    y: f32,
    z: f32,
    w: f32,
}

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[shm(remote = "half::f16")]
#[repr(C)]
struct Half {
    #[shm(getter = "half_bits")]
    bits: u16,
}

fn half_bits(value: &half::f16) -> u16 {
    value.to_bits()
}

impl From<Half> for half::f16 {
    fn from(half: Half) -> Self {
        half::f16::from_bits(half.bits)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[shm(remote = "uuid::Uuid")]
#[repr(C)]
struct Id {
    #[shm(getter = "id_bytes")]
    bytes: [u8; 16],
}

fn id_bytes(id: &uuid::Uuid) -> [u8; 16] {
    *id.as_bytes()
}

impl From<Id> for uuid::Uuid {
    fn from(id: Id) -> Self {
        uuid::Uuid::from_bytes(id.bytes)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[shm(remote = "DateTime<Utc>")]
#[repr(C)]
struct Time {
    #[shm(getter = "DateTime::timestamp_micros")]
    micros: i64,
}

impl From<Time> for DateTime<Utc> {
    fn from(time: Time) -> Self {
        DateTime::from_timestamp_micros(time.micros).unwrap_or_default()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[repr(C)]
struct Pose {
    time: Time,
    position: Vector3,
    attitude: Quat,
    id: Id,
    weight: Half,
    _pad: Pad<6>,
}

#[test]
fn remote_types_convert_both_ways_and_name_fields() {
    let time = DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap();
    let position = nalgebra::Vector3::new(1.0, 2.0, 3.0);
    let attitude = glam::Quat::from_rotation_x(0.5);
    let (id, weight) = (uuid::Uuid::from_u128(77), half::f16::from_f32(0.25));
    let pose = Pose {
        time: time.into(),
        position: position.into(),
        attitude: attitude.into(),
        id: id.into(),
        weight: weight.into(),
        _pad: Pad::new(),
    };
    let read = message::read::<Pose>(message::as_bytes(&pose)).unwrap();
    assert_eq!(nalgebra::Vector3::from(read.position), position);
    assert_eq!(glam::Quat::from(read.attitude), attitude);
    assert_eq!(uuid::Uuid::from(read.id), id);
    assert_eq!(half::f16::from(read.weight), weight);
    assert_eq!(DateTime::<Utc>::from(read.time), time);
    assert!(Vector3::SCHEMA_JSON.contains(r#""name":"x","offset":0"#));
}

#[derive(
    Clone, Copy, Debug, PartialEq, bytemuck::NoUninit, bytemuck::CheckedBitPattern, bytemuck::Zeroable,
)]
#[repr(C)]
struct Mixed {
    stamp: Timestamp,
    list: ShmVec<f32, 3>,
    text: ShmString<6>,
    _pad: Pad<2>,
    some: ShmOption<u32>,
    _end: Pad<4>,
}

#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable, ShmMessage)]
#[repr(C)]
struct Plain {
    stamp: Timestamp,
    value: u32,
    _pad: Pad<4>,
}

#[test]
fn inline_types_have_the_traits_of_bytemuck() {
    let plain = Plain { stamp: Timestamp::from_nanos(1), value: 2, _pad: Pad::new() };
    assert_eq!(bytemuck::bytes_of(&plain), message::as_bytes(&plain));
    let list = ShmVec::try_from(&[1.0, 2.0][..]).unwrap();
    let text = ShmString::new("text").unwrap();
    let (stamp, some) = (Timestamp::from_nanos(1), ShmOption::some(7));
    let mixed = Mixed { stamp, list, text, _pad: Pad::new(), some, _end: Pad::new() };
    let mut bytes = bytemuck::bytes_of(&mixed).to_vec();
    assert_eq!(bytemuck::checked::pod_read_unaligned::<Mixed>(&bytes), mixed);
    bytes[8] = 9;
    assert!(bytemuck::checked::try_pod_read_unaligned::<Mixed>(&bytes).is_err());
}

#[cfg(feature = "zerocopy")]
#[test]
fn inline_types_have_the_traits_of_zerocopy() {
    use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

    #[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, ShmMessage)]
    #[repr(C)]
    struct Plain {
        stamp: Timestamp,
        value: u32,
        _pad: Pad<4>,
    }

    #[derive(IntoBytes, Immutable, KnownLayout, ShmMessage)]
    #[repr(C)]
    struct Mixed {
        list: ShmVec<f32, 2>,
        some: ShmOption<u32>,
        text: ShmString<8>,
    }

    let plain = Plain { stamp: Timestamp::from_nanos(1), value: 2, _pad: Pad::new() };
    assert_eq!(Plain::read_from_bytes(plain.as_bytes()).unwrap().value, 2);
    let mixed = Mixed { list: ShmVec::new(), some: ShmOption::none(), text: ShmString::empty() };
    assert_eq!(mixed.as_bytes(), message::as_bytes(&mixed));
}
