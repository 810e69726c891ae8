//! The tunnel of iceoryx2, and the ends on both of its sides.
//!
//! Owns two domains of iceoryx2, each with files and segments of its own names. Calls iceoryx2 and zenoh. Never uses
//! shmcomm.
//!
//! A tunnel has no thread and no way to wait: its user calls it in a loop, and so do the subscribers here, with the
//! same pause. The program of iceoryx2 does so every 100 ms by default, which would hide what the way costs.

use crate::{PATIENCE, Receiver, Result, SIZE, Sender, first_word};
use iceoryx2::config::Config;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;
use iceoryx2::service::ipc_threadsafe::Service;
use iceoryx2::service::port_factory::publish_subscribe::PortFactory;
use iceoryx2_tunnel::Tunnel;
use iceoryx2_tunnel_zenoh::ZenohBackend;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Pause between two calls of a loop that found nothing, of tunnels and subscribers.
const PAUSE: Duration = Duration::from_micros(50);
/// Time between two searches of a tunnel for services.
const SEARCH: Duration = Duration::from_millis(100);
/// Messages that wait for a subscriber, as many as in the channels of shmcomm.
const BUFFER: usize = 1024;

type Message = [u8; SIZE];

/// Returns the configuration of a domain. Domains do not see each other.
fn domain(name: &str) -> Result<Config> {
    let mut config = Config::default();
    config.global.prefix = FileName::new(format!("{name}_").as_bytes())?;
    Ok(config)
}

fn service(node: &Node<Service>) -> Result<PortFactory<Service, Message, ()>> {
    let service = node.service_builder(&"compare".try_into()?).publish_subscribe::<Message>();
    Ok(service
        .enable_safe_overflow(false)
        .history_size(0)
        .subscriber_max_buffer_size(BUFFER)
        .open_or_create()?)
}

pub fn publisher(name: &str) -> Result<impl Sender> {
    let node = NodeBuilder::new().config(&domain(name)?).create::<Service>()?;
    let service = service(&node)?;
    let publisher =
        service.publisher_builder().unable_to_deliver_strategy(UnableToDeliverStrategy::Block).create()?;
    Ok(Out { publisher, _owners: (service, node) })
}

pub fn subscriber(name: &str) -> Result<impl Receiver> {
    let node = NodeBuilder::new().config(&domain(name)?).create::<Service>()?;
    let service = service(&node)?;
    let subscriber = service.subscriber_builder().buffer_size(BUFFER).create()?;
    Ok(In { subscriber, _owners: (service, node) })
}

type Owners = (PortFactory<Service, Message, ()>, Node<Service>);

struct Out {
    publisher: Publisher<Service, Message, ()>,
    _owners: Owners,
}

struct In {
    subscriber: Subscriber<Service, Message, ()>,
    _owners: Owners,
}

impl Sender for Out {
    fn send(&mut self, message: &Message) -> Result<()> {
        self.publisher.loan_uninit()?.write_payload(*message).send()?;
        Ok(())
    }
}

impl Receiver for In {
    fn receive(&mut self, timeout: Duration) -> Option<u64> {
        let end = Instant::now() + timeout;
        loop {
            match self.subscriber.receive() {
                Ok(Some(sample)) => return Some(first_word(sample.payload())),
                _ if Instant::now() >= end => return None,
                _ => std::thread::sleep(PAUSE),
            }
        }
    }
}

/// Limits what iceoryx2 prints to warnings: a tunnel prints two lines for each message.
pub fn quieten() {
    set_log_level(LogLevel::Warn);
}

/// Runs a tunnel until the standard input ends.
pub fn run(listens: bool, port: &str, name: &str) -> Result<()> {
    quieten();
    static OVER: AtomicBool = AtomicBool::new(false);
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        OVER.store(true, Ordering::Relaxed);
    });
    let address = format!("[\"tcp/127.0.0.1:{port}\"]");
    let mut zenoh = zenoh::Config::default();
    let settings = [
        (if listens { "listen/endpoints" } else { "connect/endpoints" }, address.as_str()),
        (if listens { "connect/endpoints" } else { "listen/endpoints" }, "[]"),
        ("scouting/multicast/enabled", "false"),
        ("connect/exit_on_failure", "false"),
    ];
    for (key, value) in settings {
        zenoh.insert_json5(key, value).map_err(|error| format!("{key} = {value}: {error}"))?;
    }
    let mut tunnel =
        Tunnel::<Service, ZenohBackend<Service>>::create(&Default::default(), &domain(name)?, &zenoh)
            .map_err(|error| format!("no tunnel: {error:?}"))?;
    let mut searched: Option<Instant> = None;
    while !OVER.load(Ordering::Relaxed) {
        if searched.is_none_or(|last| last.elapsed() >= SEARCH) {
            tunnel.discover().map_err(|error| format!("no search: {error:?}"))?;
            searched = Some(Instant::now());
        }
        tunnel.propagate().map_err(|error| format!("nothing propagated: {error:?}"))?;
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

/// Removes what processes of the domain left that did not end by themselves.
pub fn clean(name: &str) -> Result<()> {
    let config = domain(name)?;
    let end = Instant::now() + PATIENCE;
    Node::<Service>::cleanup_dead_nodes(&config);
    while Instant::now() < end {
        let mut any = false;
        Node::<Service>::list(&config, |_| {
            any = true;
            CallbackProgression::Stop
        })?;
        if !any {
            return Ok(());
        }
        std::thread::sleep(SEARCH);
        Node::<Service>::cleanup_dead_nodes(&config);
    }
    Err(format!("nodes of iceoryx2 are left in the domain {name}").into())
}
