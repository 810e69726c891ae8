//! The compound serializers of `rmp-serde`, with a guard before each item.
//!
//! Owns the delegation and the path of errors. Calls `guard`; writes nothing itself.

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::super::report::Step;
use super::guard::{Guarded, Watch, key_text};

pub(super) struct Items<'a, I> {
    inner: I,
    watch: &'a Watch,
    index: usize,
}

impl<'a, I> Items<'a, I> {
    pub(super) fn new(inner: I, watch: &'a Watch) -> Self {
        Self { inner, watch, index: 0 }
    }

    fn guarded<'v, T: ?Sized>(&self, value: &'v T) -> Guarded<'v, T>
    where
        'a: 'v,
    {
        Guarded { value, watch: self.watch, key: false }
    }
}

macro_rules! by_index {
    ($($trait:ident $method:ident;)*) => {$(
        impl<I: $trait> $trait for Items<'_, I> {
            type Ok = I::Ok;
            type Error = I::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), I::Error> {
                let value = Guarded { value, watch: self.watch, key: false };
                self.inner.$method(&value).map_err(self.watch.under(Step::Index(self.index)))?;
                self.index += 1;
                Ok(())
            }

            fn end(self) -> Result<I::Ok, I::Error> {
                self.watch.leave();
                self.inner.end()
            }
        }
    )*};
}

by_index! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
}

impl<I: SerializeMap> SerializeMap for Items<'_, I> {
    type Ok = I::Ok;
    type Error = I::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), I::Error> {
        self.inner.serialize_key(&Guarded { value: key, watch: self.watch, key: true })
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), I::Error> {
        self.inner.serialize_value(&Guarded { value, watch: self.watch, key: false })
    }

    fn serialize_entry<K: Serialize + ?Sized, V: Serialize + ?Sized>(
        &mut self,
        key: &K,
        value: &V,
    ) -> Result<(), I::Error> {
        self.serialize_key(key)?;
        self.serialize_value(value).map_err(|error| self.watch.under(Step::Key(&key_text(key)))(error))
    }

    fn end(self) -> Result<I::Ok, I::Error> {
        self.watch.leave();
        self.inner.end()
    }
}

impl<I: SerializeStructVariant> SerializeStructVariant for Items<'_, I> {
    type Ok = I::Ok;
    type Error = I::Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), I::Error> {
        let value = Guarded { value, watch: self.watch, key: false };
        self.inner.serialize_field(name, &value).map_err(self.watch.under(Step::Key(name)))
    }

    fn end(self) -> Result<I::Ok, I::Error> {
        self.watch.leave();
        self.inner.end()
    }
}

/// The fields of a struct.
pub(super) enum Fields<'a, S: Serializer> {
    All(Items<'a, S::SerializeStruct>),
    /// An instance of a class, of which msgpack keeps only the fields.
    State {
        before: Option<S>,
        after: Option<S::Ok>,
        watch: &'a Watch,
        key: bool,
    },
}

impl<'a, S: Serializer> Fields<'a, S> {
    pub(super) fn state(inner: S, watch: &'a Watch, key: bool) -> Self {
        Self::State { before: Some(inner), after: None, watch, key }
    }
}

impl<S: Serializer> SerializeStruct for Fields<'_, S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), S::Error> {
        match self {
            Self::All(items) => {
                let guarded = items.guarded(value);
                items.inner.serialize_field(name, &guarded).map_err(items.watch.under(Step::Key(name)))
            }
            Self::State { before, after, watch, key } => {
                if let ("state", Some(inner)) = (name, before.take_if(|_| name == "state")) {
                    *after = Some(Guarded { value, watch, key: *key }.serialize(inner)?);
                }
                Ok(())
            }
        }
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        match self {
            Self::All(items) => {
                items.watch.leave();
                items.inner.end()
            }
            Self::State { after: Some(done), .. } => Ok(done),
            Self::State { before: Some(inner), .. } => inner.serialize_unit(),
            Self::State { .. } => Err(serde::ser::Error::custom("an instance without fields")),
        }
    }
}
