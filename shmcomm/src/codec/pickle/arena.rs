//! Content of a pickle, as a flat graph.
//!
//! Owns [`Arena`]: nodes of 16 bytes that refer to one another by number, and to text by its position in the
//! input. Shared and cyclic structures need no special care, and dropping the arena takes two calls to the
//! allocator. Calls nothing; `read` fills it, `de` walks it.

use std::borrow::Cow;

use super::globals::Known;
use crate::codec::{DecodeError, DecodeErrorKind};
use crate::escape::escape;

/// Index of a node in [`Arena::nodes`].
pub(super) type Id = u32;

/// Index that stands for no node.
pub(super) const NIL: Id = Id::MAX;

/// Indices of the nodes that every arena starts with.
pub(super) const NONE: Id = 0;
pub(super) const FALSE: Id = 1;
pub(super) const TRUE: Id = 2;
pub(super) const EMPTY_TUPLE: Id = 3;

#[derive(Clone, Copy, Debug)]
pub(super) enum Node {
    None,
    Bool(bool),
    Int(i64),
    /// Little-endian two's complement.
    Long(Span),
    /// A decimal number of protocol 0 that is longer than `i64`.
    Digits(Span),
    Float(f64),
    /// Two floats or ints.
    Complex(Id, Id),
    /// UTF-8, not yet checked.
    Str(Span),
    /// Text of protocol 0, with `\u` escapes.
    Escaped(Span),
    Bytes(Span),
    /// Bytes that protocols 0 to 2 write as text, one character for each.
    Latin1(Id),
    /// A `bytearray` with the bytes of a node.
    ByteArray(Id),
    /// Name of a class and name of its inner class or member.
    Joined(Id, Id),
    List(Items),
    Tuple(Items),
    Set(Items),
    FrozenSet(Items),
    /// Keys and values in turn.
    Dict(Items),
    /// A name, not the object that it names.
    Global {
        module: Id,
        name: Id,
        known: Known,
    },
    /// A dict or list of another class. `extra` is its other argument: the name of a factory, or the maximum
    /// number of items.
    Container {
        what: Known,
        content: Id,
        extra: Id,
    },
    /// A call to a known constructor, read as the value it makes. `state` is the class if the kind has
    /// several classes and takes no state.
    Call {
        what: Known,
        args: Id,
        state: Id,
    },
    /// An instance; `content` is the tuple of arguments, or the items of a list or dict subclass.
    Object {
        class: Id,
        content: Id,
        state: Id,
    },
    /// A call to anything else, with its state if it has one, otherwise with its items.
    Opaque {
        class: Id,
        args: Id,
        state: Id,
    },
}

const _: () = assert!(size_of::<Node>() == 16);

/// A part of the input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) at: u32,
    pub(super) len: u32,
}

/// A chain of cells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Items {
    head: u32,
    tail: u32,
    pub(super) len: u32,
}

impl Items {
    pub(super) const EMPTY: Self = Self { head: NIL, tail: NIL, len: 0 };
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    item: Id,
    next: u32,
}

pub(super) struct Arena<'de> {
    pub(super) input: &'de [u8],
    pub(super) nodes: Vec<Node>,
    pub(super) cells: Vec<Cell>,
}

impl<'de> Arena<'de> {
    /// Makes an arena. `input` is shorter than 4 GiB, and so there are fewer nodes and cells than [`NIL`].
    pub(super) fn new(input: &'de [u8]) -> Self {
        let guess = (input.len() / 4).clamp(8, 1 << 12).next_power_of_two();
        let mut nodes = Vec::with_capacity(guess);
        nodes.extend([Node::None, Node::Bool(false), Node::Bool(true), Node::Tuple(Items::EMPTY)]);
        Self { input, nodes, cells: Vec::with_capacity(guess) }
    }

    /// Returns surplus capacity to the allocator, if the amount is worth a call.
    pub(super) fn shrink(&mut self) {
        const WORTH: usize = 1024;
        if self.nodes.capacity() - self.nodes.len() > WORTH {
            self.nodes.shrink_to_fit();
        }
        if self.cells.capacity() - self.cells.len() > WORTH {
            self.cells.shrink_to_fit();
        }
    }

    #[inline]
    pub(super) fn node(&self, id: Id) -> Node {
        self.nodes[id as usize]
    }

