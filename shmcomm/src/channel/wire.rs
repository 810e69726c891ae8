//! What an expansion of `channel!` with `wire: Python` calls. Not public API.

pub use std::vec::Vec;

use super::pattern::Carries;
use crate::message::text::Text;
use crate::python::{self, Options};

/// Bytes of a slot that are the length of its message.
const PREFIX: usize = 4;
const MAX: usize = u32::MAX as usize;

/// A name that Python can use.
#[track_caller]
pub const fn name(who: &str, name: &str) {
    if let Some(problem) = python::name_problem(name) {
        let text =
            Text::new().code(who).str(": \"").str(name).str("\" is no name of a channel with Python: ");
        text.str(problem).str("\nuse letters, digits, `_`, `-` and `.`, at most 243 bytes").panic();
    }
}

#[track_caller]
pub const fn slots(who: &str, slots: usize) {
    if slots < 2 || slots > MAX {
        let text = Text::new().str("`slots` of channel ").code(who).str(" must be from 2 to ").num(MAX);
        text.str(", not ").num(slots).str("\none of them always stays empty").panic();
    }
}

/// The first message of `carries` fits into slots of that size.
#[track_caller]
pub const fn fits(who: &str, message: &str, carries: Carries, slot_size: usize) {
    if slot_size <= PREFIX {
        let text = Text::new().str("a slot of channel ").code(who).str(" takes at least 5 bytes, not ");
        text.num(slot_size).str("\n4 of them are the length of its message").panic();
    }
    if let Some(size) = carries.first.size()
        && size.saturating_add(PREFIX) > slot_size
    {
        let needed = size.saturating_add(PREFIX);
        let encoded = carries.first.schema.is_none();
        let text = Text::new().str(if encoded { "an encoded " } else { "message " }).code(message);
        let text =
            text.str(if encoded { " takes slots of up to " } else { " takes slots of " }).bytes(needed);
        let text = text.str(", 4 of them for its length, but those of channel ").code(who).str(" have ");
        let text = text.num(slot_size).str("\nset `slot_size: ").num(needed);
        text.str("` or more, or leave `slot_size` out: it then follows the message").panic();
    }
    if slot_size > MAX {
        let text = Text::new().str("`slot_size` of channel ").code(who).str(" must be at most ").num(MAX);
        text.str(", not ").num(slot_size).panic();
    }
}

/// What a slot takes if the declaration does not say: what its message takes, or what Python has. If a
/// codec encodes the message, what Python has is enough unless the longest needs more.
pub const fn slot_size(carries: Carries, of_python: usize) -> usize {
    match carries.size() {
        Some(size) if carries.first.schema.is_none() && size.saturating_add(PREFIX) <= of_python => of_python,
        Some(size) => size.saturating_add(PREFIX),
        None => of_python,
    }
}

/// What the ends of a declared channel are opened with.
pub fn options(defaults: Options, slots: usize, slot_size: usize) -> Options {
    Options { slots: slots as u64, slot_size: slot_size as u64, ..defaults }
}
