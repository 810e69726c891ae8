//! The pickle machine: bytes in, [`Arena`] out.
//!
//! Owns the input, the step for every opcode and the bounds. Calls `stack` for containers and
//! `call` for names. Iterates, never recurses; allocates in proportion to the number of values
//! pushed, which is checked before each push; reads each byte of the input at most once.

use super::arena::{Arena, EMPTY_TUPLE, FALSE, Id, Items, NONE, Node, Span, TRUE};
use super::op;
use super::stack::As;
use crate::codec::{DecodeError, DecodeErrorKind as Kind};
use crate::plural::count;

/// Limits on the resources that a message may use.
pub(super) struct Limits<'a> {
    /// Values put on the stack, those from the memo and those copied included.
    pub(super) pushes: usize,
    /// Bytes of one integer.
    pub(super) int_bytes: usize,
    /// `true` if a call to an unknown name is an opaque value, not an error.
    pub(super) opaque: bool,
    /// Classes, as `module.qualname`, whose calls are members of an `Enum`.
    pub(super) enums: &'a [String],
}

/// Maximum number of decimal digits of one integer of protocol 0, as Python's own limit.
const INT_DIGITS: usize = 4300;

pub(super) struct Machine<'de, 'o> {
    pub(super) limits: &'o Limits<'o>,
    pub(super) arena: Arena<'de>,
    /// Index of the next byte to read.
    pub(super) at: usize,
    /// Index of the current opcode, for messages.
    pub(super) start: usize,
    pub(super) stack: Vec<Id>,
    /// Heights of the stack at which a MARK stands.
    pub(super) marks: Vec<u32>,
    pub(super) memo: Vec<Id>,
    pub(super) pushes: usize,
}

pub(super) type Result<T> = std::result::Result<T, DecodeError>;

/// Reads a whole pickle. Returns its graph and the root node.
pub(super) fn read<'de>(input: &'de [u8], limits: &Limits<'_>) -> Result<(Arena<'de>, Id)> {
    if u32::try_from(input.len()).is_err() {
        return Err(DecodeError::new(
            Kind::Limit,
            format!("the message has {}, 4 GiB or more", count(input.len(), "byte")),
        ));
    }
    let machine = Machine {
        limits,
        arena: Arena::new(input),
        at: 0,
        start: 0,
        stack: Vec::with_capacity(64),
        marks: Vec::with_capacity(16),
        memo: Vec::with_capacity(32),
        pushes: 0,
    };
    machine.run()
}

