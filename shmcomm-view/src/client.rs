//! [`Client`]: one WebSocket connection, from its first frame to its end.
//!
//! Owns the subscriptions and the publishers of the client, in one thread. Calls `wire` for the socket, and `catalog`,
//! `feed` and `publish`. Never starts a message before the client has read the one before: one encoded message waits
//! for a client at most, and up to 8 MiB of texts. Each subscription has a buffer for a message of its channel.
//!
//! The thread works in turns. A turn writes what the system takes at once, gives the feeds some milliseconds, and reads
//! once.

#[cfg(test)]
mod tests;

use crate::catalog::Catalog;
use crate::encoding::Encoder;
use crate::feed::{Feed, Turn};
use crate::options::Options;
use crate::protocol::{self, Dialect, Level, Operation, Status, Subscription};
use crate::publish::Outlets;
use crate::wire::Wire;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

/// Largest frame that a client may send, in bytes.
const LONGEST: usize = 4 << 20;
/// Largest number of subscriptions of a client.
const SUBSCRIPTIONS: usize = if cfg!(test) { 8 } else { 1024 };
/// Longest wait for a frame of the client: after it, the thread checks the list of channels.
const LONGEST_WAIT: Duration = Duration::from_millis(100);
/// Longest wait for a frame while bytes wait for the client, if it has read some in [`SOON`]; else [`RARELY`].
const OFTEN: Duration = Duration::from_millis(1);
const SOON: Duration = Duration::from_millis(20);
const RARELY: Duration = Duration::from_millis(10);
/// Time without any byte read after which a client that has bytes to read is disconnected.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Longest time for the last bytes of a connection.
const FAREWELL: Duration = Duration::from_millis(500);
/// Frames that one feed may send before the others have their turn, without a limit of the rate.
const BURST: usize = 256;
/// Time that the feeds have in a turn, up to one message.
const TURN: Duration = Duration::from_millis(20);
/// Identifier of the status about the list of channels.
const LIST: &str = "list";

/// State that clients share with the server.
pub struct Shared {
    pub options: Options,
    pub catalog: Arc<Catalog>,
    pub session: String,
    pub stopped: AtomicBool,
    /// [`PATIENCE`], or less in a test.
    pub patience: Duration,
}

/// A connection.
pub struct Client<'s> {
    shared: &'s Shared,
    socket: WebSocket<Wire>,
    dialect: Dialect,
    /// Version of the list that the client knows.
    version: u64,
    /// Channels that the client may subscribe to, by number.
    channels: HashMap<u32, String>,
    /// Channels that could not be described, with the reason that was reported.
    refused: HashMap<u32, String>,
    feeds: BTreeMap<u32, Feed>,
    /// Feed that had its turn last.
    served: u32,
    /// Subscription to the figures of all channels.
    figures: Option<u32>,
    /// Problem of the list of channels that the client was told.
    problem: Option<String>,
    outlets: Outlets,
    /// Memory for the next message.
    body: Vec<u8>,
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

/// Returns `true` if the socket has no bytes at this time.
fn is_wait(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

fn ended(error: &Error) -> End {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => "the client left".into(),
        // Of the wire.
        Error::Io(error) if error.kind() == io::ErrorKind::Other => error.to_string(),
        error => format!("the connection broke: {error}"),
    }
}

