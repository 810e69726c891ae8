//! The program `shmcomm-bridge`: flags, the configuration file, and the end on Ctrl-C.
//!
//! Owns the command line. Calls the library of this package. Never handles a message.

use clap::{Parser, ValueEnum};
use shmcomm_bridge::{Bridge, Config, Mode, Rule};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Carries shmcomm channels between machines, on zenoh.
///
/// Nothing is exported, imported or listened on unless a flag or the file says so. Flags come before the file; lists of
/// both are joined.
#[derive(Parser, Debug)]
#[command(
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  shmcomm-bridge --listen tcp/192.168.1.5:7447 --export 'robot/*'
  shmcomm-bridge --connect tcp/192.168.1.5:7447 --import 'robot/*'
  shmcomm-bridge --connect tcp/192.168.1.5:7447 --export 'camera/*,max_hz=10' --metrics 127.0.0.1:9469
  shmcomm-bridge --config bridge.toml"
)]
struct Arguments {
    /// TOML file with the configuration
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Channels that other bridges may import: a pattern, then `,max_hz=N`, `,latest_only`, `,reliable`, `,history=N`, `,workers=N`
    #[arg(short, long, value_name = "PATTERN", value_parser = Rule::parse)]
    export: Vec<Rule>,
    /// Channels of other bridges to import: a pattern, then `,workers=N`, `,timeout_ms=N`
    #[arg(short, long, value_name = "PATTERN", value_parser = Rule::parse)]
    import: Vec<Rule>,
    /// Address on which the bridge accepts connections: `tcp/ADDRESS:PORT` or `tls/ADDRESS:PORT`
    #[arg(short, long, value_name = "ADDRESS")]
    listen: Vec<String>,
    /// Address of another bridge or of a zenoh router
    #[arg(short = 'C', long, value_name = "ADDRESS")]
    connect: Vec<String>,
    /// Name that all bridges of a group share [default: default]
    #[arg(long, value_name = "NAME")]
    realm: Option<String>,
    /// Namespace of the channels of this host
    #[arg(long, value_name = "NS", env = "SHMCOMM_NAMESPACE", hide_env_values = true)]
    namespace: Option<String>,
    /// Role in the zenoh network [default: peer]
    #[arg(long)]
    mode: Option<ModeName>,
    /// Compresses messages with LZ4, if both sides of a connection do
    #[arg(long)]
    compression: bool,
    /// Exports channels that another bridge process of this host has imported
    #[arg(long)]
    relay: bool,
    /// Counters for Prometheus: an address of an HTTP server such as 127.0.0.1:9469, or a file
    #[arg(long, value_name = "ADDRESS|FILE")]
    metrics: Option<String>,
    /// Directory for the number of the last message of each import, so that losses are counted over a kill
    #[arg(long, value_name = "DIRECTORY")]
    state: Option<PathBuf>,
    /// Certificate of the authority that signed those of the other bridges, in PEM format
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    tls_root_ca: Option<PathBuf>,
    /// Certificate of this bridge, in PEM format
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    tls_certificate: Option<PathBuf>,
    /// Private key of this bridge, in PEM format
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    tls_key: Option<PathBuf>,
    /// Refuses bridges without a certificate of the authority
    #[arg(long, help_heading = "TLS")]
    tls_mutual: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ModeName {
    /// Exchanges messages with the bridges to which it is connected
    Peer,
    /// Exchanges messages through one router
    Client,
    /// Passes the messages of its connections on to each other
    Router,
}

impl Arguments {
    /// Returns the configuration of the file and the flags.
    fn configuration(self) -> Result<Config, String> {
        let mut config = match &self.config {
            None => Config::default(),
            Some(file) => {
                let text = std::fs::read_to_string(file);
                let text = text.map_err(|error| format!("cannot read {}: {error}", file.display()))?;
                Config::parse(&text).map_err(|error| format!("{}: {error}", file.display()))?
            }
        };
        let joined = |flags: Vec<Rule>, file: Vec<Rule>| flags.into_iter().chain(file).collect();
        config.export = joined(self.export, std::mem::take(&mut config.export));
        config.import = joined(self.import, std::mem::take(&mut config.import));
        config.listen.extend(self.listen);
        config.connect.extend(self.connect);
        config.realm = self.realm.unwrap_or(config.realm);
        config.namespace = self.namespace.unwrap_or(config.namespace);
        config.mode = self.mode.map_or(config.mode, |mode| match mode {
            ModeName::Peer => Mode::Peer,
            ModeName::Client => Mode::Client,
            ModeName::Router => Mode::Router,
        });
        config.compression |= self.compression;
        config.relay |= self.relay;
        config.metrics = self.metrics.or(config.metrics);
        config.state = self.state.or(config.state);
        config.tls.root_ca = self.tls_root_ca.or(config.tls.root_ca);
        config.tls.certificate = self.tls_certificate.or(config.tls.certificate);
        config.tls.key = self.tls_key.or(config.tls.key);
        config.tls.mutual |= self.tls_mutual;
        Ok(config)
    }
}

fn run() -> Result<(), String> {
    let config = Arguments::parse().configuration()?;
    zenoh::init_log_from_env_or("error");
    let bridge = Bridge::open(config).map_err(|error| error.to_string())?;
    let stopped = Arc::new(AtomicBool::new(false));
    let (stop, wake) = (stopped.clone(), bridge.waker());
    ctrlc::set_handler(move || {
        stop.store(true, Ordering::Relaxed);
        wake();
    })
    .map_err(|error| format!("no handler for Ctrl-C: {error}"))?;
    bridge.run(|| stopped.load(Ordering::Relaxed)).map_err(|error| error.to_string())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("shmcomm-bridge: {why}");
            ExitCode::FAILURE
        }
    }
}
