//! Names on the network: the key expressions of zenoh.
//!
//! Owns their form, `shmcomm/1/REALM/KIND/ORIGIN/INCARNATION/CHANNEL`. Keys from the network may be hostile: parsing
//! refuses all others. Names of channels are valid keys, because they have no `*`, `$`, `?` and `#`.

use std::fmt;

/// An export of one bridge: a channel from its opening to its end. If the layout of the channel changes, or the bridge
/// is restarted, there is another offer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Offer {
    /// Name of the channel, without a namespace.
    pub channel: String,
    /// Id of the bridge in the zenoh network, in hexadecimal.
    pub origin: String,
    /// Number that no other offer of the bridge has.
    pub incarnation: u64,
}

/// A bridge that imports the jobs of an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taker {
    pub offer: Offer,
    /// Id of the importing bridge in the zenoh network, in hexadecimal.
    pub taker: String,
}

/// The keys of a realm.
#[derive(Clone, Debug)]
pub struct Keys {
    prefix: String,
}

/// Meaning of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Liveliness token of an offer: it exists while the bridge and its export do.
    Alive,
    /// Query for the description of the channel.
    Description,
    /// Messages.
    Messages,
    /// Queries that are requests.
    Requests,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Alive => "alive",
            Kind::Description => "desc",
            Kind::Messages => "msg",
            Kind::Requests => "req",
        }
    }
}

impl Keys {
    pub fn new(realm: &str) -> Keys {
        Keys { prefix: format!("shmcomm/1/{realm}") }
    }

    /// Returns a key of an offer.
    pub fn of(&self, kind: Kind, offer: &Offer) -> String {
        let Offer { channel, origin, incarnation } = offer;
        format!("{}/{}/{origin}/{incarnation:x}/{channel}", self.prefix, kind.name())
    }

    /// Returns the expression of the tokens of all offers.
    pub fn all_alive(&self) -> String {
        format!("{}/alive/**", self.prefix)
    }

    /// Returns the key of a taker's token.
    pub fn takes(&self, taker: &Taker) -> String {
        self.of_taker("take", &taker.offer, &taker.taker)
    }

    /// Returns the key of the queries that are jobs for a taker.
    pub fn jobs(&self, taker: &Taker) -> String {
        self.of_taker("job", &taker.offer, &taker.taker)
    }

    /// Returns the expression of the tokens of all takers of an offer.
    pub fn all_takers(&self, offer: &Offer) -> String {
        self.of_taker("take", offer, "*")
    }

    fn of_taker(&self, kind: &str, offer: &Offer, taker: &str) -> String {
        let Offer { channel, origin, incarnation } = offer;
        format!("{}/{kind}/{origin}/{incarnation:x}/{taker}/{channel}", self.prefix)
    }

    /// Returns the id of the bridge from the key of a taker's token; `None` if it is none.
    pub fn taker(&self, key: &str) -> Option<String> {
        let rest = key.strip_prefix(&self.prefix)?.strip_prefix("/take/")?;
        rest.split('/').nth(2).filter(|id| is_id(id)).map(str::to_owned)
    }

    /// Returns the offer of a token; `None` if the key has another form.
    pub fn offer(&self, key: &str) -> Option<Offer> {
        let rest = key.strip_prefix(&self.prefix)?.strip_prefix("/alive/")?;
        let (origin, rest) = rest.split_once('/')?;
        let (incarnation, channel) = rest.split_once('/')?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
        let valid = is_id(origin) && channel.len() <= 200 && channel.chars().all(plain);
        let incarnation = u64::from_str_radix(incarnation, 16).ok()?;
        valid.then(|| Offer { channel: channel.into(), origin: origin.into(), incarnation })
    }
}

/// Returns `true` if the text can be the id of a zenoh node.
pub fn is_id(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` of bridge {:.8}", self.channel, self.origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_survive_and_other_keys_are_refused() {
        let keys = Keys::new("lab");
        let offer = Offer { channel: "robot/imu".into(), origin: "af01".into(), incarnation: 77 };
        assert_eq!(keys.offer(&keys.of(Kind::Alive, &offer)), Some(offer.clone()));
        for wrong in [
            "",
            "shmcomm/1/lab/alive/",
            "shmcomm/1/lab/alive/af01",
            "shmcomm/1/lab/alive/af01/1",
            "shmcomm/1/lab/alive/xyz/1/c",
            "shmcomm/1/lab/alive//1/c",
            "shmcomm/1/lab/alive/af01/-1/c",
            "shmcomm/1/lab/alive/af01/1/c\u{1b}[2J",
            "shmcomm/1/other/alive/af01/1/c",
        ] {
            assert_eq!(keys.offer(wrong), None, "{wrong:?}");
        }
        let taker = Taker { offer, taker: "b0".into() };
        assert_eq!(keys.taker(&keys.takes(&taker)).as_deref(), Some("b0"));
        assert_eq!(keys.taker("shmcomm/1/lab/take/af01/1/x*/c"), None);
        assert_eq!(keys.offer(&format!("shmcomm/1/lab/alive/af01/1/{}", "x".repeat(201))), None);
    }
}
