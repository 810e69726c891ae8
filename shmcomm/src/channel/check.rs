//! Checks of a channel's declaration, made while the caller compiles.
//!
//! Owns these checks. Calls `message::check`; never touches a segment. Each check is `#[track_caller]`, so
//! that the error points at the tokens that the macro gave the call. The name of the channel in the source
//! is a parameter of each check.

use super::Overflow;
use super::pattern::MessageInfo;
use crate::layout::{self, InPlaceAsked, InPlaceRefusal};
use crate::message::check;
use crate::message::text::Text;
use core::time::Duration;

const MAX_NAME: usize = 200;
const MAX_SLOTS: usize = layout::MAX_SLOTS as usize;
const MAX_SLOT_SIZE: usize = layout::MAX_SLOT_SIZE as usize;
const MAX_SEATS: usize = layout::MAX_SEATS as usize;
const MAX_PUBLISHERS: usize = layout::MAX_PUBLISHERS as usize;
const MAX_WINDOW: usize = layout::MAX_WINDOW as usize;

/// Checks that the name of a group has a character.
#[track_caller]
pub const fn group(who: &str, group: &str) {
    if group.is_empty() {
        Text::new()
            .code(who)
            .str(": the name of the group is empty; leave `group` out for a private channel")
            .panic()
    }
}

/// Checks that no part of the name is empty, `.` or `..`, and that all characters are allowed.
#[track_caller]
pub const fn name(who: &str, name: &str) {
    let bytes = name.as_bytes();
    let text = Text::new();
    let text = if who.is_empty() { text } else { text.code(who).str(": ") };
    let text = text.str("\"").str(name).str("\" is not a channel name: ");
    let fixed = suggestion(Text::new(), bytes);
    let (text, fixed) = match fault(bytes) {
        None => return,
        Some(Fault::Length) if bytes.is_empty() => (text.str("it is empty"), ""),
        Some(Fault::Length) => (text.str("it has ").bytes(bytes.len()).str(", more than 200"), ""),
        Some(Fault::EmptyPart) => (text.str("a part between `/` is empty"), fixed.as_str()),
        Some(Fault::Dots) => (text.str("`.` and `..` are no parts of a name"), ""),
        Some(Fault::Odd(at)) if bytes[at] < b' ' => {
            (text.str("control characters are not allowed"), fixed.as_str())
        }
        Some(Fault::Odd(at)) => {
            let mut end = at + 1;
            while !name.is_char_boundary(end) {
                end += 1;
            }
            let odd = name.split_at(end).0.split_at(at).1;
            let text = text.str("'").str(odd).str("' is not allowed");
            match bytes[at] {
                b'{' | b'}' => (text.str(PARAMETERS), ""),
                _ => (text, fixed.as_str()),
            }
        }
    };
    let text = text.str("\nuse letters, digits, `_`, `-` and `.`, in parts joined by `/`, at most 200 bytes");
    let text = if fixed.is_empty() { text } else { text.str(", such as \"").str(fixed).str("\"") };
    text.panic();
}

/// Explanation for a brace in a name.
const PARAMETERS: &str = "; `channel!` takes parameters in a literal only: `name: \"robot/{id}/imu\"`";

enum Fault {
    Length,
    EmptyPart,
    Dots,
    /// A character that is not allowed; the index of its first byte.
    Odd(usize),
}

/// Returns the first fault of a name.
const fn fault(name: &[u8]) -> Option<Fault> {
    if name.is_empty() || name.len() > MAX_NAME {
        return Some(Fault::Length);
    }
    let (mut i, mut part) = (0, 0);
    while i <= name.len() {
        if i == name.len() || name[i] == b'/' {
            match name.split_at(i).0.split_at(part).1 {
                [] => return Some(Fault::EmptyPart),
                [b'.'] | [b'.', b'.'] => return Some(Fault::Dots),
                _ => part = i + 1,
            }
        } else if !plain(name[i]) {
            return Some(Fault::Odd(i));
        }
        i += 1;
    }
    None
}