impl<'s> Client<'s> {
    /// Serves a client until it leaves, breaks the protocol, or the server stops.
    pub fn serve(shared: &'s Shared, stream: TcpStream, rest: Vec<u8>, dialect: Dialect) -> (End, Totals) {
        let (_member, version) = shared.catalog.join();
        let config = WebSocketConfig::default()
            .write_buffer_size(0)
            .max_message_size(Some(LONGEST))
            .max_frame_size(Some(LONGEST));
        let wire = match Wire::new(stream) {
            Ok(wire) => wire,
            Err(error) => return (error.to_string(), Totals::default()),
        };
        let mut client = Client {
            shared,
            socket: WebSocket::from_partially_read(wire, rest, Role::Server, Some(config)),
            dialect,
            version,
            channels: HashMap::new(),
            refused: HashMap::new(),
            feeds: BTreeMap::new(),
            served: 0,
            figures: None,
            problem: None,
            outlets: Outlets::default(),
            body: Vec::new(),
            totals: Totals::default(),
        };
        let end = match client.run() {
            Ok(never) => match never {},
            Err(end) => end,
        };
        client.socket.get_mut().finish(FAREWELL);
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
            if self.hand_over()? {
                self.update()?;
                self.turns()?;
            } else {
                let now = Instant::now();
                self.feeds.values_mut().for_each(|feed| feed.held_up(now));
            }
            self.receive()?;
        }
    }

    /// Hands waiting bytes to the system. Returns `true` if none are left. Ends the connection if the client has read
    /// none for 30 s.
    fn hand_over(&mut self) -> Result<bool, End> {
        let patience = self.shared.patience;
        let wire = self.socket.get_mut();
        wire.hand_over().map_err(|error| format!("the connection broke: {error}"))?;
        if wire.stalled(Instant::now()) > patience {
            return Err(format!("the client read nothing for {} s", patience.as_secs_f64()));
        }
        Ok(wire.is_clear())
    }

    /// Puts the message in `body` into the queue of the client.
    fn message(&mut self, subscription: u32) {
        let body = std::mem::take(&mut self.body);
        self.socket.get_mut().message(&protocol::data_head(subscription), body);
    }

    fn text(&mut self, text: String) -> Result<(), End> {
        self.socket.write(Message::text(text)).map_err(|error| ended(&error))
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
        let ended = |feed: &Feed| !now.contains_key(&feed.channel_id());
        let ending: Vec<u32> = self.feeds.iter().filter(|(_, feed)| ended(feed)).map(|(id, _)| *id).collect();
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
                self.problem(listing.problem)?;
                if let Some(id) = self.figures {
                    self.body =
                        serde_json::json!({ "channels": &*listing.channels }).to_string().into_bytes();
                    self.message(id);
                }
            }
        }
        Ok(())
    }

    /// Tells a Foxglove client of a problem of the list, and of its end.
    fn problem(&mut self, problem: Option<String>) -> Result<(), End> {
        if self.problem == problem {
            return Ok(());
        }
        self.problem.clone_from(&problem);
        match problem {
            Some(text) => self.status(&Status { level: Level::Warning, id: Some(LIST.into()), text }),
            None => self.text(protocol::remove_status(&[LIST.into()])),
        }
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

    /// Gives the feeds that are due their turns, until bytes wait for the client or the time is over.
    fn turns(&mut self) -> Result<(), End> {
        let start = Instant::now();
        let mut due: Vec<u32> =
            self.feeds.iter().filter(|(_, feed)| feed.due() <= start).map(|(id, _)| *id).collect();
        // The feed behind the last one is the first, so that no feed waits for the others again and again.
        let first = due.partition_point(|id| *id <= self.served);
        due.rotate_left(first);
        for id in due {
            self.served = id;
            for _ in 0..BURST {
                let more = self.turn(id)?;
                if !self.hand_over()? || start.elapsed() >= TURN {
                    return Ok(());
                }
                if !more {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Gives one feed its turn. Returns `true` if it may have more for this client.
    fn turn(&mut self, id: u32) -> Result<bool, End> {
        let Some(feed) = self.feeds.get_mut(&id) else { return Ok(false) };
        if self.body.capacity() == 0 {
            self.body = self.socket.get_mut().spare();
        }
        let now = Instant::now();
        let turn = feed.turn(now, &mut self.body);
        let more = !matches!(turn, Turn::Nothing | Turn::Other);
        match turn {
            Turn::Nothing => {}
            Turn::Message if self.body.len() > self.shared.options.client_buffer => {
                feed.too_long();
                let (limit, len) = (self.shared.options.client_buffer, self.body.len());
                let text = format!(
                    "channel `{}`: a message has {len} bytes as it is sent, more than the {limit} that a client gets; \
                     a program that starts the server can raise `Options::client_buffer`",
                    feed.channel()
                );
                let status = Status { level: Level::Error, id: Some(feed.status_id("long")), text };
                self.body = Vec::new();
                self.status(&status)?;
            }
            Turn::Message => {
                self.totals.sent += 1;
                self.message(id);
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
                self.status(&Status {
                    level: Level::Warning,
                    id: Some(protocol::subscription_status(id)),
                    text,
                })?;
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
        let wire = self.socket.get_mut();
        let wait = match wire.is_clear() {
            true => next.unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT),
            false if wire.stalled(now) < SOON => OFTEN,
            false => RARELY,
        };
        wire.start_turn(wait).map_err(|error| error.to_string())?;
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
                    if let Err((level, text)) = self.subscribe(subscription) {
                        let id = Some(protocol::subscription_status(subscription.id));
                        self.status(&Status { level, id, text })?;
                    }
                }
            }
            Operation::Unsubscribe { subscription_ids } => {
                for id in subscription_ids {
                    self.figures.take_if(|figures| *figures == id);
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

    /// Starts a subscription. An error is the reason for the client.
    fn subscribe(&mut self, wanted: Subscription) -> Result<(), (Level, String)> {
        let Subscription { id, channel_id } = wanted;
        let refused = |why: String| (Level::Error, why);
        let figures = channel_id == protocol::FIGURES && self.dialect == Dialect::Foxglove;
        if self.feeds.contains_key(&id) || self.figures == Some(id) {
            return Err(refused(format!("there already is a subscription {id}")));
        }
        let same = |(_, feed): &(&u32, &Feed)| feed.channel_id() == channel_id;
        let earlier = if figures { self.figures } else { self.feeds.iter().find(same).map(|(id, _)| *id) };
        if let Some(earlier) = earlier {
            let channel = self.channels.get(&channel_id).map_or(protocol::FIGURES_TOPIC, String::as_str);
            let text = format!(
                "channel `{channel}`: the client already has subscription {earlier} to it, and may have one; \
                 subscription {id} is ignored"
            );
            return Err((Level::Warning, text));
        }
        if figures {
            self.figures = Some(id);
            return Ok(());
        }
        if self.feeds.len() >= SUBSCRIPTIONS {
            return Err(refused(format!("a client may have {SUBSCRIPTIONS} subscriptions")));
        }
        let channel = self.channels.get(&channel_id);
        let channel = channel.ok_or_else(|| refused(format!("there is no channel {channel_id}")))?;
        let rate = self.shared.options.rate;
        let period = (rate > 0.0).then(|| Duration::from_secs_f64(1.0 / rate));
        let feed = Feed::open(wanted, channel, self.dialect, period).map_err(refused)?;
        self.feeds.insert(id, feed);
        Ok(())
    }
}
