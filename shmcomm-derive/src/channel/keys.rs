//! The patterns and the keys of a channel: one table each.

/// A pattern, with what its expansion needs.
pub struct Pattern {
    pub word: &'static str,
    /// As its author would write it.
    pub shape: &'static str,
    /// How many types of messages.
    pub messages: usize,
    /// Whether the second type may be a tail of items.
    pub tail: bool,
    /// For the documentation.
    pub title: &'static str,
    /// Constructors: name, type, documentation.
    pub ends: &'static [(&'static str, &'static str, &'static str)],
}

pub const PATTERNS: [Pattern; 3] = [
    Pattern {
        word: "PubSub",
        shape: "PubSub<Message>",
        messages: 1,
        tail: true,
        title: "Publish/subscribe",
        ends: &[
            ("publisher", "Publisher", "Opens the sending end."),
            ("subscriber", "Subscriber", "Opens a receiving end."),
        ],
    },
    Pattern {
        word: "PushPull",
        shape: "PushPull<Message>",
        messages: 1,
        tail: false,
        title: "Push/pull",
        ends: &[("pusher", "Pusher", "Opens a sending end."), ("puller", "Puller", "Opens a receiving end.")],
    },
    Pattern {
        word: "ReqRep",
        shape: "ReqRep<Request, Reply>",
        messages: 2,
        tail: false,
        title: "Request/reply",
        ends: &[],
    },
];

/// Formats that need no import.
pub const FORMATS: [&str; 4] = ["Fixed", "Msgpack", "Pickle", "Bytes"];

pub struct Key {
    pub word: &'static str,
    pub of: Of,
}

/// Which channels take a key.
pub enum Of {
    All,
    Tails,
    Pattern(&'static str),
}

pub const KEYS: [Key; 6] = [
    Key { word: "name", of: Of::All },
    Key { word: "slots", of: Of::All },
    Key { word: "slot_size", of: Of::All },
    Key { word: "max_len", of: Of::Tails },
    Key { word: "seats", of: Of::All },
    Key { word: "redeliver", of: Of::Pattern("ReqRep") },
];

impl Key {
    pub fn fits(&self, pattern: &Pattern, tail: bool) -> bool {
        match self.of {
            Of::All => true,
            Of::Tails => tail,
            Of::Pattern(word) => word == pattern.word,
        }
    }

    /// What takes it.
    pub fn whose(&self) -> &'static str {
        match self.of {
            Of::All => "every channel",
            Of::Tails => "PubSub<Header, [Item]>",
            Of::Pattern(word) => PATTERNS.iter().find(|p| p.word == word).map_or("", |p| p.shape),
        }
    }
}