const fn plain(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.')
}

/// Returns `name` without empty parts, and with `_` for each run of characters that are not allowed.
const fn suggestion(mut fixed: Text, name: &[u8]) -> Text {
    let (mut i, mut slash) = (0, false);
    while i < name.len() {
        let before = if i > 0 { name[i - 1] } else { b'/' };
        if name[i] == b'/' {
            slash = !fixed.as_str().is_empty();
        } else if plain(name[i]) || plain(before) || before == b'/' {
            fixed = if slash { fixed.str("/") } else { fixed };
            fixed = fixed.ascii(if plain(name[i]) { name[i] } else { b'_' });
            slash = false;
        }
        i += 1;
    }
    fixed
}

#[track_caller]
pub const fn slots(who: &str, slots: usize) {
    if slots.is_power_of_two() && slots >= 2 && slots <= MAX_SLOTS {
        return;
    }
    let text = Text::new()
        .str("`slots` of channel ")
        .code(who)
        .str(" must be a power of two from 2 to ")
        .num(MAX_SLOTS)
        .str(", not ")
        .num(slots);
    if slots > 2 && slots < MAX_SLOTS {
        let above = slots.next_power_of_two();
        text.str("\ntake ").num(above / 2).str(" or ").num(above).panic()
    }
    text.panic()
}

#[track_caller]
pub const fn seats(who: &str, seats: usize) {
    if seats < 2 || seats > MAX_SEATS {
        Text::new()
            .str("`seats` of channel ")
            .code(who)
            .str(" must be from 2 to ")
            .num(MAX_SEATS)
            .str(", not ")
            .num(seats)
            .str("\nit is how many publishers, subscribers and so on can take part at one time")
            .panic();
    }
}

#[track_caller]
pub const fn expect_every(who: &str, period: Duration) {
    if period.is_zero() {
        Text::new()
            .str("`expect_every` of channel ")
            .code(who)
            .str(" must not be zero\nleave it out if messages have no period")
            .panic();
    }
}

#[track_caller]
pub const fn publishers(who: &str, publishers: usize) {
    if publishers < 1 || publishers > MAX_PUBLISHERS {
        Text::new()
            .str("`publishers` of channel ")
            .code(who)
            .str(" must be from 1 to ")
            .num(MAX_PUBLISHERS)
            .str(", not ")
            .num(publishers)
            .str("\nit is how many publishers can be open at one time")
            .panic();
    }
}

#[track_caller]
pub const fn window(who: &str, window: usize) {
    if window < 1 || window > MAX_WINDOW {
        Text::new()
            .str("`window` of channel ")
            .code(who)
            .str(" must be from 1 to ")
            .num(MAX_WINDOW)
            .str(", not ")
            .num(window)
            .str("\nit is how many replies of one request can be unread")
            .panic();
    }
}

/// Checks that messages can be of different sizes, and that the slots can grow from `slot_size` to `grow` bytes. The slot
/// size is 0 if it is not known yet.
#[track_caller]
pub const fn grow(who: &str, carries: MessageInfo, slot_size: usize, grow: usize) {
    if let (Some(schema), None) = (carries.first.schema, carries.tail()) {
        Text::new()
            .str("the slots of channel ")
            .code(who)
            .str(" cannot grow: all of its messages take ")
            .bytes(schema.size)
            .str("\nleave out `grow`; it is for messages with a tail, and for messages that a codec writes")
            .panic();
    }
    if grow > MAX_SLOT_SIZE {
        too_large(who, grow);
    }
    if grow <= slot_size {
        Text::new()
            .str("the slots of channel ")
            .code(who)
            .str(" already hold ")
            .bytes(slot_size)
            .str(", and `grow` is ")
            .num(grow)
            .str("\n`grow` is the largest size that the slots may reach: make it more than `slot_size`, or leave it out")
            .panic();
    }
}

