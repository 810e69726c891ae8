//! Use of names in a pickle: instances, calls, states.
//!
//! Owns the decision which value each call to a known name stands for. Calls `globals` to look names up;
//! never calls a function of Python.

use super::arena::{EMPTY_TUPLE, Id, Items, NIL, NONE, Node, Span};
use super::globals::{Known, look_up};
use super::read::{Machine, Result, fault};
use crate::codec::{DecodeError, DecodeErrorKind as Kind};

impl Machine<'_, '_> {
    pub(super) fn global(&mut self) -> Result<()> {
        let (name, module) = (self.pop()?, self.pop()?);
        let (Node::Str(m), Node::Str(n)) = (self.arena.node(module), self.arena.node(name)) else {
            return Err(fault(Kind::Malformed, "the name of a class or function is not a str"));
        };
        let known = look_up(self.arena.bytes(m), self.arena.bytes(n));
        let known = self.listed(known, module, name);
        self.node(Node::Global { module, name, known })
    }

    /// Returns `Known::Enum` for an unknown name that the receiver listed as an `Enum`; otherwise `known`.
    fn listed(&self, known: Known, module: Id, name: Id) -> Known {
        if known != Known::Other || self.limits.enums.is_empty() {
            return known;
        }
        let texts = (self.arena.text(module), self.arena.text(name));
        let (Some(Ok(module)), Some(Ok(name))) = texts else { return known };
        let full = |listed: &String| {
            listed.strip_prefix(&*module).and_then(|rest| rest.strip_prefix('.')) == Some(&*name)
        };
        if self.limits.enums.iter().any(full) { Known::Enum } else { known }
    }

    /// Handles `getattr(class, name)`: a class within a class, or the function that unpickles a `ZoneInfo`.
    fn attribute(&mut self, class: Id, args: Id) -> Result<()> {
        let Some([of, attribute]) = self.arena.tuple(args) else { return self.unknown(class, args) };
        let (Node::Global { module, name, known }, Node::Str(text)) =
            (self.arena.node(of), self.arena.node(attribute))
        else {
            return self.unknown(class, args);
        };
        if known == Known::ZoneInfo && self.arena.bytes(text) == b"_unpickle" {
            return self.node(Node::Global { module, name, known: Known::ZoneUnpickle });
        }
        if known != Known::Other || !matches!(self.arena.node(name), Node::Str(_)) {
            return self.unknown(class, args);
        }
        self.count(1)?;
        let joined = self.arena.nodes.len() as Id;
        self.arena.nodes.push(Node::Joined(name, attribute));
        let known = self.listed(Known::Other, module, joined);
        self.node(Node::Global { module, name: joined, known })
    }

    /// Handles a call to an unknown name, or an unknown call to a known name.
    fn unknown(&mut self, class: Id, args: Id) -> Result<()> {
        match self.limits.opaque {
            true => self.node(Node::Opaque { class, args, state: NIL }),
            false => Err(uncallable(&self.arena.global_name(class))),
        }
    }

    /// Handles a call that makes a value with a text, if it is a call that Python writes.
    fn leaf(&mut self, what: Known, class: Id, args: Id, all: Items) -> Result<()> {
        // Many calls may share the text that is read here and later.
        let cost = |len: usize| match what {
            // Decimal digits take time that grows with the square of their number.
            Known::Fraction => len / 64 + (len / 128).pow(2),
            _ => len / 64,
        };
        let texts: usize = self.arena.items(all).map(|item| cost(self.arena.blob_len(item))).sum();
        self.count(texts + all.len as usize)?;
        let state = if matches!(what, Known::Path | Known::Ip) { class } else { NIL };
        self.node(Node::Call { what, args, state })?;
        match self.arena.leaf(self.top()?) {
            Some(Ok(_)) => Ok(()),
            _ => {
                self.pop()?;
                self.unknown(class, args)
            }
        }
    }

