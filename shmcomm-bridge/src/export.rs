//! [`Export`]: a publish/subscribe channel of this host on its way to other hosts.
//!
//! Owns a subscriber, its thread, and the numbers of the messages. Calls the library and zenoh. Never sends a message
//! that this process, or another bridge of this host, has imported.

use crate::config::Rule;
use crate::context::{Context, OwnPublishers};
use crate::counts::{Counts, Direction, add, note};
use crate::keys::{Kind, Offer};
use crate::local::{Local, is_bridge};
use crate::offers::Announcement;
use crate::wire::{Facts, Head};
use shmcomm::{DynError, DynMessage, DynSubscriber, PublisherId, StopHandle, describe};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use zenoh::Wait;
use zenoh::pubsub::Publisher;
use zenoh::qos::CongestionControl;

/// Longest sleep of the thread of an export.
const PERIOD: Duration = Duration::from_millis(100);
/// Longest time for which messages from before the export wait for an importer.
const UNHEARD: Duration = Duration::from_secs(2);

/// Place of the last message that was exported: the segment, the next position, and the next number.
#[derive(Clone, Copy, Debug, Default)]
pub struct Resume {
    pub segment: u64,
    position: u64,
    number: u64,
}

/// A running export.
pub struct Export {
    pub segment: u64,
    stop: Arc<AtomicBool>,
    handle: StopHandle,
    thread: JoinHandle<Resume>,
    announcement: Announcement,
}

impl Export {
    /// Opens the export of a channel. An error is the reason why it is refused.
    pub fn open(
        context: &Context<'_>,
        local: &Local,
        rule: &Rule,
        incarnation: u64,
        resume: Option<Resume>,
    ) -> Result<Export, String> {
        let Context { session, keys, registry, .. } = context;
        let full = &local.info.channel;
        let what = describe(full).map_err(|error| error.to_string())?.ok_or("the channel has gone")?;
        let facts = Facts::of(&what, rule.reliable, context.route(&local.channel))?;
        let resume = resume.filter(|resume| resume.segment == facts.segment);
        let history = if resume.is_some() { what.slots as usize } else { rule.history };
        let holes = local.info.holes;
        let subscriber =
            DynSubscriber::open_timeout(full, Duration::ZERO, history).map_err(|error| error.to_string())?;
        let origin = session.zid().to_string();
        let offer = Offer { channel: local.channel.clone(), origin, incarnation };
        let failed = |error: zenoh::Error| format!("zenoh refuses it: {error}");
        let congestion = if rule.reliable { CongestionControl::Block } else { CongestionControl::Drop };
        let publisher = session
            .declare_publisher(keys.of(Kind::Messages, &offer))
            .congestion_control(congestion)
            .wait()
            .map_err(failed)?;
        let stop = Arc::new(AtomicBool::new(false));
        let handle = subscriber.stop_handle();
        let counts = registry.counts(Direction::Export, &local.channel);
        let head = Head::of(&facts, incarnation);
        let sender = Sender {
            next: resume.map_or(subscriber.position().saturating_sub(holes), |resume| resume.number),
            has_history: history > 0,
            from: resume.map_or(0, |resume| resume.position),
            subscriber,
            publisher,
            head,
            counts,
            total: 0,
            rule: rule.clone(),
            due: Instant::now(),
            filter: (facts.publishers > 1).then(|| Filter {
                own: context.own.clone(),
                relay: context.relay,
                bridges: HashMap::new(),
            }),
            stop: stop.clone(),
            failing: AtomicU64::new(0),
        };
        let thread = std::thread::Builder::new()
            .name(format!("out {}", local.channel))
            .spawn(move || sender.run())
            .map_err(|error| format!("its thread does not start: {error}"))?;
        let announcement = match Announcement::make(context, &offer, &facts) {
            Ok(announcement) => announcement,
            Err(error) => {
                stop.store(true, Ordering::Relaxed);
                handle.stop();
                let _ = thread.join();
                return Err(error);
            }
        };
        note(&format!("exports `{}`", local.channel));
        Ok(Export { segment: facts.segment, stop, handle, thread, announcement })
    }

    /// Returns `true` if the channel has no publisher any more.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends the export, and returns where it ended.
    pub fn close(self) -> Resume {
        self.stop.store(true, Ordering::Relaxed);
        self.handle.stop();
        let resume = self.thread.join().unwrap_or_default();
        // Importers see the end of the offer after its last message.
        self.announcement.end();
        resume
    }
}

