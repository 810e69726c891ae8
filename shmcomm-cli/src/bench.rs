//! `shmcomm bench`: what a message costs on this machine.
//!
//! Owns the measurements between two processes, in a namespace of their own: this one, and a copy of it that
//! answers. Calls the typed ends of the library. Never touches a channel of another program.

use crate::common::Common;
use crate::failure::{Failure, Outcome};
use crate::out::{Form, Out};
use crate::pace;
use crate::units;
use clap::Args;
use serde::Serialize;
use shmcomm::codec::Bytes;
use shmcomm::{Channel, Opener, PubSub, ReqRep, TryRecvError, TryServeError};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Time of the whole run, unless `--duration` gives it.
const USUAL: Duration = Duration::from_secs(3);
/// Longest wait for the other process.
const START: Duration = Duration::from_secs(10);
/// Pause before a request to a service that must be asleep.
const ASLEEP: Duration = Duration::from_millis(1);

/// Measures what a message costs on this machine, between two processes.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shmcomm bench
  shmcomm bench --size 1048576 --duration 10s
  shmcomm bench --json | jq 'select(.name == \"round trip, asleep\").p50_ns'

Three measurements, each for a third of the time: sends of publish/subscribe as fast as possible; round
trips to a service that polls; round trips to a service that sleeps. The channels have a namespace of
their own. Other load on the machine makes the figures worse.

JSON: an object per measurement, with name, size, messages, p50_ns, p99_ns, per_second, received and
lost (the last two null for round trips).")]
pub struct Arguments {
    /// Bytes of a message, at most 64 MiB
    #[arg(long, value_name = "BYTES", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=64 << 20))]
    size: u32,
    /// Part of the other process
    #[arg(long, hide = true)]
    part: Option<String>,
}

#[derive(Serialize)]
struct Measured {
    name: &'static str,
    size: u32,
    messages: usize,
    p50_ns: u64,
    p99_ns: u64,
    per_second: f64,
    received: Option<u64>,
    lost: Option<u64>,
}

type Feed = Opener<PubSub<[u8], Bytes>>;
type Service = Opener<ReqRep<[u8], [u8], Bytes>>;

fn feed(size: u32) -> Result<Feed, Failure> {
    Ok(Channel::<PubSub<[u8], Bytes>>::try_new("bench/feed")?.slots(64).slot_size(size as usize))
}

fn service(size: u32) -> Result<Service, Failure> {
    Ok(Channel::<ReqRep<[u8], [u8], Bytes>>::try_new("bench/service")?.slots(4).slot_size(size as usize))
}

