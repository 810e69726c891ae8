//! The derive against zerocopy's: the same types, the same bytes, the same verdicts.

use shmcomm::message::{as_bytes, read, view};
use shmcomm::{Pad, ShmMessage, ShmOption, ShmString, ShmVec, Timestamp};
use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

macro_rules! both {
    ($($item:item)*) => {$(
        #[derive(Clone, Copy, Debug, PartialEq, ShmMessage, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
        $item
    )*};
}

both! {
    #[repr(u8)] enum E8 { A, B = 7, C }
    #[repr(i8)] enum I8 { A = -128, B = 127 }
    #[repr(i16)] enum E16 { A = -2, B, C = 300 }
    #[repr(u32)] enum E32 { A = 1 << 31, B = 0 }
    #[repr(u64)] enum E64 { A = u64::MAX, B = 0 }
    #[repr(i64)] enum I64 { A = i64::MIN, B = -1 }
    #[repr(C)] struct Inner { e: E8, ok: bool, f: E16, c: char }
    #[repr(C)] struct Outer {
        wide: E64, a: [Inner; 2], flags: [[bool; 3]; 2], g: E16, x: f32, y: f32,
    }
    #[repr(C, packed)] struct Packed { a: u8, b: u64, ok: bool, e: E32 }
    #[repr(transparent)] struct Thin { only: Inner }
    #[repr(C)] struct Pair(I8, bool, E16);
    #[repr(C, align(16))] struct Aligned { wide: I64, c: char, d: [u8; 3], ok: bool }
    #[repr(C)] struct Plain { a: u64, b: [f64; 3], c: u32, d: i32 }
}

fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Returns the numbers of mutated values that were accepted and refused.
fn compare<T: ShmMessage + TryFromBytes + IntoBytes + Immutable + KnownLayout>(seed: &[T]) -> (u32, u32) {
    let (mut s, mut good, mut bad) = (0x9e37_79b9_7f4a_7c15, 0, 0);
    for _ in 0..if cfg!(miri) { 150 } else { 100_000 } {
        let base = &seed[random(&mut s) as usize % seed.len()];
        assert_eq!(as_bytes(base), base.as_bytes());
        let mut bytes = base.as_bytes().to_vec();
        for _ in 0..random(&mut s) % 3 {
            let at = random(&mut s) as usize % bytes.len();
            bytes[at] = match random(&mut s) % 3 {
                0 => random(&mut s) as u8,
                1 => 0,
                _ => 1,
            };
        }
        let (ours, theirs) = (read::<T>(&bytes), T::try_read_from_bytes(&bytes));
        assert_eq!(ours.is_ok(), theirs.is_ok(), "{bytes:?}");
        match ours {
            Ok(value) => {
                good += 1;
                assert_eq!(as_bytes(&value), &bytes[..]);
            }
            Err(invalid) => {
                bad += 1;
                assert_ne!(invalid.problem(), "not a valid value", "at {}", invalid.place());
            }
        }
    }
    (good, bad)
}

const INNER: Inner = Inner { e: E8::B, ok: true, f: E16::C, c: 'µ' };

#[test]
fn accepts_and_refuses_the_same_bytes_as_zerocopy() {
    let other = Inner { e: E8::A, ok: false, f: E16::A, c: '\u{10ffff}' };
    let outer = Outer {
        wide: E64::A,
        a: [INNER, other],
        flags: [[true, false, true]; 2],
        g: E16::B,
        x: 1.0,
        y: f32::NAN,
    };
    for (good, bad) in [
        compare(&[E8::A, E8::B, E8::C]),
        compare(&[I8::A, I8::B]),
        compare(&[E16::A, E16::B]),
        compare(&[E32::A, E32::B]),
        compare(&[E64::A, E64::B]),
        compare(&[I64::A, I64::B]),
        compare(&[INNER, other]),
        compare(&[outer]),
        compare(&[Packed { a: 1, b: 2, ok: true, e: E32::A }]),
        compare(&[Thin { only: INNER }]),
        compare(&[Pair(I8::A, true, E16::C)]),
        compare(&[Aligned { wide: I64::B, c: 'x', d: [1, 2, 3], ok: false }]),
    ] {
        assert!(good > 0 && bad > 0, "{good} {bad}");
    }
    let (_, refused) = compare(&[Plain { a: 1, b: [0.0; 3], c: 2, d: 3 }]);
    assert_eq!(refused, 0);
}

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[repr(C)]
struct Stamped<T> {
    stamp: u64,
    value: T,
}

#[derive(Clone, Debug, PartialEq, ShmMessage)]
#[repr(C)]
struct Inline {
    time: Timestamp,
    text: ShmString<12>,
    list: ShmVec<E16, 4>,
    option: ShmOption<char>,
    gap: Pad<4>,
    generic: ShmVec<Stamped<[bool; 8]>, 2>,
    nested: ShmOption<ShmVec<Inner, 1>>,
}

