//! [`Client`]: one WebSocket connection, from its first frame to its end.
//!
//! Owns the socket, the subscriptions and the publishers of the client, in one thread. Calls `catalog`, `feed` and
//! `publish`. Never holds more than one encoded message that the client has not read, beside short texts.

use crate::catalog::{Catalog, Listing};
use crate::encoding::Encoder;
use crate::feed::{Feed, Turn};
use crate::options::Options;
use crate::protocol::{self, Dialect, Level, Operation, Status, Subscription};
use crate::publish::Outlets;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

/// Largest frame that a client may send, in bytes.
const LONGEST: usize = 4 << 20;
/// Bytes of the buffer that stay free for short texts.
const TEXTS: usize = 8 << 20;
/// Largest number of subscriptions of a client.
const SUBSCRIPTIONS: usize = 1024;
/// Longest wait for a frame of the client: after it, the thread checks the list of channels.
const LONGEST_WAIT: Duration = Duration::from_millis(100);
/// Longest attempt to write.
const WRITE: Duration = Duration::from_millis(5);
/// Time without any byte read after which a client that has bytes to read is given up.
const PATIENCE: Duration = Duration::from_secs(30);
/// Frames that one feed may send before the others have their turn, without a limit of the rate.
const BURST: usize = 256;

/// State that clients share with the server.
pub struct Shared {
    pub options: Options,
    pub catalog: Arc<Catalog>,
    pub session: String,
    pub stopped: AtomicBool,
}

/// A connection.
pub struct Client<'s> {
    shared: &'s Shared,
    socket: WebSocket<Counted>,
    dialect: Dialect,
    /// Version of the list that the client knows.
    version: u64,
    /// Channels that the client may subscribe to, by number.
    channels: HashMap<u32, String>,
    /// Channels that could not be described, with the reason that was reported.
    refused: HashMap<u32, String>,
    feeds: BTreeMap<u32, Feed>,
    /// Subscriptions to the figures of all channels.
    figures: BTreeSet<u32>,
    listing: Option<Listing>,
    outlets: Outlets,
    /// Time and count of bytes at which the client was last seen to read, while bytes wait for it.
    waiting: Option<(Instant, u64)>,
    frame: Vec<u8>,
    totals: Totals,
}

/// Counts of all subscriptions of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    pub sent: u64,
    pub dropped: u64,
}

/// Reason why a connection ended.
pub type End = String;

/// A socket that counts the bytes that it takes.
struct Counted {
    stream: TcpStream,
    written: u64,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.stream.write(bytes)?;
        self.written += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Returns `true` if the socket has no room, or no bytes, at this time.
fn is_wait(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

fn ended(error: &Error) -> End {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => "the client left".into(),
        error => format!("the connection broke: {error}"),
    }
}

impl<'s> Client<'s> {
    /// Serves a client until it leaves, breaks the protocol, or the server stops.
    pub fn serve(shared: &'s Shared, stream: TcpStream, rest: Vec<u8>, dialect: Dialect) -> (End, Totals) {
        let _member = shared.catalog.join();
        let config = WebSocketConfig::default()
            .write_buffer_size(0)
            .max_write_buffer_size(shared.options.client_buffer.saturating_add(TEXTS))
            .max_message_size(Some(LONGEST))
            .max_frame_size(Some(LONGEST));
        if let Err(error) = stream.set_write_timeout(Some(WRITE)).and_then(|()| stream.set_nodelay(true)) {
            return (error.to_string(), Totals::default());
        }
        let stream = Counted { stream, written: 0 };
        let mut client = Client {
            shared,
            socket: WebSocket::from_partially_read(stream, rest, Role::Server, Some(config)),
            dialect,
            version: 0,
            channels: HashMap::new(),
            refused: HashMap::new(),
            feeds: BTreeMap::new(),
            figures: BTreeSet::new(),
            listing: None,
            outlets: Outlets::default(),
            waiting: None,
            frame: Vec::new(),
            totals: Totals::default(),
        };
        let end = match client.run() {
            Ok(never) => match never {},
            Err(end) => end,
        };
        for feed in client.feeds.values() {
            client.totals.dropped += feed.counts().dropped;
        }
        (end, client.totals)
    }