pub fn run(common: &Common, args: &Arguments) -> Outcome {
    if args.part.is_some() {
        end_with_parent();
    }
    match args.part.as_deref() {
        Some("feed") => return receive(args.size),
        Some("poll") => return serve(args.size, true),
        Some("sleep") => return serve(args.size, false),
        Some(part) => return Err(Failure::Usage(format!("there is no part `{part}`"))),
        None => {}
    }
    pace::end_on_signals();
    let namespace = format!("bench-{}", std::process::id());
    let third = common.duration.unwrap_or(USUAL) / 3;
    let mut out = Out::new(common);
    let parts: [(&'static str, &str); 3] =
        [("send", "feed"), ("round trip, polling", "poll"), ("round trip, asleep", "sleep")];
    let most = common.count.map_or(usize::MAX, |count| usize::try_from(count).unwrap_or(usize::MAX));
    for (name, part) in parts.into_iter().take(most) {
        if pace::stopped() {
            break;
        }
        pace::progress(&format!("{name}, {}", units::time(third)));
        let mut other = Other::start(part, args.size, &namespace)?;
        let measured = match part {
            "feed" => sends(name, args.size, third, &namespace, &mut other),
            _ => round_trips(name, args.size, third, &namespace, part == "sleep"),
        };
        drop(other);
        pace::progress("");
        // The segment of a service without ends goes; what a killed process left is removed here.
        let _ = shmcomm::remove_stale(&namespace);
        show(&mut out, &measured?)?;
    }
    out.flush()
}

/// Makes this process end with its parent, even if that is killed.
fn end_with_parent() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
}

fn show(out: &mut Out, measured: &Measured) -> Outcome {
    match out.form() {
        Form::Json => out.json(measured),
        _ => {
            let time = |nanos| units::time(Duration::from_nanos(nanos));
            let received = measured.received.map_or_else(String::new, |received| {
                format!(
                    ", received {}, lost {}",
                    units::grouped(received),
                    units::grouped(measured.lost.unwrap_or(0))
                )
            });
            out.line(format!(
                "{:<20} {:>8}  p50 {:>7}  p99 {:>7}  {:>9}{received}",
                measured.name,
                units::bytes(f64::from(measured.size)),
                time(measured.p50_ns),
                time(measured.p99_ns),
                units::rate(measured.per_second)
            ))
        }
    }?;
    out.flush()
}

/// The other process; it ends with this value.
struct Other(Child);

impl Other {
    fn start(part: &str, size: u32, namespace: &str) -> Result<Self, Failure> {
        let failed = |error| Failure::Failed(format!("cannot start the second process: {error}"));
        let child = Command::new(std::env::current_exe().map_err(failed)?)
            .args(["bench", "--part", part, "--size", &size.to_string()])
            .env("SHMCOMM_NAMESPACE", namespace)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        Ok(Other(child))
    }

    /// Waits until the process ends and returns what it printed.
    fn said(&mut self) -> String {
        let mut text = String::new();
        if let Some(output) = &mut self.0.stdout {
            let _ = std::io::Read::read_to_string(output, &mut text);
        }
        text
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn summary(name: &'static str, size: u32, mut times: Vec<u64>, all: Duration, messages: usize) -> Measured {
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len().saturating_sub(1) * percent / 100).copied().unwrap_or(0);
    let per_second = messages as f64 / all.as_secs_f64().max(1e-9);
    Measured { name, size, messages, p50_ns: at(50), p99_ns: at(99), per_second, received: None, lost: None }
}

fn sends(
    name: &'static str,
    size: u32,
    time: Duration,
    namespace: &str,
    other: &mut Other,
) -> Result<Measured, Failure> {
    const GROUP: usize = 64;
    let mut publisher = feed(size)?.namespace(namespace).publisher()?;
    if !publisher.wait_for_subscribers(1, START) {
        return Err(Failure::Failed("the second process did not start".into()));
    }
    let message = vec![7; size as usize];
    let (mut times, mut sent) = (Vec::new(), 0);
    let start = Instant::now();
    while start.elapsed() < time && !pace::stopped() {
        let group = Instant::now();
        for _ in 0..GROUP {
            publisher.send(&message[..]).map_err(|error| Failure::Failed(error.to_string()))?;
        }
        times.push(group.elapsed().as_nanos() as u64 / GROUP as u64);
        sent += GROUP;
    }
    let all = start.elapsed();
    drop(publisher);
    let mut measured = summary(name, size, times, all, sent);
    let said = other.said();
    let mut numbers = said.split_whitespace().map_while(|number| number.parse().ok());
    (measured.received, measured.lost) = (numbers.next(), numbers.next());
    Ok(measured)
}

fn receive(size: u32) -> Outcome {
    let mut subscriber = feed(size)?.subscriber()?;
    loop {
        match subscriber.try_recv() {
            Ok(_) | Err(TryRecvError::Lagged(_)) => {}
            Err(TryRecvError::Empty) => std::thread::yield_now(),
            Err(_) => break,
        }
    }
    println!("{} {}", subscriber.received(), subscriber.lost());
    Ok(())
}

fn round_trips(
    name: &'static str,
    size: u32,
    time: Duration,
    namespace: &str,
    asleep: bool,
) -> Result<Measured, Failure> {
    let requester = service(size)?.namespace(namespace).requester()?;
    if !requester.wait_for_repliers(1, START) {
        return Err(Failure::Failed("the second process did not start".into()));
    }
    let message = vec![7; size as usize];
    let mut times = Vec::new();
    let mut busy = Duration::ZERO;
    let start = Instant::now();
    while start.elapsed() < time && !pace::stopped() {
        if asleep {
            std::thread::sleep(ASLEEP);
        }
        let sent = Instant::now();
        requester
            .request_timeout(&message[..], START)
            .map_err(|error| Failure::Failed(format!("a request failed: {error}")))?;
        let took = sent.elapsed();
        busy += took;
        times.push(took.as_nanos() as u64);
    }
    let messages = times.len();
    Ok(summary(name, size, times, busy, messages))
}

fn serve(size: u32, polls: bool) -> Outcome {
    let mut replier = service(size)?.replier()?;
    let failed = |error: String| Failure::Failed(error);
    let mut empty = 0u32;
    loop {
        let request = if polls {
            match replier.try_recv() {
                Ok(request) => request,
                Err(TryServeError::Empty) => {
                    empty = empty.wrapping_add(1);
                    // On a machine with few processors, the requester needs this one.
                    if empty.is_multiple_of(1024) {
                        std::thread::yield_now();
                    }
                    std::hint::spin_loop();
                    continue;
                }
                Err(error) => return Err(failed(error.to_string())),
            }
        } else {
            replier.recv().map_err(|error| failed(error.to_string()))?
        };
        let reply = request.to_vec();
        request.reply(&reply[..]).map_err(|error| failed(error.to_string()))?;
    }
}
