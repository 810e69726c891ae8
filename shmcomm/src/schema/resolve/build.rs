//! From two layouts to the steps between them.
//!
//! Owns the rules of resolution: names, defaults, widening. Recurses as deep as the layouts, which their parser
//! bounds. Calls `rules` for what the reader declares.

use super::rules::{self, Rules};
use super::run::{Case, Items, Step};
use super::{Cause, Layout, Resolution, ResolveError};
use crate::message::schema::{ONE_CODEC, codecs_differ};
use crate::message::{Prim, Std};
use crate::plural::count;
use crate::schema::{LayoutField, LayoutKind};
use std::collections::BTreeMap;

/// Returns the steps from messages of `writer` to messages of `reader`.
pub(super) fn steps(
    writer: &Layout,
    reader: &Layout,
    rules: &Rules,
) -> Result<(Vec<Step>, Resolution), ResolveError> {
    let mut build = Build { rules, resolution: Resolution::default() };
    let mut steps = Vec::new();
    build.part((writer, 0), (reader, 0), "", &mut steps)?;
    Ok((steps, build.resolution))
}

/// Returns `true` if the first bytes of a message of `writer` are a message of `reader`.
pub(super) fn is_prefix(writer: &Layout, reader: &Layout) -> bool {
    if writer.is_same(reader) {
        return true;
    }
    let (LayoutKind::Struct { fields: theirs, .. }, LayoutKind::Struct { fields: ours, .. }) =
        (writer.kind(), reader.kind())
    else {
        return false;
    };
    let names = by_name(theirs);
    let placed = |field: &LayoutField| {
        names
            .get(&*field.name)
            .is_some_and(|theirs| theirs.offset == field.offset && is_prefix(&theirs.layout, &field.layout))
    };
    reader.size() <= writer.size() && reader.align() <= writer.align() && ours.iter().all(placed)
}

/// Returns the fields by name. Of two fields of one name, which no type has, the first counts.
fn by_name(fields: &[LayoutField]) -> BTreeMap<&str, &LayoutField> {
    fields.iter().rev().map(|field| (&*field.name, field)).collect()
}

/// Layout of a part, and its offset.
type At<'l> = (&'l Layout, usize);

struct Build<'r> {
    rules: &'r Rules,
    resolution: Resolution,
}

