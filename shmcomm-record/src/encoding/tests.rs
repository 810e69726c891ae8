//! Every kind of part, in both directions; hostile bytes; the text of the definitions.

use super::{Encoder, Encoding, EncodingError, Form};
use shmcomm::message;
use shmcomm::schema::{Layout, Value};
use shmcomm::{ShmMessage, ShmOption, ShmString, ShmVec, Timestamp};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::num::{NonZeroU16, NonZeroU64};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[repr(u8)]
enum Mode {
    Idle = 1,
    Run = 4,
}

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[repr(i64)]
enum Far {
    Near = -7,
    Away = 1 << 40,
}

#[derive(ShmMessage)]
#[repr(u32)]
#[allow(dead_code, reason = "its layout is used")]
enum Command {
    Stop,
    Go { x: f32, y: f32 } = 3,
    Say(ShmString<8>) = 9,
}

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[repr(C)]
struct Point {
    x: f32,
    y: i16,
    flags: [bool; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[repr(C)]
struct Nothing {}

#[derive(ShmMessage)]
#[repr(C)]
struct All {
    huge: u128,
    tiny: i128,
    stamp: Timestamp,
    span: Duration,
    big: u64,
    small: i64,
    some: Option<NonZeroU64>,
    deep: ShmOption<ShmOption<Timestamp>>,
    far: Far,
    letter: char,
    grid: [[f32; 2]; 3],
    list: ShmVec<Point, 4>,
    arrays: ShmVec<[i32; 2], 2>,
    lists: ShmVec<ShmVec<u16, 4>, 2>,
    maybe: ShmOption<f32>,
    zero: ShmOption<u32>,
    absent: ShmOption<Point>,
    command: Command,
    commands: ShmVec<Command, 3>,
    data: ShmVec<u8, 12>,
    sure: NonZeroU16,
    none: Option<NonZeroU16>,
    text: ShmString<20>,
    texts: ShmVec<ShmString<4>, 3>,
    bytes: [u8; 5],
    mode: Mode,
    modes: [Mode; 2],
    four: Ipv4Addr,
    six: Ipv6Addr,
    nothing: Nothing,
}

/// Returns the bytes of a message with this value.
fn slot(layout: &Layout, json: &str) -> Vec<u8> {
    let value: Value = serde_json::from_str(json).expect("JSON");
    let mut out = vec![0; layout.size()];
    layout.encode(&value, &mut out).unwrap_or_else(|error| panic!("{error}"));
    out
}

fn all() -> Vec<u8> {
    slot(
        &Layout::of::<All>(),
        r#"{"stamp":1700000000123456789,"span":5000000001,"huge":12345678901234567890,"tiny":-3,
        "big":18446744073709551615,"small":-9000000000,"some":7,"sure":9,"none":null,"text":"grüße","letter":"ß",
        "grid":[[1.5,-0.0],[0.0,3.0],[4.0,5.0]],"bytes":[1,2,3,4,0],"mode":"Run","modes":["Idle","Run"],
        "list":[{"x":0.0,"y":-5,"flags":[true,false]},{"x":2.0,"y":300,"flags":[false,true]}],"data":[9,0,8],
        "lists":[[1,2],[]],"arrays":[[-1,2],[3,0]],"maybe":0.0,"zero":0,"absent":null,"texts":["","ab"],
        "deep":17,"far":"Away","command":{"Say":{"f0":"hi"}},
        "commands":["Stop",{"Go":{"x":1.0,"y":0.0}},{"Say":{"f0":""}}],
        "four":[127,0,0,1],"six":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1],"nothing":{}}"#,
    )
}

const LAYOUTS: [Encoding; 2] = [Encoding::Ros2, Encoding::Protobuf];

fn encoder<M: ShmMessage>(encoding: Encoding) -> Encoder {
    Encoder::new("robot/all", Form::Fixed(Layout::of::<M>()), encoding)
}

#[track_caller]
fn round_trip(encoder: &Encoder, bytes: &[u8]) -> Vec<u8> {
    let encoded = encoder.encode(bytes).expect("encoded");
    let back = encoder.decode(&encoded).unwrap_or_else(|error| panic!("{:?}: {error}", encoder.encoding()));
    assert_eq!(back, bytes, "{:?}", encoder.encoding());
    assert_eq!(encoder.encode(&back).expect("encoded"), encoded);
    encoded
}

#[test]
fn every_kind_of_part_is_encoded_and_decoded() {
    for encoding in LAYOUTS {
        round_trip(&encoder::<All>(encoding), &all());
    }
    round_trip(&encoder::<All>(Encoding::Ros2).widened(), &all());
}

