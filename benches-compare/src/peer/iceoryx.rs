//! iceoryx2, as its own publish/subscribe benchmark uses it: samples loaned uninitialised, the oldest
//! overwritten, no history.

use super::{Receiver, Sender, Touch};
use crate::Result;
use iceoryx2::port::{publisher, subscriber};
use iceoryx2::prelude::*;
use iceoryx2::service::port_factory::publish_subscribe::PortFactory;

type Service<const N: usize> = PortFactory<ipc::Service, [u64; N], ()>;

fn service<const N: usize>(name: &str, subscribers: usize) -> Result<Service<N>> {
    set_log_level(LogLevel::Error);
    let node = NodeBuilder::new().create::<ipc::Service>()?;
    let service = node
        .service_builder(&name.try_into()?)
        .publish_subscribe::<[u64; N]>()
        .max_publishers(1)
        .max_subscribers(subscribers.max(1))
        .history_size(0)
        .subscriber_max_buffer_size(1)
        .enable_safe_overflow(true)
        .open_or_create()?;
    Ok(service)
}

pub struct Publisher<const N: usize> {
    publisher: publisher::Publisher<ipc::Service, [u64; N], ()>,
    touch: Touch,
    _service: Service<N>,
}

impl<const N: usize> Publisher<N> {
    pub fn open(name: &str, touch: Touch, subscribers: usize) -> Result<Self> {
        let service = service(name, subscribers)?;
        Ok(Publisher { publisher: service.publisher_builder().create()?, touch, _service: service })
    }
}

impl<const N: usize> Sender for Publisher<N> {
    #[inline]
    fn send(&mut self, number: u64) -> Result<()> {
        let mut sample = self.publisher.loan_uninit()?;
        // SAFETY: memory of the sample, from the shared segment, in which any words are a value.
        let words = unsafe { &mut *sample.payload_mut().as_mut_ptr() };
        self.touch.write(words, number);
        // SAFETY: as above.
        unsafe { sample.assume_init() }.send()?;
        Ok(())
    }
}

pub struct Subscriber<const N: usize> {
    subscriber: subscriber::Subscriber<ipc::Service, [u64; N], ()>,
    touch: Touch,
    _service: Service<N>,
}

impl<const N: usize> Subscriber<N> {
    pub fn open(name: &str, touch: Touch, subscribers: usize) -> Result<Self> {
        let service = service(name, subscribers)?;
        Ok(Subscriber { subscriber: service.subscriber_builder().create()?, touch, _service: service })
    }
}

impl<const N: usize> Receiver for Subscriber<N> {
    #[inline]
    fn recv(&mut self) -> Result<u64> {
        loop {
            if let Some(sample) = self.subscriber.receive()? {
                return Ok(self.touch.read(sample.payload()));
            }
        }
    }
}
