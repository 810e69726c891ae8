//! [`Key`]: one value of a table, with its type.
//!
//! Owns the index of the key. Calls nothing.

use crate::message::Schema;
use core::fmt;
use core::marker::PhantomData;

/// A table that [`channel!`](macro@crate::channel) declares: `Robot: Table { … }`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no table",
    label = "not declared as a table",
    note = "`channel!` declares a table: `pub Robot: Table {{ name: \"robot/state\", battery: Battery }}`"
)]
pub trait TableKeys {
    /// Layout of the table. Its fields are the keys.
    #[doc(hidden)]
    const LAYOUT: &'static Schema;
}

/// A key of the table `T`, whose values have the type `V`. [`channel!`](macro@crate::channel) makes one constant for each
/// key: `Robot::BATTERY`.
pub struct Key<T: ?Sized, V> {
    index: u32,
    name: &'static str,
    marker: PhantomData<fn(&T) -> V>,
}

impl<T: ?Sized, V> Key<T, V> {
    #[doc(hidden)]
    pub const fn new(index: u32, name: &'static str) -> Self {
        Key { index, name, marker: PhantomData }
    }

    pub(super) const fn index(self) -> u32 {
        self.index
    }

    /// Returns the name of the key, as declared.
    pub const fn name(self) -> &'static str {
        self.name
    }
}

impl<T: ?Sized, V> Copy for Key<T, V> {}

impl<T: ?Sized, V> Clone for Key<T, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized, V> fmt::Debug for Key<T, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.name).finish()
    }
}
