//! The bridge beside plain TCP and the tunnel of iceoryx2, in one run: latency, messages a second and processor time, as
//! ratios.
//!
//! `cargo run --release -p shmcomm-bridge-compare`; with `SHMCOMM_QUICK=1` a short run that says nothing about speed.
//!
//! Four ways lead from a publisher to a subscriber, both in this process. *Direct* is one channel. *TCP* is two processes
//! that copy a channel to a socket and back, with the simplest code. *Bridge* is two bridges. *Tunnel* is two tunnels of
//! iceoryx2 between two of its domains, on zenoh. All run on loopback, in turns.

mod tunnel;

use shmcomm::{Content, Declaration, DynError, DynPublisher, DynSubscriber};
use shmcomm_bridge::{Bridge, Config, Rule};
use std::error::Error;
use std::io::{BufReader, BufWriter, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Bytes of a message.
const SIZE: usize = 64;
const CHANNEL: &str = "compare";
const PATIENCE: Duration = Duration::from_secs(30);

/// Numbers of one run.
struct Plan {
    rounds: usize,
    /// Messages for the latency, one each half a millisecond.
    slow: u64,
    /// Messages for the throughput, without a pause.
    fast: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Direct,
    Tcp,
    Bridge,
    Tunnel,
}

impl Way {
    const ALL: [Way; 4] = [Way::Direct, Way::Tcp, Way::Bridge, Way::Tunnel];
}

/// The end that sends on a way.
trait Sender {
    /// Sends one message, waiting for room.
    fn send(&mut self, message: &[u8; SIZE]) -> Result<()>;
}

/// The end that receives on a way.
trait Receiver: Send {
    /// Returns the first word of the next message, or `None` if none arrives in time.
    fn receive(&mut self, timeout: Duration) -> Option<u64>;
}

impl Sender for DynPublisher {
    fn send(&mut self, message: &[u8; SIZE]) -> Result<()> {
        Ok(self.send_bytes(message)?)
    }
}

impl Receiver for DynSubscriber {
    fn receive(&mut self, timeout: Duration) -> Option<u64> {
        Some(first_word(self.recv_timeout(timeout).ok()?.bytes()))
    }
}

fn first_word(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
}

/// Results of one round.
struct Figures {
    p50: f64,
    p99: f64,
    per_second: f64,
    /// Processor time of the processes between, in microseconds per message.
    cpu: f64,
}

/// The processes between the two hosts, which are killed at the end.
struct Between(Vec<Child>);

impl Drop for Between {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // A tunnel ends with its standard input, and removes its files. The others are killed.
            match child.stdin.take() {
                Some(input) => drop(input),
                None => drop(child.kill()),
            }
            let _ = child.wait();
        }
    }
}

impl Between {
    fn start(way: Way, from: &str, to: &str) -> Result<Between> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string();
        let roles: &[&str] = match way {
            Way::Direct => &[],
            Way::Tcp => &["tcp-out", "tcp-in"],
            Way::Bridge => &["bridge-out", "bridge-in"],
            Way::Tunnel => &["tunnel-out", "tunnel-in"],
        };
        let mut between = Between(Vec::new());
        for role in roles {
            let mut command = Command::new(std::env::current_exe()?);
            if way == Way::Tunnel {
                command.stdin(Stdio::piped());
            }
            between.0.push(command.args([*role, port.as_str(), from, to]).spawn()?);
        }
        Ok(between)
    }

    /// Returns the processor time of all, in seconds.
    fn cpu(&self) -> f64 {
        let of = |child: &Child| {
            let text = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).ok()?;
            let fields: Vec<&str> = text.rsplit(')').next()?.split_whitespace().collect();
            // User and system time in ticks of 10 ms.
            Some((fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?) / 100.0)
        };
        self.0.iter().filter_map(of).sum()
    }
}

