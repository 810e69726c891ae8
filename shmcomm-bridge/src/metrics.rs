//! The counters of the bridge in the text format of Prometheus.
//!
//! Owns the names of the metrics, the file, and the HTTP server. Calls `counts`. Never waits for a client for longer
//! than a second.

use crate::BridgeError;
use crate::counts::{Counts, Registry};
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Time in which a client must send its request, and receive the answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// Time between two versions of the file.
const PERIOD: Duration = Duration::from_secs(1);
/// Largest size of a request in bytes.
const LONGEST: usize = 8 << 10;

/// Place of the metrics.
pub enum Metrics {
    None,
    /// A server, which runs until the process ends.
    Server,
    /// A file, and the time of its last version.
    File(PathBuf, Option<Instant>),
}

impl Metrics {
    /// Opens the place: an address with a port, such as `127.0.0.1:9469`, or the path of a file.
    pub fn open(place: Option<&str>, registry: &Arc<Registry>) -> Result<Metrics, BridgeError> {
        let Some(place) = place else { return Ok(Metrics::None) };
        let Ok(address) = place.parse::<SocketAddr>() else {
            let file = PathBuf::from(place);
            write(&file, &text(registry))?;
            return Ok(Metrics::File(file, None));
        };
        let failed =
            |error: std::io::Error| BridgeError(format!("cannot serve metrics on {address}: {error}"));
        let listener = TcpListener::bind(address).map_err(failed)?;
        let registry = registry.clone();
        let serve = move || listener.incoming().flatten().for_each(|client| answer(client, &registry));
        std::thread::Builder::new().name("metrics".into()).spawn(serve).map_err(failed)?;
        Ok(Metrics::Server)
    }

    /// Writes the file if it is time.
    pub fn update(&mut self, registry: &Registry) -> Result<(), BridgeError> {
        match self {
            Metrics::File(file, last) if last.is_none_or(|last| last.elapsed() >= PERIOD) => {
                *last = Some(Instant::now());
                write(file, &text(registry))
            }
            _ => Ok(()),
        }
    }
}

/// Writes a file as a whole: a reader sees the old text or the new one.
fn write(file: &Path, text: &str) -> Result<(), BridgeError> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let temporary = file.with_file_name(name);
    let written = std::fs::write(&temporary, text).and_then(|()| std::fs::rename(&temporary, file));
    written.map_err(|error| {
        let _ = std::fs::remove_file(&temporary);
        BridgeError(format!("cannot write the metrics to {}: {error}", file.display()))
    })
}

/// Answers one request.
fn answer(mut client: TcpStream, registry: &Registry) {
    let start = Instant::now();
    let mut request = Vec::new();
    let mut part = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let left = PATIENCE.saturating_sub(start.elapsed());
        if left.is_zero() || request.len() > LONGEST || client.set_read_timeout(Some(left)).is_err() {
            return;
        }
        match client.read(&mut part) {
            Ok(len) if len > 0 => request.extend_from_slice(&part[..len]),
            _ => return,
        }
    }
    let (status, body) = match request.starts_with(b"GET /metrics ") || request.starts_with(b"GET / ") {
        true => ("200 OK", text(registry)),
        false => ("404 Not Found", "the metrics are at /metrics\n".to_owned()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = client.set_write_timeout(Some(PATIENCE));
    let _ = client.write_all(head.as_bytes()).and_then(|()| client.write_all(body.as_bytes()));
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Returns all metrics.
pub fn text(registry: &Registry) -> String {
    type Value = fn(&Counts) -> u64;
    let each: [(&str, &str, Value); 8] = [
        ("messages", "Messages that crossed the bridge.", |c| c.messages.load(Relaxed)),
        ("bytes", "Their payload bytes.", |c| c.bytes.load(Relaxed)),
        ("lost", "Messages overwritten before the export, or lost on the way to the import.", |c| {
            c.lost.load(Relaxed)
        }),
        ("skipped", "Messages that a limit of the rate left out.", |c| c.skipped.load(Relaxed)),
        ("invalid", "Messages from the network that are none of the channel.", |c| c.invalid.load(Relaxed)),
        ("repeated", "Messages that came twice and were dropped.", |c| c.repeated.load(Relaxed)),
        ("uncertain", "Jobs put back that the other host may have too.", |c| c.uncertain.load(Relaxed)),
        ("refused", "Messages that the next end refused.", |c| c.refused.load(Relaxed)),
    ];
    let mut text = String::new();
    let head = |text: &mut String, name: &str, kind: &str, help: &str| {
        let _ = write!(text, "# HELP shmcomm_bridge_{name} {help}\n# TYPE shmcomm_bridge_{name} {kind}\n");
    };
    let all = registry.all();
    for (name, help, value) in each {
        let name = format!("{name}_total");
        head(&mut text, &name, "counter", help);
        for (way, channel, counts) in &all {
            let labels = format!("channel=\"{}\",direction=\"{}\"", escape(channel), way.name());
            let _ = writeln!(text, "shmcomm_bridge_{name}{{{labels}}} {}", value(counts));
        }
    }
    head(&mut text, "peers", "gauge", "Connected zenoh nodes.");
    let _ = writeln!(text, "shmcomm_bridge_peers {}", registry.peers.load(Relaxed));
    head(&mut text, "hostile_total", "counter", "Keys and descriptions that no bridge sends.");
    let _ = writeln!(text, "shmcomm_bridge_hostile_total {}", registry.hostile.load(Relaxed));
    head(&mut text, "refusal", "gauge", "1 for a channel that does not cross, with the reason.");
    for (way, channel, why) in registry.refusals() {
        let (channel, why) = (escape(&channel), escape(&why));
        let labels = format!("channel=\"{channel}\",direction=\"{}\",reason=\"{why}\"", way.name());
        let _ = writeln!(text, "shmcomm_bridge_refusal{{{labels}}} 1");
    }
    text
}