impl Build<'_> {
    fn part(
        &mut self,
        (writer, from): At<'_>,
        (reader, to): At<'_>,
        place: &str,
        steps: &mut Vec<Step>,
    ) -> Result<(), ResolveError> {
        if writer.is_same(reader) {
            copy(steps, from, to, reader.size());
            return Ok(());
        }
        if let (Some(theirs), Some(ours)) = (writer.codec(), reader.codec())
            && theirs != ours
        {
            return Err(other_codec(theirs, ours, place));
        }
        // An error about an item is one about its container, whose type the author wrote.
        let whole = |inside: &str, error: ResolveError| match error.cause {
            Cause::Narrower if error.place == inside => narrowed((writer, from), (reader, to), place),
            Cause::Type if error.place == inside => other_type((writer, from), (reader, to), place),
            _ => error,
        };
        match (writer.kind(), reader.kind()) {
            (LayoutKind::Prim(of), LayoutKind::Prim(into)) => {
                if !holds(*of, *into) {
                    let refused = if holds(*into, *of) { narrowed } else { other_type };
                    return Err(refused((writer, from), (reader, to), place));
                }
                self.widened(place);
                steps.push(Step::Widen { from, of: *of, to, into: *into });
            }
            (LayoutKind::Prim(_) | LayoutKind::Std(_), LayoutKind::Std(_))
            | (LayoutKind::Std(_), LayoutKind::Prim(_)) => {
                let step = number(writer.kind(), from, reader.kind(), to);
                steps.push(step.ok_or_else(|| other_type((writer, from), (reader, to), place))?);
                self.widened(place);
            }
            (
                LayoutKind::Enum { prim: of, .. } | LayoutKind::Choice { prim: of, .. },
                LayoutKind::Enum { prim: into, .. } | LayoutKind::Choice { prim: into, .. },
            ) => {
                if of != into {
                    self.widened(place);
                }
                let cases = self.variants(&variants(writer), &variants(reader), place)?;
                steps.push(if cases.iter().all(|case| case.steps.is_empty()) {
                    let map = cases.iter().map(|case| (case.theirs, case.ours)).collect();
                    Step::Variant { from, of: *of, to, into: *into, map }
                } else {
                    let (from, to) = (items(from, 0, writer), items(to, 0, reader));
                    Step::Choice { from, of: *of, to, into: *into, cases }
                });
            }
            (LayoutKind::Str { capacity: theirs }, LayoutKind::Str { capacity: ours }) => {
                if ours < theirs {
                    return Err(narrowed((writer, from), (reader, to), place));
                }
                self.widened(place);
                steps.push(Step::Text { from, to, capacity: *theirs });
            }
            (LayoutKind::Array { item: theirs, len }, LayoutKind::Array { item: ours, len: same })
                if len == same =>
            {
                let inside = rules::items(place);
                let item = self.item(theirs, ours, &inside).map_err(|error| whole(&inside, error))?;
                let (from, to) = (items(from, 0, theirs), items(to, 0, ours));
                steps.push(Step::Array { from, to, len: *len, item });
            }
            (
                LayoutKind::List { item: theirs, capacity, offset },
                LayoutKind::List { item: ours, capacity: room, offset: first },
            ) => {
                if room < capacity {
                    return Err(narrowed((writer, from), (reader, to), place));
                }
                if room > capacity {
                    self.widened(place);
                }
                let inside = rules::items(place);
                let item = self.item(theirs, ours, &inside).map_err(|error| whole(&inside, error))?;
                let (from, to) = (items(from, *offset, theirs), items(to, *first, ours));
                steps.push(Step::List { from, to, capacity: *capacity, item });
            }
            (LayoutKind::Maybe { item: theirs, offset }, LayoutKind::Maybe { item: ours, offset: first }) => {
                let inside = rules::inside(place);
                let item = self.item(theirs, ours, &inside).map_err(|error| whole(&inside, error))?;
                let (from, to) = (items(from, *offset, theirs), items(to, *first, ours));
                steps.push(Step::Maybe { from, to, item });
            }
            (LayoutKind::Struct { fields: theirs, .. }, LayoutKind::Struct { fields: ours, .. }) => {
                self.fields((theirs, from), (ours, to), place, steps)?;
            }
            _ => return Err(other_type((writer, from), (reader, to), place)),
        }
        Ok(())
    }

    fn item(&mut self, writer: &Layout, reader: &Layout, place: &str) -> Result<Box<[Step]>, ResolveError> {
        let mut steps = Vec::new();
        self.part((writer, 0), (reader, 0), place, &mut steps)?;
        Ok(steps.into())
    }

    fn fields(
        &mut self,
        (theirs, from): (&[LayoutField], usize),
        (ours, to): (&[LayoutField], usize),
        place: &str,
        steps: &mut Vec<Step>,
    ) -> Result<(), ResolveError> {
        let mut unread = by_name(theirs);
        let names = unread.clone();
        for field in ours {
            let place = rules::field(place, &field.name);
            let rule = self.rules.at(&place);
            let aliases = rule.iter().flat_map(|rule| &rule.aliases);
            let mut earlier = aliases.filter_map(|alias| names.get(&**alias).copied());
            let to = to + field.offset;
            if let Some(theirs) = names.get(&*field.name).copied().or_else(|| earlier.next()) {
                unread.remove(&*theirs.name);
                if theirs.name != field.name {
                    self.resolution.renamed.push(place.clone());
                }
                self.part((&theirs.layout, from + theirs.offset), (&field.layout, to), &place, steps)?;
            } else if let Some(bytes) = rule.and_then(|rule| rule.default.clone()) {
                self.resolution.defaulted.push(place);
                steps.push(Step::Fill { to, bytes });
            } else {
                return Err(ResolveError::new(
                    Cause::Missing,
                    &place,
                    "the writer has no field of this name",
                    "give it `#[shm(default)]`, or `#[shm(alias = \"…\")]` with its earlier name",
                ));
            }
        }
        let ignored = theirs.iter().filter(|field| unread.contains_key(&*field.name));
        self.resolution.ignored.extend(ignored.map(|field| rules::field(place, &field.name)));
        Ok(())
    }

    /// Returns what becomes of each variant of the writer, sorted by its values.
    fn variants(
        &mut self,
        theirs: &[Named<'_>],
        ours: &[Named<'_>],
        place: &str,
    ) -> Result<Box<[Case]>, ResolveError> {
        let names: BTreeMap<&str, &Named<'_>> = ours.iter().map(|variant| (variant.name, variant)).collect();
        let (mut earlier, mut other) = (BTreeMap::new(), None);
        for variant in ours {
            let rule = self.rules.at(&rules::case(place, variant.name));
            for alias in rule.iter().flat_map(|rule| &rule.aliases) {
                earlier.insert(&**alias, variant);
            }
            if rule.is_some_and(|rule| rule.other) {
                other = Some(variant);
            }
        }
        let mut cases = BTreeMap::new();
        for variant in theirs {
            let mut steps = Vec::new();
            let ours = if let Some(&ours) = names.get(variant.name).or_else(|| earlier.get(variant.name)) {
                let place = rules::case(place, ours.name);
                if ours.name != variant.name {
                    self.resolution.renamed.push(place.clone());
                }
                self.fields((variant.fields, 0), (ours.fields, 0), &place, &mut steps)?;
                ours
            } else if let Some(ours) = other {
                self.resolution.other.push(rules::case(place, variant.name));
                ours
            } else {
                return Err(unknown_variant(variant.name, place));
            };
            let case = Case { theirs: variant.value, ours: ours.value, steps: steps.into() };
            cases.entry(variant.value).or_insert(case);
        }
        Ok(cases.into_values().collect())
    }

    fn widened(&mut self, place: &str) {
        self.resolution.widened.push(place.to_owned());
    }
}

/// A variant of an enum, with or without data.
struct Named<'l> {
    name: &'l str,
    value: i128,
    fields: &'l [LayoutField],
}