    fn run(&mut self) -> Result<std::convert::Infallible, End> {
        let options = &self.shared.options;
        let publish = !options.allow_publish.is_empty();
        self.text(protocol::server_info(&self.shared.session, publish, options.rate))?;
        if self.dialect == Dialect::Foxglove {
            self.text(protocol::advertise(&[protocol::figures_channel()]))?;
        }
        loop {
            if self.shared.stopped.load(Ordering::Relaxed) {
                let frame = CloseFrame { code: CloseCode::Away, reason: "the server stops".into() };
                let _ = self.socket.close(Some(frame));
                return Err("the server stopped".into());
            }
            self.flush()?;
            if self.waiting.is_none() {
                self.update()?;
                self.turns()?;
            } else {
                let now = Instant::now();
                self.feeds.values_mut().for_each(|feed| feed.held_up(now));
            }
            self.receive()?;
        }
    }

    /// Hands bytes that wait to the socket. Ends the connection if the client has read none for 30 s.
    fn flush(&mut self) -> Result<(), End> {
        match self.socket.flush() {
            Ok(()) => self.waiting = None,
            Err(Error::Io(error)) if is_wait(&error) => {
                let (now, written) = (Instant::now(), self.socket.get_ref().written);
                match self.waiting {
                    Some((since, before)) if before == written => {
                        if now.saturating_duration_since(since) > PATIENCE {
                            return Err("the client read nothing for 30 s".into());
                        }
                    }
                    _ => self.waiting = Some((now, written)),
                }
            }
            Err(error) => return Err(ended(&error)),
        }
        Ok(())
    }

    /// Sends a frame, or keeps it if the client does not read at this time.
    fn write(&mut self, message: Message) -> Result<(), End> {
        match self.socket.write(message) {
            Ok(()) => Ok(()),
            Err(Error::Io(error)) if is_wait(&error) => {
                self.waiting.get_or_insert((Instant::now(), self.socket.get_ref().written));
                Ok(())
            }
            Err(Error::WriteBufferFull(_)) => Err("the client does not read".into()),
            Err(error) => Err(ended(&error)),
        }
    }

    fn text(&mut self, text: String) -> Result<(), End> {
        self.write(Message::text(text))
    }

    fn status(&mut self, status: &Status) -> Result<(), End> {
        self.text(status.frame())
    }

    /// Tells the client of channels that came, changed or left, and of new figures.
    fn update(&mut self) -> Result<(), End> {
        let Some(listing) = self.shared.catalog.newer(self.version) else { return Ok(()) };
        self.version = listing.version;
        let now: HashMap<u32, &str> =
            listing.channels.iter().filter_map(|one| Some((one.id?, one.channel.as_str()))).collect();
        let left: Vec<u32> = self.channels.keys().filter(|id| !now.contains_key(id)).copied().collect();
        self.channels.retain(|id, _| now.contains_key(id));
        self.refused.retain(|id, _| now.contains_key(id));
        let ending: Vec<u32> = self
            .feeds
            .iter()
            .filter(|(_, feed)| now.values().all(|channel| *channel != feed.channel()))
            .map(|(id, _)| *id)
            .collect();
        for id in ending {
            self.end_feed(id);
        }
        match self.dialect {
            Dialect::Page => {
                self.channels.extend(now.iter().map(|(id, channel)| (*id, (*channel).to_owned())));
                let counts: Vec<_> = self.feeds.iter().map(|(id, feed)| (*id, feed.counts())).collect();
                self.text(protocol::figures(&listing.channels, &counts, listing.problem.as_deref()))?;
            }
            Dialect::Foxglove => {
                if !left.is_empty() {
                    self.text(protocol::unadvertise(&left))?;
                }
                let mut new: Vec<(u32, &str)> =
                    now.into_iter().filter(|(id, _)| !self.channels.contains_key(id)).collect();
                new.sort_unstable();
                self.advertise(&new)?;
                let json = serde_json::json!({ "channels": &*listing.channels }).to_string();
                for id in self.figures.clone() {
                    protocol::begin_data(id, &mut self.frame);
                    self.frame.extend_from_slice(json.as_bytes());
                    self.write(Message::binary(self.frame.clone()))?;
                }
            }
        }
        self.listing = Some(listing);
        Ok(())
    }

