//! Tests of resolution: derived types of two versions, generated pairs of layouts, hostile layouts and bytes.

use super::Rules;
use super::rules::{self, Rule};
use crate::message::{Prim, Std, to_bytes};
use crate::schema::tests::{ROUNDS, fill, generate, random};
use crate::schema::{Layout, Plan, Value};
use crate::schema::{LayoutField, LayoutKind};
use crate::{Pad, ShmMessage, ShmOption, ShmString, ShmVec, message};
use core::num::NonZero;

/// Converts `message` to an `R`, as a reader of a segment does.
fn convert<W: ShmMessage, R: ShmMessage>(message: &W) -> R {
    let plan = Plan::of::<R>(&Layout::of::<W>()).unwrap();
    message::read(&plan.convert(&to_bytes(message)).unwrap()).unwrap()
}

fn refused<W: ShmMessage, R: ShmMessage>() -> String {
    Plan::of::<R>(&Layout::of::<W>()).expect_err("a refusal").to_string()
}

fn five() -> u32 {
    5
}

mod v1 {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
    #[repr(u8)]
    pub enum Mode {
        Idle = 1,
        Drive = 2,
        Charge = 3,
    }

    #[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
    #[repr(u8)]
    pub enum Command {
        Stop = 0,
        Move { speed: f32 } = 1,
        Beep(u8) = 2,
    }

    #[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
    #[repr(C)]
    pub struct Point {
        pub x: f32,
        pub y: f32,
    }

    #[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
    #[repr(C)]
    pub struct State {
        pub number: u32,
        pub crc: u32,
        pub pose: Point,
        pub joints: [i16; 4],
        pub frame: ShmString<12>,
        pub path: ShmVec<Point, 2>,
        pub target: ShmOption<u16>,
        pub mode: Mode,
        pub level: u8,
        pub command: Command,
    }
}

mod v2 {
    use super::*;

    #[derive(Clone, Copy, Debug, Default, PartialEq, ShmMessage)]
    #[repr(u16)]
    pub enum Mode {
        Drive = 7,
        #[shm(alias = "Idle")]
        Rest = 9,
        #[default]
        #[shm(other)]
        Unknown = 0,
    }

    #[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
    #[repr(C, u8)]
    pub enum Command {
        Move {
            #[shm(default = "1.5")]
            seconds: f64,
            speed: f64,
        } = 7,
        #[shm(alias = "Stop")]
        Halt,
        #[shm(other)]
        Unknown,
    }

    #[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
    #[repr(C)]
    pub struct Point {
        pub y: f64,
        pub x: f64,
        #[shm(default)]
        pub z: f64,
    }

    #[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
    #[repr(C)]
    pub struct State {
        pub path: ShmVec<Point, 3>,
        pub pose: Point,
        pub command: Command,
        #[shm(alias = "number")]
        pub sequence: u64,
        pub joints: [i32; 4],
        pub target: ShmOption<u32>,
        #[shm(default = "five()")]
        pub battery: u32,
        pub level: f32,
        pub frame: ShmString<16>,
        pub mode: Mode,
        pub _pad: Pad<6>,
    }
}

#[test]
fn derived_type_reads_its_earlier_version() {
    let before = v1::State {
        number: 3,
        crc: 99,
        pose: v1::Point { x: 1.0, y: 2.0 },
        joints: [1, -2, 3, i16::MIN],
        frame: ShmString::new("map").unwrap(),
        path: ShmVec::try_from([v1::Point { x: 3.0, y: 4.0 }].as_slice()).unwrap(),
        target: ShmOption::some(8),
        mode: v1::Mode::Idle,
        level: 200,
        command: v1::Command::Move { speed: 0.5 },
    };
    let after: v2::State = convert(&before);
    let expected = v2::State {
        path: ShmVec::try_from([v2::Point { x: 3.0, y: 4.0, z: 0.0 }].as_slice()).unwrap(),
        pose: v2::Point { x: 1.0, y: 2.0, z: 0.0 },
        command: v2::Command::Move { seconds: 1.5, speed: 0.5 },
        sequence: 3,
        joints: [1, -2, 3, i32::from(i16::MIN)],
        target: ShmOption::some(8),
        battery: 5,
        level: 200.0,
        frame: ShmString::new("map").unwrap(),
        mode: v2::Mode::Rest,
        _pad: Pad::default(),
    };
    assert_eq!(after, expected);
    let plan = Plan::of::<v2::State>(&Layout::of::<v1::State>()).unwrap();
    let resolution = plan.resolution();
    assert_eq!(resolution.defaulted, ["path[].z", "pose.z", "command::Move.seconds", "battery"]);
    assert_eq!(resolution.ignored, ["crc"]);
    assert_eq!(resolution.renamed, ["command::Halt", "sequence", "mode::Rest"]);
    assert_eq!(resolution.other, ["command::Beep", "mode::Charge"]);
    assert!(
        resolution.widened.contains(&"joints[]".into()) && resolution.widened.contains(&"target?".into())
    );
    assert!(resolution.to_string().starts_with("defaulted `path[].z`, `pose.z`"), "{resolution}");
    assert!(!resolution.is_exact() && !plan.is_in_place());

    let charging = v1::State { mode: v1::Mode::Charge, command: v1::Command::Beep(3), ..before };
    let after: v2::State = convert(&charging);
    assert_eq!((after.mode, after.command), (v2::Mode::Unknown, v2::Command::Unknown));
    let stopped: v2::State = convert(&v1::State { command: v1::Command::Stop, ..before });
    assert_eq!(stopped.command, v2::Command::Halt);
}

