//! Values of codecs in layouts, views, trees and plans.

use super::{Layout, SchemaErrorKind, Value, ValueRef};
use crate::codec::{Bytes, Msgpack};
use crate::message::schema::codec_difference;
use crate::schema::Plan;
use crate::{Encoded, ShmMessage, ShmVec, message};

type Settings = Encoded<Vec<u8>, Msgpack, 16>;

#[derive(Clone, Copy, ShmMessage)]
#[repr(C)]
struct Arm {
    speed: f64,
    settings: Settings,
    more: [Settings; 2],
}

#[derive(Clone, Copy, ShmMessage)]
#[repr(transparent)]
struct Wrapped(Settings);

/// The same layout in a program that knows no codec.
#[derive(Clone, Copy, ShmMessage)]
#[repr(C)]
struct Raw {
    speed: f64,
    settings: ShmVec<u8, 16>,
    more: [ShmVec<u8, 16>; 2],
}

const TEXT: &str = r#"{"size":24,"list":16,"offset":8,"item":{"size":1,"type":"|u1"},"codec":"msgpack"}"#;

fn arm(numbers: &[u8]) -> Arm {
    let settings = Settings::new(&numbers.to_vec()).unwrap();
    Arm { speed: 0.5, settings, more: [settings; 2] }
}

