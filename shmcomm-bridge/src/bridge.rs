//! [`Bridge`]: the loop that opens and closes exports and imports.
//!
//! Owns all of them, and the rules between them: a channel with one publisher is exported or imported, never both, and
//! a local publisher keeps its channel. Calls `local`, `export`, `offers` and `import`. Never handles a message.

use crate::BridgeError;
use crate::config::{Config, chosen};
use crate::context::{Context, OwnPublishers};
use crate::counts::{Direction, Registry, add, note};
use crate::ends::{In, Out};
use crate::export::Resume;
use crate::keys::{Keys, Kind, Offer};
use crate::local::{self, Local};
use crate::losses::Losses;
use crate::metrics::Metrics;
use crate::offers::Offers;
use crate::routes::{self, Route, Routes};
use crate::session;
use crate::wire::Facts;
use shmcomm::{Pattern, Role};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use zenoh::{Session, Wait};

/// Longest time between two readings of the list of local channels.
const PERIOD: Duration = Duration::from_millis(100);
/// Time between two attempts to open an import that was refused.
const RETRY: Duration = Duration::from_millis(500);
/// Time that another bridge has to describe its channel.
const ANSWER: Duration = Duration::from_secs(2);
/// Time without a local publisher after which a channel that had one may be imported.
const HOLD: Duration = Duration::from_secs(10);

/// Reason why a queue that is both exported and imported does not cross.
const BOTH_WAYS: &str = "a job goes to one puller, so a queue has one direction, and both an export and an import name \
                         it; name it in one of them";

/// A bridge that runs in this process.
pub struct Bridge {
    config: Config,
    session: Session,
    keys: Keys,
    registry: Arc<Registry>,
    metrics: Metrics,
    offers: Offers,
    wake: (SyncSender<()>, Receiver<()>),
    own: OwnPublishers,
    losses: Losses,
    routes: Routes,
    /// Exports, each with the bridges that its channel has passed.
    exports: BTreeMap<String, (Out, Route)>,
    resumes: HashMap<String, Resume>,
    imports: BTreeMap<Offer, Stage>,
    /// Times at which channels had a local publisher or replier.
    held: HashMap<String, Instant>,
    incarnation: u64,
    problem: Option<String>,
}

/// State of an import.
enum Stage {
    /// The other bridge was asked for the description.
    Asked(Instant, Answer),
    /// It was refused, and is tried again later.
    Refused(Instant, Option<Facts>),
    /// It is open, with the bridges that its messages have passed.
    Open(In, Route),
}

/// The description, when it comes.
type Answer = Arc<Mutex<Option<Result<Vec<u8>, String>>>>;

impl Bridge {
    /// Opens the session and starts to listen.
    ///
    /// # Errors
    /// Returns an error if the configuration is wrong, or if an address, a certificate or the place of the metrics
    /// cannot be used.
    pub fn open(config: Config) -> Result<Bridge, BridgeError> {
        config.check()?;
        let registry = Arc::new(Registry::default());
        let metrics = Metrics::open(config.metrics.as_deref(), &registry)?;
        let losses = Losses::new(config.state.as_deref()).map_err(|error| {
            let state = config.state.as_deref().unwrap_or("".as_ref()).display();
            BridgeError(format!("the directory {state} for the state cannot be used: {error}"))
        })?;
        let session = session::open(&config)?;
        let keys = Keys::new(&config.realm);
        let wake = sync_channel(1);
        let routes = Routes::open(&config, session.zid().to_string())?;
        let offers = Offers::watch(&session, &keys, &registry, wake.0.clone())?;
        Ok(Bridge {
            // Also another one than those of earlier bridges, whose messages importers remember.
            incarnation: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(1, |time| time.as_nanos() as u64),
            config,
            session,
            keys,
            registry,
            metrics,
            offers,
            wake,
            own: OwnPublishers::default(),
            losses,
            routes,
            exports: BTreeMap::new(),
            resumes: HashMap::new(),
            imports: BTreeMap::new(),
            held: HashMap::new(),
            problem: None,
        })
    }