#[test]
fn refusal_names_the_field_and_the_cure() {
    let text = refused::<v2::Point, v1::Point>();
    assert!(
        text.contains("field `x`: there `f64` at byte 8, here `f32` at byte 0, which does not hold"),
        "{text}"
    );
    let text = refused::<v1::State, v2::Point>();
    assert!(
        text.contains("field `y`: the writer has no field of this name; give it `#[shm(default)]`"),
        "{text}"
    );
    let text = refused::<v2::Mode, v1::Mode>();
    assert!(text.contains("variant `Rest`") && text.contains("#[shm(other)]"), "{text}");
    for text in [
        refused::<u64, i64>(),
        refused::<i8, u64>(),
        refused::<u32, f32>(),
        refused::<i64, f64>(),
        refused::<f32, u64>(),
        refused::<bool, u8>(),
        refused::<u32, char>(),
        refused::<[u8; 3], [u8; 4]>(),
        refused::<ShmString<9>, ShmString<8>>(),
        refused::<ShmVec<u8, 9>, ShmVec<u16, 8>>(),
        refused::<u32, NonZero<u32>>(),
        refused::<Option<NonZero<u32>>, u32>(),
        refused::<u32, ShmOption<u32>>(),
    ] {
        assert!(text.contains("there `") && text.contains("here `"), "{text}");
    }
}

#[test]
fn every_wider_number_holds_every_value() {
    fn check<W: ShmMessage + Copy, R: ShmMessage + PartialEq + core::fmt::Debug + From<W>>(values: &[W]) {
        for value in values {
            assert_eq!(convert::<W, R>(value), R::from(*value));
        }
    }
    let (u8s, i8s) = ([0, 1, u8::MAX], [i8::MIN, -1, i8::MAX]);
    let (u16s, i16s, u32s, i32s) = ([0, u16::MAX], [i16::MIN, i16::MAX], [0, u32::MAX], [i32::MIN, i32::MAX]);
    check::<u8, u16>(&u8s);
    check::<u8, u32>(&u8s);
    check::<u8, u64>(&u8s);
    check::<u8, i16>(&u8s);
    check::<u8, i64>(&u8s);
    check::<u8, f32>(&u8s);
    check::<u8, f64>(&u8s);
    check::<i8, i16>(&i8s);
    check::<i8, i64>(&i8s);
    check::<i8, f32>(&i8s);
    check::<u16, u32>(&u16s);
    check::<u16, i32>(&u16s);
    check::<u16, f32>(&u16s);
    check::<i16, i32>(&i16s);
    check::<i16, f32>(&i16s);
    check::<u32, u64>(&u32s);
    check::<u32, i64>(&u32s);
    check::<u32, f64>(&u32s);
    check::<u32, u128>(&u32s);
    check::<i32, i64>(&i32s);
    check::<i32, i128>(&i32s);
    check::<i32, f64>(&i32s);
    check::<u64, u128>(&[0, u64::MAX]);
    check::<f32, f64>(&[-0.0, f32::MAX, f32::MIN_POSITIVE, f32::INFINITY]);
    check::<NonZero<u8>, NonZero<u32>>(&[NonZero::<u8>::MAX]);
    check::<NonZero<u8>, u8>(&[NonZero::<u8>::MAX]);
}

#[test]
fn prefix_of_the_writer_is_readable_in_place() {
    #[derive(ShmMessage)]
    #[repr(C)]
    struct Long {
        number: u64,
        height: f32,
        width: f32,
        depth: u64,
    }
    #[derive(ShmMessage)]
    #[repr(C)]
    struct Short {
        number: u64,
        height: f32,
        _pad: Pad<4>,
    }
    #[derive(ShmMessage)]
    #[repr(C)]
    struct Moved {
        number: u64,
        width: f32,
        _pad: Pad<4>,
    }
    let long = Layout::of::<Long>();
    assert!(Plan::of::<Short>(&long).unwrap().is_in_place());
    assert!(!Plan::of::<Moved>(&long).unwrap().is_in_place());
    assert!(Plan::of::<Long>(&long).unwrap().is_in_place());
    assert!(Plan::of::<Long>(&Layout::of::<Short>()).is_err());
}

