//! [`Config`]: what the bridge exports, imports, listens on and connects to.
//!
//! Owns the keys of the TOML file, their ranges and defaults. Calls `serde` and `toml`. Never opens anything.

use crate::BridgeError;
use serde::Deserialize;
use shmcomm::name_matches;
use std::path::PathBuf;
use std::time::Duration;

/// Largest number of messages a second that a rule can ask for.
const MAX_HZ: f64 = 1e6;

/// Configuration of a bridge: the keys of the TOML file. By default nothing is exported and nothing is imported.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Name that all bridges of a group share: letters, digits, `_`, `-` and `.`. Bridges of another realm see nothing.
    pub realm: String,
    /// Namespace of the channels of this host; empty for all channels. Names on the network have no namespace.
    pub namespace: String,
    /// Role in the zenoh network.
    pub mode: Mode,
    /// Addresses on which the bridge accepts connections, such as `tcp/192.168.1.5:7447`. Nothing by default.
    pub listen: Vec<String>,
    /// Addresses to which the bridge connects, again and again.
    pub connect: Vec<String>,
    /// `true` to compress the messages of a connection with LZ4, if both sides ask for it.
    pub compression: bool,
    /// Milliseconds without a sign of life after which a connection is given up, 500 to 600000.
    pub lease_ms: u64,
    /// Certificates, for addresses that start with `tls/`.
    pub tls: Tls,
    /// Address of an HTTP server of the counters, or a file for them.
    pub metrics: Option<String>,
    /// Directory in which the bridge stores the number of the last message of each import.
    pub state: Option<PathBuf>,
    /// Channels that other bridges may import.
    pub export: Vec<Rule>,
    /// Channels of other bridges that this bridge imports.
    pub import: Vec<Rule>,
    /// `true` to export channels that another bridge process of this host has imported.
    pub relay: bool,
    /// Largest number of channels that are imported at a time.
    pub max_channels: usize,
    /// Largest size in bytes of the slots of an imported channel, and of a message from the network.
    pub max_segment: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            realm: "default".into(),
            namespace: String::new(),
            mode: Mode::Peer,
            listen: Vec::new(),
            connect: Vec::new(),
            compression: false,
            lease_ms: 5_000,
            tls: Tls::default(),
            metrics: None,
            state: None,
            export: Vec::new(),
            import: Vec::new(),
            relay: false,
            max_channels: 256,
            max_segment: 256 << 20,
        }
    }
}

/// Role of the bridge in the zenoh network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Exchanges messages with the bridges to which it is connected.
    #[default]
    Peer,
    /// Exchanges messages through one router.
    Client,
    /// Passes the messages of its connections on to each other.
    Router,
}

/// Files of certificates and keys, in PEM format.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// Certificate of the authority that signed the certificates of the other bridges.
    pub root_ca: Option<PathBuf>,
    /// Certificate of this bridge.
    pub certificate: Option<PathBuf>,
    /// Private key of this bridge.
    pub key: Option<PathBuf>,
    /// `true` if a bridge that connects must have a certificate of the authority too.
    pub mutual: bool,
}

/// Channels that a pattern names, and how they cross the network.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Names without the namespace; `*` stands for any characters.
    pub channels: String,
    /// Largest number of messages a second. Between two of them the newest message waits and older ones are left out.
    #[serde(default)]
    pub max_hz: Option<f64>,
    /// `true` to leave messages out when a newer one is there.
    #[serde(default)]
    pub latest_only: bool,
    /// `true` if the network may slow the bridge down; otherwise a message that finds no room is dropped.
    #[serde(default)]
    pub reliable: bool,
    /// Messages from before the export that are sent too, if the segment still has them.
    #[serde(default)]
    pub history: usize,
    /// Requests that are in flight at a time, 1 to 64: each takes a thread and a seat.
    #[serde(default = "default_workers")]
    pub workers: u32,
    /// Milliseconds for which an imported service waits for the reply of the other host, 1 to 600000.
    #[serde(default = "default_timeout")]
    pub timeout_ms: u64,
}

fn default_workers() -> u32 {
    4
}

fn default_timeout() -> u64 {
    5_000
}

impl Rule {
    /// Returns the rule of a flag: a pattern, then `,key=value` or `,key` for `key=true`.
    ///
    /// # Errors
    /// Returns an error if a key is unknown, or its value has another type.
    pub fn parse(text: &str) -> Result<Rule, String> {
        let mut parts = text.split(',');
        let mut toml = format!("channels = {:?}\n", parts.next().unwrap_or_default());
        for part in parts {
            let (key, value) = part.split_once('=').unwrap_or((part, "true"));
            toml.push_str(&format!("{key} = {value}\n"));
        }
        let rule: Rule = toml::from_str(&toml).map_err(|error| error.message().to_owned())?;
        rule.check()?;
        Ok(rule)
    }

    fn check(&self) -> Result<(), String> {
        if self.channels.is_empty() {
            return Err(
                "the pattern is empty; give the name of a channel, such as `robot/imu` or `robot/*`".into()
            );
        }
        if let Some(hz) = self.max_hz.filter(|hz| !(*hz > 0.0 && *hz <= MAX_HZ)) {
            return Err(format!(
                "max_hz is {hz} for `{}`; it is more than 0 and at most {MAX_HZ}",
                self.channels
            ));
        }
        if !(1..=64).contains(&self.workers) {
            return Err(format!("workers is {} for `{}`; it is 1 to 64", self.workers, self.channels));
        }
        if !(1..=600_000).contains(&self.timeout_ms) {
            return Err(format!(
                "timeout_ms is {} for `{}`; it is 1 to 600000",
                self.timeout_ms, self.channels
            ));
        }
        Ok(())
    }