#[test]
fn messages_that_are_no_structs_are_encoded() {
    for encoding in LAYOUTS {
        round_trip(&encoder::<[f64; 3]>(encoding), message::as_bytes(&[1.0, 0.0, 2.0_f64]));
        round_trip(&encoder::<u32>(encoding), &[1, 0, 0, 0]);
        round_trip(&encoder::<Nothing>(encoding), &[]);
        round_trip(&encoder::<[u16; 0]>(encoding), &[]);
        round_trip(&encoder::<Mode>(encoding), &[4]);
        round_trip(&encoder::<[Nothing; 3]>(encoding), &[]);
        let command = slot(&Layout::of::<Command>(), r#"{"Go":{"x":1.0,"y":2.0}}"#);
        round_trip(&encoder::<Command>(encoding), &command);
    }
}

#[test]
fn messages_with_tails_are_encoded() {
    let tail = |item: Layout| Form::Tail { header: Layout::of::<Point>(), item };
    let point = slot(&Layout::of::<Point>(), r#"{"x":1.0,"y":2,"flags":[true,true]}"#);
    for encoding in LAYOUTS {
        let bytes = Encoder::new("camera", tail(Layout::of::<u8>()), encoding);
        round_trip(&bytes, &[&point[..], &[1, 2, 3, 0, 5]].concat());
        round_trip(&bytes, &point);
        let points = Encoder::new("points", tail(Layout::of::<Point>()), encoding);
        round_trip(&points, &point.repeat(4));
        let numbers = Encoder::new("numbers", tail(Layout::of::<f64>()), encoding);
        round_trip(&numbers, &[&point[..], &1.5_f64.to_ne_bytes(), &[0; 8]].concat());
        let error = points.encode(&point.repeat(2)[..12]).unwrap_err().to_string();
        assert!(error.contains("a tail of 4 bytes is no whole number of items of 8 bytes"), "{error}");
    }
}

#[test]
fn definitions_of_ros_have_constants_before_fields() {
    let encoder = encoder::<All>(Encoding::Ros2);
    assert_eq!(encoder.schema().name, "shmcomm/msg/All");
    let text = encoder.schema().text();
    for lines in [
        "builtin_interfaces/Time stamp\nbuiltin_interfaces/Duration span\n",
        "uint8[16] huge\n",
        "uint64[<=1] some\n",
        "uint32 letter\nfloat32[6] grid\n",
        "uint16 sure\nuint16[<=1] none\nstring<=20 text\nstring<=4[<=3] texts\nuint8[5] bytes\n",
        "uint8 MODE_IDLE=1\nuint8 MODE_RUN=4\nuint8 mode\nuint8 MODES_IDLE=1\nuint8 MODES_RUN=4\nuint8[2] modes\n",
        "shmcomm/Point[<=4] list\nshmcomm/Item2[<=2] arrays\nshmcomm/Item3[<=2] lists\n",
        "MSG: shmcomm/Item3\nuint16[<=4] value\n",
        "MSG: shmcomm/Command\nuint32 KIND_STOP=0\nuint32 KIND_GO=3\nuint32 KIND_SAY=9\nuint32 kind\n\
         shmcomm/CommandGo[<=1] go\nshmcomm/CommandSay[<=1] say\n",
        "MSG: shmcomm/Nothing\nuint8 structure_needs_at_least_one_member\n",
        "MSG: builtin_interfaces/Time\nint32 sec\nuint32 nanosec\n",
    ] {
        assert!(text.contains(lines), "{lines}\nis not in\n{text}");
    }
}

#[test]
fn name_of_the_root_is_not_used_again() {
    mod outer {
        use super::{Point as Inner, ShmMessage};

        #[derive(ShmMessage)]
        #[repr(C)]
        pub struct Point {
            pub at: Inner,
            pub weight: f32,
        }
    }
    let part = "MSG: shmcomm/Point2\nfloat32 x\nint16 y\nbool[2] flags\n";
    let parts_of = |form| {
        let schema = Encoder::new("robot/point", form, Encoding::Ros2).schema().clone();
        assert_eq!(schema.name, "shmcomm/msg/Point");
        assert!(
            schema.text().contains(part) && !schema.text().contains("MSG: shmcomm/Point\n"),
            "{schema:?}"
        );
        schema.text().lines().next().unwrap().to_owned()
    };
    let (array, point) = (Layout::of::<[Point; 2]>(), Layout::of::<Point>());
    assert_eq!(parts_of(Form::Fixed(array)), "shmcomm/Point2[2] value");
    assert_eq!(parts_of(Form::Fixed(Layout::of::<outer::Point>())), "shmcomm/Point2 at");
    assert_eq!(parts_of(Form::Tail { header: point.clone(), item: point }), "shmcomm/Point2 header");
    let text = super::ros2::definitions(&[Layout::of::<outer::Point>()]);
    assert!(text.contains(part), "{text}");
}

#[test]
fn times_outside_of_ros_need_the_wide_encoder() {
    #[derive(ShmMessage)]
    #[repr(C)]
    struct Times {
        at: Timestamp,
        span: Duration,
    }
    let narrow = encoder::<Times>(Encoding::Ros2);
    for (at, span) in [(i64::MAX, 0), (i64::MIN, 0), (0, u64::MAX)] {
        let times = Times { at: Timestamp::from_nanos(at), span: Duration::from_secs(span) };
        let bytes = &message::to_bytes(&times)[..];
        assert!(matches!(narrow.encode(bytes), Err(EncodingError::TimeOutOfRange)));
        let wide = narrow.widened();
        assert!(wide.is_wide());
        assert!(wide.schema().text().starts_with("int64 at\nshmcomm/LongDuration span\n"));
        round_trip(&wide, bytes);
        round_trip(&encoder::<Times>(Encoding::Protobuf), bytes);
    }
    let before = Times { at: Timestamp::from_nanos(-1), span: Duration::ZERO };
    round_trip(&narrow, &message::to_bytes(&before));
}

#[test]
fn protobuf_descriptors_name_all_types() {
    use prost::Message as _;
    let encoder = encoder::<All>(Encoding::Protobuf);
    assert_eq!(encoder.schema().name, "shmcomm.All");
    let set = prost_types::FileDescriptorSet::decode(&encoder.schema().data[..]).expect("a descriptor");
    let names: Vec<_> = set.file.iter().map(|file| file.name()).collect();
    assert_eq!(names, ["google/protobuf/timestamp.proto", "google/protobuf/duration.proto", "shmcomm.proto"]);
    let file = set.file.last().expect("the file");
    for name in ["All", "Point", "Item", "Command", "CommandGo", "Nothing"] {
        assert!(file.message_type.iter().any(|message| message.name() == name), "{name}");
    }
    let values: Vec<_> =
        file.enum_type.iter().flat_map(|known| &known.value).map(|value| value.name()).collect();
    assert!(
        ["COMMAND_KIND_GO", "MODE_UNSET", "MODE_RUN"].iter().all(|name| values.contains(name)),
        "{values:?}"
    );
}

#[test]
fn damaged_messages_never_panic() {
    let bytes = all();
    let mut random = 1_u64;
    for encoder in LAYOUTS.map(encoder::<All>) {
        let whole = encoder.encode(&bytes).expect("encoded");
        for len in 0..whole.len() {
            let _ = encoder.decode(&whole[..len]);
        }
        for _ in 0..20_000 {
            let mut damaged = whole.clone();
            for _ in 0..3 {
                random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let at = (random >> 33) as usize % damaged.len();
                damaged[at] = (random >> 25) as u8;
            }
            if let Ok(back) = encoder.decode(&damaged) {
                assert!(Layout::of::<All>().check(&back).is_ok());
            }
            let mut slot = bytes.clone();
            let at = (random >> 30) as usize % slot.len();
            slot[at] = (random >> 20) as u8;
            let _ = encoder.encode(&slot);
        }
    }
}

#[test]
fn encoded_channels_are_json() {
    use shmcomm::codec;
    let value = Value::from_iter([("a", Value::from(1)), ("b", Value::from(vec![1.5, 2.0]))]);
    let coded = codec::Value::from(&value);
    let forms = [
        (Form::Msgpack, codec::msgpack::to_vec(&coded).expect("msgpack")),
        (Form::Pickle, codec::pickle::to_vec(&coded).expect("pickle")),
        (Form::Python, codec::pickle::to_vec(&coded).expect("pickle")),
    ];
    for (form, bytes) in forms {
        let encoder = Encoder::new("jobs/state", form, Encoding::Ros2);
        assert_eq!((encoder.encoding(), encoder.schema().name.as_str()), (Encoding::Json, "State"));
        let encoded = round_trip(&encoder, &bytes);
        assert_eq!(encoded, br#"{"a":1,"b":[1.5,2.0]}"#);
    }
    let list = Encoder::new("jobs/list", Form::Msgpack, Encoding::Protobuf);
    assert_eq!(round_trip(&list, &[0x93, 1, 2, 3]), br#"{"value":[1,2,3]}"#);
    let raw = Encoder::new("jobs/raw", Form::Bytes, Encoding::Ros2);
    assert_eq!(raw.encoding(), Encoding::Raw);
    round_trip(&raw, &[1, 2, 3]);
}