#[test]
fn invalid_bytes_of_the_writer_are_refused_by_name() {
    let plan = Plan::of::<v2::Mode>(&Layout::of::<v1::Mode>()).unwrap();
    assert_eq!(plan.convert(&[9]).unwrap_err().to_string(), "`Mode`: 9 is no variant of `Mode`");
    assert!(plan.convert(&[1, 1]).is_err() && plan.convert(&[]).is_err());
    let plan = Plan::of::<ShmString<8>>(&Layout::of::<ShmString<4>>()).unwrap();
    let mut bytes = to_bytes(&ShmString::<4>::new("abcd").unwrap());
    bytes[0] = 5;
    assert!(plan.convert(&bytes).unwrap_err().to_string().contains("length 5 exceeds capacity 4"));
    bytes[0] = 4;
    bytes[5] = 0xff;
    assert!(plan.convert(&bytes).is_err());
}

/// Returns a writer of which `reader` is an evolution, and the rules of the reader. Adds, removes, moves and renames
/// fields, and narrows types.
fn earlier(
    reader: &Layout,
    place: &str,
    rules: &mut Rules,
    random: &mut impl FnMut(usize) -> usize,
) -> Layout {
    let narrower = |prim: Prim, random: &mut dyn FnMut(usize) -> usize| {
        let all: Vec<_> = Prim::ALL.into_iter().filter(|of| super::build::holds(*of, prim)).collect();
        all[random(all.len())]
    };
    match reader.kind() {
        LayoutKind::Prim(prim) => {
            let prim = narrower(*prim, random);
            Layout::new(prim.size(), prim.size(), LayoutKind::Prim(prim))
        }
        LayoutKind::Std(Std::NonZero(prim)) => {
            let prim = narrower(*prim, random);
            Layout::new(prim.size(), prim.size(), LayoutKind::Std(Std::NonZero(prim)))
        }
        LayoutKind::Str { capacity } => {
            let capacity = random(capacity + 1);
            Layout::new(4 + capacity, 1, LayoutKind::Str { capacity })
        }
        LayoutKind::Array { item, len } => {
            let item = Box::new(earlier(item, &rules::items(place), rules, random));
            Layout::new(item.size() * len, item.align(), LayoutKind::Array { item, len: *len })
        }
        LayoutKind::List { item, capacity, .. } => {
            let item = Box::new(earlier(item, &rules::items(place), rules, random));
            let (capacity, offset) = (random(capacity + 1), item.align().max(4));
            let size = offset + item.size() * capacity;
            Layout::new(size, item.align(), LayoutKind::List { item, capacity, offset })
        }
        LayoutKind::Maybe { item, .. } => {
            let item = Box::new(earlier(item, &rules::inside(place), rules, random));
            let offset = item.align().max(4);
            Layout::new(offset + item.size(), item.align(), LayoutKind::Maybe { item, offset })
        }
        LayoutKind::Enum { name, prim, variants } => {
            let mut variants = variants.clone();
            let keep = 1 + random(variants.len());
            variants.truncate(keep);
            for variant in &mut variants {
                if random(3) == 0 {
                    let rule = Rule { aliases: vec![format!("{}-", variant.name)], ..Rule::default() };
                    rules.0.insert(rules::case(place, &variant.name), rule);
                    variant.name.push('-');
                }
            }
            let kind = LayoutKind::Enum { name: name.clone(), prim: *prim, variants };
            Layout::new(reader.size(), reader.align(), kind)
        }
        LayoutKind::Struct { name, fields } => {
            let mut theirs = Vec::new();
            for field in fields {
                let place = rules::field(place, &field.name);
                match random(4) {
                    0 => {
                        let mut default = vec![0; field.layout.size()];
                        field.layout.encode(&fill(&field.layout, random), &mut default).unwrap();
                        rules.0.insert(place, Rule { default: Some(default.into()), ..Rule::default() });
                    }
                    choice => {
                        let layout = earlier(&field.layout, &place, rules, random);
                        let mut name = field.name.clone();
                        if choice == 1 {
                            name.push('-');
                            let rule = Rule { aliases: vec!["-".into(), name.clone()], ..Rule::default() };
                            rules.0.insert(place, rule);
                        }
                        theirs.push((name, layout));
                    }
                }
            }
            for i in 0..random(3) {
                theirs.insert(random(theirs.len() + 1), (format!("extra{i}"), generate(random, 1)));
            }
            for i in (1..theirs.len()).rev() {
                theirs.swap(i, random(i + 1));
            }
            let (mut fields, mut end, mut align) = (Vec::new(), 0_usize, 1);
            for (name, layout) in theirs {
                let offset = end.next_multiple_of(layout.align());
                (end, align) = (offset + layout.size(), align.max(layout.align()));
                fields.push(LayoutField { name, offset, layout });
            }
            let kind = LayoutKind::Struct { name: name.clone(), fields };
            Layout::new(end.next_multiple_of(align), align, kind)
        }
        _ => reader.clone(),
    }
}