    /// Handles a call that makes a dict or deque of `collections`.
    fn container(&mut self, what: Known, class: Id, args: Id, all: Items) -> Result<()> {
        let ids: Vec<Id> = self.arena.items(all).take(3).collect();
        let (items, extra) = match (what, ids.as_slice()) {
            (_, []) => (None, NONE),
            (Known::OrderedDict | Known::Counter, &[items]) => (Some(items), NONE),
            (Known::DefaultDict, &[factory]) => (None, factory),
            (Known::DefaultDict, &[factory, items]) => (Some(items), factory),
            (Known::Deque, &[items]) => (Some(items), NONE),
            (Known::Deque, &[items, most]) => (Some(items), most),
            _ => return self.unknown(class, args),
        };
        let extra = match (what, self.arena.node(extra)) {
            (_, Node::None) => NONE,
            (Known::Deque, Node::Int(0..)) => extra,
            (Known::DefaultDict, Node::Global { name, .. }) => match self.arena.factory(extra) {
                Some(_) => name,
                // Only the factory is lost; the values that it made are kept.
                None => NIL,
            },
            _ => return self.unknown(class, args),
        };
        let fresh: fn(Items) -> Node = if what == Known::Deque { Node::List } else { Node::Dict };
        match (what, items.map(|items| self.arena.node(items))) {
            (_, None) => self.node(fresh(Items::EMPTY))?,
            (Known::Deque, Some(Node::Tuple(items) | Node::List(items))) => self.copy(items, fresh)?,
            (Known::OrderedDict | Known::Counter | Known::DefaultDict, Some(Node::Dict(items))) => {
                self.copy(items, fresh)?;
            }
            _ => return self.unknown(class, args),
        }
        if extra == NIL {
            return Ok(());
        }
        let content = self.pop()?;
        self.node(Node::Container { what, content, extra })
    }

    /// Makes a new instance of a class, without a call of `__init__`.
    pub(super) fn instance(&mut self, class: Id, args: Id) -> Result<()> {
        match (self.arena.node(class), self.arena.node(args)) {
            (Node::Global { known: Known::Other, .. }, Node::Tuple(_)) => {
                self.node(Node::Object { class, content: args, state: NIL })
            }
            // Both kinds get their content from a state.
            (
                Node::Global { known: known @ (Known::Uuid | Known::Timestamp), .. },
                Node::Tuple(Items { len: 0, .. }),
            ) => self.node(Node::Call { what: known, args, state: NIL }),
            (Node::Global { .. }, Node::Tuple(_)) => self.call(class, args),
            _ => Err(fault(Kind::Malformed, "an instance without a class or without a tuple of arguments")),
        }
    }

    pub(super) fn reduce(&mut self) -> Result<()> {
        let (args, class) = (self.pop()?, self.pop()?);
        self.call(class, args)
    }

    pub(super) fn call(&mut self, class: Id, args: Id) -> Result<()> {
        let (Node::Global { known, .. }, Node::Tuple(all)) = (self.arena.node(class), self.arena.node(args))
        else {
            return Err(fault(Kind::Malformed, "a call without a name or without a tuple of arguments"));
        };
        let one = self.arena.tuple::<1>(args).map(|[arg]| (arg, self.arena.node(arg)));
        match (known, all.len, one) {
            (Known::NdArray | Known::Dtype | Known::Reconstruct | Known::Scalar | Known::FromBuffer, ..) => {
                self.node(Node::Call { what: known, args, state: NIL })
            }
            (Known::Encode, ..) => match self.arena.tuple(args) {
                Some([text, _]) if matches!(self.arena.node(text), Node::Str(_) | Node::Escaped(_)) => {
                    self.node(Node::Latin1(text))
                }
                _ => Err(self.odd(class)),
            },
            (Known::Bytes, 0, _) => self.node(Node::Bytes(Span { at: 0, len: 0 })),
            (Known::Bytes, 1, Some((bytes, Node::Bytes(_) | Node::Latin1(_)))) => self.push(bytes),
            (Known::ByteArray, 0, _) => {
                self.node(Node::Bytes(Span { at: 0, len: 0 }))?;
                let bytes = self.pop()?;
                self.node(Node::ByteArray(bytes))
            }
            (Known::ByteArray, 1, Some((bytes, Node::Bytes(_) | Node::Latin1(_)))) => {
                self.node(Node::ByteArray(bytes))
            }
            (Known::Set, 0, _) => self.node(Node::Set(Items::EMPTY)),
            (Known::FrozenSet, 0, _) => self.node(Node::FrozenSet(Items::EMPTY)),
            (Known::Set, 1, Some((_, Node::List(items)))) => self.copy(items, Node::Set),
            (Known::FrozenSet, 1, Some((_, Node::List(items)))) => self.copy(items, Node::FrozenSet),
            (Known::Complex, 2, _) => match self.arena.tuple(args) {
                Some([re, im])
                    if [re, im]
                        .iter()
                        .all(|&x| matches!(self.arena.node(x), Node::Float(_) | Node::Int(_))) =>
                {
                    self.node(Node::Complex(re, im))
                }
                _ => Err(self.odd(class)),
            },
            (Known::OrderedDict | Known::Counter | Known::DefaultDict | Known::Deque, ..) => {
                self.container(known, class, args, all)
            }
            (Known::Range, 3, _) if self.arena.is_range(all) => {
                self.node(Node::Call { what: known, args, state: NIL })
            }
            (Known::Slice, 3, _) => self.node(Node::Call { what: known, args, state: NIL }),
            (Known::Enum, 1, _) => self.node(Node::Call { what: known, args, state: class }),
            (Known::TypedArray, 2, _) | (Known::ArrayReconstructor, 4, _) => {
                match self.arena.typecode(known, args) {
                    Some(_) => self.node(Node::Call { what: known, args, state: NIL }),
                    None => self.unknown(class, args),
                }
            }
            (Known::GetAttr, ..) => self.attribute(class, args),
            (known, ..) if known.is_leaf() => self.leaf(known, class, args, all),
            (Known::Reconstructor, 3, _) => match self.arena.tuple(args) {
                Some([made, _, state])
                    if matches!(self.arena.node(made), Node::Global { known: Known::Other, .. }) =>
                {
                    let content = self.reconstructed(made, state)?;
                    self.node(Node::Object { class: made, content, state: NIL })
                }
                _ => Err(self.odd(class)),
            },
            (
                Known::Other
                | Known::Builtin
                | Known::Range
                | Known::Slice
                | Known::Enum
                | Known::TypedArray
                | Known::ArrayReconstructor,
                ..,
            ) => self.unknown(class, args),
            _ => Err(self.odd(class)),
        }
    }

