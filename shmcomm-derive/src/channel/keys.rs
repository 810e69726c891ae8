//! Tables of the patterns and of the keys of a channel.

/// A pattern, with the data that its expansion needs.
pub struct Pattern {
    pub word: &'static str,
    /// Spelling that an author would use.
    pub shape: &'static str,
    /// Number of message types.
    pub messages: usize,
    /// `true` if the second type may be a tail of items.
    pub tail: bool,
    /// Title for the documentation.
    pub title: &'static str,
    /// Values for Python: the constructor of `Options`, the number of slots, and the slot size in bytes.
    pub python: (&'static str, usize, usize),
    pub ends: &'static [End],
}

/// One side of a channel.
pub struct End {
    pub constructor: &'static str,
    pub ty: &'static str,
    /// Index of the message type that this end receives.
    pub receives: Option<usize>,
    pub doc: &'static str,
}

const fn end(constructor: &'static str, ty: &'static str, receives: Option<usize>, doc: &'static str) -> End {
    End { constructor, ty, receives, doc }
}

pub const PATTERNS: [Pattern; 4] = [
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
    Pattern {
        word: TABLE,
        shape: "Table",
        messages: 0,
        tail: false,
        title: "Table",
        // Python has no tables, and the ends of a table are made in `table`.
        python: ("", 0, 0),
        ends: &[],
    },
];

/// The pattern whose keys stand between the settings.
pub const TABLE: &str = "Table";

/// The key whose value is a size with a unit: `1 MiB`.
pub const GROW: &str = "grow";

/// The key that decides whether messages are in place.
pub const IN_PLACE: &str = "in_place";

/// Units of a size, and their bytes.
pub const UNITS: [(&str, u64); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// Formats that need no import.
pub const FORMATS: [&str; 4] = ["Fixed", "Msgpack", "Pickle", "Bytes"];

/// Kind of the other end of a channel.
#[derive(Clone, Copy, PartialEq)]
pub enum Wire {
    Native,
    /// The library `shm-comm` on PyPI.
    Python,
}

/// Wires by the word that selects them.
pub const WIRES: [(&str, Wire); 2] = [("Native", Wire::Native), ("Python", Wire::Python)];

/// Behaviour of a publisher at a slot that was not read: the variants of `shmcomm::Overflow`.
pub const OVERFLOWS: [&str; 2] = ["Overwrite", "Wait"];

/// Numbers of replies to a request.
pub const REPLIES: [&str; 2] = ["One", "Stream"];

pub struct Key {
    pub word: &'static str,
    /// Value that an author could write.
    pub example: &'static str,
    pub of: Of,
}

/// Channels that take a key.
pub enum Of {
    All,
    Native,
    Tails,
    Pattern(&'static str),
    Either(&'static str, &'static str),
}

pub const KEYS: [Key; 16] = [
    Key { word: "name", example: "\"robot/imu\"", of: Of::All },
    Key { word: "slots", example: "64", of: Of::All },
    Key { word: "slot_size", example: "4096", of: Of::All },
    Key { word: GROW, example: "1 MiB", of: Of::Either("PubSub", "PushPull") },
    Key { word: IN_PLACE, example: "true", of: Of::Pattern("PubSub") },
    Key { word: "max_len", example: "4096", of: Of::Tails },
    Key { word: "seats", example: "128", of: Of::Native },
    Key { word: "group", example: "\"robots\"", of: Of::Native },
    Key { word: "publishers", example: "2", of: Of::Pattern("PubSub") },
    Key { word: "wire", example: "Python", of: Of::All },
    Key { word: "overflow", example: "Wait", of: Of::Pattern("PubSub") },
    Key { word: "patience", example: "2s", of: Of::Pattern("PubSub") },
    Key { word: "expect_every", example: "10ms", of: Of::Pattern("PubSub") },
    Key { word: "redeliver", example: "true", of: Of::Pattern("ReqRep") },
    Key { word: "replies", example: "Stream", of: Of::Pattern("ReqRep") },
    Key { word: "window", example: "16", of: Of::Pattern("ReqRep") },
];

impl Key {
    pub fn fits(&self, pattern: &Pattern, tail: bool, wire: Wire) -> bool {
        match self.of {
            Of::All => true,
            Of::Native => wire == Wire::Native,
            Of::Tails => wire == Wire::Native && tail,
            Of::Pattern(word) => wire == Wire::Native && word == pattern.word,
            Of::Either(one, other) => wire == Wire::Native && [one, other].contains(&pattern.word),
        }
    }

    /// Returns the channels that take the key, in words.
    pub fn whose(&self) -> String {
        let shape = |word| PATTERNS.iter().find(|p| p.word == word).map_or("", |p| p.shape);
        match self.of {
            Of::All => "every channel".into(),
            Of::Native => "channels without `wire: Python`".into(),
            Of::Tails => "`PubSub<Header, [Item]>`".into(),
            Of::Pattern(word) => format!("`{}`", shape(word)),
            Of::Either(one, other) => format!("`{}` and `{}`", shape(one), shape(other)),
        }
    }
}
