//! `docs/format.md` is true: its tables are those of the sources, and its dump is that of a segment made by the library.

use crate::page::{Page, constant, number, source, value};
use shmcomm::{Pad, ShmMessage, Timestamp, TryRecvError, channel, list_segments};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

fn page() -> Page {
    Page::new(source("docs/format.md"))
}

/// Returns the text between `{` and the matching `}` after `start`.
fn block<'t>(text: &'t str, start: &str) -> &'t str {
    let from = text.find(start).unwrap_or_else(|| panic!("no `{start}` in the source"));
    let text = &text[from + start.len()..];
    let mut depth = 1;
    let end = text.find(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        depth == 0
    });
    &text[..end.expect("braces match")]
}

/// The constants of a module that are plain offsets: not sizes, and not the states of a word.
fn offsets(source: &str, module: &str) -> BTreeMap<String, u64> {
    block(source, &format!("mod {module} {{"))
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub(crate) const ")?.split_once(": usize = "))
        .filter(|(name, _)| !matches!(*name, "END" | "SIZE" | "NAME_LEN"))
        .map(|(name, value)| (name.to_owned(), number(value.trim_end_matches(';'))))
        .collect()
}

fn assert_offsets(section: &str, module: &str) {
    let documented: BTreeMap<_, _> = page()
        .table(section, "offset")
        .into_iter()
        .map(|row| (row["name"].clone(), number(&row["offset"])))
        .collect();
    assert_eq!(documented, offsets(&source("shmcomm/src/layout/mod.rs"), module), "{section}");
}

#[test]
fn offsets_are_those_of_the_sources() {
    assert_offsets("Control words", "control");
    assert_offsets("Seats", "seat");
    assert_offsets("Slots", "slot");
    assert_offsets("Events", "event");
}

#[test]
fn identity_has_the_fields_of_the_source() {
    let source = source("shmcomm/src/layout/mod.rs");
    let mut offset = 0;
    let mut fields = Vec::new();
    for line in block(&source, "struct Identity {").lines() {
        let Some(field) = line.trim().strip_prefix("pub(crate) ") else { continue };
        let (name, ty) = field.trim_end_matches(',').split_once(": ").expect("a field");
        let (each, count) = match ty.trim_matches(['[', ']']).split_once("; ") {
            Some((each, count)) => (each, number(count)),
            None => (ty, 1),
        };
        let shown = if count == 1 { each.to_owned() } else { format!("{each} × {count}") };
        fields.push((offset, shown, name.to_owned()));
        offset += count * number(each.trim_start_matches(['u', 'i'])) / 8;
    }
    assert_eq!(offset, 256);
    let documented: Vec<_> = page()
        .table("Identity", "offset")
        .into_iter()
        .map(|row| (number(&row["offset"]), row["type"].clone(), row["name"].clone()))
        .collect();
    assert_eq!(documented, fields);
}

#[test]
fn numbers_on_the_page_are_those_of_the_sources() {
    let layout = source("shmcomm/src/layout/mod.rs");
    let segment = source("shmcomm/src/segment/mod.rs");
    for (section, column, source, item) in [
        ("Identity", "pattern", &layout, "enum Pattern {"),
        ("Identity", "codec", &layout, "enum Format {"),
        ("Identity", "discipline", &layout, "enum Discipline {"),
        ("Seats", "ROLE", &segment, "enum Role {"),
    ] {
        let variants: Vec<_> = block(source, item)
            .lines()
            .filter_map(|line| line.trim().trim_end_matches(',').split_once(" = "))
            .map(|(name, value)| (number(value), name.to_owned()))
            .collect();
        let documented: Vec<_> = page()
            .table(section, column)
            .into_iter()
            .map(|row| (number(&row[column]), row["name"].clone()))
            .collect();
        assert_eq!(documented, variants, "{column}");
    }
}

