//! Tests of layouts, views and values: all derived types, generated layouts, hostile texts and bytes.

#[cfg(feature = "msgpack")]
mod encoded;
#[cfg(feature = "msgpack")]
mod plain;

use super::{Layout, Prim, SchemaErrorKind, Value, ValueRef};
use super::{LayoutCase, LayoutField, LayoutKind, LayoutVariant};
use crate::message::Std;
use crate::{Pad, ShmMessage, ShmOption, ShmString, ShmVec, Timestamp, message};

#[derive(Clone, Copy, Debug, Default, PartialEq, ShmMessage)]
#[repr(i8)]
enum Mode {
    #[default]
    Idle = -1,
    Run = 2,
    #[shm(rename = "fa\"ult\n")]
    Fault = 7,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, ShmMessage)]
#[repr(C)]
struct Point {
    x: f64,
    y: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[repr(C)]
struct State {
    stamp: Timestamp,
    number: u64,
    pose: Point,
    acc: [f32; 3],
    battery: f32,
    frame: ShmString<20>,
    path: ShmVec<Point, 4>,
    target: ShmOption<f64>,
    joints: [[i16; 2]; 2],
    #[shm(rename = "größe . [0]\\")]
    letter: char,
    mode: Mode,
    ok: bool,
    level: i8,
    _p: Pad<1>,
}

fn state() -> State {
    State {
        stamp: Timestamp::from_nanos(-5),
        number: u64::MAX,
        pose: Point { x: 0.1, y: -1e300 },
        acc: [0.97, f32::MIN_POSITIVE, -0.0],
        battery: 12.5,
        frame: ShmString::new("ödom").unwrap(),
        path: ShmVec::try_from([Point { x: 1.0, y: 2.0 }, Point { x: 3.0, y: 4.0 }].as_slice()).unwrap(),
        target: ShmOption::some(2.5),
        joints: [[1, -2], [3, i16::MIN]],
        letter: '√',
        mode: Mode::Fault,
        ok: true,
        level: -128,
        _p: Pad::default(),
    }
}

/// Returns numbers of xorshift64.
pub(super) fn random(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 11) % below.max(1) as u64) as usize
    }
}

pub(super) const ROUNDS: u64 = if cfg!(miri) { 20 } else { 2_000 };

#[test]
fn layout_is_the_twin_of_the_schema() {
    fn twin<M: ShmMessage>() {
        let layout = Layout::of::<M>();
        assert_eq!(layout.fingerprint(), M::SCHEMA.fingerprint, "{layout}");
        assert_eq!(layout.to_json(), M::SCHEMA_JSON);
        assert_eq!(Layout::parse(M::SCHEMA_JSON).unwrap(), std::slice::from_ref(&layout));
        let list = format!("[{},{}]", M::SCHEMA_JSON, M::SCHEMA_JSON);
        assert_eq!(Layout::parse(&list).unwrap(), [layout.clone(), layout.clone()]);
        assert_eq!((layout.size(), layout.align()), (size_of::<M>(), align_of::<M>()));
        assert_eq!(layout.any_bits(), M::SCHEMA.any_bits);
    }
    twin::<State>();
    twin::<Mode>();
    twin::<[Pad<3>; 2]>();
    twin::<[[u8; 0]; 5]>();
    twin::<ShmVec<ShmOption<ShmString<3>>, 2>>();
    twin::<ShmOption<Pad<4>>>();
    twin::<core::marker::PhantomData<u8>>();
    macro_rules! twins {
        ($($ty:ty),*) => { $(twin::<$ty>(); twin::<[$ty; 3]>(); twin::<ShmVec<$ty, 3>>(); twin::<ShmOption<$ty>>();)* };
    }
    twins!(u8, u16, u32, u64, i8, i16, i32, i64, f32, f64, bool, char, Timestamp, ShmString<7>);
    #[cfg(feature = "zerocopy")]
    twin::<message::Foreign<[u16; 3], 77>>();
}

#[test]
fn value_is_encoded_as_it_was_viewed() {
    let (layout, state) = (Layout::of::<State>(), state());
    let bytes = message::as_bytes(&state);
    layout.check(bytes).unwrap();
    let value = layout.view(bytes).to_value();
    let mut out = vec![0xAA; layout.size()];
    layout.encode(&value, &mut out).unwrap();
    assert_eq!(message::read::<State>(&out).unwrap(), state);
    assert_eq!(layout.view(&out).to_value(), value);
    let text = layout.view(bytes).to_string();
    assert_eq!(text, value.to_string());
    assert!(text.starts_with(
        r#"{"stamp":-5,"number":18446744073709551615,"pose":{"x":0.1,"y":-1e300},"acc":[0.97,"#
    ));
}