    /// Returns the content with which `_reconstructor(class, base, state)` fills an instance.
    pub(super) fn reconstructed(&mut self, class: Id, state: Id) -> Result<Id> {
        match self.arena.node(state) {
            Node::None => Ok(EMPTY_TUPLE),
            Node::List(_) | Node::Dict(_) => Ok(state),
            Node::Tuple(_) => Ok(state),
            _ => {
                let class = self.arena.global_name(class);
                Err(fault(
                    Kind::Unsupported,
                    format!("an instance of `{class}`, made from a {}", self.arena.kind(state)),
                ))
            }
        }
    }

    /// Copies the items of a container into another one. They do not share cells, because both may grow.
    pub(super) fn copy(&mut self, items: Items, node: fn(Items) -> Node) -> Result<()> {
        self.count(items.len as usize)?;
        let ids: Vec<Id> = self.arena.items(items).collect();
        let mut fresh = Items::EMPTY;
        self.arena.chain(&mut fresh, &ids);
        self.node(node(fresh))
    }

    pub(super) fn build(&mut self) -> Result<()> {
        let given = self.pop()?;
        let target = self.top()?;
        match &mut self.arena.nodes[target as usize] {
            Node::Call {
                what: Known::Reconstruct | Known::Dtype | Known::NdArray | Known::Uuid | Known::Timestamp,
                state,
                ..
            } if *state == NIL => *state = given,
            Node::Object { content, state, .. } if *state == NIL => {
                let content = *content;
                *state = given;
                if matches!(self.arena.node(content), Node::List(_) | Node::Dict(_) | Node::Set(_)) {
                    return Err(fault(Kind::Unsupported, "an instance with both items and fields"));
                }
            }
            Node::Opaque { state, .. } => *state = given,
            _ => {
                let kind = self.arena.kind(target);
                return Err(fault(
                    Kind::Unsupported,
                    format!("{kind} is given a state, which it has no place for"),
                ));
            }
        }
        Ok(())
    }

    pub(super) fn odd(&self, class: Id) -> DecodeError {
        let name = self.arena.global_name(class);
        fault(
            Kind::Unsupported,
            format!("`{name}` is called in a way that Python does not write for plain data"),
        )
    }
}

/// Makes the error for a name that would have to be called.
pub(super) fn uncallable(name: &str) -> DecodeError {
    let reason = format!(
        "the message requests a call of `{name}`, and shmcomm never calls what a message names: \
         send plain data, list it in `enums` if it is an `Enum`, or set `opaque` (`DecodeOptions`, \
         `python::Options`)"
    );
    fault(Kind::Unsupported, reason)
}
