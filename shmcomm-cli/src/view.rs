//! `shmcomm view`: a page and a Foxglove server with the channels of running programs.
//!
//! Owns the options and the lines about clients. Calls `shmcomm_view`, which takes no seat. Publishes only what
//! the options allow.

use crate::channels;
use crate::common::Common;
use crate::failure::{Failure, Outcome};
use crate::out::{Form, Out};
use crate::pace::Pace;
use crate::units;
use clap::Args;
use serde::Serialize;
use shmcomm_view::{DEFAULT_PORT, Event, Options, Server, StartError};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Longest wait for an event before the end of the command is checked.
const SLICE: Duration = Duration::from_millis(100);

/// Shows channels in a browser, and serves them to Foxglove and Lichtblick.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shmcomm view
  shmcomm view 'robot/*' --allow-origin https://app.foxglove.dev
  shmcomm view --port 9000 --rate 10 --allow-publish robot/command

The command prints an address. A browser that opens it shows channels, rates, losses, lags, values and
plots; the page needs no network. Foxglove and Lichtblick connect to the same port (ws://localhost:8765).
It takes no seat, like `echo`, except on channels on which a client publishes.

It listens on loopback and serves processes of this user. Pages of other sites are refused, unless
--allow-origin names them: such a site can read all messages. With --bind of another address, every
machine that reaches the port can read them. Clients may publish only where --allow-publish says so.

The command ends on Ctrl-C, after --duration, or after -n clients have left.

JSON: first an object with url, socket_url and address. Then an object per event, with event (connected,
disconnected or refused), peer, protocol, sent, dropped and reason.")]
pub struct Arguments {
    /// Names of channels; `*` stands for any characters [default: all]
    #[arg(value_name = "CHANNEL")]
    channels: Vec<String>,
    /// Port; 0 chooses a free one
    #[arg(long, default_value_t = DEFAULT_PORT)]
    port: u16,
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    bind: IpAddr,
    /// Largest number of messages per second and channel that a client gets; 0 sends every message
    #[arg(long, value_name = "HZ", default_value_t = 60.0)]
    rate: f64,
    /// Lets pages of this site connect; may be given several times
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,
    /// Answers browsers that use this name for the machine; may be given several times
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// Lets clients publish on this channel; `*` stands for any characters; may be given several times
    #[arg(long, value_name = "CHANNEL")]
    allow_publish: Vec<String>,
    /// Serves the other users of this machine too
    #[arg(long)]
    any_user: bool,
    /// Largest number of clients at a time
    #[arg(long, value_name = "N", default_value_t = 16)]
    clients: usize,
}

#[derive(Serialize)]
struct Listening {
    url: String,
    socket_url: String,
    address: SocketAddr,
}

#[derive(Serialize)]
struct Line<'e> {
    event: &'static str,
    peer: SocketAddr,
    protocol: Option<&'static str>,
    sent: Option<u64>,
    dropped: Option<u64>,
    reason: Option<&'e str>,
}

pub fn run(common: &Common, args: &Arguments) -> Outcome {
    let mut pace = Pace::new(common);
    let server = Server::start(options(common, args)).map_err(|error| match error {
        StartError::Options(error) => Failure::Usage(error.to_string()),
        error => Failure::Failed(error.to_string()),
    })?;
    let mut out = Out::new(common);
    let (url, socket_url) = (server.url(), server.socket_url());
    if out.form() == Form::Json {
        out.json(&Listening { url, socket_url, address: server.address() })?;
    } else {
        out.line(&url)?;
        eprintln!("shmcomm: open {url} in a browser, or {socket_url} in Foxglove; Ctrl-C ends");
    }
    out.flush()?;
    if !args.bind.is_loopback() {
        eprintln!("shmcomm: every machine that reaches {} can read the channels", server.address());
    }
    while !pace.is_over() {
        let Some(event) = server.event(pace.at_most(SLICE)) else { continue };
        let left = matches!(event, Event::Disconnected { .. });
        report(&mut out, &event)?;
        if left && !pace.another() {
            break;
        }
    }
    server.stop();
    Ok(())
}

fn options(common: &Common, args: &Arguments) -> Options {
    let full = |names: &[String]| names.iter().map(|name| channels::full_name(common, name)).collect();
    let all = args.channels.is_empty() && common.namespace().is_some();
    Options {
        bind: SocketAddr::new(args.bind, args.port),
        channels: if all { vec![channels::full_name(common, "*")] } else { full(&args.channels) },
        rate: args.rate,
        allow_origins: args.allow_origin.clone(),
        allow_hosts: args.allow_host.clone(),
        allow_publish: full(&args.allow_publish),
        any_user: args.any_user,
        max_clients: args.clients,
        ..Options::default()
    }
}

/// Prints an event: as JSON, or on standard error.
fn report(out: &mut Out, event: &Event) -> Outcome {
    let none = Line {
        event: "",
        peer: SocketAddr::from(([0, 0, 0, 0], 0)),
        protocol: None,
        sent: None,
        dropped: None,
        reason: None,
    };
    let (line, text) = match event {
        Event::Connected { peer, protocol } => (
            Line { event: "connected", peer: *peer, protocol: Some(protocol), ..none },
            format!("{peer} connected, {protocol}"),
        ),
        Event::Disconnected { peer, sent, dropped, reason } => (
            Line {
                event: "disconnected",
                peer: *peer,
                sent: Some(*sent),
                dropped: Some(*dropped),
                reason: Some(reason),
                ..none
            },
            format!(
                "{peer} has left after {} and {dropped} left out: {reason}",
                units::count(*sent, "message")
            ),
        ),
        Event::Refused { peer, reason } => (
            Line { event: "refused", peer: *peer, reason: Some(reason), ..none },
            format!("{peer} was refused: {reason}"),
        ),
        // Events of later versions have no line.
        _ => return Ok(()),
    };
    if out.form() == Form::Json {
        out.json(&line)?;
        out.flush()?;
    } else {
        eprintln!("shmcomm: {text}");
    }
    Ok(())
}
