//! The bound of an encoded message holds for every value, is reached where values can reach it, and sizes
//! the slots of a channel.

use serde::Serialize;
use shmcomm::codec::{Msgpack, Pickle, msgpack, pickle};
use shmcomm::{Pad, ShmMessage, ShmOption, ShmString, ShmVec, Timestamp, channel, message};
use shmcomm_tests::canon::Rng;
use shmcomm_tests::namespace;

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage, Serialize, serde::Deserialize)]
#[repr(u8)]
enum Mode {
    Idle,
    Calibrating = 7,
    Run,
}

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage, Serialize, serde::Deserialize)]
#[repr(C)]
struct Joint {
    position: f64,
    id: u32,
    x: i16,
    mode: Mode,
    ok: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage, Serialize)]
#[repr(C)]
struct Pair(u64, i64);

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage, Serialize)]
#[repr(transparent)]
struct Wrapped(u64);

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage, Serialize)]
#[repr(C)]
struct Arm {
    stamp: Timestamp,
    joints: [Joint; 7],
    pair: Pair,
    wrapped: Wrapped,
    more: ShmVec<Joint, 40>,
    last: ShmOption<Joint>,
    letter: char,
    small: [f32; 3],
    byte: u8,
    signed: i8,
    word: u16,
    int: i32,
    a_name_of_a_field_that_is_longer_than_thirty_one_bytes: u32,
    text: ShmString<300>,
    bytes: ShmVec<u8, 40>,
    _pad: Pad<4>,
}

fn int(rng: &mut Rng) -> u64 {
    match rng.below(4) {
        0 => [0, 1, u64::MAX, i64::MAX as u64, i64::MIN as u64, 0x8000_0000, 0xffff_ffff, 0x7fff]
            [rng.below(8) as usize],
        _ => {
            let shift = rng.below(64);
            rng.draw() >> shift
        }
    }
}

fn joint(rng: &mut Rng) -> Joint {
    Joint {
        position: f64::from_bits(rng.draw()),
        id: int(rng) as u32,
        x: int(rng) as i16,
        mode: [Mode::Idle, Mode::Calibrating, Mode::Run][rng.below(3) as usize],
        ok: rng.below(2) == 0,
    }
}

fn text<const N: usize>(rng: &mut Rng) -> ShmString<N> {
    let mut text = ShmString::empty();
    while rng.below(400) > 0 && text.push(['x', 'ß', '語', '🦀'][rng.below(4) as usize]).is_ok() {}
    text
}

fn arm(rng: &mut Rng) -> Arm {
    let mut more = ShmVec::new();
    for _ in 0..rng.below(41) {
        more.push(joint(rng)).unwrap();
    }
    let mut bytes = ShmVec::new();
    for _ in 0..rng.below(41) {
        bytes.push(rng.draw() as u8).unwrap();
    }
    Arm {
        stamp: Timestamp::from_nanos(int(rng) as i64),
        joints: [(); 7].map(|()| joint(rng)),
        pair: Pair(int(rng), int(rng) as i64),
        wrapped: Wrapped(int(rng)),
        more,
        last: (rng.below(2) == 0).then(|| joint(rng)).into(),
        letter: ['a', '\u{7ff}', '語', '\u{10ffff}'][rng.below(4) as usize],
        small: [f32::MAX, rng.draw() as f32, f32::NAN],
        byte: int(rng) as u8,
        signed: int(rng) as i8,
        word: int(rng) as u16,
        int: int(rng) as i32,
        a_name_of_a_field_that_is_longer_than_thirty_one_bytes: int(rng) as u32,
        text: text(rng),
        bytes,
        _pad: Pad::new(),
    }
}

#[test]
fn no_value_gets_longer_than_the_bound() {
    let bounds = [Msgpack::max_size::<Arm>().unwrap(), Pickle::max_size::<Arm>().unwrap()];
    let mut rng = Rng(0x10e5);
    let mut most = [0; 2];
    for _ in 0..20_000 {
        let arm = arm(&mut rng);
        let sizes = [msgpack::to_vec(&arm).unwrap().len(), pickle::to_vec(&arm).unwrap().len()];
        for i in 0..2 {
            assert!(sizes[i] <= bounds[i], "{sizes:?} of at most {bounds:?}: {arm:?}");
            most[i] = most[i].max(sizes[i]);
        }
    }
    eprintln!("at most {bounds:?}, seen {most:?}");
    // A bound that nothing comes near would waste memory.
    assert!((0..2).all(|i| most[i] * 2 > bounds[i]), "{most:?} of {bounds:?}");
}

