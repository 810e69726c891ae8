//! Names and what is done with them in a pickle: instances, calls, states.
//!
//! Owns the decision what each call to a known name stands for. Calls `globals` to look names up;
//! never a function of Python.

use super::arena::{EMPTY_TUPLE, Id, Items, NIL, Node, Span};
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
        self.node(Node::Global { module, name, known })
    }

    /// A new instance of a class, `__init__` not called.
    pub(super) fn instance(&mut self, class: Id, args: Id) -> Result<()> {
        match (self.arena.node(class), self.arena.node(args)) {
            (Node::Global { known: Known::Other, .. }, Node::Tuple(_)) => {
                self.node(Node::Object { class, content: args, state: NIL })
            }
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
            (Known::Bytes | Known::ByteArray, 0, _) => self.node(Node::Bytes(Span { at: 0, len: 0 })),
            (Known::Bytes | Known::ByteArray, 1, Some((bytes, Node::Bytes(_) | Node::Latin1(_)))) => {
                self.push(bytes)
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
            (Known::OrderedDict, 0, _) | (Known::DefaultDict, 0 | 1, _) => {
                self.node(Node::Dict(Items::EMPTY))
            }
            (Known::Deque, 0..=2, _) => self.node(Node::List(Items::EMPTY)),
            (Known::Reconstructor, 3, _) => match self.arena.tuple(args) {
                Some([made, _, state])
                    if matches!(self.arena.node(made), Node::Global { known: Known::Other, .. }) =>
                {
                    let content = self.reconstructed(made, state)?;
                    self.node(Node::Object { class: made, content, state: NIL })
                }
                _ => Err(self.odd(class)),
            },
            (Known::Other | Known::Builtin, ..) if self.limits.opaque => {
                self.node(Node::Opaque { class, args })
            }
            (Known::Other | Known::Builtin, ..) => Err(uncallable(&self.arena.global_name(class))),
            _ => Err(self.odd(class)),
        }
    }

    /// What `_reconstructor(class, base, state)` fills an instance with.
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

    /// A container with the items of another one; never the same cells, as both may grow.
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
            Node::Call { what: Known::Reconstruct | Known::Dtype, state, .. } if *state == NIL => {
                *state = given
            }
            Node::Object { content, state, .. } if *state == NIL => {
                let content = *content;
                *state = given;
                if matches!(self.arena.node(content), Node::List(_) | Node::Dict(_) | Node::Set(_)) {
                    return Err(fault(Kind::Unsupported, "an instance with both items and fields"));
                }
            }
            Node::Opaque { .. } => {}
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

/// The error for a name that would have to be called.
pub(super) fn uncallable(name: &str) -> DecodeError {
    let reason = format!(
        "the message wants `{name}` to be called, and shmcomm never calls what a message names: \
         send plain data, or set `DecodeOptions::opaque`"
    );
    fault(Kind::Unsupported, reason)
}