    #[inline]
    pub(super) fn bytes(&self, span: Span) -> &'de [u8] {
        &self.input[span.at as usize..][..span.len as usize]
    }

    #[inline]
    pub(super) fn chain(&mut self, chain: &mut Items, items: &[Id]) {
        for &item in items {
            let cell = self.cells.len() as u32;
            self.cells.push(Cell { item, next: NIL });
            match self.cells.get_mut(chain.tail as usize) {
                Some(tail) if chain.len > 0 => tail.next = cell,
                _ => chain.head = cell,
            }
            chain.tail = cell;
            chain.len += 1;
        }
    }

    #[inline]
    pub(super) fn items(&self, items: Items) -> Chain<'_> {
        Chain { cells: &self.cells, next: items.head, left: items.len }
    }

    /// Returns the items of a tuple of exactly `N` items.
    pub(super) fn tuple<const N: usize>(&self, id: Id) -> Option<[Id; N]> {
        match self.node(id) {
            Node::Tuple(items) if items.len as usize == N => {
                let mut ids = [NIL; N];
                ids.iter_mut().zip(self.items(items)).for_each(|(place, item)| *place = item);
                Some(ids)
            }
            _ => None,
        }
    }

    /// Returns the text of a string node; `None` for other nodes.
    pub(super) fn text(&self, id: Id) -> Option<Result<Cow<'de, str>, DecodeError>> {
        match self.node(id) {
            Node::Str(span) => Some(self.utf8(span).map(Cow::Borrowed)),
            Node::Escaped(span) => Some(self.unescape(span).map(Cow::Owned)),
            Node::Joined(outer, inner) => self.joined(outer, inner),
            _ => None,
        }
    }

    /// Reads the name of a class within a class.
    #[cold]
    fn joined(&self, outer: Id, inner: Id) -> Option<Result<Cow<'de, str>, DecodeError>> {
        let (Node::Str(outer), Node::Str(inner)) = (self.node(outer), self.node(inner)) else { return None };
        let joined = self.utf8(outer).and_then(|outer| Ok(format!("{outer}.{}", self.utf8(inner)?)));
        Some(joined.map(Cow::Owned))
    }

    pub(super) fn utf8(&self, span: Span) -> Result<&'de str, DecodeError> {
        std::str::from_utf8(self.bytes(span))
            .map_err(|error| bad_utf8(self.bytes(span), span.at as usize, error))
    }

    /// Decodes a text in which `\uXXXX` and `\UXXXXXXXX` are escapes; all other bytes are U+0000 to U+00FF.
    fn unescape(&self, span: Span) -> Result<String, DecodeError> {
        let bytes = self.bytes(span);
        let mut text = String::with_capacity(bytes.len());
        let mut at = 0;
        while at < bytes.len() {
            let digits = match bytes[at..] {
                [b'\\', b'u', ..] => 4,
                [b'\\', b'U', ..] => 8,
                [byte, ..] => {
                    text.push(char::from(byte));
                    at += 1;
                    continue;
                }
                [] => break,
            };
            let code = bytes.get(at + 2..at + 2 + digits).and_then(|hex| {
                hex.iter().try_fold(0u32, |code, &digit| Some((code << 4) | char::from(digit).to_digit(16)?))
            });
            match code.map(char::from_u32) {
                Some(Some(c)) => text.push(c),
                Some(None) => return Err(surrogate(span.at as usize + at)),
                None => {
                    return Err(DecodeError::new(
                        DecodeErrorKind::Malformed,
                        "a `\\u` escape without its digits",
                    )
                    .at(span.at as usize + at));
                }
            }
            at += 2 + digits;
        }
        Ok(text)
    }

    /// Returns the bytes of a bytes node; `None` for other nodes.
    pub(super) fn blob(&self, id: Id) -> Option<Result<Cow<'de, [u8]>, DecodeError>> {
        match self.node(id) {
            Node::Bytes(span) => Some(Ok(Cow::Borrowed(self.bytes(span)))),
            Node::Latin1(source) => Some(self.text(source)?.and_then(|text| latin1(&text).map(Cow::Owned))),
            Node::ByteArray(bytes) => self.byte_array(bytes),
            _ => None,
        }
    }

    /// Returns the number of bytes that [`text`](Self::text) or [`blob`](Self::blob) would read for this
    /// node.
    pub(super) fn blob_len(&self, id: Id) -> usize {
        match self.node(id) {
            Node::Str(span)
            | Node::Escaped(span)
            | Node::Bytes(span)
            | Node::Long(span)
            | Node::Digits(span) => span.len as usize,
            Node::Latin1(_) | Node::ByteArray(_) | Node::Joined(..) => self.indirect_len(id),
            _ => 0,
        }
    }

    /// Reads the bytes of a `bytearray`.
    #[inline(never)]
    fn byte_array(&self, bytes: Id) -> Option<Result<Cow<'de, [u8]>, DecodeError>> {
        match self.node(bytes) {
            Node::Bytes(_) | Node::Latin1(_) => self.blob(bytes),
            _ => None,
        }
    }

    /// Returns the bytes that a node refers to.
    #[inline(never)]
    fn indirect_len(&self, id: Id) -> usize {
        match self.node(id) {
            Node::Latin1(source) => self.span_len(source),
            Node::ByteArray(source) => match self.node(source) {
                Node::Latin1(source) => self.span_len(source),
                _ => self.span_len(source),
            },
            Node::Joined(outer, inner) => self.span_len(outer) + self.span_len(inner),
            _ => 0,
        }
    }

    fn span_len(&self, id: Id) -> usize {
        match self.node(id) {
            Node::Str(span) | Node::Escaped(span) | Node::Bytes(span) => span.len as usize,
            _ => 0,
        }
    }

    /// Returns `module.name` of a global, for messages.
    pub(super) fn global_name(&self, id: Id) -> String {
        match self.node(id) {
            Node::Global { module, name, .. } => format!("{}.{}", self.lossy(module), self.lossy(name)),
            _ => "something that is not a global".to_owned(),
        }
    }

    /// Returns a text for messages, shortened.
    pub(super) fn lossy(&self, id: Id) -> String {
        const LONG: usize = 80;
        match self.node(id) {
            Node::Str(span) | Node::Escaped(span) => {
                let bytes = self.bytes(span);
                escape(String::from_utf8_lossy(&bytes[..bytes.len().min(LONG)]))
            }
            Node::Joined(outer, inner) => match (self.node(outer), self.node(inner)) {
                (Node::Str(_), Node::Str(_)) => format!("{}.{}", self.lossy(outer), self.lossy(inner)),
                _ => "?".to_owned(),
            },
            _ => "?".to_owned(),
        }
    }

    /// Returns Python's name for the kind of node.
    pub(super) fn kind(&self, id: Id) -> &'static str {
        match self.node(id) {
            Node::None => "None",
            Node::Bool(_) => "bool",
            Node::Int(_) | Node::Long(_) | Node::Digits(_) => "int",
            Node::Float(_) => "float",
            Node::Complex(..) => "complex",
            Node::Str(_) | Node::Escaped(_) | Node::Joined(..) => "str",
            Node::ByteArray(_) => "bytearray",
            Node::Container { what: Known::Deque, .. } => "deque",
            Node::Container { .. } => "dict",
            Node::Call { what, .. } if what.is_leaf() => match what {
                Known::DateTime => "datetime",
                Known::Date => "date",
                Known::Time => "time",
                Known::TimeDelta => "timedelta",
                Known::Decimal => "Decimal",
                Known::Fraction => "Fraction",
                Known::Uuid => "UUID",
                Known::Path => "path",
                Known::Ip => "IP address",
                Known::Timestamp => "msgpack.Timestamp",
                _ => "timezone",
            },
            Node::Call { what: Known::Range, .. } => "range",
            Node::Call { what: Known::Slice, .. } => "slice",
            Node::Call { what: Known::Enum, .. } => "enum member",
            Node::Call { what: Known::TypedArray | Known::ArrayReconstructor, .. } => "array.array",
            Node::Bytes(_) | Node::Latin1(_) => "bytes",
            Node::List(_) => "list",
            Node::Tuple(_) => "tuple",
            Node::Set(_) => "set",
            Node::FrozenSet(_) => "frozenset",
            Node::Dict(_) => "dict",
            Node::Global { .. } => "a class or function",
            Node::Call { what: Known::Scalar, .. } => "a numpy scalar",
            Node::Call { what: Known::Dtype, .. } => "a numpy dtype",
            Node::Call { .. } => "numpy.ndarray",
            Node::Object { .. } => "an instance",
            Node::Opaque { .. } => "an opaque object",
        }
    }
}

