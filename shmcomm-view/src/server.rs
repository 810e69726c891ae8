//! [`Server`]: the listening socket, and a thread for each connection.
//!
//! Owns the threads. Calls `gate` before anything else, then `page` or `client`. Never writes to a channel.

use crate::catalog::Catalog;
use crate::client::{self, Client, Shared};
use crate::gate;
use crate::http::{self, Answer, Head, NoHead, PATIENCE};
use crate::options::{Options, OptionsError};
use crate::page;
use crate::protocol::{self, NAMES};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};
use tungstenite::handshake::server::{create_response, write_response};

/// Connections that are neither pages nor clients yet, beside the clients.
const VISITORS: usize = 32;
/// Events that wait for the program; later ones are left out.
const EVENTS: usize = 256;

/// A live view of the channels of this machine.
///
/// The threads of the server end with it: [`Server::stop`] or a drop waits for them, for at most about 5 s.
#[derive(Debug)]
pub struct Server {
    inner: Arc<Inner>,
    address: SocketAddr,
    threads: Vec<JoinHandle<()>>,
    events: Mutex<Receiver<Event>>,
}

struct Inner {
    shared: Shared,
    clients: AtomicUsize,
    visitors: AtomicUsize,
    events: SyncSender<Event>,
    connections: Mutex<Vec<JoinHandle<()>>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("clients", &self.clients).finish_non_exhaustive()
    }
}

/// Event at a server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A client is connected.
    Connected {
        /// Its address.
        peer: SocketAddr,
        /// The subprotocol that was chosen.
        protocol: &'static str,
    },
    /// A client has left.
    Disconnected {
        /// Its address.
        peer: SocketAddr,
        /// Messages that it got.
        sent: u64,
        /// Messages that were left out because it read too slowly.
        dropped: u64,
        /// Reason of the end.
        reason: String,
    },
    /// A connection was refused.
    Refused {
        /// Its address.
        peer: SocketAddr,
        /// Reason and cure.
        reason: String,
    },
}

/// Reason why a server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The settings are refused.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The address cannot be used.
    #[error("cannot listen on {address}: {source}; choose another port, or 0 for any")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// Error of the system.
        source: io::Error,
    },
    /// No thread could be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
}

impl Server {
    /// Listens, and serves pages and clients in threads of its own until it is stopped or dropped. Does not
    /// wait.
    ///
    /// # Errors
    /// [`StartError`] if a setting is refused, if the address is in use, or if no thread can be started.
    pub fn start(options: Options) -> Result<Server, StartError> {
        options.check()?;
        let bind = options.bind;
        let failed = |source| StartError::Listen { address: bind, source };
        let listener = TcpListener::bind(bind).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let shared = Shared {
            options,
            catalog: Catalog::new(),
            session: format!("{}-{}", std::process::id(), since.as_nanos()),
            stopped: AtomicBool::new(false),
            patience: client::PATIENCE,
        };
        let (events, received) = sync_channel(EVENTS);
        let inner = Arc::new(Inner {
            shared,
            clients: AtomicUsize::new(0),
            visitors: AtomicUsize::new(0),
            events,
            connections: Mutex::default(),
        });
        let mut server =
            Server { inner: inner.clone(), address, threads: Vec::new(), events: Mutex::new(received) };
        let reading = inner.clone();
        server.thread("shmcomm-catalog", move || reading.shared.catalog.run(&reading.shared.options))?;
        server.thread("shmcomm-view", move || inner.accept(&listener))?;
        Ok(server)
    }

    fn thread(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), StartError> {
        let thread = thread::Builder::new().name(name.into()).spawn(work).map_err(StartError::Thread)?;
        self.threads.push(thread);
        Ok(())
    }

    /// Returns the address that the server listens on, with its port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address of the page.
    pub fn url(&self) -> String {
        format!("http://{}/", reachable(self.address))
    }

    /// Returns the address for clients of the Foxglove protocol.
    pub fn socket_url(&self) -> String {
        format!("ws://{}", reachable(self.address))
    }

    /// Returns the number of clients that are connected.
    pub fn clients(&self) -> usize {
        self.inner.clients.load(Ordering::Relaxed)
    }

    /// Returns the next event, waiting for at most `timeout`.
    pub fn event(&self, timeout: Duration) -> Option<Event> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(timeout).ok()
    }

    /// Stops the server: closes all connections, and waits for its threads.
    pub fn stop(self) {
        drop(self);
    }
}

/// Returns an address that a program on this machine can connect to.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

impl Drop for Server {
    fn drop(&mut self) {
        self.inner.shared.stopped.store(true, Ordering::Relaxed);
        self.inner.shared.catalog.stop();
        // Ends the wait for a connection.
        let _ = TcpStream::connect_timeout(&reachable(self.address), Duration::from_secs(1));
        // First the thread that starts the others.
        for thread in self.threads.drain(..) {
            // A panic of a thread was printed, and the others continue.
            let _ = thread.join();
        }
        let connections = &self.inner.connections;
        let connections = std::mem::take(&mut *connections.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in connections {
            let _ = thread.join();
        }
    }
}

/// A place in a count, until it is dropped.
struct Place<'c>(&'c AtomicUsize);

