//! Slots that grow: a sender and a receiver of messages of any length, in one thread.

use crate::Result;
use shmcomm::codec::Bytes;
use shmcomm::{Channel, PubSub, PushPull};

/// Bytes of a message that fits from the start.
pub const SMALL: usize = 4096;
/// Bytes of a message that needs larger slots.
pub const LARGE: usize = 65536;
/// Slots of a channel.
pub const SLOTS: usize = 16;

/// Both ends of a channel.
pub trait Ends {
    fn send(&mut self, message: &[u8]) -> Result<()>;
    /// Returns the length of the next message, and its last byte.
    fn recv(&mut self) -> Result<(usize, u8)>;
}

/// The ends of shmcomm.
pub struct Channels {
    publisher: shmcomm::Publisher<[u8], Bytes>,
    subscriber: shmcomm::Subscriber<[u8], Bytes>,
}

impl Channels {
    /// Opens a channel with slots of `slot_size` bytes, which grow up to [`LARGE`] if they are smaller.
    pub fn open(name: &str, slot_size: usize) -> Result<Self> {
        let open = || -> Result<_> {
            let channel = Channel::<PubSub<[u8], Bytes>>::try_new(format!("benches-compare/{name}"))?;
            let opener = channel.slots(SLOTS).slot_size(slot_size);
            Ok(if slot_size < LARGE { opener.grow(LARGE) } else { opener })
        };
        Ok(Channels { publisher: open()?.publisher()?, subscriber: open()?.subscriber()? })
    }
}

impl Ends for Channels {
    #[inline]
    fn send(&mut self, message: &[u8]) -> Result<()> {
        Ok(self.publisher.send(message)?)
    }

    #[inline]
    fn recv(&mut self) -> Result<(usize, u8)> {
        let message = self.subscriber.try_recv()?;
        Ok((message.len(), message.last().copied().unwrap_or_default()))
    }
}

/// The ends of a queue of shmcomm.
pub struct Queue {
    pusher: shmcomm::Pusher<[u8], Bytes>,
    puller: shmcomm::Puller<[u8], Bytes>,
}

impl Queue {
    /// Opens a queue with slots of `slot_size` bytes, which grow up to [`LARGE`] if they are smaller.
    pub fn open(name: &str, slot_size: usize) -> Result<Self> {
        let open = || -> Result<_> {
            let channel = Channel::<PushPull<[u8], Bytes>>::try_new(format!("benches-compare/{name}"))?;
            let opener = channel.slots(SLOTS).slot_size(slot_size);
            Ok(if slot_size < LARGE { opener.grow(LARGE) } else { opener })
        };
        Ok(Queue { pusher: open()?.pusher()?, puller: open()?.puller()? })
    }
}

impl Ends for Queue {
    #[inline]
    fn send(&mut self, message: &[u8]) -> Result<()> {
        Ok(self.pusher.send(message)?)
    }

    #[inline]
    fn recv(&mut self) -> Result<(usize, u8)> {
        let message = self.puller.try_recv()?;
        Ok((message.len(), message.last().copied().unwrap_or_default()))
    }
}

/// Messages of any length of ZeroMQ: it allocates each of them, so it has no slots.
#[cfg(feature = "zeromq")]
pub mod messages {
    use super::Ends;
    use crate::Result;
    use crate::peer::path;
    use zmq::{Context, Message, Socket};

    pub struct Messages {
        push: Socket,
        pull: Socket,
        message: Message,
    }

    impl Messages {
        /// Opens a queue. The size of a slot has no meaning for it.
        pub fn open(name: &str, _slot_size: usize) -> Result<Self> {
            let address = format!("ipc://{}", path(name).display());
            let (push, pull) = (Context::new().socket(zmq::PUSH)?, Context::new().socket(zmq::PULL)?);
            for socket in [&push, &pull] {
                socket.set_linger(0)?;
            }
            push.bind(&address)?;
            pull.connect(&address)?;
            Ok(Messages { push, pull, message: Message::new() })
        }
    }

    impl Ends for Messages {
        #[inline]
        fn send(&mut self, message: &[u8]) -> Result<()> {
            Ok(self.push.send(message, 0)?)
        }

        #[inline]
        fn recv(&mut self) -> Result<(usize, u8)> {
            // Its threads carry the message, so it is not there at once.
            self.pull.recv(&mut self.message, 0)?;
            Ok((self.message.len(), self.message.last().copied().unwrap_or_default()))
        }
    }
}

/// Slices of iceoryx2 with a dynamic memory, as in its own examples.
#[cfg(feature = "iceoryx2")]
pub mod slices {
    use super::{Ends, SLOTS};
    use crate::Result;
    use crate::peer::iceoryx::node;
    use iceoryx2::port::{publisher, subscriber};
    use iceoryx2::prelude::*;
    use iceoryx2::service::port_factory::publish_subscribe::PortFactory;

    pub struct Slices {
        publisher: publisher::Publisher<ipc::Service, [u8], ()>,
        subscriber: subscriber::Subscriber<ipc::Service, [u8], ()>,
        _service: PortFactory<ipc::Service, [u8], ()>,
    }

    impl Slices {
        /// Opens a service whose samples have `slot_size` bytes, and grow.
        pub fn open(name: &str, slot_size: usize) -> Result<Self> {
            let service = node()?
                .service_builder(&name.try_into()?)
                .publish_subscribe::<[u8]>()
                .max_publishers(1)
                .max_subscribers(1)
                .history_size(0)
                .subscriber_max_buffer_size(SLOTS)
                .create()?;
            let publisher = service
                .publisher_builder()
                .initial_max_slice_len(slot_size)
                .allocation_strategy(AllocationStrategy::PowerOfTwo)
                .create()?;
            Ok(Slices { publisher, subscriber: service.subscriber_builder().create()?, _service: service })
        }
    }

    impl Ends for Slices {
        #[inline]
        fn send(&mut self, message: &[u8]) -> Result<()> {
            self.publisher.loan_slice_uninit(message.len())?.write_from_slice(message).send()?;
            Ok(())
        }

        #[inline]
        fn recv(&mut self) -> Result<(usize, u8)> {
            let sample = self.subscriber.receive()?.ok_or("no sample")?;
            let message = sample.payload();
            Ok((message.len(), message.last().copied().unwrap_or_default()))
        }
    }
}
