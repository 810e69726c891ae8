//! [`Feed`]: the messages of one channel for one client.
//!
//! Owns the observer, the limit of the rate, and the counts of messages that the client did not get. Calls
//! `encoding`. Never waits, and keeps no encoded message. Each message is copied once, by the observer.
//!
//! With a limit, a feed sends the latest message and skips those before it. While the client does not read, a
//! feed reads nothing: the messages stay in the segment until they are overwritten, and no memory grows.

use crate::encoding::Encoder;
use crate::protocol::{Counts, Dialect, Level, Status, Subscription};
use shmcomm::{Observed, Observer};
use std::time::{Duration, Instant};

/// Time between two checks of a channel that has no new message.
const IDLE: Duration = Duration::from_millis(10);
/// Time between two checks of a channel that is sent as a whole.
const EACH: Duration = Duration::from_millis(1);
/// Events that one turn handles at most.
const EVENTS: usize = 16;
/// Time between two reports of losses.
const REPORT: Duration = Duration::from_secs(2);

/// The messages of a channel for a client.
pub struct Feed {
    subscription: Subscription,
    observer: Observer,
    encoder: Encoder,
    /// Time between two messages; `None` if every message is sent.
    period: Option<Duration>,
    due: Instant,
    /// Position of the message that was sent last.
    last: Option<u64>,
    /// `true` if the client did not read when the last message was due.
    behind: bool,
    counts: Counts,
    reported: (u64, Instant),
}

/// Result of a turn.
pub enum Turn {
    /// Nothing to send now.
    Nothing,
    /// The buffer holds a message.
    Message,
    /// The publisher is gone, or back.
    Publisher { gone: bool },
    /// The channel has other messages now: the feed ends.
    Other,
    /// The message could not be encoded.
    Failed(String),
}

impl Feed {
    /// Starts to observe a channel. `period` is the time between two messages.
    pub fn open(
        subscription: Subscription,
        channel: &str,
        dialect: Dialect,
        period: Option<Duration>,
    ) -> Result<Feed, String> {
        let mut observer = Observer::open(channel).map_err(|error| error.to_string())?;
        let encoder = Encoder::new(observer.description(), dialect)?;
        // The newest message that is there comes first: a slow channel is not empty for long.
        if period.is_some() && observer.latest().is_some() {
            let _ = observer.seek_oldest();
        }
        let now = Instant::now();
        Ok(Feed {
            subscription,
            observer,
            encoder,
            period,
            due: now,
            last: None,
            behind: false,
            counts: Counts::default(),
            reported: (0, now),
        })
    }

    /// Returns the number of the channel in the protocol.
    pub fn channel_id(&self) -> u32 {
        self.subscription.channel_id
    }

    pub fn channel(&self) -> &str {
        self.observer.name()
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Returns the time of the next turn.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// Notes that the client did not read when a message was due.
    pub fn held_up(&mut self, now: Instant) {
        if now >= self.due {
            self.behind = true;
        }
    }

    /// Reads the next message if it is due, and replaces the contents of `body` by its encoded form. Never blocks.
    pub fn turn(&mut self, now: Instant, body: &mut Vec<u8>) -> Turn {
        if now < self.due {
            return Turn::Nothing;
        }
        if self.counts.gone && self.observer.pending() > 0 {
            // A publisher is back, also if it sends so fast that the observer does not get to the event.
            self.counts.gone = false;
            return Turn::Publisher { gone: false };
        }
        if self.period.is_some() && self.observer.pending() > 0 {
            let last = self.last;
            // If only positions without a message are new, the newest message was sent before.
            if let Some(message) = self.observer.latest().filter(|message| Some(message.position()) != last) {
                let encoded = self.encoder.encode(&message, body);
                let position = message.position();
                return self.encoded(encoded, position, now);
            }
        }
        for _ in 0..EVENTS {
            match self.observer.next() {
                Observed::Message(message) => {
                    let encoded = self.encoder.encode(&message, body);
                    let position = message.position();
                    return self.encoded(encoded, position, now);
                }
                Observed::Missed(missed) => {
                    // With a limit the positions show the gap.
                    if self.period.is_none() {
                        let count =
                            if self.behind { &mut self.counts.dropped } else { &mut self.counts.missed };
                        *count = count.saturating_add(missed);
                    }
                }
                Observed::Replaced => {
                    self.last = None;
                    self.counts.gone = false;
                    let same = self.encoder.fits(self.observer.description());
                    return if same { Turn::Publisher { gone: false } } else { Turn::Other };
                }
                Observed::Gone => {
                    self.counts.gone = true;
                    return Turn::Publisher { gone: true };
                }
                _ => break,
            }
        }
        self.behind = false;
        self.due = now + self.period.map_or(EACH, |period| period.min(IDLE));
        Turn::Nothing
    }

    fn encoded(&mut self, encoded: Result<(), String>, position: u64, now: Instant) -> Turn {
        let last = self.last.replace(position);
        if let Some(period) = self.period {
            if let Some(last) = last {
                let between = position.saturating_sub(last).saturating_sub(1);
                let count = if self.behind { &mut self.counts.dropped } else { &mut self.counts.skipped };
                *count = count.saturating_add(between);
            }
            self.behind = false;
            // From the time that was due, so that the rate is met; from now if the feed is late.
            self.due = (self.due + period).max(now + period / 2);
        }
        match encoded {
            Ok(()) => {
                self.counts.sent += 1;
                Turn::Message
            }
            Err(why) => {
                self.counts.failed += 1;
                Turn::Failed(why)
            }
        }
    }

    /// Counts a message that was encoded and not sent, because it is longer than the buffer of a client.
    pub fn too_long(&mut self) {
        self.counts.sent -= 1;
        self.counts.failed += 1;
    }

    /// Returns the identifier of a status of this feed.
    pub fn status_id(&self, kind: &str) -> String {
        format!("{kind}-{}", self.subscription.id)
    }

    /// Returns a status about new losses, at most every 2 s.
    pub fn losses(&mut self, now: Instant) -> Option<Status> {
        let Counts { dropped, missed, .. } = self.counts;
        let lost = dropped.saturating_add(missed);
        if lost == self.reported.0 || now.saturating_duration_since(self.reported.1) < REPORT {
            return None;
        }
        self.reported = (lost, now);
        let channel = self.channel();
        Some(Status {
            level: Level::Warning,
            id: Some(self.status_id("losses")),
            text: format!(
                "channel `{channel}`: {dropped} messages were left out because this client reads too slowly, and \
                 {missed} were overwritten before the viewer read them"
            ),
        })
    }
}
