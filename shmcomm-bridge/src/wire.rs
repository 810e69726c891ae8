//! [`Facts`], the description of a channel, and [`Head`], which each message carries: their bytes on the network.
//!
//! Owns their format and the checks of bytes from the network, which may be hostile: every error is a sentence for the
//! user, and nothing panics. Calls the library to parse layouts. Never touches a segment.

use crate::routes::{self, Route};
use serde::{Deserialize, Serialize};
use shmcomm::schema::Layout;
use shmcomm::{Content, Declaration, Description, MessageFormat, Pattern, Wire};
use std::time::UNIX_EPOCH;

/// Largest size of a description in bytes: a layout of 64 KiB, escaped in JSON, and the numbers.
const LONGEST: usize = 512 << 10;
/// Version of both.
const VERSION: u32 = 1;

/// Facts of a channel, as a bridge sends them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    version: u32,
    pattern: String,
    codec: String,
    pub slots: u64,
    pub slot_size: u64,
    pub request_size: u64,
    pub seats: u32,
    pub publishers: u32,
    pub waits: bool,
    pub redelivers: bool,
    pub fingerprint: u64,
    pub fingerprint2: u64,
    pub schema: String,
    /// Number of the segment: its time of creation in nanoseconds.
    pub segment: u64,
    /// `true` if the exporter waits for the network.
    pub reliable: bool,
    /// Bridges that the channel has passed before this export: empty unless a relay exports it.
    pub route: Route,
}

/// Patterns by their names on the network.
const PATTERNS: [(&str, Pattern); 3] =
    [("pubsub", Pattern::PubSub), ("pushpull", Pattern::PushPull), ("reqrep", Pattern::ReqRep)];
/// Formats by their names on the network.
const CODECS: [(&str, MessageFormat); 5] = [
    ("fixed", MessageFormat::Fixed),
    ("tail", MessageFormat::Tail),
    ("msgpack", MessageFormat::Msgpack),
    ("pickle", MessageFormat::Pickle),
    ("bytes", MessageFormat::Bytes),
];

/// Returns the number of a segment that a head carries.
pub fn segment_number(what: &Description) -> u64 {
    what.created.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64)
}