/// Copies a channel to a socket.
fn tcp_out(port: &str, from: &str) -> Result<()> {
    let listener = TcpListener::bind(format!("127.0.0.1:{port}"))?;
    let mut subscriber = DynSubscriber::open_timeout(&format!("{from}/{CHANNEL}"), PATIENCE, 0)?;
    let (socket, _) = listener.accept()?;
    socket.set_nodelay(true)?;
    let mut out = BufWriter::with_capacity(1 << 16, socket);
    loop {
        let message = match subscriber.try_recv() {
            Err(DynError::Empty) => {
                out.flush()?;
                subscriber.recv()?
            }
            other => other?,
        };
        out.write_all(&(message.bytes().len() as u32).to_le_bytes())?;
        out.write_all(message.bytes())?;
    }
}

/// Copies a socket to a channel.
fn tcp_in(port: &str, to: &str) -> Result<()> {
    let socket = loop {
        match TcpStream::connect(format!("127.0.0.1:{port}")) {
            Ok(socket) => break socket,
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    let mut input = BufReader::with_capacity(1 << 16, socket);
    let mut publisher = DynPublisher::create(&format!("{to}/{CHANNEL}"), &declaration())?;
    let (mut len, mut bytes) = ([0; 4], Vec::new());
    loop {
        input.read_exact(&mut len)?;
        bytes.resize(u32::from_le_bytes(len) as usize, 0);
        input.read_exact(&mut bytes)?;
        publisher.send_bytes(&bytes)?;
    }
}

fn bridge(exports: bool, port: &str, namespace: &str) -> Result<()> {
    let (rule, at) = (vec![Rule::parse("*,reliable")?], vec![format!("tcp/127.0.0.1:{port}")]);
    let base = Config { namespace: namespace.into(), ..Config::default() };
    let config = match exports {
        true => Config { listen: at, export: rule, ..base },
        false => Config { connect: at, import: rule, ..base },
    };
    Ok(Bridge::open(config)?.run(|| false)?)
}

fn declaration() -> Declaration {
    Declaration::pub_sub(Content::Bytes).slot_size(SIZE as u64).slots(1024).waits(true)
}

fn payload(word: u64) -> [u8; SIZE] {
    let mut bytes = [0; SIZE];
    bytes[..8].copy_from_slice(&word.to_le_bytes());
    bytes
}

/// Receives `count` messages and hands each word to `each`.
fn receive(
    receiver: &mut dyn Receiver,
    count: u64,
    mut each: impl FnMut(u64),
) -> std::result::Result<(), String> {
    for n in 0..count {
        match receiver.receive(PATIENCE) {
            Some(word) => each(word),
            None => return Err(format!("message {n} of {count} did not arrive within {PATIENCE:?}")),
        }
    }
    Ok(())
}

/// Opens both ends of a way, and measures it.
fn measure(way: Way, plan: &Plan, round: usize) -> Result<Figures> {
    let name = format!("compare-{}-{round}-{way:?}", std::process::id());
    let from = format!("{name}-a");
    let to = if way == Way::Direct { from.clone() } else { format!("{name}-b") };
    if way == Way::Tunnel {
        let sender = tunnel::publisher(&from)?;
        let between = Between::start(way, &from, &to)?;
        let figures = measure_ends(sender, tunnel::subscriber(&to)?, between, plan);
        tunnel::clean(&from)?;
        tunnel::clean(&to)?;
        return figures;
    }
    let sender = DynPublisher::create(&format!("{from}/{CHANNEL}"), &declaration())?;
    let between = Between::start(way, &from, &to)?;
    let receiver = DynSubscriber::open_timeout(&format!("{to}/{CHANNEL}"), PATIENCE, 0)?;
    let figures = measure_ends(sender, receiver, between, plan);
    for namespace in [&from, &to] {
        shmcomm::remove_stale(namespace)?;
    }
    figures
}

fn measure_ends(
    mut sender: impl Sender,
    mut receiver: impl Receiver,
    between: Between,
    plan: &Plan,
) -> Result<Figures> {
    // The way is complete when a message has come; later ones of these are received before the measurement.
    let end = Instant::now() + PATIENCE;
    loop {
        sender.send(&payload(0))?;
        if receiver.receive(Duration::from_millis(20)).is_some() {
            break;
        }
        if Instant::now() >= end {
            return Err(format!("no message arrived within {PATIENCE:?}").into());
        }
    }
    while receiver.receive(Duration::from_millis(300)).is_some() {}

    let start = Instant::now();
    let mut latencies = Vec::new();
    std::thread::scope(|scope| {
        let received = scope.spawn(|| {
            receive(&mut receiver, plan.slow, |sent| latencies.push(start.elapsed().as_nanos() as u64 - sent))
        });
        for _ in 0..plan.slow {
            std::thread::sleep(Duration::from_micros(500));
            sender.send(&payload(start.elapsed().as_nanos() as u64))?;
        }
        received.join().map_err(|_| "the receiver panicked")??;
        Ok::<(), Box<dyn Error>>(())
    })?;
    latencies.sort_unstable();
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize] as f64 / 1e3;

    let (start, cpu) = (Instant::now(), between.cpu());
    std::thread::scope(|scope| {
        let received = scope.spawn(|| receive(&mut receiver, plan.fast, |_| ()));
        for n in 0..plan.fast {
            sender.send(&payload(n))?;
        }
        received.join().map_err(|_| "the receiver panicked")??;
        Ok::<(), Box<dyn Error>>(())
    })?;
    let (time, cpu) = (start.elapsed().as_secs_f64(), between.cpu() - cpu);
    let fast = plan.fast as f64;
    Ok(Figures { p50: at(0.5), p99: at(0.99), per_second: fast / time, cpu: cpu * 1e6 / fast })
}

fn median(figures: &[Figures], of: fn(&Figures) -> f64) -> f64 {
    let mut all: Vec<f64> = figures.iter().map(of).collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn compare() -> Result<()> {
    tunnel::quieten();
    let quick = std::env::var_os("SHMCOMM_QUICK").is_some();
    let plan = match quick {
        true => Plan { rounds: 1, slow: 100, fast: 2_000 },
        false => Plan { rounds: 7, slow: 2_000, fast: 500_000 },
    };
    let mut all: [Vec<Figures>; 4] = Default::default();
    for round in 0..plan.rounds {
        for (way, figures) in Way::ALL.iter().zip(&mut all) {
            figures.push(measure(*way, &plan, round).map_err(|error| format!("{way:?}: {error}"))?);
        }
    }
    println!("messages of {SIZE} bytes, medians of {} rounds, on loopback", plan.rounds);
    println!(
        "{:8} {:>10} {:>10} {:>14} {:>16}",
        "way", "p50, µs", "p99, µs", "messages/s", "CPU, µs/message"
    );
    for (way, figures) in Way::ALL.iter().zip(&all) {
        let of = |value| median(figures, value);
        let (p50, p99) = (of(|f| f.p50), of(|f| f.p99));
        let way = format!("{way:?}");
        println!("{way:8} {p50:>10.1} {p99:>10.1} {:>14.0} {:>16.2}", of(|f| f.per_second), of(|f| f.cpu));
    }
    let [direct, tcp, bridge, tunnel] = &all;
    let added =
        |figures: &[Figures], value: fn(&Figures) -> f64| median(figures, value) - median(direct, value);
    for (other, figures) in [("TCP", tcp), ("the tunnel of iceoryx2", tunnel)] {
        let ratio = |value: fn(&Figures) -> f64| median(bridge, value) / median(figures, value);
        println!(
            "bridge to {other}: added latency p50 ×{:.2}, p99 ×{:.2}; messages/s ×{:.2}; CPU ×{:.2}",
            added(bridge, |f| f.p50) / added(figures, |f| f.p50),
            added(bridge, |f| f.p99) / added(figures, |f| f.p99),
            ratio(|f| f.per_second),
            ratio(|f| f.cpu)
        );
    }
    Ok(())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => compare(),
        ["tcp-out", port, from, _] => tcp_out(port, from),
        ["tcp-in", port, _, to] => tcp_in(port, to),
        ["bridge-out", port, from, _] => bridge(true, port, from),
        ["bridge-in", port, _, to] => bridge(false, port, to),
        ["tunnel-out", port, from, _] => tunnel::run(true, port, from),
        ["tunnel-in", port, _, to] => tunnel::run(false, port, to),
        _ => Err("no arguments are expected".into()),
    }
}