impl<'de> Machine<'de, '_> {
    fn run(mut self) -> Result<(Arena<'de>, Id)> {
        loop {
            self.start = self.at;
            let opcode = self.byte().map_err(|_| {
                DecodeError::new(Kind::Truncated, "the pickle ends without a STOP: it is not whole")
                    .at(self.at)
            })?;
            if opcode == op::STOP {
                break;
            }
            self.step(opcode).map_err(|error| error.at(self.start))?;
        }
        let root = self.pop().map_err(|error| error.at(self.start))?;
        match self.arena.input.len() - self.at {
            0 => {
                self.arena.shrink();
                Ok((self.arena, root))
            }
            extra => {
                let reason = format!("{extra} after the end of the pickle", extra = count(extra, "byte"));
                Err(DecodeError::new(Kind::Trailing, reason).at(self.at))
            }
        }
    }

    #[inline]
    fn step(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            op::PROTO => match self.byte()? {
                0..=5 => Ok(()),
                other => Err(fault(Kind::Unsupported, format!("pickle protocol {other}: known are 0 to 5"))),
            },
            op::FRAME => {
                let len = self.size(8)?;
                if len > self.arena.input.len() - self.at { Err(self.short(len)) } else { Ok(()) }
            }
            op::MARK => {
                self.count(1)?;
                self.marks.push(self.stack.len() as u32);
                Ok(())
            }
            op::POP => match self.stack.len() == self.fence() && self.marks.pop().is_some() {
                true => Ok(()),
                false => self.pop().map(drop),
            },
            op::POP_MARK => {
                let mark = self.mark()?;
                self.stack.truncate(mark);
                Ok(())
            }
            op::DUP => {
                let top = self.top()?;
                self.push(top)
            }

            op::NONE => self.push(NONE),
            op::NEWTRUE => self.push(TRUE),
            op::NEWFALSE => self.push(FALSE),
            op::BININT1 => {
                let n = self.byte()?;
                self.node(Node::Int(n.into()))
            }
            op::BININT2 => {
                let n = u16::from_le_bytes(self.array()?);
                self.node(Node::Int(n.into()))
            }
            op::BININT => {
                let n = i32::from_le_bytes(self.array()?);
                self.node(Node::Int(n.into()))
            }
            op::LONG1 => self.long(1),
            op::LONG4 => self.long(4),
            op::INT | op::LONG => self.decimal(),
            op::BINFLOAT => {
                let x = f64::from_be_bytes(self.array()?);
                self.node(Node::Float(x))
            }
            op::FLOAT => {
                let line = self.line()?;
                let text = std::str::from_utf8(self.arena.bytes(line)).unwrap_or_default();
                let x =
                    text.trim().parse().map_err(|_| fault(Kind::Malformed, "a float that is no number"))?;
                self.node(Node::Float(x))
            }

            op::SHORT_BINUNICODE => self.blob(1, Node::Str),
            op::BINUNICODE => self.blob(4, Node::Str),
            op::BINUNICODE8 => self.blob(8, Node::Str),
            op::SHORT_BINBYTES => self.blob(1, Node::Bytes),
            op::BINBYTES => self.blob(4, Node::Bytes),
            op::BINBYTES8 => self.blob(8, Node::Bytes),
            op::BYTEARRAY8 => {
                self.blob(8, Node::Bytes)?;
                let bytes = self.pop()?;
                self.node(Node::ByteArray(bytes))
            }
            op::UNICODE => {
                let line = self.line()?;
                self.node(Node::Escaped(line))
            }

            op::EMPTY_LIST => self.node(Node::List(Items::EMPTY)),
            op::EMPTY_DICT => self.node(Node::Dict(Items::EMPTY)),
            op::EMPTY_SET => self.node(Node::Set(Items::EMPTY)),
            op::EMPTY_TUPLE => self.push(EMPTY_TUPLE),
            op::TUPLE1 => self.gather(self.above(1)?, Node::Tuple),
            op::TUPLE2 => self.gather(self.above(2)?, Node::Tuple),
            op::TUPLE3 => self.gather(self.above(3)?, Node::Tuple),
            op::TUPLE => {
                let mark = self.mark()?;
                self.gather(mark, Node::Tuple)
            }
            op::LIST => {
                let mark = self.mark()?;
                self.gather(mark, Node::List)
            }
            op::FROZENSET => {
                let mark = self.mark()?;
                self.gather(mark, Node::FrozenSet)
            }
            op::DICT => {
                let mark = self.mark()?;
                self.even(mark)?;
                self.gather(mark, Node::Dict)
            }
            op::APPEND => self.extend(self.above(1)?, As::Sequence),
            op::SETITEM => self.extend(self.above(2)?, As::DictAccess),
            op::APPENDS | op::SETITEMS | op::ADDITEMS => {
                let mark = self.mark()?;
                self.extend(
                    mark,
                    match opcode {
                        op::APPENDS => As::Sequence,
                        op::SETITEMS => As::DictAccess,
                        _ => As::Set,
                    },
                )
            }

            op::MEMOIZE => self.remember(self.memo.len()),
            op::BINPUT => {
                let index = self.byte()?;
                self.remember(index.into())
            }
            op::LONG_BINPUT => {
                let index = self.size(4)?;
                self.remember(index)
            }
            op::PUT => {
                let index = self.index()?;
                self.remember(index)
            }
            op::BINGET => {
                let index = self.byte()?;
                self.recall(index.into())
            }
            op::LONG_BINGET => {
                let index = self.size(4)?;
                self.recall(index)
            }
            op::GET => {
                let index = self.index()?;
                self.recall(index)
            }

            op::GLOBAL => {
                let module = self.line()?;
                let name = self.line()?;
                self.node(Node::Str(module))?;
                self.node(Node::Str(name))?;
                self.global()
            }
            op::STACK_GLOBAL => self.global(),
            op::REDUCE => self.reduce(),
            op::NEWOBJ => {
                let (args, class) = (self.pop()?, self.pop()?);
                self.instance(class, args)
            }
            op::NEWOBJ_EX => {
                let (keywords, args, class) = (self.pop()?, self.pop()?, self.pop()?);
                match self.arena.node(keywords) {
                    Node::Dict(Items { len: 0, .. }) => self.instance(class, args),
                    _ => self.call(class, args),
                }
            }
            op::BUILD => self.build(),

            op::PERSID | op::BINPERSID => Err(fault(
                Kind::Unsupported,
                "a persistent id stands for an object that is not in the message",
            )),
            op::EXT1 | op::EXT2 | op::EXT4 => Err(fault(
                Kind::Unsupported,
                "an extension code stands for a class that only its registry knows",
            )),
            op::NEXT_BUFFER | op::READONLY_BUFFER => Err(fault(
                Kind::Unsupported,
                "out-of-band buffers are not in the message: pickle without `buffer_callback`",
            )),
            op::STRING | op::BINSTRING | op::SHORT_BINSTRING | op::INST | op::OBJ => {
                Err(fault(Kind::Unsupported, "a text or instance that only Python 2 writes"))
            }
            other => Err(fault(Kind::Malformed, format!("0x{other:02x} is no pickle opcode"))),
        }
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        let byte = *self.arena.input.get(self.at).ok_or_else(|| self.short(1))?;
        self.at += 1;
        Ok(byte)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let rest = &self.arena.input[self.at..];
        let array = *rest.first_chunk().ok_or_else(|| self.short(N))?;
        self.at += N;
        Ok(array)
    }

    /// Reads a length or index of `width` bytes.
    pub(super) fn size(&mut self, width: usize) -> Result<usize> {
        Ok(match width {
            1 => self.byte()?.into(),
            4 => u32::from_le_bytes(self.array()?) as usize,
            _ => usize::try_from(u64::from_le_bytes(self.array()?)).unwrap_or(usize::MAX),
        })
    }

    pub(super) fn span(&mut self, len: usize) -> Result<Span> {
        if len > self.arena.input.len() - self.at {
            return Err(self.short(len));
        }
        let span = Span { at: self.at as u32, len: len as u32 };
        self.at += len;
        Ok(span)
    }

    pub(super) fn blob(&mut self, width: usize, node: fn(Span) -> Node) -> Result<()> {
        let len = self.size(width)?;
        let span = self.span(len)?;
        self.node(node(span))
    }

    /// Reads the rest of the line, without its end.
    pub(super) fn line(&mut self) -> Result<Span> {
        let rest = &self.arena.input[self.at..];
        let len = rest.iter().position(|&byte| byte == b'\n').ok_or_else(|| self.short(rest.len() + 1))?;
        let span = self.span(len)?;
        self.at += 1;
        Ok(span)
    }

    pub(super) fn index(&mut self) -> Result<usize> {
        let line = self.line()?;
        let text = std::str::from_utf8(self.arena.bytes(line)).unwrap_or_default();
        text.parse().map_err(|_| fault(Kind::Malformed, "a memo index that is no number"))
    }

    pub(super) fn long(&mut self, width: usize) -> Result<()> {
        let len = self.size(width)?;
        let span = self.span(len)?;
        if len > self.limits.int_bytes {
            let most = self.limits.int_bytes;
            return Err(fault(
                Kind::Limit,
                format!("an int of {len}; the most is {most} (`max_int_bytes`)", len = count(len, "byte")),
            ));
        }
        let bytes = self.arena.bytes(span);
        if len > 8 {
            return self.node(Node::Long(span));
        }
        let negative = bytes.last().is_some_and(|&top| top >= 0x80);
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        wide[..len].copy_from_slice(bytes);
        self.node(Node::Int(i64::from_le_bytes(wide)))
    }

    pub(super) fn decimal(&mut self) -> Result<()> {
        let mut line = self.line()?;
        let mut text = self.arena.bytes(line);
        match text {
            b"00" => return self.push(FALSE),
            b"01" => return self.push(TRUE),
            _ => {}
        }
        if let [digits @ .., b'L'] = text {
            (line.len, text) = (line.len - 1, digits);
        }
        let digits = text.strip_prefix(b"-").unwrap_or(text);
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(fault(Kind::Malformed, "an int that is no number"));
        }
        if digits.len() > INT_DIGITS {
            return Err(fault(
                Kind::Limit,
                format!("an int of {}; the most is {INT_DIGITS}", count(digits.len(), "digit")),
            ));
        }
        let small = std::str::from_utf8(text).unwrap_or_default().parse().ok();
        self.node(small.map_or(Node::Digits(line), Node::Int))
    }

    #[inline]
    pub(super) fn count(&mut self, pushes: usize) -> Result<()> {
        self.pushes += pushes;
        if self.pushes > self.limits.pushes {
            let most = self.limits.pushes;
            return Err(fault(
                Kind::Limit,
                format!("the message holds more than {most} (`max_memory`)", most = count(most, "value")),
            ));
        }
        Ok(())
    }

    #[inline]
    pub(super) fn push(&mut self, id: Id) -> Result<()> {
        self.count(1)?;
        self.stack.push(id);
        Ok(())
    }

    #[inline]
    pub(super) fn node(&mut self, node: Node) -> Result<()> {
        let id = self.arena.nodes.len() as Id;
        self.push(id)?;
        self.arena.nodes.push(node);
        Ok(())
    }

    pub(super) fn short(&self, needed: usize) -> DecodeError {
        let left = self.arena.input.len() - self.at.min(self.arena.input.len());
        fault(Kind::Truncated, format!("{needed} more bytes are needed, but {left} are left")).at(self.at)
    }
}

pub(super) fn fault(kind: Kind, reason: impl Into<String>) -> DecodeError {
    DecodeError::new(kind, reason)
}