    /// Returns the time between two messages, if the rule limits the rate.
    pub(crate) fn period(&self) -> Option<Duration> {
        self.max_hz.map(|hz| Duration::from_secs_f64(1.0 / hz))
    }
}

/// Returns the first rule whose pattern names the channel.
pub(crate) fn chosen<'r>(rules: &'r [Rule], channel: &str) -> Option<&'r Rule> {
    rules.iter().find(|rule| name_matches(&rule.channels, channel))
}

impl Config {
    /// Returns the configuration of a TOML text.
    ///
    /// # Errors
    /// Returns an error with the line and the key if the text is no TOML, or if a key is unknown.
    pub fn parse(text: &str) -> Result<Config, BridgeError> {
        toml::from_str(text).map_err(|error| BridgeError(error.to_string()))
    }

    /// Returns the name of a channel without the namespace, if it is in the namespace.
    pub(crate) fn short<'n>(&self, full: &'n str) -> Option<&'n str> {
        match self.namespace.as_str() {
            "" => Some(full),
            namespace => full.strip_prefix(namespace)?.strip_prefix('/'),
        }
    }

    /// Returns the name of a channel with the namespace.
    pub(crate) fn full(&self, short: &str) -> String {
        match self.namespace.as_str() {
            "" => short.to_owned(),
            namespace => format!("{namespace}/{short}"),
        }
    }

    /// Checks the values that the types do not.
    pub(crate) fn check(&self) -> Result<(), BridgeError> {
        let wrong = |why: String| Err(BridgeError(why));
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if self.realm.is_empty() || self.realm.len() > 64 || !self.realm.chars().all(plain) {
            let realm = self.realm.escape_debug();
            return wrong(format!("the realm `{realm}` is not 1 to 64 letters, digits, `_`, `-` and `.`"));
        }
        if self.listen.is_empty() && self.connect.is_empty() {
            return wrong(
                "no address: give --listen tcp/ADDRESS:PORT, or --connect with that of a bridge".into(),
            );
        }
        if self.export.is_empty() && self.import.is_empty() {
            return wrong("no channel: give --export PATTERN or --import PATTERN".into());
        }
        if !(500..=600_000).contains(&self.lease_ms) {
            return wrong(format!("lease_ms is {}; it is 500 to 600000", self.lease_ms));
        }
        let tls = self.listen.iter().any(|at| at.starts_with("tls/"));
        if tls && (self.tls.certificate.is_none() || self.tls.key.is_none()) {
            return wrong(
                "an address to listen on starts with `tls/`: give --tls-certificate and --tls-key".into(),
            );
        }
        if self.tls.mutual && (self.tls.certificate.is_none() || self.tls.root_ca.is_none()) {
            return wrong("mutual TLS needs --tls-root-ca, --tls-certificate and --tls-key".into());
        }
        self.export.iter().chain(&self.import).try_for_each(|rule| rule.check().map_err(BridgeError))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_files_say_the_same() {
        let rule = Rule::parse("robot/*,max_hz=10,latest_only").unwrap();
        assert_eq!((rule.channels.as_str(), rule.max_hz, rule.latest_only), ("robot/*", Some(10.0), true));
        let text = "realm = \"lab\"\nlisten = [\"tcp/127.0.0.1:0\"]\n[[export]]\nchannels = \"robot/*\"\nmax_hz = 10.0\n";
        let config = Config::parse(text).unwrap();
        config.check().unwrap();
        assert_eq!(chosen(&config.export, "robot/imu").unwrap().max_hz, Some(10.0));
        assert!(
            chosen(&config.export, "other/imu").is_none() && chosen(&config.import, "robot/imu").is_none()
        );
    }

    #[test]
    fn wrong_values_are_refused_with_their_name() {
        for (text, named) in [
            ("robot,max_hz=-1", "max_hz"),
            ("robot,hz=1", "hz"),
            ("robot,workers=0", "workers"),
            ("robot,timeout_ms=0", "timeout_ms"),
            ("robot,max_hz=nan", "max_hz"),
            (",reliable", "pattern"),
            ("robot,max_hz=\"x\"\n[tls]", "max_hz"),
        ] {
            let why = Rule::parse(text).unwrap_err();
            assert!(why.contains(named) || why.contains("f64"), "{text}: {why}");
        }
        let wrong = |change: fn(&mut Config)| {
            let mut config = Config { listen: vec!["tcp/127.0.0.1:0".into()], ..Config::default() };
            config.import.push(Rule::parse("*").unwrap());
            change(&mut config);
            config.check().unwrap_err().to_string()
        };
        assert!(wrong(|c| c.realm = "a/*".into()).contains("realm"));
        assert!(wrong(|c| c.listen.clear()).contains("--listen"));
        assert!(wrong(|c| c.import.clear()).contains("--export"));
        assert!(wrong(|c| c.lease_ms = 1).contains("lease_ms"));
        assert!(wrong(|c| c.listen.push("tls/127.0.0.1:0".into())).contains("--tls-certificate"));
        assert!(wrong(|c| c.tls.mutual = true).contains("--tls-root-ca"));
        assert!(Config::parse("relm = \"a\"").unwrap_err().to_string().contains("relm"));
    }
}
