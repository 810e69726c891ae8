//! Tables of latest values: both ends of each, for one value of 64 bytes.

use crate::Result;
use shmcomm::{TableReader, TableWriter, Timestamp, channel};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, fence};

/// Words of a value.
pub const N: usize = 8;

pub type Value = [u64; N];

/// Both ends of a table.
pub trait Ends {
    fn store(&mut self, value: Value) -> Result<()>;
    fn load(&mut self) -> Result<Value>;
}

channel! {
    Values: Table { name: "table", value: Value }
}

/// The ends of shmcomm.
pub struct Table {
    writer: TableWriter<Values, Value>,
    reader: TableReader<Values>,
}

impl Table {
    pub fn open(name: &str) -> Result<Self> {
        let open = || Values::open().namespace(name);
        Ok(Table { writer: open().writer(Values::VALUE)?, reader: open().reader()? })
    }
}

/// The ends of shmcomm, with a time that the writer has already.
pub struct Timed(pub Table);

impl Ends for Timed {
    #[inline]
    fn store(&mut self, value: Value) -> Result<()> {
        self.0.writer.store_at(&value, Timestamp::from_nanos(value[0] as i64))?;
        Ok(())
    }

    #[inline]
    fn load(&mut self) -> Result<Value> {
        self.0.load()
    }
}

impl Ends for Table {
    #[inline]
    fn store(&mut self, value: Value) -> Result<()> {
        self.writer.store(&value)?;
        Ok(())
    }

    #[inline]
    fn load(&mut self) -> Result<Value> {
        Ok(self.reader.load(Values::VALUE)?.ok_or("no value was stored")?.value)
    }
}

/// A sequence lock (Boehm 2012) around one value, without a time, a death, or a second process.
pub struct SequenceLock {
    sequence: AtomicU64,
    words: [AtomicU64; N],
}

impl SequenceLock {
    pub fn new() -> Self {
        SequenceLock { sequence: AtomicU64::new(0), words: [const { AtomicU64::new(0) }; N] }
    }
}

impl Ends for SequenceLock {
    #[inline]
    fn store(&mut self, value: Value) -> Result<()> {
        let sequence = self.sequence.load(Relaxed);
        self.sequence.store(sequence + 1, Relaxed);
        fence(Release);
        for (word, value) in self.words.iter().zip(value) {
            word.store(value, Relaxed);
        }
        self.sequence.store(sequence + 2, Release);
        Ok(())
    }

    #[inline]
    fn load(&mut self) -> Result<Value> {
        loop {
            let before = self.sequence.load(Acquire);
            let value = std::array::from_fn(|i| self.words[i].load(Relaxed));
            fence(Acquire);
            if before.is_multiple_of(2) && self.sequence.load(Relaxed) == before {
                return Ok(value);
            }
        }
    }
}

/// The blackboard of iceoryx2, by handles of one key, as in its own examples.
#[cfg(feature = "iceoryx2")]
pub mod blackboard {
    use super::{Ends, N, Value};
    use crate::Result;
    use crate::peer::iceoryx::node;
    use iceoryx2::port::reader::{EntryHandle, Reader};
    use iceoryx2::port::writer::{EntryHandleMut, Writer};
    use iceoryx2::prelude::*;
    use iceoryx2::service::port_factory::blackboard::PortFactory;

    /// Both ends, and what they belong to.
    pub struct Blackboard {
        writer: EntryHandleMut<ipc::Service, u64, Value>,
        reader: EntryHandle<ipc::Service, u64, Value>,
        _owners: (Writer<ipc::Service, u64>, Reader<ipc::Service, u64>, PortFactory<ipc::Service, u64>),
    }

    impl Blackboard {
        pub fn open(name: &str) -> Result<Self> {
            let service = node()?
                .service_builder(&name.try_into()?)
                .blackboard_creator::<u64>()
                .add::<Value>(0, [0; N])
                .create()?;
            let (writer, reader) = (service.writer_builder().create()?, service.reader_builder().create()?);
            let (store, load) = (writer.entry::<Value>(&0)?, reader.entry::<Value>(&0)?);
            Ok(Blackboard { writer: store, reader: load, _owners: (writer, reader, service) })
        }
    }

    impl Ends for Blackboard {
        #[inline]
        fn store(&mut self, value: Value) -> Result<()> {
            self.writer.update_with_copy(value);
            Ok(())
        }

        #[inline]
        fn load(&mut self) -> Result<Value> {
            Ok(*self.reader.get())
        }
    }
}