fn inline() -> Inline {
    Inline {
        time: Timestamp::from_nanos(5),
        text: "grüße".parse().unwrap(),
        list: ShmVec::try_from(&[E16::A, E16::C][..]).unwrap(),
        option: ShmOption::some('x'),
        gap: Pad::new(),
        generic: ShmVec::try_from(&[Stamped { stamp: 1, value: [true; 8] }][..]).unwrap(),
        nested: ShmOption::some(ShmVec::try_from(&[INNER][..]).unwrap()),
    }
}

/// Miri objects if a byte is not initialised, or a value is used that is none.
#[test]
fn mutated_inline_types_are_refused_or_usable() {
    let [_, value] = [inline(), inline()];
    let bytes = as_bytes(&value).to_vec();
    assert!(bytes.iter().map(|b| u32::from(*b)).sum::<u32>() > 0);
    assert_eq!(read::<Inline>(&bytes).unwrap(), value);

    let (mut s, mut good, mut bad) = (88_172_645_463_325_252, 0, 0);
    for _ in 0..if cfg!(miri) { 100 } else { 200_000 } {
        let mut bytes = bytes.clone();
        for _ in 0..1 + random(&mut s) % 3 {
            let at = random(&mut s) as usize % bytes.len();
            bytes[at] = (random(&mut s) >> (random(&mut s) % 8)) as u8;
        }
        match read::<Inline>(&bytes) {
            Ok(mut value) => {
                good += 1;
                assert!(format!("{value:?}").starts_with("Inline"));
                assert_eq!(as_bytes(&value), &bytes[..]);
                let copy = value.clone();
                assert_eq!(copy, value);
                value.list.pop();
                value.nested.take();
                value.text.pop();
                assert_eq!(read::<Inline>(as_bytes(&value)).unwrap(), value);
            }
            Err(invalid) => {
                bad += 1;
                assert!(invalid.place().starts_with("Inline."), "{invalid}");
                assert_ne!(invalid.problem(), "not a valid value", "{invalid}");
            }
        }
    }
    assert!(good > 0 && bad > 0, "{good} {bad}");
}

#[test]
fn zeros_are_a_value_exactly_where_the_schema_says_so() {
    fn zeros<T: ShmMessage>() -> bool {
        let read = read::<T>(&vec![0; T::SCHEMA.size]).is_ok();
        assert_eq!(read, T::SCHEMA.zero_valid);
        read
    }
    assert!(zeros::<Inline>() && zeros::<E8>() && zeros::<E64>() && zeros::<Plain>());
    assert!(!zeros::<I8>() && !zeros::<E16>() && !zeros::<Inner>() && !zeros::<Outer>() && !zeros::<I64>());
}

#[test]
fn a_view_needs_alignment_and_the_whole_value() {
    let aligned = vec![0u64; Inline::SCHEMA.size / 8 + 1];
    let zeros = &aligned.as_bytes()[..Inline::SCHEMA.size];
    assert!(view::<Inline>(zeros).is_ok());
    let shifted = view::<Inline>(&aligned.as_bytes()[1..][..Inline::SCHEMA.size]).unwrap_err();
    assert!(shifted.problem().ends_with("which is no multiple of 8"), "{shifted}");
    let short = view::<Inline>(&zeros[1..]).unwrap_err();
    assert!(short.problem().starts_with("a value has"), "{short}");
}

#[test]
fn fingerprints_follow_the_layout_not_type_names() {
    mod other {
        #![allow(dead_code)]
        #[derive(shmcomm::ShmMessage)]
        #[repr(C)]
        pub struct Renamed {
            e: super::E8,
            ok: bool,
            f: super::E16,
            c: char,
        }
        #[derive(shmcomm::ShmMessage)]
        #[repr(C)]
        pub struct Swapped {
            ok: bool,
            e: super::E8,
            f: super::E16,
            c: char,
        }
        #[derive(shmcomm::ShmMessage)]
        #[repr(C)]
        pub struct Padded {
            a: u32,
            hidden: shmcomm::Pad<4>,
        }
        #[derive(shmcomm::ShmMessage)]
        #[repr(C)]
        pub struct PaddedToo {
            a: u32,
            gap: shmcomm::Pad<1>,
            more: shmcomm::Pad<3>,
        }
    }
    assert_eq!(Inner::SCHEMA.fingerprint, other::Renamed::SCHEMA.fingerprint);
    assert_ne!(Inner::SCHEMA.fingerprint, other::Swapped::SCHEMA.fingerprint);
    assert_eq!(other::Padded::SCHEMA.fingerprint, other::PaddedToo::SCHEMA.fingerprint);
}

/// A fingerprint is part of the format: another one would part programs that understand each other.
#[test]
#[cfg(target_endian = "little")]
fn fingerprints_stay_as_they_are() {
    assert_eq!(u64::SCHEMA.fingerprint, 1_894_264_067_986_855_788);
    assert_eq!(Inner::SCHEMA.fingerprint, 11_956_651_711_337_529_630);
    assert_eq!(Inline::SCHEMA.fingerprint, 17_537_141_651_037_711_140);
}
