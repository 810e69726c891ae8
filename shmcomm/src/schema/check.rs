//! Check of bytes against a layout.
//!
//! Owns the walk to the first fault and the path to it. The fault itself is what `view` finds.

use super::LayoutKind;
use super::view::{ValueRef, optional};
use super::{Invalid, Layout};
use core::fmt::{Arguments, Write};

impl Layout {
    /// Checks that `bytes` are a message of this layout. The bytes of a foreign type are not checked.
    ///
    /// # Errors
    ///
    /// Returns an error that names the first part that is wrong, as [`validate`](crate::message::validate)
    /// does.
    pub fn check(&self, bytes: &[u8]) -> Result<(), Invalid> {
        if self.any_bits() && bytes.len() == self.size() {
            return Ok(());
        }
        let mut place = self.to_string();
        match fault(self, bytes, &mut place) {
            None => Ok(()),
            Some(problem) => Err(Invalid::new(place, problem)),
        }
    }
}

/// Returns the first fault in `bytes`; `place` then leads to it.
fn fault(layout: &Layout, bytes: &[u8], place: &mut String) -> Option<String> {
    if let (LayoutKind::Maybe { item, .. }, Some(value)) = (layout.kind(), optional(layout, bytes)) {
        return below(item, value, place, format_args!("?"));
    }
    match layout.view(bytes) {
        ValueRef::Invalid(invalid) => Some(invalid.problem()),
        ValueRef::Struct(view) => view
            .parts()
            .find_map(|(field, bytes)| below(&field.layout, bytes, place, format_args!(".{}", field.name))),
        ValueRef::List(view) if !view.item().any_bits() => {
            let item = view.item();
            view.parts().enumerate().find_map(|(i, bytes)| below(item, bytes, place, format_args!("[{i}]")))
        }
        _ => None,
    }
}

fn below(layout: &Layout, bytes: &[u8], place: &mut String, step: Arguments<'_>) -> Option<String> {
    if layout.any_bits() {
        return None;
    }
    let len = place.len();
    let _ = place.write_fmt(step);
    let fault = fault(layout, bytes, place);
    if fault.is_none() {
        place.truncate(len);
    }
    fault
}
