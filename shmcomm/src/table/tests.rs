//! Tables within one process: typed ends, sets, ownership, refusals and the move to a new segment.

use super::{LoadError, StoreError};
use crate::{ErrorKind, ShmMessage, ShmString, channel};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[repr(u8)]
enum Mode {
    Idle = 1,
    Driving = 2,
}

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[repr(C)]
struct Battery {
    volts: f32,
    percent: u32,
}

channel! {
    /// State of a robot.
    Robot: Table {
        name: "robot/state",
        /// Charge of the main battery.
        battery: Battery,
        mode: Mode,
        pose: [f64; 3],
        label: ShmString<20>,
    }
    Numbered: Table { name: "robot/{id}/state", mode: Mode }
    Big: Table { name: "robot/big", first: [u64; 4096], second: [u64; 3] }
}

// Declarations of other programs.
channel! { Other: Table { name: "robot/state", battery: Battery, mode: Mode, pose: [f32; 3], label: ShmString<20> } }
channel! { Fewer: Table { name: "robot/state", battery: Battery } }

fn namespace(test: &str) -> String {
    format!("table-{}-{test}", std::process::id())
}

#[test]
fn reader_loads_what_writers_stored() {
    let ns = namespace("values");
    let open = || Robot::open().namespace(&ns);
    let mut battery = open().writer(Robot::BATTERY).unwrap();
    let mut reader = open().reader().unwrap();
    assert_eq!(reader.load(Robot::BATTERY), Ok(None));
    assert_eq!((reader.version(Robot::BATTERY), reader.is_written(Robot::MODE)), (0, false));
    let before = crate::Timestamp::now();
    for percent in 1..=3 {
        assert_eq!(battery.store(&Battery { volts: 12.5, percent }), Ok(u64::from(percent)));
        let found = reader.load(Robot::BATTERY).unwrap().unwrap();
        assert_eq!((found.value, found.version), (Battery { volts: 12.5, percent }, u64::from(percent)));
        assert!(found.time >= before);
    }
    let mut mode = open().writer(Robot::MODE).unwrap();
    mode.store(&Mode::Driving).unwrap();
    let (mode, pose, battery) = reader.load_set((Robot::MODE, Robot::POSE, Robot::BATTERY)).unwrap();
    assert_eq!((mode.unwrap().value, pose), (Mode::Driving, None));
    assert_eq!(battery.unwrap().version, 3);
    assert!(reader.is_written(Robot::MODE) && reader.is_written(Robot::BATTERY));
    assert_eq!((Robot::NAME, Robot::LABEL.name()), ("robot/state", "label"));
}

#[test]
fn store_at_keeps_the_time_of_the_caller() {
    let ns = namespace("store-at");
    let mut mode = Robot::open().namespace(&ns).writer(Robot::MODE).unwrap();
    let mut reader = Robot::open().namespace(&ns).reader().unwrap();
    for (version, nanos) in (1..).zip([7, -1, i64::MAX, i64::MIN, 0]) {
        let time = crate::Timestamp::from_nanos(nanos);
        assert_eq!(mode.store_at(&Mode::Idle, time), Ok(version));
        let found = reader.load(Robot::MODE).unwrap().unwrap();
        assert_eq!((found.version, found.time), (version, time));
    }
}

#[test]
fn load_gives_values_of_every_size() {
    let ns = namespace("sizes");
    let mut first = Big::open().namespace(&ns).writer(Big::FIRST).unwrap();
    let mut second = Big::open().namespace(&ns).writer(Big::SECOND).unwrap();
    let mut reader = Big::open().namespace(&ns).reader().unwrap();
    assert_eq!((reader.load(Big::FIRST), reader.load(Big::SECOND)), (Ok(None), Ok(None)));
    for version in 1..=3 {
        first.store(&[version; 4096]).unwrap();
        second.store(&[version, 0, !version]).unwrap();
        let (large, small) = (reader.load(Big::FIRST).unwrap(), reader.load(Big::SECOND).unwrap());
        let (large, small) = (large.unwrap(), small.unwrap());
        assert_eq!((large.value, large.version), ([version; 4096], version));
        assert_eq!((small.value, small.version), ([version, 0, !version], version));
        assert!(!reader.has_changed(crate::AnyKey));
    }
}

#[test]
fn second_writer_of_a_key_is_refused_with_the_process() {
    let ns = namespace("owner");
    let mut first = Robot::open().namespace(&ns).writer(Robot::MODE).unwrap();
    first.store(&Mode::Idle).unwrap();
    let error = Robot::open().namespace(&ns).writer(Robot::MODE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyPublished);
    let text = error.to_string();
    assert!(
        text.contains("key `mode`") && text.contains(&format!("process {}", std::process::id())),
        "{text}"
    );
    let _other_key = Robot::open().namespace(&ns).writer(Robot::POSE).unwrap();
    drop(first);
    let mut next = Robot::open().namespace(&ns).writer(Robot::MODE).unwrap();
    assert_eq!((next.version(), next.store(&Mode::Driving)), (1, Ok(2)));
}

#[test]
fn other_keys_are_refused_by_name() {
    let ns = namespace("layout");
    let _writer = Robot::open().namespace(&ns).writer(Robot::MODE).unwrap();
    let error = Other::open().namespace(&ns).writer(Other::MODE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TypeMismatch);
    assert!(error.to_string().contains("`pose`"), "{error}");
    let error = Other::open().namespace(&ns).reader().unwrap_err();
    assert!(error.kind() == ErrorKind::TypeMismatch && error.to_string().contains("`pose`"), "{error}");
    let error = Fewer::open().namespace(&ns).reader().unwrap_err();
    assert!(error.kind() == ErrorKind::TypeMismatch && error.to_string().contains("`mode`"), "{error}");
}

