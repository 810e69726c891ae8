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
    /// With Python: its constructor of `Options`, its slots and their size.
    pub python: (&'static str, usize, usize),
    pub ends: &'static [End],
}

/// One side of a channel.
pub struct End {
    pub constructor: &'static str,
    pub ty: &'static str,
    /// Which of the messages it receives.
    pub receives: Option<usize>,
    pub doc: &'static str,
}

const fn end(constructor: &'static str, ty: &'static str, receives: Option<usize>, doc: &'static str) -> End {
    End { constructor, ty, receives, doc }
}

pub const PATTERNS: [Pattern; 3] = [
    Pattern {
        word: "PubSub",
        shape: "PubSub<Message>",
        messages: 1,
        tail: true,
        title: "Publish/subscribe",
        python: ("pubsub", 64, 4096),
        ends: &[
            end("publisher", "Publisher", None, "Opens the sending end."),
            end("subscriber", "Subscriber", Some(0), "Opens a receiving end."),
        ],
    },
    Pattern {
        word: "PushPull",
        shape: "PushPull<Message>",
        messages: 1,
        tail: false,
        title: "Push/pull",
        python: ("pushpull", 128, 4096),
        ends: &[
            end("pusher", "Pusher", None, "Opens a sending end."),
            end("puller", "Puller", Some(0), "Opens a receiving end."),
        ],
    },
    Pattern {
        word: "ReqRep",
        shape: "ReqRep<Request, Reply>",
        messages: 2,
        tail: false,
        title: "Request/reply",
        python: ("reqrep", 16, 8192),
        ends: &[
            end("requester", "Requester", Some(1), "Opens an asking end."),
            end("replier", "Replier", Some(0), "Opens an answering end."),
        ],
    },
];

/// Formats that need no import.
pub const FORMATS: [&str; 4] = ["Fixed", "Msgpack", "Pickle", "Bytes"];

/// What the other end of a channel may be.
#[derive(Clone, Copy, PartialEq)]
pub enum Wire {
    Native,
    /// PyPI's `shm-comm`.
    Python,
}

/// By their words.
pub const WIRES: [(&str, Wire); 2] = [("Native", Wire::Native), ("Python", Wire::Python)];

/// What a publisher does at a slot that was not read: the variants of `shmcomm::Overflow`.
pub const OVERFLOWS: [&str; 2] = ["Overwrite", "Wait"];

pub struct Key {
    pub word: &'static str,
    pub of: Of,
}

/// Which channels take a key.
pub enum Of {
    All,
    Native,
    Tails,
    Pattern(&'static str),
}

pub const KEYS: [Key; 11] = [
    Key { word: "name", of: Of::All },
    Key { word: "slots", of: Of::All },
    Key { word: "slot_size", of: Of::All },
    Key { word: "max_len", of: Of::Tails },
    Key { word: "seats", of: Of::Native },
    Key { word: "publishers", of: Of::Pattern("PubSub") },
    Key { word: "wire", of: Of::All },
    Key { word: "overflow", of: Of::Pattern("PubSub") },
    Key { word: "patience", of: Of::Pattern("PubSub") },
    Key { word: "expect_every", of: Of::Pattern("PubSub") },
    Key { word: "redeliver", of: Of::Pattern("ReqRep") },
];

impl Key {
    pub fn fits(&self, pattern: &Pattern, tail: bool, wire: Wire) -> bool {
        match self.of {
            Of::All => true,
            Of::Native => wire == Wire::Native,
            Of::Tails => wire == Wire::Native && tail,
            Of::Pattern(word) => wire == Wire::Native && word == pattern.word,
        }
    }

    /// What takes it.
    pub fn whose(&self) -> String {
        let shape = |word| PATTERNS.iter().find(|p| p.word == word).map_or("", |p| p.shape);
        match self.of {
            Of::All => "every channel".into(),
            Of::Native => "channels without `wire: Python`".into(),
            Of::Tails => "`PubSub<Header, [Item]>`".into(),
            Of::Pattern(word) => format!("`{}`", shape(word)),
        }
    }
}