/// The bound is what the longest value takes.
#[track_caller]
fn reached<M: ShmMessage + Serialize>(longest: &[M]) {
    let size = |encoded: fn(&M) -> usize| longest.iter().map(encoded).max();
    let packed = size(|value| msgpack::to_vec(value).unwrap().len());
    let pickled = size(|value| pickle::to_vec(value).unwrap().len());
    assert_eq!((packed, pickled), (Msgpack::max_size::<M>(), Pickle::max_size::<M>()));
}

#[test]
fn the_bound_is_reached() {
    reached(&[u8::MAX]);
    reached(&[u16::MAX]);
    reached(&[u32::MAX]);
    reached(&[u64::MAX]);
    reached(&[i8::MIN, i8::MAX]);
    reached(&[i16::MIN, i16::MAX]);
    reached(&[i32::MIN, i32::MAX]);
    reached(&[i64::MIN, i64::MAX]);
    reached(&[f32::MIN]);
    reached(&[f64::NAN]);
    reached(&[true]);
    reached(&['🦀']);
    reached(&[Timestamp::from_nanos(i64::MIN)]);
    reached(&[Mode::Idle, Mode::Calibrating, Mode::Run]);
    reached(&[Joint { position: 1.0, id: u32::MAX, x: i16::MIN, mode: Mode::Calibrating, ok: true }]);
    reached(&[ShmOption::from(None), ShmOption::from(Some(u64::MAX))]);
    // Around the lengths at which a longer head is needed.
    reached(&[ShmString::<31>::new(&"x".repeat(31)).unwrap()]);
    reached(&[ShmString::<32>::new(&"x".repeat(32)).unwrap()]);
    reached(&[ShmString::<255>::new(&"x".repeat(255)).unwrap()]);
    reached(&[ShmString::<256>::new(&"x".repeat(256)).unwrap()]);
    reached(&[ShmString::<65535>::new(&"x".repeat(65535)).unwrap()]);
    reached(&[ShmString::<65536>::new(&"x".repeat(65536)).unwrap()]);
    reached(&[[u64::MAX; 15]]);
    reached(&[[u64::MAX; 16]]);
    reached(&[full::<15>()]);
    reached(&[full::<16>()]);
    reached(&[full::<65535>()]);
    reached(&[full::<65536>()]);
}

fn full<const N: usize>() -> ShmVec<u32, N> {
    let mut items = ShmVec::new();
    while items.push(u32::MAX).is_ok() {}
    items
}

#[derive(ShmMessage, Serialize)]
#[repr(C)]
struct Renamed {
    #[serde(rename = "a much longer name than that of the field")]
    x: f64,
}

#[derive(ShmMessage, Serialize)]
#[repr(C)]
struct RenamedForUs {
    #[shm(rename = "x")]
    much_longer: f64,
}

#[derive(ShmMessage, Serialize)]
#[repr(u8)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Loud {
    SoLoud,
}

#[test]
fn what_serde_encodes_otherwise_has_no_bound() {
    assert_eq!(Msgpack::max_size::<Renamed>(), None);
    assert_eq!(Pickle::max_size::<RenamedForUs>(), None);
    assert_eq!(Msgpack::max_size::<Loud>(), None);
    assert_eq!(Pickle::max_size::<[Renamed; 2]>(), None);
    assert_eq!(Msgpack::max_size::<ShmVec<Loud, 2>>(), None);
    assert_eq!(Msgpack::max_size::<ShmOption<Renamed>>(), None);
}

channel! {
    Joints: PubSub<Joint, Msgpack> { name: "joints", slots: 4 }
    Moves: PushPull<Joint, Pickle> { name: "moves", slots: 4 }
    Ask: ReqRep<u8, Joint, Msgpack> { name: "ask" }
    ToPython: PubSub<Joint, Pickle> { name: "joints", wire: Python }
    ManyToPython: PubSub<[[f64; 32]; 32], Pickle> { name: "many", wire: Python }
}

#[test]
fn slots_are_as_large_as_the_longest_message() {
    assert_eq!(Joints::SLOT_SIZE, Msgpack::max_size::<Joint>().unwrap());
    assert_eq!(Moves::SLOT_SIZE, Pickle::max_size::<Joint>().unwrap());
    assert_eq!(Ask::SLOT_SIZE, Msgpack::max_size::<Joint>().unwrap());
    // Python's own default, while that is enough.
    assert_eq!(ToPython::SLOT_SIZE, 4096);
    assert_eq!(ManyToPython::SLOT_SIZE, 4 + Pickle::max_size::<[[f64; 32]; 32]>().unwrap());

    let ns = namespace("longest");
    let mut publisher = Joints::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = Joints::open().namespace(&*ns).subscriber().unwrap();
    let longest = Joint { position: 1.0, id: u32::MAX, x: i16::MIN, mode: Mode::Calibrating, ok: true };
    publisher.send(&longest).unwrap();
    let received = subscriber.recv().unwrap();
    assert_eq!(message::as_bytes(&received), message::as_bytes(&longest));
}
