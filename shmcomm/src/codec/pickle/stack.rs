//! The stack, the marks and the memo of the pickle machine, and the containers made from them.
//!
//! Owns the rules for taking items off the stack and putting them into containers. Calls `arena` to keep the
//! items. Every item costs a push first, so everything here is bounded by [`Limits::pushes`].
//!
//! [`Limits::pushes`]: super::read::Limits

use super::arena::{Id, Items, NIL, Node};
use super::read::{Machine, Result, fault};
use crate::codec::{DecodeError, DecodeErrorKind as Kind};

/// Role in which items are added.
#[derive(Clone, Copy)]
pub(super) enum As {
    Sequence,
    DictAccess,
    Set,
}

impl Machine<'_, '_> {
    /// Returns the height below which an opcode without a mark may not reach.
    #[inline]
    pub(super) fn fence(&self) -> usize {
        self.marks.last().map_or(0, |&mark| mark as usize)
    }

    /// Returns the height of the stack without the top `n`.
    #[inline]
    pub(super) fn above(&self, n: usize) -> Result<usize> {
        self.stack.len().checked_sub(n).filter(|&height| height >= self.fence()).ok_or_else(underflow)
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Result<Id> {
        self.above(1)?;
        self.stack.pop().ok_or_else(underflow)
    }

    #[inline]
    pub(super) fn top(&self) -> Result<Id> {
        Ok(self.stack[self.above(1)?])
    }

    pub(super) fn mark(&mut self) -> Result<usize> {
        match self.marks.pop() {
            Some(mark) => Ok(mark as usize),
            None => Err(fault(Kind::Malformed, "an opcode needs a MARK, and there is none")),
        }
    }

    pub(super) fn even(&self, from: usize) -> Result<()> {
        match (self.stack.len() - from) % 2 {
            0 => Ok(()),
            _ => Err(fault(Kind::Malformed, "a dict has a key without a value")),
        }
    }

    /// Makes one node from all items above a height.
    pub(super) fn gather(&mut self, from: usize, node: fn(Items) -> Node) -> Result<()> {
        let mut items = Items::EMPTY;
        self.arena.chain(&mut items, &self.stack[from..]);
        self.stack.truncate(from);
        self.node(node(items))
    }

    /// Adds all items above a height to the container below it.
    pub(super) fn extend(&mut self, from: usize, into: As) -> Result<()> {
        if from <= self.fence() {
            return Err(underflow());
        }
        let target = self.stack[from - 1];
        if matches!(into, As::DictAccess) {
            self.even(from)?;
        }
        let holder = match self.arena.node(target) {
            Node::List(_) | Node::Dict(_) | Node::Set(_) => target,
            _ => self.holder(target, into)?,
        };
        let mut node = self.arena.node(holder);
        match (&mut node, into) {
            (Node::List(items), As::Sequence)
            | (Node::Dict(items), As::DictAccess)
            | (Node::Set(items), As::Set) => self.arena.chain(items, &self.stack[from..]),
            _ if matches!(self.arena.node(target), Node::Opaque { .. }) => {}
            _ => {
                let kind = self.arena.kind(target);
                return Err(fault(
                    Kind::Malformed,
                    format!("items are added to a {kind}, which takes none of that kind"),
                ));
            }
        }
        self.arena.nodes[holder as usize] = node;
        self.stack.truncate(from);
        Ok(())
    }

    /// Returns the node that holds the items of another one. Apart, so that plain data takes less code.
    #[inline(never)]
    fn holder(&mut self, target: Id, into: As) -> Result<Id> {
        Ok(match self.arena.node(target) {
            Node::Object { class, content, state } => {
                let content = self.content(class, content, into)?;
                self.arena.nodes[target as usize] = Node::Object { class, content, state };
                content
            }
            Node::Container { content, .. } => content,
            Node::Opaque { class, args, state: NIL } => {
                let items = match into {
                    As::Sequence => Node::List(Items::EMPTY),
                    As::DictAccess => Node::Dict(Items::EMPTY),
                    As::Set => Node::Set(Items::EMPTY),
                };
                self.count(1)?;
                let state = self.arena.nodes.len() as Id;
                self.arena.nodes.push(items);
                self.arena.nodes[target as usize] = Node::Opaque { class, args, state };
                state
            }
            Node::Opaque { state, .. } => state,
            _ => target,
        })
    }

    /// Returns the node for the items of a list, dict or set subclass.
    pub(super) fn content(&mut self, class: Id, content: Id, into: As) -> Result<Id> {
        let fresh = match (self.arena.node(content), into) {
            (Node::List(_) | Node::Dict(_) | Node::Set(_), _) => return Ok(content),
            (Node::Tuple(Items { len: 0, .. }), As::Sequence) => Node::List(Items::EMPTY),
            (Node::Tuple(Items { len: 0, .. }), As::DictAccess) => Node::Dict(Items::EMPTY),
            (Node::Tuple(Items { len: 0, .. }), As::Set) => Node::Set(Items::EMPTY),
            _ => {
                let class = self.arena.global_name(class);
                return Err(fault(
                    Kind::Unsupported,
                    format!("an instance of `{class}` has both arguments and items"),
                ));
            }
        };
        self.count(1)?;
        self.arena.nodes.push(fresh);
        Ok(self.arena.nodes.len() as Id - 1)
    }

    #[inline]
    pub(super) fn remember(&mut self, index: usize) -> Result<()> {
        let top = self.top()?;
        if index == self.memo.len() {
            self.count(1)?;
            self.memo.push(top);
            return Ok(());
        }
        if index > self.memo.len() {
            // Python numbers densely from 0 or 1, so an index is below the number of bytes.
            if index >= self.arena.input.len() {
                return Err(fault(Kind::Malformed, format!("memo index {index} is larger than the message")));
            }
            self.count(index + 1 - self.memo.len())?;
            self.memo.resize(index + 1, NIL);
        }
        self.memo[index] = top;
        Ok(())
    }

    pub(super) fn recall(&mut self, index: usize) -> Result<()> {
        match self.memo.get(index) {
            Some(&id) if id != NIL => self.push(id),
            _ => Err(fault(Kind::Malformed, format!("memo index {index} is used before it is set"))),
        }
    }
}

fn underflow() -> DecodeError {
    fault(Kind::Malformed, "an opcode needs a value, and the stack is empty")
}
