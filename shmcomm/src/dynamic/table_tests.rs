//! Tables without types beside typed ends, within one process.

use super::{Declaration, DynError, DynPublisher, DynTableReader, DynTableWriter, describe};
use crate::schema::{Layout, Value};
use crate::{AnyKey, ErrorKind, LoadError, Timestamp, WaitSet, channel};
use std::time::Duration;

channel! { Robot: Table { name: "robot", battery: f32, pose: [f64; 3], armed: bool } }
channel! { Shared: Table { name: "shared", writers: Many, alarm: u32 } }

fn namespace(test: &str) -> String {
    format!("dyn-table-{}-{test}", std::process::id())
}

fn declared() -> Declaration {
    Declaration::table([
        ("battery", Layout::of::<f32>()),
        ("pose", Layout::of::<[f64; 3]>()),
        ("armed", Layout::of::<bool>()),
    ])
}

#[test]
fn dynamic_ends_read_and_write_a_typed_table() {
    let ns = namespace("typed");
    let mut battery = Robot::open().namespace(&ns).writer(Robot::BATTERY).unwrap();
    battery.store(&0.5).unwrap();
    let mut robot = DynTableReader::open(battery.name()).unwrap();
    let latest = robot.load(0).unwrap().unwrap();
    assert_eq!((latest.version(), latest.view().as_f64()), (1, Some(0.5)));
    assert!(robot.load(1).unwrap().is_none());

    let mut pose = DynTableWriter::open(battery.name(), "pose").unwrap();
    assert_eq!(pose.store(&Value::from(vec![1.0, 2.0, 3.0])).unwrap(), 1);
    let mut typed = Robot::open().namespace(&ns).reader().unwrap();
    assert_eq!(typed.load(Robot::POSE).unwrap().unwrap().value, [1.0, 2.0, 3.0]);
    let set = robot.load_set(&[1, 0]).unwrap();
    let shown: Vec<_> = set.iter().map(|value| value.unwrap().view().to_string()).collect();
    assert_eq!(shown, ["[1.0,2.0,3.0]", "0.5"]);
}

#[test]
fn stored_time_is_that_of_the_program() {
    let name = format!("{}/robot", namespace("times"));
    let mut battery = DynTableWriter::create(&name, &declared(), "battery").unwrap();
    let mut robot = DynTableReader::open(&name).unwrap();
    let (early, later) = (Timestamp::from_nanos(-7), Timestamp::from_nanos(1_764_000_000_000_000_001));
    assert_eq!(battery.store_at(&Value::from(0.5), later).unwrap(), 1);
    assert_eq!(
        robot.load(0).unwrap().map(|latest| (latest.view().as_f64(), latest.time())),
        Some((Some(0.5), later))
    );
    // No time is compared with another one.
    assert_eq!(battery.store_bytes_at(&0.25_f32.to_ne_bytes(), early).unwrap(), 2);
    assert_eq!(robot.load(0).unwrap().map(|latest| (latest.version(), latest.time())), Some((2, early)));
    assert!(matches!(battery.store_at(&Value::from("full"), later), Err(DynError::Encode(_))));
    assert!(matches!(battery.store_bytes_at(&[1], later), Err(DynError::Value(_))));
    assert_eq!(battery.version(), 2);
}

#[test]
fn declared_table_is_that_of_the_macro() {
    let ns = namespace("declared");
    let name = format!("{ns}/robot");
    let mut battery = DynTableWriter::create(&name, &declared(), "battery").unwrap();
    battery.store(&Value::from(0.25)).unwrap();
    let mut typed = Robot::open().namespace(&ns).reader().unwrap();
    assert_eq!(typed.load(Robot::BATTERY).unwrap().unwrap().value, 0.25);
    let mut pose = Robot::open().namespace(&ns).writer(Robot::POSE).unwrap();
    pose.store(&[0.0; 3]).unwrap();
    let found = describe(&name).unwrap().unwrap();
    assert_eq!(Declaration::from(&found).keys(), declared().keys());
}

#[test]
fn wrong_keys_and_values_are_refused() {
    let ns = namespace("wrong");
    let name = format!("{ns}/robot");
    let mut armed = DynTableWriter::create(&name, &declared(), "armed").unwrap();
    let error = DynTableWriter::open(&name, "mode").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TypeMismatch);
    assert!(error.to_string().contains("no key `mode`; its keys are `battery`, `pose`, `armed`"), "{error}");
    let error = DynTableWriter::open(&name, "armed").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyPublished);
    assert!(matches!(armed.store(&Value::from("yes")), Err(DynError::Encode(_))));
    assert!(matches!(armed.store_bytes(&[2]), Err(DynError::Value(_))));
    assert!(matches!(armed.store_bytes(&[1, 1]), Err(DynError::Value(_))));
    assert_eq!(armed.version(), 0);

    let other = Declaration::table([("battery", Layout::of::<f64>())]);
    let error = DynTableWriter::create(&name, &other, "battery").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TypeMismatch);
    let mut robot = DynTableReader::open(&name).unwrap();
    let error = robot.load(3).unwrap_err().to_string();
    assert_eq!(error, "the table has no key with the index 3; it has 3 keys");
    assert!(robot.load_set(&[0, 7]).is_err() && robot.changed(&[9]).is_err() && robot.changes(&[3]).is_err());
    assert_eq!(robot.version(3), 0);
    assert_eq!(robot.writers(2).len(), 1);
    let error = DynPublisher::create(&name, &declared()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ChannelMismatch);
}

