//! [`Called`]: a request/reply channel of another host, which this host's requesters can use.
//!
//! Owns repliers in threads of their own: each passes one request at a time to the other host. Replies come from the
//! network and may be hostile: the library checks them against the layout. Never opens a requester.

use crate::config::Rule;
use crate::context::Context;
use crate::counts::{Counts, Direction, add, note};
use crate::keys::{Kind, Offer};
use crate::resolve::Ways;
use crate::wire::{Facts, Head};
use shmcomm::{DynError, DynReplier, DynRequest, StopHandle};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use zenoh::qos::CongestionControl;
use zenoh::query::ConsolidationMode;
use zenoh::{Session, Wait};

/// A running import of a service.
pub struct Called {
    stop: Arc<AtomicBool>,
    stops: Vec<StopHandle>,
}

impl Called {
    /// Opens the repliers. An error is the reason why the service is refused.
    pub fn open(
        context: &Context<'_>,
        offer: &Offer,
        facts: &Facts,
        full: &str,
        ways: Ways,
        rule: &Rule,
    ) -> Result<Called, String> {
        let (ways, stop) = (Arc::new(ways), Arc::new(AtomicBool::new(false)));
        let timeout = Duration::from_millis(rule.timeout_ms);
        let head = Head { number: rule.timeout_ms, ..Head::of(facts, offer.incarnation) };
        let mut called = Called { stop: stop.clone(), stops: Vec::new() };
        for _ in 0..rule.workers {
            let replier = DynReplier::create(full, &ways.declaration).map_err(|error| error.to_string());
            let replier = match replier {
                Ok(replier) => replier,
                Err(why) => {
                    called.close();
                    return Err(why);
                }
            };
            called.stops.push(replier.stop_handle());
            let worker = Worker {
                session: context.session.clone(),
                key: context.keys.of(Kind::Requests, offer),
                head,
                timeout,
                ways: ways.clone(),
                counts: context.registry.counts(Direction::Import, &offer.channel),
                stop: stop.clone(),
            };
            let thread = std::thread::Builder::new().name(format!("call {}", offer.channel));
            if let Err(error) = thread.spawn(move || worker.run(replier)) {
                called.close();
                return Err(format!("its thread does not start: {error}"));
            }
        }
        note(&format!("imports the service {offer}"));
        Ok(called)
    }

    /// Ends the repliers. A replier whose request waits for the other host ends after that request.
    pub fn close(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.stops.iter().for_each(StopHandle::stop);
    }
}

struct Worker {
    session: Session,
    key: String,
    head: Head,
    timeout: Duration,
    ways: Arc<Ways>,
    counts: Arc<Counts>,
    stop: Arc<AtomicBool>,
}

impl Worker {
    fn run(self, mut replier: DynReplier) {
        while !self.stop.load(Ordering::Relaxed) {
            match replier.recv() {
                Ok(request) => self.pass(request),
                Err(DynError::Stopped | DynError::Forked) => break,
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    /// Passes a request to the other host. If that fails, the request is declined, and its requester is told.
    fn pass(&self, request: DynRequest<'_>) {
        match self.ask(&request) {
            Ok(reply) => {
                let len = reply.len() as u64;
                match request.reply_bytes(&reply) {
                    Ok(()) => {
                        add(&self.counts.messages, 1);
                        add(&self.counts.bytes, len);
                    }
                    Err(DynError::Value(_) | DynError::TooLong { .. }) => add(&self.counts.invalid, 1),
                    Err(_) => add(&self.counts.lost, 1),
                }
            }
            Err(why) => {
                add(&self.counts.refused, 1);
                note(&format!("a request of `{}` is declined: {}", self.key_name(), why.escape_debug()));
            }
        }
    }

    fn key_name(&self) -> &str {
        self.key.rsplit('/').next().unwrap_or(&self.key)
    }

    fn ask(&self, request: &DynRequest<'_>) -> Result<Vec<u8>, String> {
        let bytes = self.ways.outgoing(request.message().bytes().to_vec())?;
        let replies = self
            .session
            .get(self.key.as_str())
            .payload(bytes)
            .attachment(self.head.to_bytes())
            .congestion_control(CongestionControl::Block)
            .consolidation(ConsolidationMode::None)
            .timeout(self.timeout)
            .wait()
            .map_err(|error| format!("zenoh does not send it: {error}"))?;
        let reply = replies.recv().map_err(|_| "the other host did not answer in time".to_owned())?;
        match reply.result() {
            Ok(sample) => Ok(self.ways.incoming(sample.payload().to_bytes())?.into_owned()),
            Err(error) => {
                let why = String::from_utf8_lossy(&error.payload().to_bytes())
                    .chars()
                    .take(200)
                    .collect::<String>();
                Err(format!("the other host answers: {why}"))
            }
        }
    }
}