/// Checks that messages of up to `longest` bytes can be copied or in place, as `in_place` says. `seats` is 0 if the
/// declaration names none.
#[track_caller]
pub const fn in_place(
    who: &str,
    in_place: bool,
    longest: usize,
    slots: usize,
    publishers: usize,
    seats: usize,
) {
    let (slots, publishers, seats) = (slots as u64, publishers as u64, seats as u64);
    let asked = InPlaceAsked { in_place, longest: longest as u64, slots, publishers, seats };
    match asked.refusal() {
        None => {}
        Some(InPlaceRefusal::TooLong) => Text::new()
            .str("the messages of channel ")
            .code(who)
            .str(" take up to ")
            .bytes(longest)
            .str(", and at most ")
            .num(layout::COPIED_MAX as usize)
            .str(" are copied\nleave out `in_place: false`: larger messages are read and written in their slots")
            .panic(),
        Some(InPlaceRefusal::Seats { subscribers, slots: enough }) => {
            let text = Text::new()
                .str("channel ")
                .code(who)
                .str(" has ")
                .num(seats as usize)
                .str(" seats, and with `in_place: true` its ")
                .num(slots as usize)
                .str(" slots serve ")
                .num(subscribers as usize)
                .str(" subscribers: each may keep a slot, and two must stay free\n");
            match enough {
                Some(slots) => text
                    .str("set `slots: ")
                    .num(slots as usize)
                    .str("`, declare fewer `seats`, or leave out `in_place`")
                    .panic(),
                None => text
                    .str("declare fewer `seats`, for 56 subscribers at most, or leave out `in_place`")
                    .panic(),
            }
        }
    }
}

/// Checks that slots that grow have one publisher.
#[track_caller]
pub const fn grows_alone(who: &str, publishers: usize) {
    if publishers > 1 {
        Text::new()
            .str("channel ")
            .code(who)
            .str(" has ")
            .num(publishers)
            .str(" publishers, and slots grow for one only: the others would still send into the smaller slots\n")
            .str("leave out `publishers` or `grow`, or set `slot_size` to the longest message")
            .panic();
    }
}

/// Checks that a publisher that waits for its subscribers is the only publisher.
#[track_caller]
pub const fn one_waits(who: &str, publishers: usize, overflow: Overflow) {
    if publishers > 1 && matches!(overflow, Overflow::Wait) {
        Text::new()
            .str("channel ")
            .code(who)
            .str(" has ")
            .num(publishers)
            .str(" publishers, and only one can wait for its subscribers\n")
            .str("leave out `publishers`, or `overflow: Wait`; if nothing may be lost from several senders, take `PushPull`")
            .panic();
    }
}

/// Checks that a seat for a subscriber is left beside the seats of the publishers.
#[track_caller]
pub const fn seats_beside(who: &str, publishers: usize, seats: usize) {
    if publishers >= seats {
        Text::new()
            .str("channel ")
            .code(who)
            .str(" has ")
            .num(seats)
            .str(" seats, and ")
            .num(publishers)
            .str(" of them are for publishers: none is left for a subscriber\nraise `seats`, or have fewer `publishers`")
            .panic();
    }
}

/// Checks that the first message of `carries` is sound and fits into the largest slot. `message` is its name.
#[track_caller]
pub const fn message(who: &str, message: &str, carries: MessageInfo) {
    if let Some(size) = carries.first.longest
        && size > MAX_SLOT_SIZE
    {
        too_large(who, size);
    }
    let Some(schema) = carries.first.schema else { return };
    if schema.is_unreported() {
        check::sound(message, schema);
    }
    if schema.align > layout::PAGE {
        Text::new()
            .str("message ")
            .code(message)
            .str(" is aligned to ")
            .bytes(schema.align)
            .str("; the slots of channel ")
            .code(who)
            .str(" to at most ")
            .num(layout::PAGE)
            .panic();
    }
    if schema.size > MAX_SLOT_SIZE {
        too_large(who, schema.size);
    }
}

