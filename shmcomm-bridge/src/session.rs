//! The zenoh session of a bridge.
//!
//! Owns the choice of zenoh's settings: only the addresses of the configuration, no search for other nodes, and short
//! times between two attempts to connect. Calls zenoh. Never reads a channel.

use crate::BridgeError;
use crate::config::{Config, Mode};
use serde_json::{Value, json};
use zenoh::{Session, Wait};

/// Milliseconds between two attempts to connect: the first, and the longest. A bridge that is restarted has its
/// connections back within a second.
const RETRY_MS: (u64, u64) = (100, 500);

/// Opens the session. Returns when the bridge listens; connections are made in the background.
pub fn open(config: &Config) -> Result<Session, BridgeError> {
    let mode = match config.mode {
        Mode::Peer => "peer",
        Mode::Client => "client",
        Mode::Router => "router",
    };
    let retry =
        json!({"period_init_ms": RETRY_MS.0, "period_max_ms": RETRY_MS.1, "period_increase_factor": 1.5});
    let mut settings: Vec<(&str, Value)> = vec![
        ("mode", json!(mode)),
        ("listen/endpoints", json!(config.listen)),
        ("listen/timeout_ms", json!(0)),
        ("listen/exit_on_failure", json!(true)),
        ("connect/endpoints", json!(config.connect)),
        ("connect/timeout_ms", json!(-1)),
        ("connect/exit_on_failure", json!(false)),
        ("connect/retry", retry),
        ("scouting/multicast/enabled", json!(false)),
        ("scouting/gossip/enabled", json!(false)),
        ("adminspace/enabled", json!(false)),
        ("transport/unicast/compression/enabled", json!(config.compression)),
        ("transport/link/tx/lease", json!(config.lease_ms)),
        ("transport/link/rx/max_message_size", json!(config.max_segment.saturating_add(1 << 20))),
    ];
    let tls = &config.tls;
    let files = [
        ("transport/link/tls/root_ca_certificate", &tls.root_ca),
        ("transport/link/tls/listen_certificate", &tls.certificate),
        ("transport/link/tls/listen_private_key", &tls.key),
    ];
    let connecting = [
        ("transport/link/tls/connect_certificate", &tls.certificate),
        ("transport/link/tls/connect_private_key", &tls.key),
    ];
    for (key, file) in files.into_iter().chain(connecting.into_iter().filter(|_| tls.mutual)) {
        if let Some(file) = file {
            settings.push((key, json!(file)));
        }
    }
    if tls.mutual {
        settings.push(("transport/link/tls/enable_mtls", json!(true)));
    }
    let mut zenoh = zenoh::Config::default();
    for (key, value) in settings {
        zenoh.insert_json5(key, &value.to_string()).map_err(|error| {
            BridgeError(format!("the zenoh setting {key} = {value} is refused: {error}; check the addresses"))
        })?;
    }
    zenoh::open(zenoh).wait().map_err(|error| {
        let listen = if config.listen.is_empty() { "nothing".into() } else { config.listen.join(", ") };
        BridgeError(format!(
            "the zenoh session does not open: {error}; it listens on {listen}: check that the address belongs to this \
             host and is free, and that the files of certificates can be read"
        ))
    })
}