/// Returns the text of a layout with another codec.
fn recoded<M: ShmMessage>(codec: &str) -> String {
    M::SCHEMA_JSON.replace(r#""codec":"msgpack""#, &format!(r#""codec":"{codec}""#))
}

fn parsed(text: &str) -> Layout {
    Layout::parse(text).unwrap().remove(0)
}

#[test]
fn codec_is_in_the_text_and_not_in_the_fingerprint() {
    assert_eq!(Settings::SCHEMA_JSON, TEXT);
    assert_eq!(Settings::SCHEMA.fingerprint, <ShmVec<u8, 16>>::SCHEMA.fingerprint);
    assert_eq!(Arm::SCHEMA.fingerprint, Raw::SCHEMA.fingerprint);
    for layout in [Layout::of::<Settings>(), Layout::of::<Wrapped>()] {
        assert_eq!((layout.codec(), layout.to_json().as_str()), (Some("msgpack"), TEXT));
        assert_eq!(layout.to_string(), "Encoded<_, Msgpack, 16>");
        assert_eq!(parsed(TEXT), layout);
    }
    assert_eq!(Layout::of::<Encoded<[u8], Bytes, 4>>().codec(), Some("bytes"));
    assert_eq!(Layout::of::<ShmVec<u8, 16>>().codec(), None);
    assert_ne!(Layout::of::<ShmVec<u8, 16>>(), parsed(TEXT));
}

#[test]
fn unknown_members_of_a_layout_are_ignored() {
    // Programs that do not know the codec apply this rule to it.
    for member in [r#""codex":"msgpack""#, r#""codex":{"name":["msgpack"]}"#, r#""codex":7"#] {
        let layout = parsed(&TEXT.replace(r#""codec":"msgpack""#, member));
        assert_eq!(layout, Layout::of::<ShmVec<u8, 16>>());
    }
    let number = parsed(r#"{"size":4,"type":"<f4","codec":"msgpack"}"#);
    assert_eq!(number, Layout::of::<f32>());
}

#[test]
fn codec_without_a_name_or_bytes_is_refused() {
    for codec in ["7", "\"\"", "{}", "true"] {
        let error = Layout::parse(&TEXT.replace("\"msgpack\"", codec)).unwrap_err();
        assert_eq!(error.kind(), SchemaErrorKind::Inconsistent, "{codec}: {error}");
    }
    let text = r#"{"size":8,"list":2,"offset":4,"item":{"size":2,"type":"<u2"},"codec":"msgpack"}"#;
    let error = Layout::parse(text).unwrap_err().to_string();
    assert_eq!(error, "it has a codec, which encodes bytes, and its items are `u16`");
}

#[test]
fn encoded_values_are_viewed_as_their_values() {
    let (layout, arm) = (Layout::of::<Arm>(), arm(&[7, 8]));
    let bytes = message::as_bytes(&arm);
    let text = r#"{"speed":0.5,"settings":[7,8],"more":[[7,8],[7,8]]}"#;
    let value = layout.value(bytes).unwrap();
    assert_eq!((value.to_string().as_str(), layout.view(bytes).to_string().as_str()), (text, text));
    assert_eq!(layout.view(bytes).to_value(), value);
    let Some(ValueRef::Encoded(encoded)) = layout.view(bytes).at("more[1]") else {
        panic!("no encoded value")
    };
    assert_eq!((encoded.codec(), encoded.bytes()), ("msgpack", &[0x92, 7, 8][..]));
    let mut again = vec![0xAA; layout.size()];
    layout.encode(&value, &mut again).unwrap();
    assert_eq!(again, bytes);
    #[cfg(feature = "json")]
    {
        assert_eq!(serde_json::to_string(&layout.view(bytes)).unwrap(), text);
        assert_eq!(serde_json::Value::from(layout.view(bytes)).to_string().len(), text.len());
    }
}

#[test]
fn bytes_that_are_no_value_are_named() {
    let layout = Layout::of::<Arm>();
    for foreign in [&b"\xc1"[..], b"", b"\x92\x07", b"\x07\x08", b"\xdd\xff\xff\xff\xff"] {
        let mut arm = arm(&[]);
        arm.more[1] = Settings::from_bytes(ShmVec::try_from(foreign).unwrap());
        let bytes = message::as_bytes(&arm);
        layout.check(bytes).unwrap();
        let error = layout.value(bytes).unwrap_err();
        assert_eq!(error.place(), "Arm.more[1]");
        let start = format!("no value of codec `msgpack` in {} byte", foreign.len());
        assert!(error.problem().starts_with(&start), "{error}");
        let shown = layout.view(bytes);
        assert_eq!(shown.to_value().to_string(), shown.to_string());
        assert!(shown.to_string().contains("<no value of codec `msgpack`"), "{shown}");
    }
}

#[test]
fn values_that_do_not_fit_are_refused_with_both_sizes() {
    let layout = Layout::of::<Settings>();
    let mut out = vec![0; layout.size()];
    let error = layout.encode(&Value::from("seventeen letters"), &mut out).unwrap_err().to_string();
    assert_eq!(
        error,
        "`Encoded<_, Msgpack, 16>`: \"seventeen letters\" takes 18 bytes encoded, and `Encoded<_, Msgpack, 16>` holds at \
         most 16; shorten the value"
    );
    layout.encode(&Value::from("fifteen letters"), &mut out).unwrap();
    assert_eq!(layout.value(&out).unwrap(), Value::from("fifteen letters"));
}

#[test]
fn values_of_unknown_codecs_are_lists_of_bytes() {
    let layout = parsed(&recoded::<Settings>("cb\\u0007or"));
    assert_eq!(layout.to_string(), "Encoded<_, Cb\\u{7}or, 16>");
    let bytes = message::as_bytes(&arm(&[7]).settings).to_vec();
    let value = layout.value(&bytes).unwrap();
    assert_eq!(value, Value::from(vec![0x91, 7]));
    let mut again = vec![0xAA; layout.size()];
    layout.encode(&value, &mut again).unwrap();
    assert_eq!(again, bytes);
}

#[test]
fn two_codecs_of_one_value_are_an_error_of_a_plan() {
    let ours = Layout::of::<Arm>();
    let theirs = parsed(&recoded::<Arm>("pickle"));
    let error = Plan::between(&theirs, &ours).unwrap_err();
    assert_eq!(
        (error.place(), error.problem()),
        ("settings", "there encoded with `pickle`, here with `msgpack`")
    );
    assert_eq!(error.cure(), "use one codec for this value in both programs, or give it another name");
    // Other fields do not hide it.
    let moved = Arm::SCHEMA_JSON.replace("speed", "pace").replacen("msgpack", "none", 1);
    let only = parsed(r#"{"size":24,"name":"B","align":1,"fields":[{"name":"settings","offset":0,"of":?}]}"#
        .replace('?', TEXT).as_str());
    assert_eq!(Plan::between(&parsed(&moved), &only).unwrap_err().place(), "settings");
    // A codec that only one side names is no difference, and does not make a plan inexact.
    for (theirs, ours) in [(Layout::of::<Raw>(), ours.clone()), (ours, Layout::of::<Raw>())] {
        let plan = Plan::between(&theirs, &ours).unwrap();
        assert!(plan.is_in_place() && plan.resolution().is_exact());
    }
}

#[test]
fn difference_names_the_value_and_both_codecs() {
    let list = |text: &str| format!("[{text}]");
    let differ = |theirs: &str, ours: &str| codec_difference(&list(theirs), &list(ours)).map(|found| found.0);
    let both = "there encoded with `pickle`, here with `msgpack`";
    assert_eq!(differ(&recoded::<Settings>("pickle"), TEXT).as_deref(), Some(both));
    let found = differ(&recoded::<Arm>("pickle"), Arm::SCHEMA_JSON);
    assert_eq!(found, Some(format!("field `settings`: {both}")));
    let first = Arm::SCHEMA_JSON.replacen("msgpack", "pickle", 1);
    let second = recoded::<Arm>("pickle").replacen("pickle", "msgpack", 1);
    assert_eq!(differ(&first, Arm::SCHEMA_JSON), Some(format!("field `settings`: {both}")));
    assert_eq!(differ(&second, Arm::SCHEMA_JSON), Some(format!("field `more[]`: {both}")));
    for same in [Arm::SCHEMA_JSON, Raw::SCHEMA_JSON, r#"{"too_long":true}"#, "no text with a \"codec\"", ""] {
        assert_eq!(differ(same, Arm::SCHEMA_JSON), None);
        assert_eq!(differ(Arm::SCHEMA_JSON, same), None);
    }
    let found = message::schema::first_difference(&recoded::<Arm>("pickle"), Arm::SCHEMA_JSON);
    assert_eq!(found, format!("field `settings`: {both}"));
    let found = message::schema::first_difference(&list(TEXT), r#"[{"size":4,"type":"<f4"}]"#);
    assert_eq!(found, "there `Encoded<_, Msgpack, 16>`, here `f32`");
}