#[test]
fn unused_capacity_and_padding_become_zeros() {
    let layout = Layout::of::<State>();
    let mut dirty = message::as_bytes(&state()).to_vec();
    // Behind the text, behind the items, and the padding.
    let end = dirty.len() - 1;
    dirty[end] = 0xEE;
    let value = layout.view(&dirty).to_value();
    let mut out = vec![0xEE; layout.size()];
    layout.encode(&value, &mut out).unwrap();
    assert_eq!(out[end], 0);
    assert_eq!(out.iter().filter(|b| **b == 0xEE).count(), 0);
}

#[test]
fn path_leads_to_a_part() {
    let (layout, state) = (Layout::of::<State>(), state());
    let view = layout.view(message::as_bytes(&state));
    let shown = |path: &str| view.at(path).map(|part| part.to_string());
    assert_eq!(shown("path[1].y").as_deref(), Some("4.0"));
    assert_eq!(shown("joints[1][0]").as_deref(), Some("3"));
    assert_eq!(shown("größe . [0]\\").as_deref(), Some("\"√\""));
    assert_eq!(shown("mode").as_deref(), Some(r#""fa\"ult\u000a""#));
    assert!(view.at("").is_some());
    for none in ["path[2]", "pose.z", "pose[0]", "number.x", "path[", "path[-1]", "nothing"] {
        assert!(view.at(none).is_none(), "{none}");
    }
}

#[test]
fn check_names_the_part_as_validate_does() {
    let layout = Layout::of::<State>();
    let good = message::as_bytes(&state()).to_vec();
    for at in 0..good.len() {
        for byte in [1, 2, 0x7f, 0xff] {
            let mut bad = good.clone();
            bad[at] = byte;
            let theirs = message::validate::<State>(&bad).map_err(|e| e.to_string());
            assert_eq!(layout.check(&bad).map_err(|e| e.to_string()), theirs, "byte {at} is {byte}");
        }
    }
    for len in [0, 1, good.len() - 1] {
        let theirs = message::validate::<State>(&good[..len]).unwrap_err().to_string();
        assert_eq!(layout.check(&good[..len]).unwrap_err().to_string(), theirs);
        assert!(matches!(layout.view(&good[..len]), ValueRef::Invalid(_)));
    }
}

#[test]
fn value_that_does_not_fit_is_refused_by_name() {
    let layout = Layout::of::<State>();
    let good = layout.view(message::as_bytes(&state())).to_value();
    let refused = |name: &str, value: Value| {
        let Value::Map(mut parts) = good.clone() else { unreachable!() };
        match parts.iter_mut().find(|(n, _)| n == name) {
            Some((_, part)) => *part = value,
            None => parts.push((name.into(), value)),
        }
        let error = layout.encode(&Value::Map(parts), &mut vec![0; layout.size()]).unwrap_err();
        assert!(error.path().starts_with("State."), "{error}");
        error.to_string()
    };
    assert_eq!(
        refused("level", 200.into()),
        "`State.level`: 200 is no `i8`, which holds integers from -128 to 127; give a number in this range"
    );
    assert_eq!(
        refused("frame", "x".repeat(21).into()),
        "`State.frame`: \"xxxxxxxxxxxxxxxxxxxxx\" has 21 bytes, and a `ShmString<20>` holds at most 20; shorten the text"
    );
    assert_eq!(
        refused("mode", "Walk".into()),
        "`State.mode`: \"Walk\" is no variant of `Mode`; give one of `Idle`, `Run`, `fa\\\"ult\\n`"
            .replace("\\\"", "\"")
    );
    assert_eq!(
        refused("acc", vec![1.0, 2.0].into()),
        "`State.acc`: a list of 2 items does not fit `[f32; 3]`, which holds exactly 3 items; give this number of items"
    );
    assert!(refused("acc", vec![1.0, 1e39, 2.0].into()).starts_with("`State.acc[1]`: 1e39 is no `f32`"));
    assert!(refused("number", (-1).into()).contains("from 0 to 18446744073709551615"));
    assert!(refused("number", 1.0.into()).contains("1.0 is no `u64`"));
    assert!(refused("ok", 1.into()).contains("give `true` or `false`"));
    assert!(refused("letter", "ab".into()).contains("`State` has no `letter`"));
    assert!(refused("pose", Value::from_iter([("x", 1.0)])).starts_with("`State.pose.y`: "));
    assert!(refused("path", Value::List(vec![Value::Null; 5])).contains("at most 4 items"));
    assert!(refused("typo", Value::Null).contains("`State` has no `typo`"));
    let error = layout.encode(&good, &mut [0; 3]).unwrap_err();
    assert!(error.to_string().contains("the buffer has 3 bytes"), "{error}");
}

#[test]
fn text_of_numbers_that_are_not_finite_is_read_back() {
    let layout = Layout::of::<[f32; 4]>();
    let value = Value::List(vec![Value::Null, "inf".into(), "-inf".into(), "NaN".into()]);
    let mut out = [0; 16];
    layout.encode(&value, &mut out).unwrap();
    let [a, b, c, d] = message::read::<[f32; 4]>(&out).unwrap();
    assert!(a.is_nan() && b == f32::INFINITY && c == f32::NEG_INFINITY && d.is_nan());
}

#[test]
fn inconsistent_texts_are_refused() {
    use SchemaErrorKind::{Inconsistent, Text, TooLong, Unknown};
    let cases = [
        ("", Text),
        ("7", Text),
        ("nonsense", Text),
        (r#"{"too_long":true}"#, TooLong),
        (r#"[{"too_long":true}]"#, TooLong),
        (r#"{"size":4}"#, Unknown),
        (r#"{"size":2,"type":"<f2"}"#, Unknown),
        (r#"{"size":4,"type":">u4"}"#, Unknown),
        (r#"{"size":4,"type":"<u4","is":"colour"}"#, Unknown),
        (r#"{"size":3,"type":"<u4"}"#, Inconsistent),
        (r#"{"size":-3,"type":"<u4"}"#, Inconsistent),
        (r#"{"size":99999999999999999999,"type":"|V99999999999999999999"}"#, Inconsistent),
        (r#"{"size":9223372036854775807,"type":"|V9223372036854775807"}"#, Inconsistent),
        (r#"{"size":5,"type":"|V4"}"#, Inconsistent),
        (r#"{"size":8,"len":3,"item":{"size":4,"type":"<u4"}}"#, Inconsistent),
        (r#"{"size":0,"len":9223372036854775807,"item":{"size":0,"type":"|V0"}}"#, Inconsistent),
        (r#"{"size":4,"len":4611686018427387905,"item":{"size":4,"type":"<u4"}}"#, Inconsistent),
        (r#"{"size":8,"list":2,"offset":4,"item":{"size":4,"type":"<u4"}}"#, Inconsistent),
        (r#"{"size":8,"list":1,"offset":0,"item":{"size":4,"type":"<u4"}}"#, Inconsistent),
        (r#"{"size":6,"option":true,"offset":4,"item":{"size":4,"type":"<u4"}}"#, Inconsistent),
        (r#"{"size":1,"type":"|u1","name":"E","enum":{"A":256}}"#, Inconsistent),
        (r#"{"size":4,"type":"<f4","name":"E","enum":{"A":1}}"#, Inconsistent),
        (r#"{"size":4,"name":"S","align":3,"fields":[]}"#, Inconsistent),
        (
            r#"{"size":4,"name":"S","align":4,"fields":[{"name":"a","offset":2,"of":{"size":4,"type":"<u4"}}]}"#,
            Inconsistent,
        ),
        (
            r#"{"size":4,"name":"S","align":4,"fields":[{"name":"a","offset":0,"of":{"size":4,"type":"<u4"}},
                {"name":"b","offset":3,"of":{"size":1,"type":"|u1"}}]}"#,
            Inconsistent,
        ),
    ];
    for (text, kind) in cases {
        let error = Layout::parse(text).expect_err(text);
        assert_eq!(error.kind(), kind, "{text}: {error}");
    }
    assert_eq!(Layout::parse("[]").unwrap(), []);
    let deep = format!("{}{}", r#"{"size":0,"len":0,"item":"#.repeat(1000), "}".repeat(1000));
    assert_eq!(Layout::parse(&deep).unwrap_err().kind(), Text);
}

/// Makes a layout that is consistent, as the derive would make it.
pub(super) fn generate(random: &mut impl FnMut(usize) -> usize, depth: usize) -> Layout {
    let name = |random: &mut dyn FnMut(usize) -> usize| {
        ["a", "b.c", "", "größe", "\"\\\n", "x[0]"][random(6)].to_owned() + &random(1000).to_string()
    };
    if depth == 0 || random(3) == 0 {
        let prim = Prim::ALL[random(10)];
        return match random(9) {
            0 => Layout::new(1, 1, LayoutKind::Bool),
            1 => Layout::new(4, 4, LayoutKind::Char),
            2 => Layout::new(8, 8, LayoutKind::Timestamp),
            3 => {
                let capacity = random(9);
                Layout::new(4 + capacity, 1, LayoutKind::Str { capacity })
            }
            4 => Layout::new(8, 4, LayoutKind::Opaque { tag: random(9) as u64 }),
            5 if prim.range().is_some() => {
                let (_, most) = prim.range().unwrap();
                let values = [most, 0, 1, 2];
                let variants = (0..1 + random(4))
                    .map(|i| LayoutVariant { name: format!("{}{i}", name(random)), value: values[i] })
                    .collect();
                Layout::new(prim.size(), prim.size(), LayoutKind::Enum { name: name(random), prim, variants })
            }
            6 if prim.range().is_some() => {
                let std = [Std::NonZero(prim), Std::OptionNonZero(prim)][random(2)];
                Layout::new(prim.size(), prim.size(), LayoutKind::Std(std))
            }
            7 => Layout::new(16, 8, LayoutKind::Std(Std::Duration)),
            _ => Layout::new(prim.size(), prim.size(), LayoutKind::Prim(prim)),
        };
    }
    let item = |random: &mut _| Box::new(generate(random, depth - 1));
    match random(5) {
        4 => {
            let layouts: Vec<_> = (0..1 + random(3)).map(|_| generate(random, depth - 1)).collect();
            let align = layouts.iter().map(Layout::align).max().unwrap_or(1).max(1);
            let size = layouts.iter().map(Layout::size).max().unwrap_or(0).next_multiple_of(align) + align;
            let variant = |(i, layout): (usize, Layout)| {
                let fields = match i {
                    0 => vec![],
                    _ => vec![LayoutField { name: name(random), offset: align, layout }],
                };
                LayoutCase::new(format!("V{i}"), i as i128, fields, size, align)
            };
            let variants = layouts.into_iter().enumerate().map(variant).collect();
            Layout::new(size, align, LayoutKind::Choice { name: "C".into(), prim: Prim::U8, variants })
        }
        0 => {
            let (item, len) = (item(random), random(5));
            Layout::new(item.size() * len, item.align(), LayoutKind::Array { item, len })
        }
        1 => {
            let (item, capacity) = (item(random), random(5));
            let offset = item.align().max(4);
            Layout::new(
                offset + item.size() * capacity,
                item.align(),
                LayoutKind::List { item, capacity, offset },
            )
        }
        2 => {
            let item = item(random);
            // An option in an option has two values without a value, as in JSON.
            if matches!(item.kind(), LayoutKind::Maybe { .. } | LayoutKind::Prim(Prim::F32 | Prim::F64)) {
                return *item;
            }
            let offset = item.align().max(4);
            Layout::new(offset + item.size(), item.align(), LayoutKind::Maybe { item, offset })
        }
        _ => {
            let (mut fields, mut end, mut align) = (Vec::new(), 0_usize, 1);
            for i in 0..random(5) {
                let layout = generate(random, depth - 1);
                let offset = end.next_multiple_of(layout.align()) + random(2) * layout.align();
                (end, align) = (offset + layout.size(), align.max(layout.align()));
                fields.push(LayoutField { name: format!("{}{i}", name(random)), offset, layout });
            }
            let kind = LayoutKind::Struct { name: name(random), fields };
            Layout::new(end.next_multiple_of(align), align, kind)
        }
    }
}

/// Makes a value of a layout.
pub(super) fn fill(layout: &Layout, random: &mut impl FnMut(usize) -> usize) -> Value {
    let text = |random: &mut dyn FnMut(usize) -> usize, most: usize| {
        let mut text = String::new();
        for _ in 0..random(most + 1) {
            let c = ['x', '"', '\n', 'ö', '√', '\u{1f600}'][random(6)];
            if text.len() + c.len_utf8() <= most {
                text.push(c);
            }
        }
        text
    };
    match layout.kind() {
        LayoutKind::Prim(Prim::F32) => Value::F32([0.97, -0.0, 1e-40, f32::MAX][random(4)]),
        LayoutKind::Prim(Prim::F64) => Value::F64([0.1, -1e300, f64::MIN_POSITIVE, 3.0][random(4)]),
        LayoutKind::Prim(prim) => {
            let (least, most) = prim.range().unwrap();
            Value::Int([least, most, 0, 1, most / 3][random(5)])
        }
        LayoutKind::Bool => Value::Bool(random(2) == 0),
        LayoutKind::Char => ['a', '√', '\0', '\u{10ffff}'][random(4)].into(),
        LayoutKind::Timestamp => Value::Int([i64::MIN, 0, i64::MAX][random(3)].into()),
        LayoutKind::Pad | LayoutKind::Opaque { .. } => {
            Value::Bytes((0..layout.size()).map(|_| random(256) as u8).collect())
        }
        LayoutKind::Choice { variants, .. } => {
            let variant = &variants[random(variants.len())];
            match variant.content.first() {
                None => variant.name.as_str().into(),
                Some(content) => {
                    [(variant.name.clone(), fill(&content.layout, random))].into_iter().collect()
                }
            }
        }
        LayoutKind::Std(_) => Value::Int(1 + random(100) as i128),
        LayoutKind::Enum { variants, .. } => variants[random(variants.len())].name.as_str().into(),
        LayoutKind::Array { item, len } => (0..*len).map(|_| fill(item, random)).collect(),
        LayoutKind::Str { capacity } => text(random, *capacity).into(),
        LayoutKind::List { item, capacity, .. } => {
            (0..random(capacity + 1)).map(|_| fill(item, random)).collect()
        }
        LayoutKind::Maybe { item, .. } => match random(2) {
            0 => Value::Null,
            _ => fill(item, random),
        },
        LayoutKind::Struct { fields, .. } => {
            Value::Map(fields.iter().map(|f| (f.name.clone(), fill(&f.layout, random))).collect())
        }
    }
}

#[test]
fn generated_layouts_and_values_round_trip() {
    for seed in 0..ROUNDS {
        let mut random = random(seed + 1);
        let layout = generate(&mut random, 4);
        let parsed = Layout::parse(&layout.to_json()).unwrap_or_else(|e| panic!("{e}: {}", layout.to_json()));
        assert_eq!(parsed, std::slice::from_ref(&layout), "seed {seed}");
        let value = fill(&layout, &mut random);
        let mut bytes = vec![0xAA; layout.size()];
        layout.encode(&value, &mut bytes).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        layout.check(&bytes).unwrap();
        let view = layout.view(&bytes);
        assert_eq!(view.to_value(), value, "seed {seed}");
        assert_eq!(view.to_string(), value.to_string());
        #[cfg(feature = "json")]
        {
            let text = serde_json::to_string(&view).unwrap();
            assert_eq!(text, serde_json::to_string(&value).unwrap());
            assert_eq!(text, serde_json::to_string(&serde_json::from_str::<Value>(&text).unwrap()).unwrap());
            // What was printed is encoded again.
            let mut again = vec![0; layout.size()];
            let printed: serde_json::Value = serde_json::from_str(&text).unwrap();
            layout.encode(&Value::from(&printed), &mut again).unwrap();
            assert_eq!(again, bytes, "seed {seed}: {text}");
        }
    }
}

fn is_whole(view: ValueRef<'_>) -> bool {
    match view {
        ValueRef::Invalid(invalid) => {
            assert!(!invalid.problem().is_empty());
            false
        }
        ValueRef::List(items) => items.iter().all(is_whole),
        ValueRef::Struct(fields) => fields.iter().all(|(_, part)| is_whole(part)),
        _ => true,
    }
}

#[test]
fn any_bytes_are_viewed_without_panic() {
    for seed in 0..ROUNDS {
        let mut random = random(seed + 77);
        let layout = generate(&mut random, 4);
        let mut bytes: Vec<u8> = (0..layout.size()).map(|_| [0, 1, 2, 255, 65][random(5)]).collect();
        if random(10) == 0 {
            bytes.truncate(random(layout.size() + 1));
        }
        let view = layout.view(&bytes);
        assert_eq!(layout.check(&bytes).is_ok(), is_whole(view), "seed {seed}");
        assert_eq!(view.to_string(), view.to_value().to_string());
    }
}

#[test]
fn texts_one_step_from_a_layout_never_panic() {
    for seed in 0..ROUNDS {
        let mut random = random(seed + 5);
        let mut text = State::SCHEMA_JSON.as_bytes().to_vec();
        for _ in 0..1 + random(4) {
            let at = random(text.len().max(2) - 1);
            match random(4) {
                0 => text[at] = b"{}[]\",:0-9\\u"[random(12)],
                1 if text.len() > 1 => drop(text.remove(at)),
                2 => text.insert(at, b"09"[random(2)]),
                _ => text.truncate(at + 1),
            }
        }
        let text = String::from_utf8_lossy(&text);
        if let Ok(layouts) = Layout::parse(&text) {
            for layout in layouts.iter().filter(|layout| layout.size() < 1 << 16) {
                let bytes = vec![1; layout.size()];
                let value = layout.view(&bytes).to_value();
                let _ = layout.check(&bytes);
                let _ = layout.encode(&value, &mut vec![0; layout.size()]);
                assert_eq!(Layout::parse(&layout.to_json()).unwrap(), std::slice::from_ref(layout));
            }
        }
    }
}