    /// Advertises channels, with their schemas. A channel that cannot be described is reported once.
    fn advertise(&mut self, new: &[(u32, &str)]) -> Result<(), End> {
        let mut channels = Vec::new();
        for &(id, channel) in new {
            let described = match shmcomm::describe(channel) {
                Ok(Some(what)) => Encoder::new(&what, self.dialect).map(|it| it.advertisement(id, channel)),
                // It has left since the list was read.
                Ok(None) => continue,
                Err(error) => Err(error.to_string()),
            };
            match described {
                Ok(advertisement) => {
                    channels.extend(advertisement);
                    self.channels.insert(id, channel.to_owned());
                    self.refused.remove(&id);
                }
                Err(why) if self.refused.get(&id) == Some(&why) => {}
                Err(why) => {
                    let text = format!("channel `{channel}` is not shown: {why}");
                    let id_of_status = Some(format!("channel-{id}"));
                    self.refused.insert(id, why);
                    self.status(&Status { level: Level::Warning, id: id_of_status, text })?;
                }
            }
        }
        if channels.is_empty() { Ok(()) } else { self.text(protocol::advertise(&channels)) }
    }

    /// Gives each feed its turn.
    fn turns(&mut self) -> Result<(), End> {
        let now = Instant::now();
        let due: Vec<u32> =
            self.feeds.iter().filter(|(_, feed)| feed.due() <= now).map(|(id, _)| *id).collect();
        for id in due {
            for _ in 0..BURST {
                if self.waiting.is_some() || !self.turn(id, now)? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Gives one feed its turn. Returns `true` if it may have more for this client.
    fn turn(&mut self, id: u32, now: Instant) -> Result<bool, End> {
        let Some(feed) = self.feeds.get_mut(&id) else { return Ok(false) };
        let turn = feed.turn(now, &mut self.frame);
        let more = !matches!(turn, Turn::Nothing | Turn::Other);
        match turn {
            Turn::Nothing => {}
            Turn::Frame if self.frame.len() > self.shared.options.client_buffer => {
                feed.too_long();
                let (limit, len) = (self.shared.options.client_buffer, self.frame.len());
                let text = format!(
                    "channel `{}`: a message has {len} bytes as it is sent, more than the {limit} that may wait for a \
                     client; raise client_buffer",
                    feed.channel()
                );
                let status = Status { level: Level::Error, id: Some(feed.status_id("long")), text };
                self.frame = Vec::new();
                self.status(&status)?;
            }
            Turn::Frame => {
                self.totals.sent += 1;
                let frame = std::mem::take(&mut self.frame);
                self.write(Message::binary(frame))?;
            }
            Turn::Publisher { gone: true } => {
                let text = format!("channel `{}` has no publisher now", feed.channel());
                let status = Status { level: Level::Info, id: Some(feed.status_id("gone")), text };
                self.status(&status)?;
            }
            Turn::Publisher { gone: false } => {
                let id = feed.status_id("gone");
                self.text(protocol::remove_status(&[id]))?;
            }
            Turn::Other => {
                let text =
                    format!("channel `{}` has another message type now; subscribe again", feed.channel());
                self.end_feed(id);
                self.status(&Status { level: Level::Warning, id: None, text })?;
            }
            Turn::Failed(why) => {
                let text = format!("channel `{}`: a message cannot be shown: {why}", feed.channel());
                let status = Status { level: Level::Warning, id: Some(feed.status_id("bad")), text };
                self.status(&status)?;
            }
        }
        if let Some(status) = self.feeds.get_mut(&id).and_then(|feed| feed.losses(now)) {
            self.status(&status)?;
        }
        Ok(more)
    }

    fn end_feed(&mut self, id: u32) {
        if let Some(feed) = self.feeds.remove(&id) {
            self.totals.dropped += feed.counts().dropped;
        }
    }

    /// Waits for a frame of the client until a feed is due, and handles it.
    fn receive(&mut self) -> Result<(), End> {
        let now = Instant::now();
        let next = self.feeds.values().map(|feed| feed.due().saturating_duration_since(now)).min();
        let longest = if self.waiting.is_some() { WRITE } else { LONGEST_WAIT };
        // Zero would mean no limit.
        let wait = next.unwrap_or(longest).clamp(Duration::from_micros(100), longest);
        self.socket.get_ref().stream.set_read_timeout(Some(wait)).map_err(|error| error.to_string())?;
        match self.socket.read() {
            Ok(Message::Text(text)) => self.operation(text.as_str()),
            Ok(Message::Binary(frame)) => {
                let sent = match protocol::client_data(&frame) {
                    Some((id, payload)) => self.outlets.send(id, payload),
                    None => {
                        Err("a binary frame is no message: it starts with 1 and a number of 4 bytes".into())
                    }
                };
                sent.or_else(|why| self.status(&Status::error(why)))
            }
            Ok(_) => Ok(()),
            Err(Error::Io(error)) if is_wait(&error) => Ok(()),
            Err(error) => Err(ended(&error)),
        }
    }

    fn operation(&mut self, text: &str) -> Result<(), End> {
        let operation = match serde_json::from_str(text) {
            Ok(operation) => operation,
            Err(error) => return self.status(&Status::error(format!("a frame is no operation: {error}"))),
        };
        match operation {
            Operation::Subscribe { subscriptions } => {
                for subscription in subscriptions {
                    if let Err(why) = self.subscribe(subscription) {
                        self.status(&Status::error(why))?;
                    }
                }
            }
            Operation::Unsubscribe { subscription_ids } => {
                for id in subscription_ids {
                    self.figures.remove(&id);
                    self.end_feed(id);
                }
            }
            Operation::Advertise { channels } => {
                for channel in &channels {
                    if let Err(why) = self.outlets.open(&self.shared.options, channel) {
                        self.status(&Status::error(why))?;
                    }
                }
            }
            Operation::Unadvertise { channel_ids } => {
                channel_ids.into_iter().for_each(|id| self.outlets.close(id));
            }
            Operation::Other => {
                self.status(&Status::error(
                    "this server has no such operation: it offers no parameters, services and assets",
                ))?;
            }
        }
        Ok(())
    }

    fn subscribe(&mut self, Subscription { id, channel_id }: Subscription) -> Result<(), String> {
        if self.feeds.contains_key(&id) || self.figures.contains(&id) {
            return Err(format!("there already is a subscription {id}"));
        }
        if self.feeds.len() + self.figures.len() >= SUBSCRIPTIONS {
            return Err(format!("a client may have {SUBSCRIPTIONS} subscriptions"));
        }
        if channel_id == protocol::FIGURES && self.dialect == Dialect::Foxglove {
            self.figures.insert(id);
            return Ok(());
        }
        let channel =
            self.channels.get(&channel_id).ok_or_else(|| format!("there is no channel {channel_id}"))?;
        let rate = self.shared.options.rate;
        let period = (rate > 0.0).then(|| Duration::from_secs_f64(1.0 / rate));
        self.feeds.insert(id, Feed::open(id, channel, self.dialect, period)?);
        Ok(())
    }
}