    /// Returns the function that wakes [`run`](Bridge::run), for a signal handler.
    pub fn waker(&self) -> impl Fn() + Send + 'static {
        let wake = self.wake.0.clone();
        move || {
            let _ = wake.try_send(());
        }
    }

    /// Carries messages until `stopped` returns `true`, then closes all exports and imports. Blocks the thread.
    ///
    /// # Errors
    /// Returns an error if the file of the metrics cannot be written.
    pub fn run(mut self, stopped: impl Fn() -> bool) -> Result<(), BridgeError> {
        while !stopped() {
            self.step();
            self.metrics.update(&self.registry)?;
            let _ = self.wake.1.recv_timeout(PERIOD);
        }
        for (export, _) in std::mem::take(&mut self.exports).into_values() {
            export.close();
        }
        let all: Vec<Offer> = self.imports.keys().cloned().collect();
        all.iter().for_each(|offer| self.close_import(offer));
        self.metrics.update(&self.registry)?;
        self.session
            .close()
            .wait()
            .map_err(|error| BridgeError(format!("the session does not close: {error}")))
    }

    fn step(&mut self) {
        let locals = match local::list(&self.config) {
            Ok(locals) => locals,
            Err(why) => {
                if self.problem.as_ref() != Some(&why) {
                    note(&format!("the channels of this host cannot be listed: {why}"));
                }
                self.problem = Some(why);
                return;
            }
        };
        self.problem = None;
        let info = self.session.info();
        let peers = info.peers_zid().wait().count() + info.routers_zid().wait().count();
        self.registry.peers.store(peers as u64, Relaxed);
        self.routes.read(&locals);
        self.step_exports(&locals);
        self.step_imports();
        // The imports that have ended since are removed. What is told gets shorter, so it fits.
        let _ = self.routes.set(self.routes_of_imports(None));
    }

    fn step_exports(&mut self, locals: &[Local]) {
        let now = Instant::now();
        self.held.retain(|_, seen| now.saturating_duration_since(*seen) < HOLD);
        let mut wanted = BTreeMap::new();
        for local in locals {
            if local.has(Role::Publisher, true) || local.has(Role::Replier, true) {
                self.held.insert(local.channel.clone(), now);
                self.yield_to_local_repliers(local);
            }
            let Some(rule) = chosen(&self.config.export, &local.channel) else { continue };
            if routes::is_between_bridges(&local.channel) {
                continue;
            }
            if let Some(why) = local.stays() {
                match local.offers(self.config.relay) {
                    true => self.registry.refuse(Direction::Export, &local.channel, why),
                    false => self.registry.accept(Direction::Export, &local.channel),
                }
                continue;
            }
            if local.pattern() == Some(Pattern::PushPull)
                && chosen(&self.config.import, &local.channel).is_some()
            {
                self.registry.refuse(Direction::Export, &local.channel, BOTH_WAYS);
                continue;
            }
            if local.offers(self.config.relay) && !self.imports_alone(&local.channel) {
                wanted.insert(local.channel.clone(), (local, rule.clone()));
            }
        }
        for (way, channel, _) in self.registry.refusals() {
            if way == Direction::Export && !locals.iter().any(|local| local.channel == channel) {
                self.registry.accept(way, &channel);
            }
        }
        let ended = |(channel, (export, route)): (&String, &(Out, Route))| {
            let same = wanted.get(channel).is_some_and(|(local, _)| local.segment() == export.segment())
                && self.context().route(channel) == *route;
            (export.is_finished() || !same).then(|| channel.clone())
        };
        let ended: Vec<String> = self.exports.iter().filter_map(ended).collect();
        for channel in ended {
            if let Some((export, _)) = self.exports.remove(&channel) {
                note(&format!(
                    "does not export `{channel}` any more: it has ended on this host, or comes on another route"
                ));
                if let Some(resume) = export.close() {
                    self.resumes.insert(channel, resume);
                }
            }
        }
        for (channel, (local, rule)) in wanted {
            if self.exports.contains_key(&channel) {
                continue;
            }
            self.incarnation += 1;
            let resume = self.resumes.get(&channel).copied();
            match Out::open(&self.context(), local, &rule, self.incarnation, resume) {
                Ok(export) => {
                    self.registry.accept(Direction::Export, &channel);
                    let route = self.context().route(&channel);
                    self.exports.insert(channel, (export, route));
                }
                Err(why) => self.registry.refuse(Direction::Export, &channel, &why),
            }
        }
    }

    /// Ends the import of a service that has a replier on this host.
    fn yield_to_local_repliers(&mut self, local: &Local) {
        if !local.has(Role::Replier, true) {
            return;
        }
        let called = |(offer, stage): (&Offer, &Stage)| {
            let here = offer.channel == local.channel && matches!(stage, Stage::Open(In::Service(_), _));
            here.then(|| offer.clone())
        };
        for offer in self.imports.iter().filter_map(called).collect::<Vec<_>>() {
            self.close_import(&offer);
        }
    }

    /// Returns `true` if this process is the one publisher of the channel.
    fn imports_alone(&self, channel: &str) -> bool {
        let alone = |stage: &Stage| matches!(stage, Stage::Open(import, _) if import.is_alone());
        self.imports.iter().any(|(offer, stage)| offer.channel == channel && alone(stage))
    }

    fn step_imports(&mut self) {
        let offers = self.offers.all();
        let gone: Vec<Offer> = self.imports.keys().filter(|offer| !offers.contains(offer)).cloned().collect();
        gone.iter().for_each(|offer| self.close_import(offer));
        self.forget_refusals(&offers);
        for offer in offers {
            if chosen(&self.config.import, &offer.channel).is_some()
                && !routes::is_between_bridges(&offer.channel)
            {
                self.step_import(offer);
            }
        }
    }

    /// Forgets the refusals of channels that no bridge offers any more.
    fn forget_refusals(&self, offers: &BTreeSet<Offer>) {
        for (way, channel, _) in self.registry.refusals() {
            if way == Direction::Import && !offers.iter().any(|offer| offer.channel == channel) {
                self.registry.accept(way, &channel);
            }
        }
    }

    fn close_import(&mut self, offer: &Offer) {
        if let Some(Stage::Open(import, _)) = self.imports.remove(offer) {
            import.close(&offer.channel, &mut self.losses, &self.own);
            note(&format!(
                "does not import {offer} any more: its export has ended, its bridge is unreachable, or this host has its own"
            ));
        }
    }

    fn step_import(&mut self, offer: Offer) {
        let facts = match self.imports.get(&offer) {
            Some(Stage::Open(..)) => return,
            None if self.imports.len() >= self.config.max_channels => {
                let why = format!("{} channels are imported; raise max_channels", self.config.max_channels);
                return self.registry.refuse(Direction::Import, &offer.channel, &why);
            }
            None | Some(Stage::Refused(_, None)) if !self.is_early(&offer) => {
                let asked = Stage::Asked(Instant::now(), self.ask(&offer));
                self.imports.insert(offer, asked);
                return;
            }
            Some(Stage::Refused(_, facts)) if !self.is_early(&offer) => facts.clone(),
            Some(Stage::Asked(since, answer)) => {
                let answer = answer.lock().unwrap_or_else(PoisonError::into_inner).take();
                match answer {
                    None if since.elapsed() < 2 * ANSWER => return,
                    None => return self.refused(offer, None, "its bridge does not describe it"),
                    Some(Err(why)) => return self.refused(offer, None, &why),
                    Some(Ok(bytes)) => match Facts::parse(&bytes) {
                        Ok(facts) => Some(facts),
                        Err(why) => {
                            add(&self.registry.hostile, 1);
                            return self.refused(offer, None, &why);
                        }
                    },
                }
            }
            _ => return,
        };
        if let Some(facts) = facts {
            match self.open_import(&offer, &facts) {
                Ok(import) => {
                    self.registry.accept(Direction::Import, &offer.channel);
                    let route = passed(&offer, &facts);
                    self.imports.insert(offer, Stage::Open(import, route));
                }
                Err(why) => self.refused(offer, Some(facts), &why),
            }
        }
    }

    fn is_early(&self, offer: &Offer) -> bool {
        matches!(self.imports.get(offer), Some(Stage::Refused(since, _)) if since.elapsed() < RETRY)
    }

    fn refused(&mut self, offer: Offer, facts: Option<Facts>, why: &str) {
        self.registry.refuse(Direction::Import, &offer.channel, why);
        self.imports.insert(offer, Stage::Refused(Instant::now(), facts));
    }

    /// Asks another bridge for the description of its channel. The answer comes in a thread of zenoh.
    fn ask(&self, offer: &Offer) -> Answer {
        let answer = Answer::default();
        let to = answer.clone();
        let asked = self
            .session
            .get(self.keys.of(Kind::Description, offer))
            .timeout(ANSWER)
            .callback(move |reply| {
                let mut to = to.lock().unwrap_or_else(PoisonError::into_inner);
                if to.is_none() {
                    let refused = "its bridge does not describe it in time";
                    *to = Some(match reply.result() {
                        Ok(sample) => Ok(sample.payload().to_bytes().into_owned()),
                        Err(_) => Err(refused.to_owned()),
                    });
                }
            })
            .wait();
        if let Err(error) = asked {
            let mut answer = answer.lock().unwrap_or_else(PoisonError::into_inner);
            *answer = Some(Err(format!("zenoh does not ask for its description: {error}")));
        }
        answer
    }

    fn open_import(&mut self, offer: &Offer, facts: &Facts) -> Result<In, String> {
        let rule = chosen(&self.config.import, &offer.channel).ok_or("no pattern names it")?.clone();
        let pattern = facts.pattern();
        if pattern == Some(Pattern::PushPull) && chosen(&self.config.export, &offer.channel).is_some() {
            return Err(BOTH_WAYS.into());
        }
        if pattern == Some(Pattern::ReqRep) || (pattern == Some(Pattern::PubSub) && facts.publishers <= 1) {
            if self.exports.contains_key(&offer.channel) || self.held.contains_key(&offer.channel) {
                return Err("it has a publisher or replier on this host, which keeps it; stop that process for 10 s, or \
                            declare a channel with several publishers"
                    .into());
            }
            let open = |(other, stage): (&Offer, &Stage)| {
                (other.channel == offer.channel && matches!(stage, Stage::Open(..)))
                    .then(|| other.origin.clone())
            };
            if let Some(other) = self.imports.iter().find_map(open) {
                return Err(format!(
                    "bridge {other:.8} exports it too, and is imported; give the channels other names, or declare the \
                     channel with several publishers"
                ));
            }
        }
        let passed = passed(offer, facts);
        if let Some(here) = self.routes.returns(passed.iter()) {
            return Err(format!(
                "it comes back: it has passed bridge {here:.8} of this host; let the relays of the realms form no circle"
            ));
        }
        self.routes.set(self.routes_of_imports(Some((offer, passed))))?;
        let full = self.config.full(&offer.channel);
        let Bridge { session, keys, registry, own, losses, config, routes, .. } = self;
        let context = Context { session, keys, registry, own, routes, relay: config.relay };
        In::open(&context, offer, facts, &full, &rule, (losses, config.max_segment))
    }

    fn context(&self) -> Context<'_> {
        let Bridge { session, keys, registry, own, routes, .. } = self;
        Context { session, keys, registry, own, routes, relay: self.config.relay }
    }

    /// Returns the routes of the channels that are imported, and of `next`, which will be.
    fn routes_of_imports(&self, next: Option<(&Offer, Route)>) -> BTreeMap<String, Route> {
        let mut all = BTreeMap::<String, Route>::new();
        for (offer, stage) in &self.imports {
            if let Stage::Open(_, route) = stage {
                all.entry(offer.channel.clone()).or_default().extend(route.iter().cloned());
            }
        }
        if let Some((offer, route)) = next {
            all.entry(offer.channel.clone()).or_default().extend(route);
        }
        all
    }
}

/// Returns the bridges that the messages of an offer have passed.
fn passed(offer: &Offer, facts: &Facts) -> Route {
    let mut route = facts.route.clone();
    route.insert(offer.origin.clone());
    route
}