#[test]
fn declarations_that_are_no_table_are_refused() {
    let name = format!("{}/robot", namespace("refused"));
    let refused = |declaration: &Declaration, why: &str| {
        let error = DynTableWriter::create(&name, declaration, "a").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidGeometry);
        assert!(error.to_string().contains(why), "{error}");
    };
    let byte = Layout::of::<u8>;
    refused(&Declaration::table::<&str>([]), "at least one key");
    refused(&Declaration::table([("a", byte()), ("a", byte())]), "key `a` is declared twice");
    refused(&Declaration::table([("a", byte()), ("", byte())]), "key 1 has an empty name");
    let size = usize::MAX / 4;
    let text = format!(r#"{{"size":{size},"len":{size},"item":{{"size":1,"type":"|u1"}}}}"#);
    if let Ok(mut large) = Layout::parse(&text) {
        let large = large.remove(0);
        refused(&Declaration::table([("a", large.clone()), ("b", large)]), "a table takes at most");
    }
}

#[test]
fn wait_is_for_the_given_keys() {
    let ns = namespace("wait");
    let mut battery = Robot::open().namespace(&ns).writer(Robot::BATTERY).unwrap();
    let mut pose = Robot::open().namespace(&ns).writer(Robot::POSE).unwrap();
    let mut robot = DynTableReader::open(battery.name()).unwrap();
    let soon = Duration::from_millis(20);
    assert!(matches!(robot.wait_timeout(&[], soon), Err(DynError::Timeout)));
    battery.store(&1.0).unwrap();
    assert!(matches!(robot.wait_timeout(&[1, 2], soon), Err(DynError::Timeout)));
    robot.wait(&[2, 0]).unwrap();
    robot.wait(&[]).unwrap();
    assert_eq!(robot.changed(&[]).unwrap(), [0]);
    let mut set = WaitSet::new();
    set.add("pose", &robot.changes(&[1, 2]).unwrap()).unwrap();
    assert!(set.try_wait().unwrap().is_empty());
    set.add("any", &robot).unwrap();
    let ready = |set: &mut WaitSet<_>| set.wait().unwrap().into_iter().map(|one| one.key).collect::<Vec<_>>();
    assert_eq!(ready(&mut set), ["any"]);
    robot.load(0).unwrap();
    pose.store(&[1.0; 3]).unwrap();
    let mut found = ready(&mut set);
    found.sort_unstable();
    assert_eq!(found, ["any", "pose"]);
    robot.load_set(&[1]).unwrap();
    assert!(robot.changed(&[0, 1, 2]).unwrap().is_empty());
    robot.stop_handle().stop();
    assert!(matches!(robot.wait(&[]), Err(DynError::Stopped)));
}

#[test]
fn reader_follows_a_new_segment_with_the_same_keys() {
    let ns = namespace("follow");
    let mut first = Robot::open().namespace(&ns).writer(Robot::BATTERY).unwrap();
    let name = first.name().to_owned();
    first.store(&1.0).unwrap();
    let mut robot = DynTableReader::open_timeout(&name, Duration::from_secs(1)).unwrap();
    assert_eq!(robot.load(0).unwrap().unwrap().view().as_f64(), Some(1.0));
    drop(first);
    assert_eq!(robot.load(0).unwrap().unwrap().view().as_f64(), Some(1.0));
    let mut second = DynTableWriter::create(&name, &declared(), "battery").unwrap();
    second.store(&Value::from(2.0)).unwrap();
    robot.wait(&[0]).unwrap();
    assert_eq!(robot.load(0).unwrap().unwrap().view().as_f64(), Some(2.0));
    drop(second);
    let other = Declaration::table([("battery", Layout::of::<f64>())]);
    let _third = DynTableWriter::create(&name, &other, "battery").unwrap();
    assert!(matches!(robot.wait_timeout(&[0], Duration::from_millis(120)), Err(DynError::Timeout)));
    assert_eq!(robot.follow_error().map(crate::Error::kind), Some(ErrorKind::TypeMismatch));
}

#[test]
fn several_dynamic_writers_store_a_shared_key() {
    let ns = namespace("shared");
    let mut typed = Shared::open().namespace(&ns).writer(Shared::ALARM).unwrap();
    let mut first = DynTableWriter::open(typed.name(), "alarm").unwrap();
    let keys = [("alarm", Layout::of::<u32>())];
    let error = DynTableWriter::create(typed.name(), &Declaration::table(keys.clone()), "alarm").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ChannelMismatch);
    let declaration = Declaration::table(keys).many_writers(true);
    let mut second = DynTableWriter::create(typed.name(), &declaration, "alarm").unwrap();
    assert_eq!(typed.store(&1).unwrap(), 1);
    assert_eq!(first.store(&Value::from(2)).unwrap(), 2);
    assert_eq!(second.store(&Value::from(3)).unwrap(), 3);
    let mut reader = Shared::open().namespace(&ns).reader().unwrap();
    assert!(reader.has_changed(AnyKey));
    assert_eq!(reader.load(Shared::ALARM).unwrap().unwrap().value, 3);
    let mut found = DynTableReader::open(typed.name()).unwrap();
    assert_eq!(found.writers(0).len(), 3);
    assert_eq!(found.load(0).unwrap().unwrap().version(), 3);
}

#[test]
fn errors_of_loads_keep_their_type() {
    let busy = DynError::from(LoadError::Busy { attempts: 3 });
    let DynError::Other(source) = &busy else { panic!("{busy:?}") };
    assert_eq!(source.downcast_ref(), Some(&LoadError::Busy { attempts: 3 }));
}
