//! Any text as the layouts of a channel: parsing is bounded, and what it accepts is consistent.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shmcomm::schema::Layout;

fuzz_target!(|text: &str| {
    let Ok(layouts) = Layout::parse(text) else { return };
    for layout in layouts {
        assert!(layout.align().is_power_of_two());
        let again = Layout::parse(&layout.to_json()).expect("its own text is a layout");
        assert_eq!(again, [layout.clone()]);
        assert_eq!(again[0].fingerprint(), layout.fingerprint());
    }
});
