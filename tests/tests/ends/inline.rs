//! Messages in texts of other libraries: inline types through serde, schemas as JSON.

use serde::{Deserialize, Serialize};
use shmcomm::{Pad, ShmMessage, ShmOption, ShmString, ShmVec, Timestamp};

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage, Serialize, Deserialize)]
#[repr(C)]
struct Track {
    seen: Timestamp,
    label: ShmString<12>,
    points: ShmVec<[f32; 2], 3>,
    best: ShmOption<u32>,
    end: Pad<4>,
}

fn track() -> Track {
    Track {
        seen: Timestamp(1_700_000_000_000_000_000),
        label: ShmString::new("größe").unwrap(),
        points: ShmVec::try_from(&[[0.0, 1.0], [2.0, 3.0]][..]).unwrap(),
        best: ShmOption::some(7),
        end: Pad::new(),
    }
}

#[test]
fn inline_types_are_to_serde_what_they_stand_for() {
    let text = serde_json::to_string(&track()).unwrap();
    let words =
        r#"{"seen":1700000000000000000,"label":"größe","points":[[0.0,1.0],[2.0,3.0]],"best":7,"end":null}"#;
    assert_eq!(text, words);
    assert_eq!(serde_json::from_str::<Track>(&text).unwrap(), track());
}

#[test]
fn what_does_not_fit_is_refused_by_serde() {
    let refused = |text: &str| serde_json::from_str::<ShmString<4>>(text).unwrap_err().to_string();
    assert!(refused(r#""12345""#).contains("text of at most 4 bytes"));
    let refused = serde_json::from_str::<ShmVec<u8, 2>>("[1,2,3]").unwrap_err().to_string();
    assert!(refused.contains("at most 2 items"), "{refused}");
}

/// Keeps `\` and `"` and control characters, which JSON has to escape.
#[derive(ShmMessage)]
#[repr(C)]
struct Odd {
    #[shm(rename = "a \"quoted\" \\ name\n\u{1}")]
    a: u64,
    größe: Mode,
    #[shm(rename = "µ/😀")]
    r#type: [Stamped<bool>; 8],
}

#[derive(ShmMessage)]
#[repr(i64)]
enum Mode {
    #[shm(rename = "\t")]
    Low = i64::MIN,
    High = i64::MAX,
}

#[derive(ShmMessage)]
#[repr(C)]
struct Stamped<T>(T, std::marker::PhantomData<T>);

#[test]
fn a_schema_is_json_whatever_the_names() {
    let schema: serde_json::Value = serde_json::from_str(Odd::SCHEMA_JSON).unwrap();
    let fields = &schema["fields"];
    assert_eq!(fields[0]["name"], "a \"quoted\" \\ name\n\u{1}");
    assert_eq!(fields[1]["name"], "größe");
    assert_eq!(fields[1]["of"]["enum"]["\t"], i64::MIN);
    assert_eq!(fields[1]["of"]["enum"]["High"], i64::MAX);
    assert_eq!(fields[2]["name"], "µ/😀");
    assert_eq!(fields[2]["of"]["item"]["fields"][0]["of"]["type"], "|b1");
}

/// The text is longer than each of the buffers to which it is written during compilation.
#[test]
fn a_schema_may_be_long() {
    #[derive(ShmMessage)]
    #[repr(C)]
    struct Ten<T>(T, T, T, T, T, T, T, T, T, T);
    fn parses<M: ShmMessage>() -> usize {
        let schema: serde_json::Value = serde_json::from_str(M::SCHEMA_JSON).unwrap();
        assert_eq!(schema["size"], M::SCHEMA.size);
        M::SCHEMA_JSON.len()
    }
    let lengths =
        [parses::<u8>(), parses::<Ten<u8>>(), parses::<Ten<Ten<u8>>>(), parses::<Ten<Ten<Ten<u8>>>>()];
    assert!(lengths.is_sorted() && lengths[0] < 128 && lengths[3] > 40_000, "{lengths:?}");
    type Huge = Ten<Ten<Ten<Ten<u8>>>>;
    assert_eq!(Huge::SCHEMA_JSON, r#"{"too_long":true}"#);
    assert_ne!(Huge::SCHEMA.fingerprint, <Ten<Ten<Ten<Ten<i8>>>>>::SCHEMA.fingerprint);
}