/// Converts a value field by field, without a plan.
fn expected(writer: &Layout, reader: &Layout, value: &Value, place: &str, rules: &Rules) -> Value {
    match (writer.kind(), reader.kind(), value) {
        (_, LayoutKind::Prim(Prim::F32), value) => Value::F32(value.as_f64().unwrap() as f32),
        (_, LayoutKind::Prim(Prim::F64), value) => Value::F64(value.as_f64().unwrap()),
        (LayoutKind::Enum { variants: theirs, .. }, LayoutKind::Enum { variants: ours, .. }, value) => {
            let name = value.as_str().unwrap();
            assert!(theirs.iter().any(|v| v.name == name));
            let found = ours.iter().find(|v| v.name == name || format!("{}-", v.name) == name).unwrap();
            found.name.as_str().into()
        }
        (
            LayoutKind::Array { item: theirs, .. },
            LayoutKind::Array { item: ours, .. },
            Value::List(items),
        )
        | (LayoutKind::List { item: theirs, .. }, LayoutKind::List { item: ours, .. }, Value::List(items)) => {
            items.iter().map(|v| expected(theirs, ours, v, &rules::items(place), rules)).collect()
        }
        (LayoutKind::Maybe { item: theirs, .. }, LayoutKind::Maybe { item: ours, .. }, value) => {
            match value {
                Value::Null => Value::Null,
                value => expected(theirs, ours, value, &rules::inside(place), rules),
            }
        }
        (LayoutKind::Struct { fields: theirs, .. }, LayoutKind::Struct { fields: ours, .. }, value) => ours
            .iter()
            .map(|field| {
                let place = rules::field(place, &field.name);
                let name = |name: &str| theirs.iter().find(|f| f.name == name);
                let found = name(&field.name).or_else(|| name(&format!("{}-", field.name)));
                let value = match found {
                    Some(theirs) => {
                        let value = value.get(&theirs.name).unwrap();
                        expected(&theirs.layout, &field.layout, value, &place, rules)
                    }
                    None => field.layout.view(rules.at(&place).unwrap().default.as_ref().unwrap()).to_value(),
                };
                (field.name.clone(), value)
            })
            .collect(),
        (_, _, value) => value.clone(),
    }
}

#[test]
fn resolution_equals_conversion_of_each_field() {
    for seed in 0..ROUNDS {
        let mut random = random(seed + 5);
        let reader = generate(&mut random, 4);
        let mut rules = Rules::default();
        let writer = earlier(&reader, "", &mut rules, &mut random);
        // As it comes from a segment.
        let writer = Layout::parse(&writer.to_json()).unwrap().remove(0);
        let plan = Plan::with(&writer, reader.clone(), &rules)
            .unwrap_or_else(|error| panic!("seed {seed}: {error}\n{writer:?}\n{reader:?}"));
        let value = fill(&writer, &mut random);
        let mut bytes = vec![0x55; writer.size()];
        writer.encode(&value, &mut bytes).unwrap();
        let converted = plan.convert(&bytes).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let expected = expected(&writer, &reader, &value, "", &rules);
        assert_eq!(reader.view(&converted).to_value(), expected, "seed {seed}");
    }
}

#[test]
fn any_layouts_and_any_bytes_convert_without_panic() {
    for seed in 0..ROUNDS {
        let mut random = random(seed + 99);
        let (one, two) = (generate(&mut random, 4), generate(&mut random, 3));
        let mut rules = Rules::default();
        let before = earlier(&one, "", &mut rules, &mut random);
        for (writer, reader) in [(&one, &two), (&before, &one), (&one, &before), (&one, &one)] {
            let Ok(plan) = Plan::with(writer, reader.clone(), &rules) else { continue };
            let bytes: Vec<u8> = (0..writer.size()).map(|_| [0, 1, 2, 255, 65][random(5)]).collect();
            if let Ok(converted) = plan.convert(&bytes) {
                reader.check(&converted).unwrap();
            }
            assert!(plan.convert(&bytes[..bytes.len() / 2]).is_err() || bytes.is_empty());
        }
    }
}
