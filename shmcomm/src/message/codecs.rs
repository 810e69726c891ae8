//! Comparison of the codecs in two layouts whose fingerprints are equal.
//!
//! Owns the walk through both texts, and the words for a difference. A codec is not part of a fingerprint, so layouts with equal
//! fingerprints are compared by these names. Calls `parse`, which bounds the texts. Never panics.

use super::parse::Value;
#[cfg(not(loom))]
use super::parse::parse;
use super::shown::shown;

/// Cure of two codecs of one value.
#[cfg(not(loom))]
pub(crate) const ONE_CODEC: &str = "use one codec for this value in both programs, or give it another name";

/// Names the first value that has one codec in the layouts of a segment, and another one in those of this program. Each text
/// is an array of layouts. Returns the difference and the cure. A value whose codec only one text names is no difference: earlier
/// programs did not name it.
#[cfg(not(loom))]
pub(crate) fn codec_difference(theirs: &str, ours: &str) -> Option<(String, &'static str)> {
    // Nearly all segments have the text of their reader, or no codec at all.
    if theirs == ours || !theirs.contains("\"codec\"") || !ours.contains("\"codec\"") {
        return None;
    }
    let (there, here) = (parse(theirs)?, parse(ours)?);
    let mut pairs = there.items()?.iter().zip(here.items()?);
    pairs.find_map(|(there, here)| inside("", there, here)).map(|difference| (difference, ONE_CODEC))
}

/// Returns the difference between the codecs of two encoded values in words.
pub(super) fn of_value(there: &Value<'_>, here: &Value<'_>) -> Option<String> {
    // Other types may get a member of this name.
    let codec = |value: &Value<'_>| value.get("list").and_then(|_| value.text("codec")).map(str::to_owned);
    let (theirs, ours) = (codec(there)?, codec(here)?);
    (theirs != ours).then(|| codecs_differ(&theirs, &ours))
}

/// Returns the words for two codecs of one value.
pub(crate) fn codecs_differ(theirs: &str, ours: &str) -> String {
    format!("there encoded with `{}`, here with `{}`", shown(theirs), shown(ours))
}

/// Returns the name of the marker type of a codec: `Msgpack` for `msgpack`.
pub(crate) fn marker(codec: &str) -> String {
    let mut chars = codec.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(not(loom))]
fn inside(place: &str, there: &Value<'_>, here: &Value<'_>) -> Option<String> {
    if let Some(difference) = of_value(there, here) {
        return Some(if place.is_empty() { difference } else { format!("field `{place}`: {difference}") });
    }
    let item = || inside(&format!("{place}[]"), there.get("item")?, here.get("item")?);
    let own_fields = || fields(place, there, here);
    let variants = || {
        let (there, here) = (there.get("variants")?.items()?, here.get("variants")?.items()?);
        named(there, here, |name, there, here| fields(&below(place, "::", name), there, here))
    };
    item().or_else(own_fields).or_else(variants)
}

#[cfg(not(loom))]
fn fields(place: &str, there: &Value<'_>, here: &Value<'_>) -> Option<String> {
    let (there, here) = (there.get("fields")?.items()?, here.get("fields")?.items()?);
    named(there, here, |name, there, here| {
        inside(&below(place, ".", name), there.get("of")?, here.get("of")?)
    })
}

/// Compares the parts that have one name on both sides. They are in one order, because the fingerprints are equal.
#[cfg(not(loom))]
fn named(
    there: &[Value<'_>],
    here: &[Value<'_>],
    compare: impl Fn(&str, &Value<'_>, &Value<'_>) -> Option<String>,
) -> Option<String> {
    there.iter().zip(here).find_map(|(there, here)| {
        let name = here.text("name").filter(|name| there.text("name") == Some(name))?;
        compare(&shown(name), there, here)
    })
}

#[cfg(not(loom))]
fn below(place: &str, step: &str, name: &str) -> String {
    if place.is_empty() { name.to_owned() } else { format!("{place}{step}{name}") }
}