/// The thread of an export.
struct Sender {
    subscriber: DynSubscriber,
    publisher: Publisher<'static>,
    head: Head,
    counts: Arc<Counts>,
    /// Messages that the subscriber has received or lost.
    total: u64,
    /// Number of the next message.
    next: u64,
    /// `true` if there may be messages from before the export.
    has_history: bool,
    /// First position that is sent: an export that is opened again starts where it ended.
    from: u64,
    rule: Rule,
    /// Earliest time of the next message.
    due: Instant,
    filter: Option<Filter>,
    stop: Arc<AtomicBool>,
    failing: AtomicU64,
}

impl Sender {
    fn run(mut self) -> Resume {
        if self.has_history {
            self.wait_for_importer();
        }
        while !self.stop.load(Ordering::Relaxed) {
            match self.subscriber.recv_timeout(PERIOD) {
                Ok(message) => {
                    if let Some(message) = self.admit(message) {
                        self.forward(message);
                    }
                }
                Err(DynError::Timeout) => {}
                Err(DynError::Lagged(lost)) => add(&self.counts.lost, lost),
                Err(_) => break,
            }
        }
        Resume { segment: self.head.segment, position: self.subscriber.position(), number: self.next }
    }

    /// Waits until a bridge imports the channel, so that messages from before the export are not sent without a receiver.
    fn wait_for_importer(&self) {
        let start = Instant::now();
        while start.elapsed() < UNHEARD && !self.stop.load(Ordering::Relaxed) {
            if self.publisher.matching_status().wait().is_ok_and(|status| status.matching()) {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Numbers a message. Returns it if other hosts must get it.
    fn admit(&mut self, message: DynMessage) -> Option<DynMessage> {
        let total = self.subscriber.received() + self.subscriber.lost();
        let new = total - std::mem::replace(&mut self.total, total);
        if self.subscriber.position() <= self.from {
            return None;
        }
        self.next = self.next.saturating_add(new);
        let publisher = self.subscriber.publisher();
        let filter = self.filter.as_mut().zip(publisher);
        if filter.is_some_and(|(filter, publisher)| filter.imported(publisher, self.subscriber.name())) {
            self.head.skipped += 1;
            return None;
        }
        Some(message)
    }

    /// Sends a message, or the newest one if the rule says so.
    fn forward(&mut self, message: DynMessage) {
        let message = if self.rule.latest_only || self.rule.max_hz.is_some() {
            self.wait_until_due();
            self.newest(message)
        } else {
            message
        };
        let bytes = message.into_bytes();
        self.head.number = self.next - 1;
        self.head.stamp =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64);
        let len = bytes.len() as u64;
        match self.publisher.put(bytes).attachment(self.head.to_bytes()).wait() {
            Ok(()) => {
                add(&self.counts.messages, 1);
                add(&self.counts.bytes, len);
            }
            Err(error) => {
                add(&self.counts.refused, 1);
                if self.failing.fetch_add(1, Ordering::Relaxed) == 0 {
                    note(&format!("zenoh does not send a message of `{}`: {error}", self.subscriber.name()));
                }
            }
        }
    }

    fn wait_until_due(&mut self) {
        let Some(period) = self.rule.period() else { return };
        loop {
            let left = self.due.saturating_duration_since(Instant::now());
            if left.is_zero() || self.stop.load(Ordering::Relaxed) {
                break;
            }
            std::thread::sleep(left.min(PERIOD));
        }
        // The rate is a limit for every period: time without messages is not made up for.
        self.due = Instant::now() + period;
    }

    /// Returns the newest message that is there, for at most a lap.
    fn newest(&mut self, mut message: DynMessage) -> DynMessage {
        for _ in 0..1 << 16 {
            match self.subscriber.try_recv() {
                Ok(next) => {
                    if let Some(next) = self.admit(next) {
                        message = next;
                        self.head.skipped += 1;
                        add(&self.counts.skipped, 1);
                    }
                }
                Err(DynError::Lagged(lost)) => add(&self.counts.lost, lost),
                Err(_) => break,
            }
        }
        message
    }
}

/// Finds messages that a bridge has published, on a channel of several publishers.
struct Filter {
    own: OwnPublishers,
    relay: bool,
    bridges: HashMap<PublisherId, bool>,
}

impl Filter {
    fn imported(&mut self, publisher: PublisherId, channel: &str) -> bool {
        if self.own.contains(publisher) {
            return true;
        }
        if self.relay {
            return false;
        }
        if self.bridges.len() > 1024 {
            self.bridges.clear();
        }
        *self.bridges.entry(publisher).or_insert_with(|| {
            let found = describe(channel).ok().flatten();
            found.is_some_and(|what| is_bridge(&what.participants, publisher.pid()))
        })
    }
}