#[test]
fn limits_and_names_are_those_of_the_sources() {
    let page = source("docs/format.md");
    let layout = source("shmcomm/src/layout/mod.rs");
    let geometry = source("shmcomm/src/layout/geometry.rs");
    let name = source("shmcomm/src/segment/name.rs");
    let os = source("shmcomm/src/os/mod.rs");
    let registration = source("shmcomm/src/segment/registration.rs");
    let wait = source("shmcomm/src/wait/mod.rs");
    let most_seats = value(&geometry, "MAX_SEATS");
    for said in [
        format!("0x{:X}", value(&layout, "MAGIC")),
        format!("| `version` | {} |", value(&layout, "VERSION")),
        format!(
            "| `slots` | a power of two from {} to {} |",
            value(&geometry, "MIN_SLOTS"),
            value(&geometry, "MAX_SLOTS")
        ),
        format!("| `slot_size` | 1 to {} |", value(&geometry, "MAX_SLOT_SIZE")),
        format!("| `align` | a power of two from 1 to {} |", value(&layout, "PAGE")),
        format!(
            "| `seats` | 2 to {most_seats}; `Pinned`: at most 1 + max(1, min({}, `slots` - 2)) |",
            value(&geometry, "PINNED_READERS")
        ),
        format!("| `schema_len` | 0 to {} |", value(&geometry, "MAX_SCHEMA")),
        format!("if `slot_size` is at most {}, and as\n`MultiPinned`", value(&layout, "COPIED_MAX")),
        format!("`Copied` if `slot_size` is at most {}", value(&layout, "SMALL_MAX")),
        format!("from {} slots on", value(&geometry, "PINNED_SLOTS")),
        format!("1 to {} bytes", value(&name, "MAX_NAME")),
        format!("have {} bytes", value(&name, "MAX_FILE_NAME")),
        format!("The file is `{}`", constant(&name, "PREFIX")),
        format!("start with `{}`", constant(&os, "TEMPORARY")),
        format!("`{}`", constant(&name, "DIR_VARIABLE")),
        format!("| `i`, from 0 to {} |", most_seats - 1),
        format!("| {} | registration", value(&registration, "REGISTRATION")),
        format!("wait while FUTEX == value, {} ms at most", duration(&constant(&wait, "MAX_SLEEP"))),
    ] {
        assert!(page.contains(&said), "docs/format.md does not say: {said}");
    }
}

fn duration(text: &str) -> u64 {
    number(text.trim_start_matches("Duration::from_millis(").trim_end_matches(')'))
}

/// Returns `true` if the byte at this offset may differ from one run to the next: a time, a process or a program.
fn masked(offset: usize) -> bool {
    let seat = (offset.wrapping_sub(2048)) % 128;
    matches!(offset, 136..148) || (2048..2304).contains(&offset) && matches!(seat, 4..8 | 16..56)
}

/// The name of the channel, which is another one in each run of a test.
fn is_channel(offset: usize) -> bool {
    (1280..1480).contains(&offset)
}

/// Returns a dump in the form of the page. It has a line for 16 bytes, unless they are zeros or the channel's name.
fn dump(bytes: &[u8]) -> String {
    let mut dump = String::new();
    for (at, line) in (0..).step_by(16).zip(bytes.chunks(16)) {
        let left_out = |(i, byte): (usize, &u8)| *byte == 0 && !masked(at + i) || is_channel(at + i);
        if line.iter().enumerate().all(left_out) {
            continue;
        }
        write!(dump, "{at:06x} ").unwrap();
        let mut text = String::new();
        for (i, &byte) in line.iter().enumerate() {
            let gap = if i == 8 { "  " } else { " " };
            if masked(at + i) {
                write!(dump, "{gap}..").unwrap();
                text.push(' ');
            } else {
                write!(dump, "{gap}{byte:02x}").unwrap();
                text.push(if (0x20..0x7f).contains(&byte) { byte as char } else { '.' });
            }
        }
        writeln!(dump, "  |{text}|").unwrap();
    }
    dump
}

/// A flag for the dump, and fields of several kinds.
#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[repr(u8)]
pub(crate) enum Unit {
    Celsius = 1,
    Kelvin = 2,
}

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[repr(C)]
pub(crate) struct Reading {
    stamp: Timestamp,
    value: f32,
    unit: Unit,
    valid: bool,
    _pad: Pad<2>,
}

channel! {
    Readings: PubSub<Reading> { name: "readings", slots: 2, seats: 2 }
    Blocks: PubSub<[u64; 1024]> { name: "blocks", slots: 4, seats: 3 }
}

fn namespace(test: &str) -> String {
    format!("format-{}-{test}", std::process::id())
}

fn path(namespace: &str, name: &str) -> PathBuf {
    let name = format!("{namespace}/{name}");
    let segment = list_segments().unwrap().into_iter().find(|segment| segment.channel == name);
    segment.expect("the channel is open").path
}

fn reading(number: i64) -> Reading {
    Reading {
        stamp: Timestamp::from_nanos(1_000_000_000 + number),
        value: 20.5 + number as f32,
        unit: Unit::Kelvin,
        valid: true,
        _pad: Pad::new(),
    }
}

#[test]
#[cfg(target_endian = "little")]
fn the_dump_is_that_of_a_segment_of_the_library() {
    let ns = namespace("dump");
    let mut publisher = Readings::open().namespace(&ns).publisher().unwrap();
    let mut subscriber = Readings::open().namespace(&ns).subscriber().unwrap();
    for number in 0..3 {
        publisher.send(&reading(number)).unwrap();
        if number < 2 {
            assert_eq!(subscriber.try_recv(), Ok(reading(number)));
        }
    }
    assert_dump(&path(&ns, "readings"), "Copied");
}

