//! iceoryx2, as its own benchmarks use it: samples loaned uninitialised. For blocking, each publisher and
//! subscriber also has a notifier and a listener of its events.

use super::{Answerer, Caller, Receiver, Sender, Touch, Wait};
use crate::Result;
use iceoryx2::port::{client, listener, notifier, publisher, server, subscriber};
use iceoryx2::prelude::*;
use iceoryx2::service::port_factory::{event, publish_subscribe, request_response};

type Service<const N: usize> = publish_subscribe::PortFactory<ipc::Service, [u64; N], ()>;

/// Settings of a service; both ends must declare the same.
#[derive(Clone, Copy)]
pub struct Settings {
    pub subscribers: usize,
    /// Samples that a subscriber may be behind; `None` leaves the default.
    pub buffer: Option<usize>,
    /// `true` if the oldest sample is overwritten; otherwise the publisher waits.
    pub overflow: bool,
    pub wait: Wait,
}

impl Settings {
    /// Default settings of the library.
    pub const BY_DEFAULT: Self =
        Settings { subscribers: 8, buffer: None, overflow: true, wait: Wait::Polling };

    /// Returns the settings of a buffer of one sample, which is overwritten.
    pub fn latest(wait: Wait) -> Self {
        Settings { subscribers: 1, buffer: Some(1), overflow: true, wait }
    }

    pub fn overflowing(buffer: usize) -> Self {
        Settings { subscribers: 1, buffer: Some(buffer), overflow: true, wait: Wait::Polling }
    }

    pub fn lossless(buffer: usize) -> Self {
        Settings { overflow: false, ..Self::overflowing(buffer) }
    }
}

pub fn node() -> Result<Node<ipc::Service>> {
    set_log_level(LogLevel::Error);
    Ok(NodeBuilder::new().create::<ipc::Service>()?)
}

fn service<const N: usize>(name: &str, settings: Settings) -> Result<Service<N>> {
    let builder = node()?.service_builder(&name.try_into()?).publish_subscribe::<[u64; N]>();
    let Some(buffer) = settings.buffer else { return Ok(builder.open_or_create()?) };
    let service = builder
        .max_publishers(1)
        .max_subscribers(settings.subscribers)
        .history_size(0)
        .subscriber_max_buffer_size(buffer)
        .enable_safe_overflow(settings.overflow)
        .open_or_create()?;
    Ok(service)
}

fn events(name: &str, settings: Settings) -> Result<event::PortFactory<ipc::Service>> {
    let name = format!("{name}-events");
    let builder = node()?.service_builder(&name.as_str().try_into()?).event();
    Ok(builder.max_notifiers(1).max_listeners(settings.subscribers).open_or_create()?)
}

pub struct Publisher<const N: usize> {
    publisher: publisher::Publisher<ipc::Service, [u64; N], ()>,
    notifier: Option<notifier::Notifier<ipc::Service>>,
    touch: Touch,
    lossless: bool,
    _service: Service<N>,
}

impl<const N: usize> Publisher<N> {
    pub fn open(name: &str, touch: Touch, settings: Settings) -> Result<Self> {
        let service = service(name, settings)?;
        // Without overwriting, `send` reports that there is no room. It can also wait by itself
        // (`RetryUntilDelivered`); messages then went missing here, at 1 KiB and more.
        let strategy = BackpressureStrategy::DiscardData;
        let publisher = service.publisher_builder().backpressure_strategy(strategy).create()?;
        let notifier = match settings.wait {
            Wait::Polling => None,
            Wait::Blocking => Some(events(name, settings)?.notifier_builder().create()?),
        };
        Ok(Publisher { publisher, notifier, touch, lossless: !settings.overflow, _service: service })
    }
}

impl<const N: usize> Sender for Publisher<N> {
    #[inline]
    fn send(&mut self, number: u64) -> Result<()> {
        loop {
            let mut sample = self.publisher.loan_uninit()?;
            // SAFETY: memory of the sample, from the shared segment; any bits are valid words.
            let words = unsafe { &mut *sample.payload_mut().as_mut_ptr() };
            self.touch.write(words, number);
            // SAFETY: as above, any bits are valid words.
            let receivers = unsafe { sample.assume_init() }.send()?;
            if receivers > 0 || !self.lossless {
                break;
            }
        }
        if let Some(notifier) = &self.notifier {
            notifier.notify()?;
        }
        Ok(())
    }
}

pub struct Subscriber<const N: usize> {
    subscriber: subscriber::Subscriber<ipc::Service, [u64; N], ()>,
    listener: Option<listener::Listener<ipc::Service>>,
    touch: Touch,
    _service: Service<N>,
}

impl<const N: usize> Subscriber<N> {
    pub fn open(name: &str, touch: Touch, settings: Settings) -> Result<Self> {
        let service = service(name, settings)?;
        let listener = match settings.wait {
            Wait::Polling => None,
            Wait::Blocking => Some(events(name, settings)?.listener_builder().create()?),
        };
        Ok(Subscriber {
            subscriber: service.subscriber_builder().create()?,
            listener,
            touch,
            _service: service,
        })
    }
}

impl<const N: usize> Receiver for Subscriber<N> {
    #[inline]
    fn recv(&mut self) -> Result<u64> {
        loop {
            if let Some(sample) = self.subscriber.receive()? {
                return Ok(self.touch.read(sample.payload()));
            }
            if let Some(listener) = &self.listener {
                listener.blocking_wait(|_| {})?;
            }
        }
    }
}

type Calls<const N: usize> = request_response::PortFactory<ipc::Service, [u64; N], (), [u64; N], ()>;

fn calls<const N: usize>(name: &str) -> Result<Calls<N>> {
    let builder = node()?.service_builder(&name.try_into()?).request_response::<[u64; N], [u64; N]>();
    Ok(builder.max_clients(1).max_servers(1).open_or_create()?)
}

pub struct Client<const N: usize> {
    client: client::Client<ipc::Service, [u64; N], (), [u64; N], ()>,
    _service: Calls<N>,
}

impl<const N: usize> Client<N> {
    pub fn open(name: &str) -> Result<Self> {
        let service = calls(name)?;
        Ok(Client { client: service.client_builder().create()?, _service: service })
    }
}

impl<const N: usize> Caller for Client<N> {
    #[inline]
    fn call(&mut self, number: u64) -> Result<u64> {
        let pending = self.client.loan_uninit()?.write_payload([number; N]).send()?;
        loop {
            if let Some(response) = pending.receive()? {
                return Ok(Touch::All.read(response.payload()));
            }
        }
    }
}

pub struct Server<const N: usize> {
    server: server::Server<ipc::Service, [u64; N], (), [u64; N], ()>,
    _service: Calls<N>,
}

impl<const N: usize> Server<N> {
    pub fn open(name: &str) -> Result<Self> {
        let service = calls(name)?;
        Ok(Server { server: service.server_builder().create()?, _service: service })
    }
}

impl<const N: usize> Answerer for Server<N> {
    #[inline]
    fn answer(&mut self) -> Result<u64> {
        loop {
            if let Some(request) = self.server.receive()? {
                let number = Touch::All.read(request.payload());
                request.loan_uninit()?.write_payload([number; N]).send()?;
                return Ok(number);
            }
        }
    }
}