pub(super) struct Chain<'a> {
    cells: &'a [Cell],
    next: u32,
    left: u32,
}

impl Iterator for Chain<'_> {
    type Item = Id;

    #[inline]
    fn next(&mut self) -> Option<Id> {
        if self.left == 0 {
            return None;
        }
        let cell = self.cells[self.next as usize];
        self.left -= 1;
        self.next = cell.next;
        Some(cell.item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

fn latin1(text: &str) -> Result<Vec<u8>, DecodeError> {
    let mut bytes = Vec::with_capacity(text.chars().count());
    for c in text.chars() {
        bytes.push(u8::try_from(c).map_err(|_| {
            DecodeError::new(
                DecodeErrorKind::Malformed,
                "bytes written as text hold a character above U+00FF",
            )
        })?);
    }
    Ok(bytes)
}

fn bad_utf8(bytes: &[u8], at: usize, error: std::str::Utf8Error) -> DecodeError {
    let bad = error.valid_up_to();
    match bytes[bad..] {
        // Python writes U+D800 to U+DFFF in this form.
        [0xed, 0xa0..=0xbf, ..] => surrogate(at + bad),
        _ => DecodeError::new(DecodeErrorKind::Malformed, "a str is not UTF-8").at(at + bad),
    }
}

fn surrogate(at: usize) -> DecodeError {
    DecodeError::new(
        DecodeErrorKind::Unsupported,
        "a str holds a lone surrogate, which no Rust text can hold: send bytes",
    )
    .at(at)
}
