//! [`Options`]: settings of a server, and their check.
//!
//! Owns the defaults. Calls the library's patterns of channel names. Never opens a socket.

use shmcomm::name_matches;
use std::net::{Ipv4Addr, SocketAddr};

/// Port of the Foxglove protocol: clients suggest it.
pub const DEFAULT_PORT: u16 = 8765;

/// Settings of a [`Server`](crate::Server).
#[derive(Clone, Debug)]
pub struct Options {
    /// Address and port to listen on. Port 0 chooses a free one. With an address other than loopback, every
    /// machine that reaches it can read the channels.
    pub bind: SocketAddr,
    /// Names of the channels to show, with their namespaces; `*` stands for any characters. Empty: all.
    pub channels: Vec<String>,
    /// Largest number of messages per second and channel that a client gets: the latest message each time. 0
    /// sends every message.
    pub rate: f64,
    /// Origins of web pages that may connect, beside the server's own page, such as
    /// `https://app.foxglove.dev`.
    pub allow_origins: Vec<String>,
    /// Names under which browsers may reach the server, beside `localhost` and IP addresses.
    pub allow_hosts: Vec<String>,
    /// Names of the channels on which clients may publish; `*` stands for any characters. Empty: none.
    pub allow_publish: Vec<String>,
    /// `true` if processes of other users of this machine may connect over loopback.
    pub any_user: bool,
    /// Largest number of clients at a time.
    pub max_clients: usize,
    /// Largest size of a message as it is sent, in bytes. A longer message is reported to the client and not sent.
    /// One message waits for a client at most, and up to 8 MiB of texts.
    pub client_buffer: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)),
            channels: Vec::new(),
            rate: 60.0,
            allow_origins: Vec::new(),
            allow_hosts: Vec::new(),
            allow_publish: Vec::new(),
            any_user: false,
            max_clients: 16,
            client_buffer: 64 << 20,
        }
    }
}

/// Reason why [`Options`] are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// The rate is not a number from 0 to 1000.
    #[error("the rate is {0}; give 0 for every message, or 0.01 to 1000 messages per second")]
    Rate(String),
    /// An origin has no scheme, or a path.
    #[error("`{0}` is not an origin; give scheme, host and port, such as `https://app.foxglove.dev`")]
    Origin(String),
    /// The origin `null`, which every web page can have.
    #[error("the origin `null` cannot be allowed: any web page can have it, in a sandboxed frame")]
    NullOrigin,
    /// A host name has other characters.
    #[error("`{0}` is not the name of a host; give a name without scheme, port and path")]
    Host(String),
    /// No client could connect.
    #[error("the largest number of clients is 0; give at least 1 client")]
    Clients,
    /// Messages could not be sent.
    #[error("client_buffer is {0} bytes; give at least 65536")]
    Buffer(usize),
}

impl Options {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`OptionsError`] names the setting and the cure.
    pub fn check(&self) -> Result<(), OptionsError> {
        if !(self.rate == 0.0 || (0.01..=1000.0).contains(&self.rate)) {
            return Err(OptionsError::Rate(self.rate.to_string()));
        }
        for origin in &self.allow_origins {
            if origin.eq_ignore_ascii_case("null") {
                return Err(OptionsError::NullOrigin);
            }
            let scheme = origin.split_once("://");
            let plain = |text: &str| text.bytes().all(|b| b.is_ascii_graphic() && !b"/?#*".contains(&b));
            if !scheme.is_some_and(|(scheme, host)| !scheme.is_empty() && plain(scheme) && plain(host)) {
                return Err(OptionsError::Origin(origin.clone()));
            }
        }
        for host in &self.allow_hosts {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
            if host.is_empty() || !host.bytes().all(plain) {
                return Err(OptionsError::Host(host.clone()));
            }
        }
        if self.max_clients == 0 {
            return Err(OptionsError::Clients);
        }
        if self.client_buffer < 1 << 16 {
            return Err(OptionsError::Buffer(self.client_buffer));
        }
        Ok(())
    }

    /// Returns `true` if the channel is shown.
    pub(crate) fn shows(&self, channel: &str) -> bool {
        self.channels.is_empty() || any(&self.channels, channel)
    }

    /// Returns `true` if clients may publish on the channel.
    pub(crate) fn publishes(&self, channel: &str) -> bool {
        any(&self.allow_publish, channel)
    }
}

fn any(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| name_matches(pattern, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_options_are_refused() {
        let with = |change: fn(&mut Options)| {
            let mut options = Options::default();
            change(&mut options);
            options.check()
        };
        assert_eq!(with(|_| {}), Ok(()));
        assert!(matches!(with(|o| o.rate = -1.0), Err(OptionsError::Rate(_))));
        assert!(matches!(with(|o| o.rate = f64::NAN), Err(OptionsError::Rate(_))));
        assert_eq!(with(|o| o.allow_origins.push("null".into())), Err(OptionsError::NullOrigin));
        for wrong in ["app.foxglove.dev", "https://x/", "https://*", "://x"] {
            let options = Options { allow_origins: vec![wrong.into()], ..Options::default() };
            assert!(matches!(options.check(), Err(OptionsError::Origin(_))), "{wrong}");
        }
        assert_eq!(with(|o| o.allow_origins.push("file://".into())), Ok(()));
        assert!(matches!(with(|o| o.allow_hosts.push("a:1".into())), Err(OptionsError::Host(_))));
        assert_eq!(with(|o| o.max_clients = 0), Err(OptionsError::Clients));
        assert_eq!(with(|o| o.client_buffer = 65_535), Err(OptionsError::Buffer(65_535)));
    }
}