fn variants(layout: &Layout) -> Vec<Named<'_>> {
    match layout.kind() {
        LayoutKind::Enum { variants, .. } => {
            variants.iter().map(|v| Named { name: &v.name, value: v.value, fields: &[] }).collect()
        }
        LayoutKind::Choice { variants, .. } => {
            variants.iter().map(|v| Named { name: &v.name, value: v.value, fields: v.fields() }).collect()
        }
        _ => Vec::new(),
    }
}

/// Returns the step between two integers of which one is a type of the standard library, if no value is lost.
fn number(writer: &LayoutKind, from: usize, reader: &LayoutKind, to: usize) -> Option<Step> {
    let of = match writer {
        LayoutKind::Prim(of) | LayoutKind::Std(Std::NonZero(of) | Std::OptionNonZero(of)) => *of,
        _ => return None,
    };
    let (least, _) = of.range()?;
    let never_zero = matches!(writer, LayoutKind::Std(Std::NonZero(_)));
    let optional = matches!(writer, LayoutKind::Std(Std::OptionNonZero(_)));
    let fits = |into: Prim| holds(of, into).then_some(Step::Widen { from, of, to, into });
    match reader {
        LayoutKind::Std(Std::NonZero(into)) if never_zero => fits(*into),
        LayoutKind::Std(Std::OptionNonZero(into)) if never_zero || optional => fits(*into),
        LayoutKind::Prim(into) if !optional => fits(*into),
        LayoutKind::Std(Std::U128) if least == 0 && !optional => Some(Step::Widen128 { from, of, to }),
        LayoutKind::Std(Std::I128) if !optional => Some(Step::Widen128 { from, of, to }),
        _ => None,
    }
}

fn items(at: usize, first: usize, item: &Layout) -> Items {
    Items { at, first, size: item.size() }
}

/// Adds a copy, and joins it with the last step if both copy neighbouring bytes.
fn copy(steps: &mut Vec<Step>, from: usize, to: usize, len: usize) {
    if let Some(Step::Copy { from: before, to: there, len: already }) = steps.last_mut()
        && *before + *already == from
        && *there + *already == to
    {
        *already += len;
        return;
    }
    steps.push(Step::Copy { from, to, len });
}

/// Returns `true` if every value of `of` is a value of `into`.
pub(super) fn holds(of: Prim, into: Prim) -> bool {
    match (of.range(), into.range()) {
        (Some((least, most)), Some((from, to))) => from <= least && most <= to,
        (Some((least, most)), None) => {
            // Integers up to this are exact: 24 and 53 bits.
            let exact = if into == Prim::F32 { 1 << 24 } else { 1 << 53 };
            -exact <= least && most <= exact
        }
        (None, None) => of.size() <= into.size(),
        (None, Some(_)) => false,
    }
}

#[cold]
fn unknown_variant(name: &str, place: &str) -> ResolveError {
    let name = crate::escape::escape(name);
    ResolveError::new(
        Cause::Missing,
        place,
        format!("the writer has a variant `{name}`, which is not known here"),
        "mark the variant that unknown ones become with `#[shm(other)]`, or name the earlier name of a variant with \
         `#[shm(alias = \"…\")]`",
    )
}

/// Returns both types, with their offsets if they are fields.
fn difference((writer, from): At<'_>, (reader, to): At<'_>, place: &str) -> String {
    let (theirs, ours) = (writer.to_string(), reader.to_string());
    if theirs == ours {
        let (theirs, here) = (count(writer.size(), "byte"), reader.size());
        return format!("`{ours}` has {theirs} and another layout there, and {here} here");
    }
    if place.is_empty() {
        format!("there `{theirs}`, here `{ours}`")
    } else {
        format!("there `{theirs}` at byte {from}, here `{ours}` at byte {to}")
    }
}

#[cold]
fn other_codec(theirs: &str, ours: &str, place: &str) -> ResolveError {
    ResolveError::new(Cause::Codec, place, codecs_differ(theirs, ours), ONE_CODEC)
}

#[cold]
fn narrowed(writer: At<'_>, reader: At<'_>, place: &str) -> ResolveError {
    let problem = format!("{}, which does not hold every value", difference(writer, reader, place));
    ResolveError::new(
        Cause::Narrower,
        place,
        problem,
        "declare the wider type, or give the changed field another name with `#[shm(default)]`",
    )
}

#[cold]
fn other_type(writer: At<'_>, reader: At<'_>, place: &str) -> ResolveError {
    let or_else =
        if place.is_empty() { "" } else { ", or give the changed field another name with `#[shm(default)]`" };
    let cure = format!("build both programs from the same definition of the message{or_else}");
    ResolveError::new(Cause::Type, place, difference(writer, reader, place), cure)
}
