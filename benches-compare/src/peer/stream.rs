//! Streams of replies: both ends of each, for replies of 64 bytes, polling.

use super::{Receiver, Sender, Touch, Wait, bare};
use crate::Result;
use crate::case::Place;
use shmcomm::{StreamReplier, StreamRequester, TryReplyError, TrySendReplyError, TryServeError, channel};
use std::hint::spin_loop;

/// Words of a request, and of a reply.
pub const N: usize = 8;
/// Replies of a request.
pub const REPLIES: u64 = 1000;
/// Replies that may be unread.
const WINDOW: usize = 64;

/// An end that asks for replies.
pub trait Asks {
    /// Sends a request for the [`REPLIES`] messages from `first` on, and passes the number of each reply to `take`.
    fn ask(&mut self, first: u64, take: impl FnMut(u64) -> Result<()>) -> Result<()>;
}

/// An end that sends replies.
pub trait Streams {
    /// Waits for a request, sends all of its replies, and returns the number of the first one.
    fn serve(&mut self) -> Result<u64>;
}

channel! {
    Rows: ReqRep<[u64; N], [u64; N]> { name: "rows", replies: Stream, window: WINDOW }
}

/// The requester of shmcomm.
pub struct Requester(StreamRequester<[u64; N], [u64; N]>);

impl Requester {
    pub fn open(name: &str) -> Result<Self> {
        Ok(Requester(Rows::open().namespace(name).requester()?))
    }
}

impl Asks for Requester {
    #[inline]
    fn ask(&mut self, first: u64, mut take: impl FnMut(u64) -> Result<()>) -> Result<()> {
        let mut replies = self.0.call(&[first; N])?;
        loop {
            match replies.try_recv() {
                Ok(Some(reply)) => take(Touch::All.read(&reply))?,
                Ok(None) => return Ok(()),
                Err(TryReplyError::Empty) => spin_loop(),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The replier of shmcomm.
pub struct Replier(StreamReplier<[u64; N], [u64; N]>);

impl Replier {
    pub fn open(name: &str) -> Result<Self> {
        Ok(Replier(Rows::open().namespace(name).replier()?))
    }
}

impl Streams for Replier {
    #[inline]
    fn serve(&mut self) -> Result<u64> {
        let mut request = loop {
            match self.0.try_recv() {
                Ok(request) => break request,
                Err(TryServeError::Empty) => spin_loop(),
                Err(error) => return Err(error.into()),
            }
        };
        let first = Touch::All.read(&*request);
        for number in first..first + REPLIES {
            loop {
                match request.try_send(&[number; N]) {
                    Ok(()) => break,
                    Err(TrySendReplyError::Full) => spin_loop(),
                    Err(error) => return Err(error.into()),
                }
            }
        }
        request.end()?;
        Ok(first)
    }
}

/// The lower bound: a word for the request, and a ring for the replies.
pub struct Ring {
    line: bare::Line,
    ring: bare::Ring<N>,
}

impl Ring {
    pub fn open(place: &Place) -> Result<Self> {
        let name = |part| format!("{}-{part}", place.name);
        let line = bare::Line::open(&Place { leads: place.leads, name: name("line") })?;
        Ok(Ring { line, ring: bare::Ring::open(&name("ring"), WINDOW, Wait::Polling, Touch::All)? })
    }
}

impl Asks for Ring {
    #[inline]
    fn ask(&mut self, first: u64, mut take: impl FnMut(u64) -> Result<()>) -> Result<()> {
        self.line.send(first)?;
        for _ in 0..REPLIES {
            take(self.ring.recv()?)?;
        }
        Ok(())
    }
}

impl Streams for Ring {
    #[inline]
    fn serve(&mut self) -> Result<u64> {
        let first = self.line.recv()?;
        for number in first..first + REPLIES {
            self.ring.send(number)?;
        }
        Ok(first)
    }
}

/// The responses of iceoryx2, as many to a request as the server sends.
#[cfg(feature = "iceoryx2")]
pub mod responses {
    use super::{Asks, N, REPLIES, Streams, WINDOW};
    use crate::Result;
    use crate::peer::Touch;
    use crate::peer::iceoryx::node;
    use iceoryx2::port::{client, server};
    use iceoryx2::prelude::*;
    use iceoryx2::service::port_factory::request_response::PortFactory;
    use std::hint::spin_loop;

    type Service = PortFactory<ipc::Service, [u64; N], (), [u64; N], ()>;

    fn service(name: &str) -> Result<Service> {
        let builder = node()?.service_builder(&name.try_into()?).request_response::<[u64; N], [u64; N]>();
        Ok(builder
            .max_clients(1)
            .max_servers(1)
            .max_response_buffer_size(WINDOW)
            .enable_safe_overflow_for_responses(false)
            .open_or_create()?)
    }

    pub struct Client {
        client: client::Client<ipc::Service, [u64; N], (), [u64; N], ()>,
        _service: Service,
    }

    impl Client {
        pub fn open(name: &str) -> Result<Self> {
            let service = service(name)?;
            Ok(Client { client: service.client_builder().create()?, _service: service })
        }
    }

    impl Asks for Client {
        #[inline]
        fn ask(&mut self, first: u64, mut take: impl FnMut(u64) -> Result<()>) -> Result<()> {
            let pending = self.client.loan_uninit()?.write_payload([first; N]).send()?;
            for _ in 0..REPLIES {
                let response = loop {
                    match pending.receive()? {
                        Some(response) => break response,
                        None => spin_loop(),
                    }
                };
                take(Touch::All.read(response.payload()))?;
            }
            // The server ends the stream, as that of shmcomm does.
            while pending.is_connected() {
                spin_loop();
            }
            Ok(())
        }
    }

    pub struct Server {
        server: server::Server<ipc::Service, [u64; N], (), [u64; N], ()>,
        _service: Service,
    }

    impl Server {
        pub fn open(name: &str) -> Result<Self> {
            let service = service(name)?;
            let strategy = BackpressureStrategy::RetryUntilDelivered;
            let server = service.server_builder().backpressure_strategy(strategy).create()?;
            Ok(Server { server, _service: service })
        }
    }

    impl Streams for Server {
        #[inline]
        fn serve(&mut self) -> Result<u64> {
            let request = loop {
                match self.server.receive()? {
                    Some(request) => break request,
                    None => spin_loop(),
                }
            };
            let first = Touch::All.read(request.payload());
            for number in first..first + REPLIES {
                request.loan_uninit()?.write_payload([number; N]).send()?;
            }
            Ok(first)
        }
    }
}