#[test]
#[cfg(target_endian = "little")]
fn the_dump_shows_a_slot_that_a_reader_holds() {
    let ns = namespace("pinned");
    let mut publisher = Blocks::open().namespace(&ns).publisher().unwrap();
    let mut subscriber = Blocks::open().namespace(&ns).subscriber().unwrap();
    let block = |number: u64| {
        let mut block = [0; 1024];
        block[0] = 0xb10c_0000 + number;
        block
    };
    publisher.send(&block(0)).unwrap();
    let held = subscriber.recv_ref().unwrap();
    for number in 1..5 {
        publisher.send(&block(number)).unwrap();
    }
    assert_eq!(held[0], 0xb10c_0000);
    assert_dump(&path(&ns, "blocks"), "Pinned");
}

/// The last block under the heading is the dump of the file.
#[track_caller]
fn assert_dump(path: &std::path::Path, heading: &str) {
    let found = dump(&std::fs::read(path).unwrap());
    let page = page();
    let (_, golden) = page.halves("## A segment, byte for byte");
    let documented = golden.blocks(heading).concat().join("\n") + "\n";
    assert!(documented == found, "under {heading}, the dump should read:\n{found}");
}

/// A subscriber that knows only the page: `receive` of the copied ring, on a file
/// that no process writes to meanwhile.
struct Foreign {
    path: PathBuf,
    position: u64,
    gap: u64,
    holes: u64,
}

#[derive(Debug, PartialEq)]
enum Received {
    Message(Vec<u8>),
    Lagged(u64),
    Empty,
}

impl Foreign {
    fn receive(&mut self) -> Received {
        let file = std::fs::read(&self.path).unwrap();
        let word = |at: u64| u64::from_ne_bytes(file[at as usize..][..8].try_into().unwrap());
        let field = |table: &str, name: &str| {
            let rows = page().table(table, "offset");
            number(&rows.iter().find(|row| row["name"] == name).expect("a row")["offset"])
        };
        let identity = |name: &str| word(field("Identity", name));
        let (n, stride) = (identity("slots"), identity("stride"));
        let head = word(field("Control words", "HEAD"));
        loop {
            let position = self.position;
            let slot = identity("slots_offset") + stride * (position % n);
            let stamp = word(slot + field("Slots", "STAMP"));
            if stamp == 4 * (position + 1) + 2 {
                let meta = word(slot + field("Slots", "META"));
                let (length, holes) = (meta & 0xffff_ffff, meta >> 32);
                let lost = self.gap - (holes - self.holes);
                (self.gap, self.holes) = (0, holes);
                if lost > 0 {
                    return Received::Lagged(lost);
                }
                self.position += 1;
                let payload = (slot + identity("payload_offset")) as usize;
                return Received::Message(file[payload..payload + length as usize].to_vec());
            }
            if stamp <= 4 * (position + 1) + 1 {
                return Received::Empty;
            }
            if stamp == 4 * (position + 1) + 3 {
                self.position += 1;
                self.holes += 1;
                continue;
            }
            let step = head.saturating_sub(n - n / 4 - 1).saturating_sub(position).max(1);
            self.position += step;
            self.gap += step;
        }
    }
}

#[test]
fn reader_made_from_the_page_agrees_with_the_library() {
    let ns = namespace("foreign");
    let mut publisher = Blocks::open().namespace(&ns).publisher().unwrap();
    let mut holder = Blocks::open().namespace(&ns).subscriber().unwrap();
    let mut reader = Blocks::open().namespace(&ns).subscriber().unwrap();
    let mut foreign = Foreign { path: path(&ns, "blocks"), position: 0, gap: 0, holes: 0 };
    let mut number = 0;
    // A slot that is held all the time makes a hole in each lap.
    publisher.send(&[0; 1024]).unwrap();
    let _held = holder.recv_ref().unwrap();
    for burst in [0, 1, 2, 3, 4, 9, 1, 30, 2] {
        for _ in 0..burst {
            number += 1;
            publisher.send(&[number; 1024]).unwrap();
        }
        loop {
            let expected = match reader.try_recv() {
                Ok(block) => Received::Message(block.iter().flat_map(|word| word.to_ne_bytes()).collect()),
                Err(TryRecvError::Lagged(lost)) => Received::Lagged(lost),
                Err(TryRecvError::Empty) => Received::Empty,
                Err(error) => panic!("{error}"),
            };
            assert_eq!(foreign.receive(), expected, "after message {number}");
            if expected == Received::Empty {
                break;
            }
        }
    }
    assert!(publisher.stats().holes > 0 && reader.lost() > 0);
}