#[track_caller]
const fn too_large(who: &str, size: usize) -> ! {
    Text::new()
        .str("a slot of channel ")
        .code(who)
        .str(" would take ")
        .bytes(size)
        .str("; at most ")
        .num(MAX_SLOT_SIZE)
        .str(" are possible")
        .panic()
}

/// Checks that there is no padding between the header and its tail.
#[track_caller]
pub const fn tail(header: &str, item: &str, carries: MessageInfo) {
    let Some((head, items)) = carries.tail() else { return };
    if items.size == 0 {
        Text::new()
            .str("an item of a tail takes at least one byte, and ")
            .code(item)
            .str(" takes none: no receiver could count the items\nsend their number as a field of ")
            .code(header)
            .panic();
    }
    let gap = head.size.next_multiple_of(items.align) - head.size;
    if gap > 0 {
        Text::new()
            .str("there are ")
            .bytes(gap)
            .str(" of padding between ")
            .code(header)
            .str(" and its tail of ")
            .code(item)
            .str("\npadding is never written, so it would show other processes old memory of this one\n")
            .str("fix: add a last field to ")
            .code(header)
            .str(": `_pad: shmcomm::Pad<")
            .num(gap)
            .str(">`")
            .panic();
    }
}

/// Checks that the first message of `carries` fits into slots of `slot_size` bytes.
#[track_caller]
pub const fn fits(who: &str, message: &str, carries: MessageInfo, slot_size: usize) {
    if slot_size == 0 {
        Text::new().str("`slot_size` of channel ").code(who).str(" must not be zero").panic();
    }
    if slot_size > MAX_SLOT_SIZE {
        too_large(who, slot_size);
    }
    let Some(schema) = carries.first.schema else {
        if let Some(longest) = carries.first.longest
            && longest > slot_size
        {
            let text = Text::new().str("an encoded ").code(message).str(" takes up to ").bytes(longest);
            let text = text.str(", but the slots of channel ").code(who).str(" hold ").num(slot_size);
            let text = text.str("\nset `slot_size: ").num(longest);
            text.str("` or more, or leave `slot_size` out: it then follows the message").panic();
        }
        return;
    };
    if schema.size > slot_size {
        Text::new()
            .str("message ")
            .code(message)
            .str(" takes ")
            .bytes(schema.size)
            .str(", but the slots of channel ")
            .code(who)
            .str(" hold ")
            .num(slot_size)
            .str("\nset `slot_size: ")
            .num(schema.size)
            .str("` or more, or leave `slot_size` out: it then follows the message")
            .panic();
    }
}

/// Checks that a header with `max_len` items fits into slots of `slot_size` bytes.
#[track_caller]
pub const fn tail_fits(who: &str, carries: MessageInfo, max_len: usize, slot_size: usize) {
    let size = carries.size_with(max_len);
    if size > MAX_SLOT_SIZE {
        too_large(who, size);
    }
    if size > slot_size {
        Text::new()
            .str("a header with ")
            .num(max_len)
            .str(" items takes ")
            .bytes(size)
            .str(", but the slots of channel ")
            .code(who)
            .str(" hold ")
            .num(slot_size)
            .str("\nset `slot_size: ")
            .num(size)
            .str("` or more, or leave `slot_size` out: it then follows `max_len`")
            .panic();
    }
}

/// Checks that the message or the declaration determines the slot size.
#[track_caller]
pub const fn has_slot_size(who: &str, message: &str, carries: MessageInfo) {
    if carries.first.size().is_none() {
        Text::new()
            .str("channel ")
            .code(who)
            .str(" needs a `slot_size`: an encoded ")
            .code(message)
            .str(" has no fixed size\nsay how many bytes the longest may take: `slot_size: 4096`")
            .panic();
    }
}

#[track_caller]
pub const fn has_max_len(who: &str, item: &str) {
    Text::new()
        .str("channel ")
        .code(who)
        .str(" needs a `max_len`: how many items of ")
        .code(item)
        .str(" the longest tail may have\nfor example `max_len: 4096`")
        .panic();
}