impl Facts {
    /// Returns the facts of a channel of this host. An error is the reason why it cannot leave the host.
    pub fn of(what: &Description, reliable: bool, route: Route) -> Result<Facts, String> {
        let python =
            "it is a channel of the Python library, whose segment does not state the form of its messages";
        let (Wire::Native, Some(codec)) = (what.wire, what.codec) else { return Err(python.into()) };
        if let Err(error) = &what.layouts {
            return Err(format!("its layout cannot be read: {error}"));
        }
        let named = |codec| CODECS.iter().find(|(_, one)| *one == codec).map(|(name, _)| *name);
        let pattern = PATTERNS.iter().find(|(_, one)| *one == what.pattern).map(|(name, _)| *name);
        let (Some(pattern), Some(codec)) = (pattern, named(codec)) else {
            return Err("its pattern or its format is not known to this version of the bridge".into());
        };
        Ok(Facts {
            version: VERSION,
            pattern: pattern.into(),
            codec: codec.into(),
            slots: what.slots,
            // The channel on the other host has slots for the longest message, and does not grow.
            slot_size: what.slot_size.max(what.grow),
            request_size: what.request_size,
            seats: what.seats,
            publishers: what.publishers,
            waits: what.waits,
            redelivers: what.redelivers,
            fingerprint: what.fingerprint,
            fingerprint2: what.fingerprint2,
            schema: what.schema.clone(),
            segment: segment_number(what),
            reliable,
            route,
        })
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Parses the description of another bridge.
    pub fn parse(bytes: &[u8]) -> Result<Facts, String> {
        if bytes.len() > LONGEST {
            return Err(format!("its description has {} bytes; {LONGEST} is the most", bytes.len()));
        }
        let facts: Facts = serde_json::from_slice(bytes).map_err(|error| {
            format!("its description cannot be read: {error}; use the same version of both bridges")
        })?;
        if facts.version != VERSION {
            let other = facts.version;
            return Err(format!(
                "its bridge has version {other} of the protocol, this one has {VERSION}; update the older"
            ));
        }
        if !routes::is_valid(&facts.route) {
            let (passed, longest) = (facts.route.len(), routes::LONGEST);
            return Err(format!(
                "it has passed {passed} bridges, and {longest} valid ids are the most; let fewer relays follow each other"
            ));
        }
        Ok(facts)
    }

    /// Returns the communication pattern.
    pub fn pattern(&self) -> Option<Pattern> {
        PATTERNS.iter().find(|(name, _)| *name == self.pattern).map(|(_, pattern)| *pattern)
    }

    /// Returns the format of the messages.
    pub fn codec(&self) -> Option<MessageFormat> {
        CODECS.iter().find(|(name, _)| *name == self.codec).map(|(_, codec)| *codec)
    }

    /// Returns the declaration that creates the channel on this host. An error is the reason why it is refused.
    pub fn declaration(&self, most: u64) -> Result<Declaration, String> {
        let escaped = |text: &str| text.chars().take(40).collect::<String>().escape_debug().to_string();
        let bytes = self.slots.checked_mul(self.slot_size).filter(|bytes| *bytes <= most);
        if bytes.is_none() {
            return Err(format!(
                "its {} slots of {} bytes take more than max_segment, which is {most} bytes; raise max_segment",
                self.slots, self.slot_size
            ));
        }
        let layouts =
            Layout::parse(&self.schema).map_err(|error| format!("its layout cannot be used: {error}"))?;
        let Some(codec) = self.codec() else {
            return Err(format!(
                "this bridge does not know the format `{}` of its messages",
                escaped(&self.codec)
            ));
        };
        let fixed = |index: usize, fingerprint: u64| match layouts.get(index) {
            Some(layout) if layout.fingerprint() == fingerprint => Ok(layout.clone()),
            _ => Err("its layout does not have the fingerprint that its description states".to_owned()),
        };
        let content = match codec {
            MessageFormat::Fixed => Content::Fixed(fixed(0, self.fingerprint)?),
            MessageFormat::Tail => {
                let (header, item) = (fixed(0, self.fingerprint)?, fixed(1, self.fingerprint2)?);
                Content::Tail { header, item }
            }
            MessageFormat::Msgpack => Content::Msgpack,
            MessageFormat::Pickle => Content::Pickle,
            _ => Content::Bytes,
        };
        let size =
            if self.request_size == 0 { self.slot_size } else { self.slot_size.max(self.request_size) };
        let made = match self.pattern() {
            Some(Pattern::PubSub) => {
                Declaration::pub_sub(content).publishers(self.publishers).waits(self.waits)
            }
            Some(Pattern::PushPull) => Declaration::push_pull(content),
            Some(Pattern::ReqRep) => {
                let reply = match codec {
                    MessageFormat::Fixed => Content::Fixed(fixed(1, self.fingerprint2)?),
                    _ => content.clone(),
                };
                Declaration::req_rep(content, reply).redelivers(self.redelivers)
            }
            _ => return Err(format!("this bridge does not know the pattern `{}`", escaped(&self.pattern))),
        };
        Ok(made.slots(self.slots).slot_size(size).seats(self.seats))
    }
}

/// Head of a message: the attachment of a zenoh sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Number of the offer.
    pub incarnation: u64,
    /// Number of the segment.
    pub segment: u64,
    /// Number of the message in its segment. Positions without a message do not count.
    pub number: u64,
    /// Number of messages that this offer has left out on purpose before this one.
    pub skipped: u64,
    /// Time at which the exporter sent the message, in nanoseconds since 1970.
    pub stamp: u64,
    pub fingerprint: u64,
    pub fingerprint2: u64,
}

