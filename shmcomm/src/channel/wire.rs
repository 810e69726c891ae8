//! Items that an expansion of `channel!` with `wire: Python` uses. Not public API.

pub use std::string::String;
pub use std::vec::Vec;

use super::pattern::MessageInfo;
use crate::message::text::Text;
use crate::python::{self, Options};

/// Bytes of the length prefix of a slot.
const PREFIX: usize = 4;
const MAX: usize = u32::MAX as usize;

/// Checks that Python can use the name.
#[track_caller]
pub const fn name(who: &str, name: &str) {
    if let Some(problem) = python::name_problem(name) {
        refuse(who, name, problem, 243);
    }
}

/// Checks that Python can use the name for a queue.
#[track_caller]
pub const fn queue_name(who: &str, name: &str) {
    if let Some(problem) = python::queue_name_problem(name) {
        refuse(who, name, problem, 229);
    }
}

#[track_caller]
const fn refuse(who: &str, name: &str, problem: &str, most: usize) -> ! {
    let text = Text::new().code(who).str(": \"").str(name).str("\" is no name of a channel with Python: ");
    let text = text.str(problem).str("\nuse letters, digits, `_`, `-` and `.`, at most ");
    text.bytes(most).panic()
}

#[track_caller]
pub const fn slots(who: &str, slots: usize) {
    if slots < 2 || slots > MAX {
        let text = Text::new().str("`slots` of channel ").code(who).str(" must be from 2 to ").num(MAX);
        text.str(", not ").num(slots).str("\none of them always stays empty").panic();
    }
}

/// Checks that the first message of `carries` fits into slots of `slot_size` bytes.
#[track_caller]
pub const fn fits(who: &str, message: &str, carries: MessageInfo, slot_size: usize) {
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

/// Returns the default slot size in bytes: the size of the message with its prefix, or the default of the
/// Python library. If a codec encodes the message, the default of Python applies unless the longest message
/// needs more.
pub const fn slot_size(carries: MessageInfo, of_python: usize) -> usize {
    match carries.size() {
        Some(size) if carries.first.schema.is_none() && size.saturating_add(PREFIX) <= of_python => of_python,
        Some(size) => size.saturating_add(PREFIX),
        None => of_python,
    }
}

/// Returns the options that open the ends of a declared channel.
pub fn options(defaults: Options, slots: usize, slot_size: usize) -> Options {
    Options { slots: slots as u64, slot_size: slot_size as u64, ..defaults }
}