#[test]
fn abandoned_table_of_another_layout_is_replaced() {
    let ns = namespace("replaced");
    let mut old = Other::open().namespace(&ns).writer(Other::MODE).unwrap();
    old.store(&Mode::Idle).unwrap();
    let mut reader = Other::open().namespace(&ns).reader().unwrap();
    old.abandon();
    let mut new = Robot::open().namespace(&ns).writer(Robot::MODE).unwrap();
    new.store(&Mode::Driving).unwrap();
    let mut robot = Robot::open().namespace(&ns).reader().unwrap();
    assert_eq!(robot.load(Robot::MODE).unwrap().unwrap().value, Mode::Driving);
    // The old reader keeps its last values, and says why it does not follow.
    assert_eq!(reader.load(Other::MODE).unwrap().unwrap().value, Mode::Idle);
    assert_eq!(reader.follow_error().unwrap().kind(), ErrorKind::TypeMismatch);
}

#[test]
fn dead_writer_leaves_its_value_to_the_next_one() {
    let ns = namespace("adopted");
    let mut first = Robot::open().namespace(&ns).writer(Robot::MODE).unwrap();
    first.store(&Mode::Idle).unwrap();
    let mut reader = Robot::open().namespace(&ns).reader().unwrap();
    first.abandon();
    assert!(!reader.is_written(Robot::MODE));
    assert_eq!(reader.load(Robot::MODE).unwrap().unwrap().value, Mode::Idle);
    let mut next = Robot::open().namespace(&ns).writer(Robot::MODE).unwrap();
    assert_eq!(next.store(&Mode::Driving), Ok(2));
    assert_eq!(reader.load(Robot::MODE).unwrap().unwrap().value, Mode::Driving);
}

#[test]
fn reader_keeps_values_and_follows_to_a_new_segment() {
    let ns = namespace("follow");
    let mut first = Robot::open().namespace(&ns).writer(Robot::MODE).unwrap();
    first.store(&Mode::Idle).unwrap();
    let mut reader = Robot::open().namespace(&ns).reader().unwrap();
    drop(first);
    assert_eq!(crate::find_segment(&format!("{ns}/robot/state")).unwrap().map(|info| info.channel), None);
    for _ in 0..3 {
        assert_eq!(reader.load(Robot::MODE).unwrap().unwrap().version, 1);
        std::thread::sleep(Duration::from_millis(2));
    }
    let mut next = Robot::open().namespace(&ns).writer(Robot::MODE).unwrap();
    std::thread::sleep(Duration::from_millis(2));
    assert_eq!(reader.load(Robot::MODE), Ok(None));
    next.store(&Mode::Driving).unwrap();
    assert_eq!(reader.load(Robot::MODE).unwrap().unwrap().value, Mode::Driving);
}

#[test]
fn reader_waits_for_the_table() {
    let ns = namespace("wait");
    let error = Robot::open().namespace(&ns).connect_timeout(Duration::ZERO).reader().unwrap_err();
    assert!(error.kind() == ErrorKind::NotFound && error.to_string().contains("writer"), "{error}");
    std::thread::scope(|scope| {
        let reader =
            scope.spawn(|| Robot::open().namespace(&ns).reader().map(|reader| reader.name().to_owned()));
        std::thread::sleep(Duration::from_millis(20));
        let _writer = Robot::open().namespace(&ns).writer(Robot::MODE).unwrap();
        assert_eq!(reader.join().unwrap().unwrap(), format!("{ns}/robot/state"));
    });
}

#[test]
fn name_with_a_parameter_opens_several_tables() {
    let ns = namespace("numbered");
    let writers = [1, 2].map(|id| {
        let mut writer = Numbered::instance(id).namespace(&ns).writer(Numbered::MODE).unwrap();
        writer.store(if id == 1 { &Mode::Idle } else { &Mode::Driving }).unwrap();
        writer
    });
    for (id, mode) in [(1, Mode::Idle), (2, Mode::Driving)] {
        let mut reader = Numbered::instance(id).namespace(&ns).reader().unwrap();
        assert_eq!(reader.load(Numbered::MODE).unwrap().unwrap().value, mode);
    }
    drop(writers);
}

#[test]
fn large_values_are_loaded_whole() {
    let ns = namespace("large");
    let mut first = Big::open().namespace(&ns).writer(Big::FIRST).unwrap();
    let mut second = Big::open().namespace(&ns).writer(Big::SECOND).unwrap();
    let mut reader = Big::open().namespace(&ns).reader().unwrap();
    for number in 1..10 {
        first.store(&[number; 4096]).unwrap();
        second.store(&[number; 3]).unwrap();
        let (first, second) = reader.load_set((Big::FIRST, Big::SECOND)).unwrap();
        assert_eq!((first.unwrap().value, second.unwrap().value), ([number; 4096], [number; 3]));
    }
}

#[test]
fn settings_of_other_patterns_do_not_change_a_table() {
    let ns = namespace("settings");
    let mut writer = Robot::open().namespace(&ns).slots(4).seats(2).writer(Robot::MODE).unwrap();
    writer.store(&Mode::Idle).unwrap();
    let mut reader = Robot::open().namespace(&ns).slot_size(9).reader().unwrap();
    assert_eq!(reader.load(Robot::MODE).unwrap().unwrap().value, Mode::Idle);
}

#[test]
fn errors_say_what_to_do() {
    let busy = LoadError::Busy { attempts: 64 }.to_string();
    assert!(busy.contains("64 attempts") && busy.contains("load again"), "{busy}");
    assert!(StoreError::Forked.to_string().contains("open the channel again"));
}