impl Head {
    /// Size of a head in bytes: the version, 4 bytes of zeros, and seven words, all in little endian.
    pub const SIZE: usize = 64;

    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        let mut out = [0; Self::SIZE];
        out[..4].copy_from_slice(&VERSION.to_le_bytes());
        let words = [
            self.incarnation,
            self.segment,
            self.number,
            self.skipped,
            self.stamp,
            self.fingerprint,
            self.fingerprint2,
        ];
        for (to, word) in out[8..].chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        out
    }

    /// Returns the head of the messages of an offer, with the number 0.
    pub fn of(facts: &Facts, incarnation: u64) -> Head {
        let Facts { segment, fingerprint, fingerprint2, .. } = *facts;
        Head { incarnation, segment, fingerprint, fingerprint2, ..Head::default() }
    }

    /// Returns `true` if the message belongs to this offer, and has its layout.
    pub fn is_of(&self, facts: &Facts, incarnation: u64) -> bool {
        let Head { segment, fingerprint, fingerprint2, .. } = Head::of(facts, incarnation);
        (self.incarnation, self.segment) == (incarnation, segment)
            && (self.fingerprint, self.fingerprint2) == (fingerprint, fingerprint2)
    }

    /// Parses the head of a message from the network; `None` if the bytes are none.
    pub fn parse(bytes: &[u8]) -> Option<Head> {
        let bytes: &[u8; Self::SIZE] = bytes.try_into().ok()?;
        let (version, rest) = bytes.split_first_chunk::<4>()?;
        let (zeros, rest) = rest.split_first_chunk::<4>()?;
        if u32::from_le_bytes(*version) != VERSION || *zeros != [0; 4] {
            return None;
        }
        let mut words =
            rest.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default()));
        let mut next = || words.next().unwrap_or_default();
        Some(Head {
            incarnation: next(),
            segment: next(),
            number: next(),
            skipped: next(),
            stamp: next(),
            fingerprint: next(),
            fingerprint2: next(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        let layout = r#"[{"size":4,"type":"<u4"}]"#;
        let fingerprint = Layout::parse(layout).unwrap()[0].fingerprint();
        Facts {
            version: VERSION,
            pattern: "pubsub".into(),
            codec: "fixed".into(),
            slots: 16,
            slot_size: 4,
            request_size: 0,
            seats: 8,
            publishers: 1,
            waits: false,
            redelivers: false,
            fingerprint,
            fingerprint2: 0,
            schema: layout.into(),
            segment: 5,
            reliable: true,
            route: Route::new(),
        }
    }

    #[test]
    fn heads_survive_and_other_bytes_are_refused() {
        let head = Head {
            incarnation: 1,
            segment: 2,
            number: 3,
            skipped: 4,
            stamp: 5,
            fingerprint: 6,
            fingerprint2: 7,
        };
        let bytes = head.to_bytes();
        assert_eq!(Head::parse(&bytes), Some(head));
        for len in 0..bytes.len() {
            assert_eq!(Head::parse(&bytes[..len]), None);
        }
        let mut other = bytes;
        other[0] = 2;
        assert_eq!(Head::parse(&other), None);
        other = bytes;
        other[5] = 1;
        assert_eq!(Head::parse(&other), None);
    }

    #[test]
    fn hostile_descriptions_are_refused_with_a_reason() {
        let most = 1 << 20;
        assert!(Facts::parse(&facts().to_bytes()).unwrap().declaration(most).is_ok());
        let refused = |change: fn(&mut Facts), reason: &str| {
            let mut one = facts();
            change(&mut one);
            let why =
                Facts::parse(&one.to_bytes()).and_then(|one| one.declaration(most)).map(|_| ()).unwrap_err();
            assert!(why.contains(reason), "{why}");
        };
        refused(|f| f.version = 9, "version 9");
        refused(|f| f.route = (0..65).map(|n| format!("{n:x}")).collect(), "passed 65 bridges");
        refused(|f| f.route = ["no id".to_owned()].into(), "valid ids");
        refused(|f| f.slots = u64::MAX, "max_segment");
        refused(|f| f.slot_size = 1 << 40, "max_segment");
        refused(|f| f.schema = "[".repeat(100_000), "layout");
        refused(|f| f.schema = "[]".into(), "fingerprint");
        refused(|f| f.fingerprint = 1, "fingerprint");
        refused(|f| f.codec = "\u{1b}x".into(), "\\u{1b}");
        refused(|f| f.pattern = "tree".into(), "tree");
        refused(|f| f.schema = "x".repeat(LONGEST), "bytes");
        for bytes in [&b""[..], b"{}", b"[1]", b"{\"version\":-1}", &[0xff; 64]] {
            assert!(Facts::parse(bytes).is_err());
        }
    }
}
