//! [`KeySet`]: keys that are loaded together; [`ChangedKeys`]: keys that are waited for together.
//!
//! Owns the tuples. Calls `copies`.

use super::copies::{Copies, Latest};
use super::seen::KeyIndices;
use super::{Key, LoadError, TableKeys};
use crate::message::ShmMessage;

/// A tuple of one to eight keys of the table `T`, for [`TableReader::load_set`](crate::TableReader::load_set).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no set of keys of `{T}`",
    label = "expected a tuple of one to eight keys of `{T}`",
    note = "write `load_set((Robot::BATTERY, Robot::MODE))`"
)]
pub trait KeySet<T: ?Sized>: sealed::Sealed<T> {
    /// A tuple with the value of each key; `None` for a key that was never stored.
    type Values;

    #[doc(hidden)]
    fn load_from(self, copies: &mut Copies<'_>) -> Result<Self::Values, LoadError>;
}

/// The keys that a wait is for: a [`Key`], a tuple of one to eight keys, or [`AnyKey`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not name keys of `{T}`",
    label = "expected a key of `{T}`, a tuple of one to eight keys, or `AnyKey`",
    note = "write `wait(Robot::BATTERY)`, `wait((Robot::BATTERY, Robot::MODE))` or `wait(AnyKey)`"
)]
pub trait ChangedKeys<T: ?Sized>: sealed::Sealed<T> {
    #[doc(hidden)]
    fn indices(self) -> KeyIndices;
}

/// Every key of a table, for [`TableReader::wait`](crate::TableReader::wait).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnyKey;

impl<T: TableKeys + ?Sized> sealed::Sealed<T> for AnyKey {}

impl<T: TableKeys + ?Sized> ChangedKeys<T> for AnyKey {
    fn indices(self) -> KeyIndices {
        KeyIndices::ALL
    }
}

impl<T: TableKeys + ?Sized, V: ShmMessage> sealed::Sealed<T> for Key<T, V> {}

impl<T: TableKeys + ?Sized, V: ShmMessage> ChangedKeys<T> for Key<T, V> {
    fn indices(self) -> KeyIndices {
        KeyIndices::of([self.index()])
    }
}

mod sealed {
    pub trait Sealed<T: ?Sized> {}
}

macro_rules! sets {
    ($(($($V:ident $key:ident),*))*) => {$(
        impl<T: TableKeys + ?Sized, $($V: ShmMessage),*> sealed::Sealed<T> for ($(Key<T, $V>,)*) {}

        impl<T: TableKeys + ?Sized, $($V: ShmMessage),*> KeySet<T> for ($(Key<T, $V>,)*) {
            type Values = ($(Option<Latest<$V>>,)*);

            #[inline]
            fn load_from(self, copies: &mut Copies<'_>) -> Result<Self::Values, LoadError> {
                let ($($key,)*) = self;
                let found = copies.collect([$($key.index()),*], [$(size_of::<$V>()),*])?;
                let (mut found, mut at) = (found.into_iter(), 0);
                Ok(($({
                    let stamped = found.next().expect("one for each key");
                    copies.collected($key, stamped, &mut at)?
                },)*))
            }
        }

        impl<T: TableKeys + ?Sized, $($V: ShmMessage),*> ChangedKeys<T> for ($(Key<T, $V>,)*) {
            fn indices(self) -> KeyIndices {
                let ($($key,)*) = self;
                KeyIndices::of([$($key.index()),*])
            }
        }
    )*};
}

sets! {
    (A a)
    (A a, B b)
    (A a, B b, C c)
    (A a, B b, C c, D d)
    (A a, B b, C c, D d, E e)
    (A a, B b, C c, D d, E e, F f)
    (A a, B b, C c, D d, E e, F f, G g)
    (A a, B b, C c, D d, E e, F f, G g, H h)
}