impl<'c> Place<'c> {
    fn take(count: &'c AtomicUsize, most: usize) -> Option<Place<'c>> {
        let place = Place(count);
        (count.fetch_add(1, Ordering::Relaxed) < most).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Inner {
    fn stopped(&self) -> bool {
        self.shared.stopped.load(Ordering::Relaxed)
    }

    fn tell(&self, event: Event) {
        log::debug!("{event:?}");
        // A program that reads no events loses the newest.
        let _ = self.events.try_send(event);
    }

    fn accept(self: Arc<Self>, listener: &TcpListener) {
        while !self.stopped() {
            let (stream, peer) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Such as no descriptor left: it may pass.
                    log::warn!("cannot accept a connection: {error}");
                    thread::sleep(Duration::from_millis(50));
                    continue;
                }
            };
            if self.stopped() {
                return;
            }
            let inner = self.clone();
            let thread = thread::Builder::new()
                .name("shmcomm-client".into())
                .spawn(move || inner.connection(stream, peer));
            let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
            connections.retain(|thread| !thread.is_finished());
            match thread {
                Ok(thread) => connections.push(thread),
                Err(error) => log::warn!("cannot start a thread for {peer}: {error}"),
            }
        }
    }

    fn refuse(&self, stream: &mut TcpStream, peer: SocketAddr, status: &'static str, reason: &str) {
        let text = format!("shmcomm view: {reason}\n");
        // First: a client that has the answer may be refused again, and events keep their order.
        self.tell(Event::Refused { peer, reason: reason.into() });
        // The client may have left.
        let _ = Answer::text(status, &text).send(stream, PATIENCE);
    }

    fn connection(&self, mut stream: TcpStream, peer: SocketAddr) {
        let visitor = Place::take(&self.visitors, VISITORS);
        if visitor.is_none() {
            return self.refuse(
                &mut stream,
                peer,
                "503 Service Unavailable",
                "there are too many connections",
            );
        }
        let options = &self.shared.options;
        if !options.any_user && options.bind.ip().is_loopback() {
            let local = stream.local_addr().unwrap_or(options.bind);
            if let Err(reason) = gate::check_user(peer, local) {
                return self.refuse(&mut stream, peer, "403 Forbidden", &reason);
            }
        }
        let head = match Head::read(&mut stream) {
            Ok(head) => head,
            Err(NoHead::Gone) => return,
            Err(NoHead::Wrong(why)) => return self.refuse(&mut stream, peer, "400 Bad Request", why),
        };
        if let Err(reason) = gate::check(options, &head) {
            return self.refuse(&mut stream, peer, "403 Forbidden", &reason);
        }
        if !head.wants_socket() {
            return self.page(&mut stream, &head);
        }
        let Some(place) = Place::take(&self.clients, options.max_clients) else {
            let reason = format!("{} clients are connected, and no more are allowed", options.max_clients);
            return self.refuse(&mut stream, peer, "503 Service Unavailable", &reason);
        };
        drop(visitor);
        let offered: Vec<&str> = head
            .request
            .headers()
            .get_all("sec-websocket-protocol")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect();
        let Some((protocol, dialect)) = protocol::choose(&offered.join(",")) else {
            let names = NAMES.map(|(name, _)| name).join(", ");
            let reason = format!("the client asks for no subprotocol of {names}");
            return self.refuse(&mut stream, peer, "400 Bad Request", &reason);
        };
        let mut response = match create_response(&head.request) {
            Ok(response) => response,
            Err(error) => {
                return self.refuse(&mut stream, peer, "400 Bad Request", &error.to_string());
            }
        };
        response
            .headers_mut()
            .insert("sec-websocket-protocol", tungstenite::http::HeaderValue::from_static(protocol));
        let mut text = Vec::new();
        let sent = write_response(&mut text, &response).is_ok()
            && http::write_until(&mut stream, &text, Instant::now() + PATIENCE).is_ok();
        if !sent {
            return;
        }
        self.tell(Event::Connected { peer, protocol });
        let (reason, totals) = Client::serve(&self.shared, stream, head.rest, dialect);
        drop(place);
        self.tell(Event::Disconnected { peer, sent: totals.sent, dropped: totals.dropped, reason });
    }

    fn page(&self, stream: &mut TcpStream, head: &Head) {
        let method = head.request.method().as_str();
        let answer = match page::part(head.request.uri().path()) {
            _ if !matches!(method, "GET" | "HEAD") => Answer {
                fields: &[("Allow", "GET, HEAD")],
                ..Answer::text("405 Method Not Allowed", "only GET and HEAD are allowed\n")
            },
            None => Answer::text("404 Not Found", "there is no such page\n"),
            Some(part) => Answer {
                status: "200 OK",
                kind: part.kind,
                fields: &[],
                body: part.text.as_bytes(),
                head_only: method == "HEAD",
            },
        };
        // The browser may have left.
        let _ = answer.send(stream, PATIENCE);
    }
}
