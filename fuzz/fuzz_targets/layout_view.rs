//! Any bytes under any layout: a view never panics, and agrees with the check of the bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shmcomm::schema::{Layout, Value, ValueRef};

/// Messages larger than this take too long to be shown whole.
const LARGEST: usize = 1 << 14;

fn is_whole(view: ValueRef<'_>) -> bool {
    match view {
        ValueRef::Invalid(invalid) => {
            assert!(!invalid.problem().is_empty());
            false
        }
        ValueRef::List(items) => items.iter().all(is_whole),
        ValueRef::Struct(fields) => fields.iter().all(|(_, part)| is_whole(part)),
        _ => true,
    }
}

fuzz_target!(|input: &[u8]| {
    // The text of a layout, a zero byte, and the bytes of a message.
    let end = input.iter().position(|b| *b == 0).unwrap_or(input.len());
    let (text, bytes) = (&input[..end], input.get(end + 1..).unwrap_or(&[]));
    let Ok(text) = str::from_utf8(text) else { return };
    for layout in Layout::parse(text).unwrap_or_default() {
        if layout.size() > LARGEST {
            continue;
        }
        let _ = layout.view(bytes).to_string();
        let mut whole = bytes.to_vec();
        whole.resize(layout.size(), 0);
        let view = layout.view(&whole);
        assert_eq!(layout.check(&whole).is_ok(), is_whole(view));
        let value: Value = view.to_value();
        assert_eq!(value.to_string(), view.to_string());
        let _ = view.at(text);
    }
});
